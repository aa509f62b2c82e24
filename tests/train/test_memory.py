"""Freed memory stays while it is wanted, and goes back afterwards: seen in what the kernel says of the process."""

import ctypes
import os
from pathlib import Path

import pytest
import torch

from eyebright.train.memory import freed_memory_kept

LARGE = 256 << 20
STATUS = Path("/proc/self/statm")

on_glibc = pytest.mark.skipif(
    not STATUS.exists()
    or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version")
    or "GLIBC_TUNABLES" in os.environ
    or any(name.startswith("MALLOC_") for name in os.environ),
    reason="needs Linux with glibc as it is",
)


def resident() -> int:
    """Bytes of memory that the process holds."""
    return int(STATUS.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def use_and_free() -> int:
    """How many bytes stay with the process when a large tensor is gone."""
    before = resident()
    tensor = torch.ones(LARGE, dtype=torch.uint8)
    assert resident() - before > LARGE / 2
    del tensor
    return resident() - before


@on_glibc
def test_freed_memory_stays_inside_and_goes_back_after() -> None:
    before = resident()
    with freed_memory_kept(torch.device("cpu")):
        assert use_and_free() > LARGE / 2
    assert resident() - before < LARGE / 2
    assert use_and_free() < LARGE / 2


@on_glibc
def test_it_goes_back_when_training_breaks_off() -> None:
    before = resident()

    def interrupted() -> None:
        with freed_memory_kept(torch.device("cpu")):
            use_and_free()
            raise KeyboardInterrupt("now")

    with pytest.raises(KeyboardInterrupt, match="now"):
        interrupted()
    assert resident() - before < LARGE / 2


@on_glibc
def test_who_set_up_glibc_by_the_environment_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    with freed_memory_kept(torch.device("cpu")):
        assert use_and_free() < LARGE / 2
