"""Seconds of ``eyebright train`` on an idle machine and beside busy programs, with long and with short busy waiting.

    python benchmarks/busy_machine.py labels.csv --images photos/ [--busy 0 1 2] [--json out.json]

torch's threads wait for each other in a loop. The long loop is what GNU's OpenMP does by itself (GOMP_SPINCOUNT=300000,
about 3 ms), the short one what the command line sets (0.1 ms). Each busy program runs a loop in Python, in a session of
its own, like the programs of other users and of containers.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import measure

WAITS = {"long": {"GOMP_SPINCOUNT": "300000"}, "short": {}}
"""Environment variables by the kind of waiting."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a CSV table of labels, or a folder with one subfolder per class")
    parser.add_argument("--images", type=Path, help="the folder that the table's file names are relative to")
    parser.add_argument("--size", type=int, default=128, help="pixels (default: 128)")
    parser.add_argument("--epochs", type=int, default=1, help="epochs with all layers (default: 1)")
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2], help="numbers of busy programs")
    parser.add_argument("--rounds", type=int, default=3, help="how often each command runs (default: 3)")
    parser.add_argument("--json", type=Path, help="file to which all measurements are written")
    arguments = parser.parse_args()
    measure.warn_if_busy()
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            (busy, wait): training(arguments, Path(folder), busy, wait) for busy in arguments.busy for wait in WAITS
        }
        runs[arguments.busy[0], "short"](0)  # fills the disk cache and measures the precision
        results = measure.alternate(
            {f"{busy} {wait}": run for (busy, wait), run in runs.items()}, range(arguments.rounds)
        )
    report(arguments.busy, results)
    measure.save(arguments.json, {"seconds": results})


def training(arguments: argparse.Namespace, folder: Path, busy: int, wait: str) -> Callable[[int], float]:
    """A function that trains a model beside busy programs and returns the elapsed seconds."""
    images = [] if arguments.images is None else ["--images", str(arguments.images)]
    settings = ["--size", str(arguments.size), "--epochs", str(arguments.epochs), "--quiet"]
    program = str(Path(sys.executable).with_name("eyebright"))
    command = [program, "train", str(arguments.data), *images, *settings, "--out", str(folder / "model")]
    environment = {**os.environ, "EYEBRIGHT_HOME": str(folder / "home"), **WAITS[wait]}

    def run(_: int) -> float:
        with busy_programs(busy):
            started = time.perf_counter()
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
            return time.perf_counter() - started

    return run


@contextmanager
def busy_programs(count: int) -> Generator[None, None, None]:
    """Other processes that need a CPU each, until the ``with`` block ends; Linux shares CPUs among sessions first."""
    command = [sys.executable, "-c", "while True: pass"]
    programs = [subprocess.Popen(command, start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def report(busy: list[int], results: dict[str, list[float]]) -> None:
    """Prints the seconds, and the ratio round by round."""
    rows = []
    for count in busy:
        long, short = results[f"{count} long"], results[f"{count} short"]
        rows.append([str(count), *(str(measure.spread(values)) for values in (long, short, ratios(long, short)))])
    print(measure.table(["busy programs", "long waiting, seconds", "short, seconds", "long / short"], rows))


def ratios(long: list[float], short: list[float]) -> tuple[float, ...]:
    """Seconds with long waiting as a multiple of those with short waiting."""
    return measure.ratios(long, short).values


if __name__ == "__main__":
    main()
