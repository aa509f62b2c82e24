"""Safetensors files: read from one open file, and checked."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from eyebright.io.tensors import non_finite_reason, read_metadata, read_tensors

TENSORS = {
    "a": torch.arange(6.0).reshape(2, 3),
    "half": torch.tensor([1.5], dtype=torch.bfloat16),
    "none": torch.zeros(0, 3),
    "count": torch.tensor(3),
}


def test_tensors_and_metadata_are_those_that_safetensors_reads(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "x.safetensors", metadata={"näme": "\\udcff, ü"})
    tensors, metadata = read_tensors(tmp_path / "x.safetensors")
    with safe_open(tmp_path / "x.safetensors", framework="pt") as file:
        assert metadata == read_metadata(tmp_path / "x.safetensors") == file.metadata()
        assert tensors.keys() == set(file.keys())
        for name, tensor in tensors.items():
            torch.testing.assert_close(tensor, file.get_tensor(name), rtol=0, atol=0)


def test_a_file_that_is_overwritten_later_does_not_change_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(1000)}, path)
    tensors, _ = read_tensors(path)
    with path.open("r+b") as file:
        file.seek(-4000, 2)
        file.write(torch.ones(1000).numpy().tobytes())
    assert tensors["a"].sum() == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:5],
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: b"\xff" * 8 + data[8:],
        lambda data: data[:8] + b"[" + data[9:],
        lambda data: (2).to_bytes(8, "little") + b"[]",
        lambda data: (len(text := json.dumps({"a": 1}))).to_bytes(8, "little") + text.encode(),
        lambda data: (len(text := json.dumps({"__metadata__": {"a": 1}}))).to_bytes(8, "little") + text.encode(),
    ],
)
def test_a_damaged_file_is_an_error_with_and_without_its_tensors(
    damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    save_file(TENSORS, tmp_path / "x.safetensors")
    (tmp_path / "x.safetensors").write_bytes(damage((tmp_path / "x.safetensors").read_bytes()))
    for read in (read_tensors, read_metadata):
        with pytest.raises(ValueError, match=r"."):
            read(tmp_path / "x.safetensors")


def test_values_that_are_not_finite_are_counted_and_their_tensor_is_named() -> None:
    assert non_finite_reason({}) == non_finite_reason(TENSORS) == ""
    odd = TENSORS | {"b": torch.tensor([1.0, float("nan"), float("-inf")])}
    assert non_finite_reason(odd) == "2 of 3 values of the tensor 'b' are NaN or infinite"
