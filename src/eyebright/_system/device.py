"""The choice of the device, one rule for data loaders, training and prediction."""

import os
from typing import Any

import torch

from eyebright.errors import InputError, listing


def choose_device(name: Any = None) -> torch.device:
    """The requested device; by default a CUDA GPU if there is one, otherwise the CPU.

    Other accelerators (``"mps"``, ``"xpu"``) are used only on request: no test runs on them, and MPS has no float64,
    in which losses are summed. A GPU without a number is the current one, or, where torchrun has started
    several processes, the one with this process's local rank.

    Args:
        name: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, ..., or a device; None for the default.

    Raises:
        InputError: this machine does not have the device, or its tensors have no values (``"meta"``).
    """
    best = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        requested = torch.device(best if name is None else name)
        if requested == torch.device("cuda") and "LOCAL_RANK" in os.environ:
            requested = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        probe = torch.zeros(1, device=requested)
        probe.item()
    except (AssertionError, RuntimeError, TypeError) as error:
        available = listing(dict.fromkeys(("cpu", best)))
        reason = str(error).splitlines()[0]  # torch's message can have a hundred lines
        raise InputError(f"cannot use the device '{name}'; there is {available} ({reason})") from None
    return probe.device  # with its number, such as cuda:0
