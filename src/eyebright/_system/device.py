"""The one rule for where to compute: loaders, training and prediction all ask `choose_device`."""

import os
from typing import Any

import torch

from eyebright.errors import InputError, listing


def choose_device(name: Any = None) -> torch.device:
    """The device that was named, else a CUDA GPU where there is one, else the CPU.

    Other accelerators (``"mps"``, ``"xpu"``) are used only when they are named: no test runs on them, and MPS has no
    float64, in which losses are added up. A GPU without a number is the current one, or, where torchrun has started
    several processes, the one with this process's local rank.

    Args:
        name: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, ..., or a device; None for the rule above.

    Raises:
        InputError: this machine has no such device, or its tensors hold no values (``"meta"``).
    """
    best = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        asked = torch.device(best if name is None else name)
        if asked == torch.device("cuda") and "LOCAL_RANK" in os.environ:
            asked = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        probe = torch.zeros(1, device=asked)
        probe.item()
    except (AssertionError, RuntimeError, TypeError) as error:
        available = listing(dict.fromkeys(("cpu", best)))
        reason = str(error).splitlines()[0]  # torch's message can have a hundred lines
        raise InputError(f"cannot use the device '{name}'; there is {available} ({reason})") from None
    return probe.device  # with its number, where it has one
