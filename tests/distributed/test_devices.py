"""``eyebright train --devices 2``: the messages when one of the processes is killed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from support.images import coloured_squares

COMMAND = (sys.executable, "-c", "from eyebright.cli.main import main; main()", "train")
OPTIONS = ("--devices", "2", "--device", "cpu", "--size", "32", "--epochs", "90", "--bs", "8", "--precision", "float32")


@contextlib.contextmanager
def training(folder: Path) -> Generator[subprocess.Popen[str], None, None]:
    """A training of coloured squares that takes longer than the test, which ends it."""
    coloured_squares(folder / "photos", 24)[["fname", "labels", "is_valid"]].to_csv(folder / "table.csv", index=False)
    arguments = (
        str(folder / "table.csv"),
        "--images",
        str(folder / "photos"),
        "--out",
        str(folder / "model"),
        *OPTIONS,
    )
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)


def worker(launcher: int, rank: int) -> int:
    """The process id of the worker of this rank."""
    for child in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split():
        if f"\0RANK={rank}\0" in Path(f"/proc/{child}/environ").read_text():
            return int(child)
    raise AssertionError(f"{launcher} has no process of rank {rank}")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found in /proc")
def test_a_killed_process_ends_all_with_an_error_that_names_the_checkpoint(tmp_path: Path) -> None:
    checkpoint = tmp_path / "model" / "checkpoint.safetensors"
    with training(tmp_path) as process:
        wait_for(checkpoint, process)
        workers = [worker(process.pid, rank) for rank in (0, 1)]
        os.kill(workers[1], signal.SIGKILL)
        printed, error = process.communicate(timeout=300)
        assert process.returncode == 2
    assert error == (
        "error: process 2 of 2 was killed (SIGKILL), as the system does when memory runs out, so the others were "
        f"stopped; '{checkpoint}' is from the last completed epoch; continue from it with --resume\n"
    )
    assert printed.count("18 images for training, 6 for validation, 8 in a batch\n") == 1
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert [path.name for path in (tmp_path / "model").iterdir()] == [checkpoint.name]
