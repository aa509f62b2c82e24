"""Waiting threads of torch sleep: measured by the CPU time of a process that mostly waits."""

import os
import subprocess
import sys

import pytest

from eyebright._system.cpus import cpu_count

WAITS = """
import os, sys, time
from eyebright._system.openmp import shorten_busy_waiting
if sys.argv[1] == "short":
    shorten_busy_waiting()
import torch
torch.set_num_threads(2)
numbers = torch.ones(1 << 16)
started = time.process_time()
for _ in range(200):
    numbers.sin()
    time.sleep(0.01)
used = time.process_time() - started
maps = open("/proc/self/maps").read() if os.path.exists("/proc/self/maps") else ""
print(used, "libgomp" in maps)
"""


def python(code: str, *arguments: str, **variables: str) -> str:
    ours = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], env={**ours, **variables}, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.slow
@pytest.mark.skipif(cpu_count() < 2, reason="needs two CPUs")
def test_waiting_threads_use_less_cpu_time() -> None:
    long, has_gnu_openmp = python(WAITS, "as torch has it").split()
    if has_gnu_openmp == "False":
        pytest.skip("torch has another OpenMP")
    short, _ = python(WAITS, "short").split()
    assert float(short) < float(long) / 2


AFTER_MAIN = """
import os, sys
from eyebright.cli import main
main.run = lambda arguments, debug: print(os.environ.get("GOMP_SPINCOUNT")) or 0
{before}
main.main()
"""


@pytest.mark.parametrize(
    ("before", "variables", "expected"),
    [
        ("", {}, "10000"),
        ("", {"GOMP_SPINCOUNT": "7"}, "7"),
        ("", {"OMP_WAIT_POLICY": "active"}, "None"),
        ("import torch", {}, "None"),
    ],
)
def test_the_command_line_keeps_what_the_user_has_set(before: str, variables: dict[str, str], expected: str) -> None:
    assert python(AFTER_MAIN.format(before=before), **variables) == expected
