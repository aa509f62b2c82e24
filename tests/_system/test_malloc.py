"""Freed memory stays with the process inside the ``with`` and goes back at its end: measured by its resident size.

Each test starts a process of its own: where something was trained before, blocks that are already free are used again.
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
    """The error output of a script: empty where its assertions hold."""
    return in_another_process("-c", START + script).stderr


@pytest.mark.slow
@on_glibc
def test_freed_memory_stays_inside_and_goes_back_after() -> None:
    assert not run("""
assert use_and_free() < LARGE / 2
with retain_freed_memory(torch.device("cpu")):
    assert use_and_free() > LARGE / 2
assert resident() - before < LARGE / 2
assert use_and_free() < LARGE / 2
""")


@pytest.mark.slow
@on_glibc
def test_it_goes_back_when_training_is_interrupted() -> None:
    assert not run("""
try:
    with retain_freed_memory(torch.device("cpu")):
        assert use_and_free() > LARGE / 2
        raise KeyboardInterrupt
except KeyboardInterrupt:
    assert resident() - before < LARGE / 2
""")


@on_glibc
def test_glibc_is_left_alone_where_the_environment_configures_it() -> None:
    assert not run("""
os.environ["MALLOC_ARENA_MAX"] = "2"
with retain_freed_memory(torch.device("cpu")):
    assert use_and_free() < LARGE / 2
""")
