"""What needs a GPU, in one command of less than nine minutes: checks that it computes what the CPU does, and speeds.

    python benchmarks/gpu_check.py --json gpu.json          (or: make gpu-check)

It needs Eyebright with its base dependencies and nothing else, and makes its own images. Each row of the JSON file has
name, ok, value, unit and message. A check that fails does not stop the others; the exit status is 1 if one did. What
the time did not suffice for is a row, too. ``--device cpu --tiny`` tests the command itself without a GPU.
"""

import argparse
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import measure
import torch
from gpu.agreement import CHECKS
from gpu.speeds import SPEEDS
from gpu.work import Row, Sizes, Work

from eyebright._system.cpus import cpu_count
from eyebright._system.device import choose_device
from eyebright.errors import InputError

Check = Callable[[Work], Iterable[Row]]

GRACE = 20.0  # seconds after the budget in which a check may finish


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, mps, cpu")
    parser.add_argument("--tiny", action="store_true", help="a tiny network and a few tiny images")
    parser.add_argument("--only-speeds", action="store_true", help="leave out the checks that both compute the same")
    parser.add_argument("--budget", type=float, default=500.0, help="seconds after which no other check begins")
    parser.add_argument("--json", type=Path, help="file for the results")
    arguments = parser.parse_args()
    # Without it some matrix products on CUDA are not deterministic; it is read when the device is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        device = choose_device(arguments.device)
    except InputError as error:
        raise SystemExit(f"gpu_check: {error}") from None
    with TemporaryDirectory() as folder:
        os.environ["EYEBRIGHT_HOME"] = folder  # measured precisions are not kept
        sizes = tiny_sizes() if arguments.tiny else full_sizes()
        report = Report(arguments.json, device, sizes)
        watchdog = threading.Timer(arguments.budget + GRACE, report.give_up)
        watchdog.daemon = True
        watchdog.start()
        work = Work(device, sizes, Path(folder))
        work.make_images()
        if not arguments.only_speeds:
            run_checks(work, CHECKS, report, budget=arguments.budget)
        run_checks(work.repeated(), SPEEDS, report, budget=arguments.budget)
        watchdog.cancel()
    raise SystemExit(0 if report.ok else 1)


def tiny_sizes() -> Sizes:
    """Sizes that take a CPU seconds."""
    return Sizes("test_resnet", 32, (48, 64), images=32, repeats=2, bs=8, steps=2, rounds=1, seconds=10, workers=0)


def full_sizes() -> Sizes:
    """Sizes that keep a GPU busy for a few minutes."""
    workers = min(cpu_count(), 16)
    return Sizes("resnet34", 224, (375, 500), 1024, repeats=8, bs=64, steps=20, rounds=5, seconds=15, workers=workers)


class Report:
    """The rows so far; written to the file after each row, so that an interrupted run leaves them.

    Args:
        path: the JSON file; None for none.
        device: the device.
        sizes: how much is computed.
    """

    def __init__(self, path: Path | None, device: torch.device, sizes: Sizes) -> None:
        self.path = path
        self.rows: list[Row] = []
        self.started = time.perf_counter()
        self.running = "the images"
        self.about = {"device": str(device), "torch": torch.__version__, "sizes": asdict(sizes)}

    @property
    def ok(self) -> bool:
        """Whether all rows are."""
        return bool(self.rows) and all(row.ok for row in self.rows)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    def add(self, row: Row) -> None:
        """Adds a row, prints it, and writes the file."""
        self.rows.append(row)
        value = "" if row.value is None else f"{row.value:.4g} {row.unit}"
        print(f"{'ok  ' if row.ok else 'FAIL'} {row.name}: {value} ({row.message})", flush=True)
        record = {"ok": self.ok, "seconds": round(self.seconds, 1), "rows": [asdict(one) for one in self.rows]}
        measure.save(self.path, {**self.about, **record})

    def give_up(self) -> None:
        """Ends the program in the middle of a check that takes too long."""
        self.add(Row(self.running, False, self.seconds, "s", "did not finish in time; the program was ended"))
        os._exit(1)


def run_checks(work: Work, checks: Iterable[Check], report: Report, *, budget: float) -> None:
    """Runs the checks one after another; an error of one is a row and does not stop the others."""
    for check in checks:
        report.running = check.__name__.replace("_", " ")
        if report.seconds > budget:
            report.add(Row(report.running, False, None, "", f"not run: the {budget:g} seconds of --budget are over"))
            continue
        try:
            for row in check(work):
                report.add(row)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            report.add(Row(report.running, False, None, "", f"{type(error).__name__}: {error} ({where})"))
            traceback.print_exc(file=sys.stderr)


if __name__ == "__main__":
    main()
