"""Freed memory stays while it is wanted, and goes back afterwards: seen in what the kernel says of a process.

Of a fresh one each time: where much was trained before, blocks that are free already are used again.
"""

import ctypes
from pathlib import Path

import pytest

from support.training import in_another_process

on_glibc = pytest.mark.skipif(
    not Path("/proc/self/statm").exists() or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"),
    reason="needs Linux with glibc",
)

START = """
import os
from pathlib import Path
import torch
from eyebright._system.malloc import retain_freed_memory

LARGE = 256 << 20

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def use_and_free():
    before = resident()
    tensor = torch.ones(LARGE, dtype=torch.uint8)
    assert resident() - before > LARGE / 2
    del tensor
    return resident() - before

before = resident()
"""


def run(script: str) -> str:
    """What is wrong with what the script saw; nothing where all is well."""
    return in_another_process("-c", START + script).stderr


@on_glibc
def test_freed_memory_stays_inside_and_goes_back_after() -> None:
    assert not run("""
assert use_and_free() < LARGE / 2
with retain_freed_memory(torch.device("cpu")):
    assert use_and_free() > LARGE / 2
assert resident() - before < LARGE / 2
assert use_and_free() < LARGE / 2
""")


@on_glibc
def test_it_goes_back_when_training_breaks_off() -> None:
    assert not run("""
try:
    with retain_freed_memory(torch.device("cpu")):
        assert use_and_free() > LARGE / 2
        raise KeyboardInterrupt
except KeyboardInterrupt:
    assert resident() - before < LARGE / 2
""")


@on_glibc
def test_who_set_up_glibc_by_the_environment_is_left_alone() -> None:
    assert not run("""
os.environ["MALLOC_ARENA_MAX"] = "2"
with retain_freed_memory(torch.device("cpu")):
    assert use_and_free() < LARGE / 2
""")
