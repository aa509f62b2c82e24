"""A file that caches measurements of this machine, so that the next run need not repeat them.

It can be deleted at any time: where it cannot be read, the measurement is repeated, and where it cannot be written, the
result is not cached.
"""

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from eyebright.errors import InputError
from eyebright.io.atomic import write_atomically
from eyebright.io.home import home

FILE = "measured.json"


def measured_key(question: str, model: nn.Module, *shapes: tuple[int, ...]) -> str:
    """The key of a measurement: equal for the same layers with the same trainable parameters on the same machine.

    Args:
        question: what is measured.
        model: with its modules in the modes in which it is measured.
        shapes: of the model's inputs.
    """
    processor = torch.cpu.get_capabilities()
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    versions = torch.__version__, version("eyebright")  # our own training step may change
    machine = (platform.machine(), torch.get_num_threads(), sorted(processor.items()), accelerator, versions)
    layers = [(name, tuple(p.shape), p.requires_grad, p.device.type) for name, p in model.named_parameters()]
    modes = [module.training for module in model.modules()]
    told = repr((question, machine, shapes, str(model), layers, modes))
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def recall(key: str) -> Any:
    """The result that was cached under this key; None where there is none."""
    return _all_facts().get(key)


def remember(key: str, fact: Any) -> None:
    """Caches a result as JSON, where the file can be written."""
    facts = {**_all_facts(), key: fact}
    try:
        file = _file()
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, lambda path: path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8"))
    except (OSError, InputError):
        return


def _file() -> Path:
    return home() / FILE


def _all_facts() -> dict[str, Any]:
    try:
        facts = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # no home folder, no file, or other content
        return {}
    return facts if isinstance(facts, dict) else {}
