"""A file that caches measurements of this machine, so that the next run need not repeat them.

It can be deleted at any time. If it cannot be read, the measurement is repeated; if it cannot be written, the result
is not cached.
"""

import hashlib
import json
import platform
from pathlib import Path
from typing import Any

import torch
from torch import nn

from eyebright._version import __version__
from eyebright.errors import InputError
from eyebright.io.atomic import write_atomically
from eyebright.io.home import home

_FILE_NAME = "measured.json"


def measurement_key(measurement: str, model: nn.Module, *shapes: tuple[int, ...]) -> str:
    """The key of a measurement: equal for the same layers with the same trainable parameters on the same machine.

    Args:
        measurement: what is measured.
        model: the model, with its modules in the modes in which it is measured.
        shapes: the shapes of the inputs.
    """
    processor = torch.cpu.get_capabilities()
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    versions = torch.__version__, __version__  # our own training step may change
    machine = (platform.machine(), torch.get_num_threads(), sorted(processor.items()), accelerator, versions)
    layers = [(name, tuple(p.shape), p.requires_grad, p.device.type) for name, p in model.named_parameters()]
    modes = [module.training for module in model.modules()]
    described = repr((measurement, machine, shapes, str(model), layers, modes))
    return hashlib.blake2b(described.encode(), digest_size=16).hexdigest()


def read_measurement(key: str) -> Any:
    """The cached result of a measurement; None if it is not cached."""
    return _read_all().get(key)


def store_measurement(key: str, result: Any) -> None:
    """Adds a result to the cache as JSON, if the file can be written."""
    results = {**_read_all(), key: result}
    try:
        file = _file()
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, lambda path: path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8"))
    except (OSError, InputError):
        return


def _file() -> Path:
    return home() / _FILE_NAME


def _read_all() -> dict[str, Any]:
    try:
        results = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # no home folder, no file, or other content
        return {}
    return results if isinstance(results, dict) else {}
