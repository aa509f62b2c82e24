"""Reads safetensors files through one open file, so that a file that is being replaced is read as the old or the new.

`safetensors.safe_open` opens the file twice, for the header and for the tensors: if the file is replaced in between, it
returns tensors of one model under the header of another. It also maps the file, so a file that is overwritten later
changes the tensors. Here the bytes are read once, and header and tensors are parsed from them.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from eyebright.io.safetensors_header import metadata_of, read_header

_LENGTH_BYTES = 8  # at the start of the file: the length of the header, little-endian


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """(tensors, metadata) of a safetensors file.

    While it is read, the file takes up twice its size in memory.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, or not a safetensors file.
    """
    with Path(path).open("rb") as file:
        data = file.read()
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise ValueError(str(error)) from None
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    return tensors, metadata_of(json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + length]))


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of a safetensors file, without reading its tensors.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, or not a safetensors file.
    """
    return read_header(path).metadata


def non_finite_reason(tensors: Mapping[str, Tensor]) -> str:
    """A message that names the first tensor with NaN or infinite values; empty if all are finite."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            count = int((~torch.isfinite(tensor)).sum())
            return f"{count:,} of {tensor.numel():,} values of the tensor '{name}' are NaN or infinite"
    return ""
