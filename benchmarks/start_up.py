"""Seconds of ``import eyebright``, of ``eyebright --help``, and from ``eyebright train`` to its first step.

    python benchmarks/start_up.py labels.csv --images photos/ [--fastai-python peer/bin/python] [--json out.json]

Commands run alternately, each in a process of its own, and are timed from outside, so the start of the interpreter is
included. The first step is timed on a first run, which measures precisions, and on later runs, which use the
remembered result.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import measure

GOALS = {"import eyebright": 0.15, "eyebright --help": 0.3}  # seconds
FIRST_STEP_GOAL = 2.0  # seconds in addition to the import of torch and timm
TRAIN = "eyebright train, first step"

Run = Callable[[int], dict[str, float]]
"""From the number of the round to seconds by name."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a CSV table of labels, or a folder with one subfolder per class")
    parser.add_argument("--images", type=Path, help="the folder that the table's file names are relative to")
    parser.add_argument("--fastai-python", help="a Python interpreter with fastai: also time its import")
    parser.add_argument("--rounds", type=int, default=5, help="how often each command runs (default: 5)")
    parser.add_argument("--json", type=Path, help="file to which all measurements are written")
    arguments = parser.parse_args()
    measure.warn_if_busy()
    with tempfile.TemporaryDirectory() as folder:
        runs = import_runs(arguments.fastai_python) | training_runs(arguments, Path(folder))
        for run in runs.values():
            run(0)  # fills the disk cache
        rounds = measure.alternate(runs, range(1, arguments.rounds + 1))
    times = {name: [seconds[name] for seconds in results] for results in rounds.values() for name in results[0]}
    report(times)
    measure.save(arguments.json, {"seconds": {name: measure.spread(values) for name, values in times.items()}})


def import_runs(fastai_python: str | None) -> dict[str, Run]:
    """Commands that start and end, by name."""
    commands = {
        "pass": [sys.executable, "-c", "pass"],
        "import eyebright": [sys.executable, "-c", "import eyebright"],
        "eyebright --help": [str(Path(sys.executable).with_name("eyebright")), "--help"],
        "import torch": [sys.executable, "-c", "import torch"],
        "import torch, timm": [sys.executable, "-c", "import torch, timm"],
    }
    if fastai_python:
        commands["from fastai.vision.all import *"] = [fastai_python, "-c", "from fastai.vision.all import *"]
    return {name: time_command(name, command) for name, command in commands.items()}


def training_runs(arguments: argparse.Namespace, folder: Path) -> dict[str, Run]:
    """``eyebright train`` with its defaults until its first step, with a new and with a kept EYEBRIGHT_HOME."""
    images = [] if arguments.images is None else ["--images", str(arguments.images.resolve())]
    command = ["train", str(arguments.data.resolve()), *images, "--out", str(folder / "model")]
    return {
        "first run": lambda number: time_first_step(command, folder / f"home{number}", "first run"),
        "later run": lambda _: time_first_step(command, folder / "home", "later run"),
    }


def time_command(name: str, command: list[str]) -> Run:
    """A function that runs the command to its end."""

    def run(_: int) -> dict[str, float]:
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        return {name: time.perf_counter() - start}

    return run


def time_first_step(command: list[str], home: Path, label: str) -> dict[str, float]:
    """Seconds until the first training step begins and until it ends; ``home`` is EYEBRIGHT_HOME."""
    start = time.time()
    process = subprocess.run(
        [sys.executable, "-m", "first_step", *command],
        cwd=Path(__file__).parent,
        env={**os.environ, "EYEBRIGHT_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    if not process.stdout:
        raise SystemExit(f"eyebright train failed:\n{process.stderr[-3000:]}")
    begin, end = (float(word) - start for word in process.stdout.splitlines()[-1].split())
    return {f"{TRAIN} begins, {label}": begin, f"{TRAIN} ends, {label}": end}


def report(times: Mapping[str, list[float]]) -> None:
    """Prints the table: seconds, seconds in addition to a minimal command, and the goal."""
    rows = [[name, str(measure.spread(values)), *additional(name, times)] for name, values in times.items()]
    print(measure.table(["command", "seconds", "in addition to", "", "goal"], rows))


def additional(name: str, times: Mapping[str, list[float]]) -> list[str]:
    """The minimal command with which this one is compared, the difference round by round, and the goal."""
    minimal = "import torch, timm" if name.startswith(TRAIN) else "pass"
    if name == minimal:
        return ["", "", ""]
    difference = measure.spread([a - b for a, b in zip(times[name], times[minimal], strict=True)])
    goal = f"{GOALS[name]} in total" if name in GOALS else ""
    return [minimal, str(difference), f"{FIRST_STEP_GOAL} in addition" if "begins" in name else goal]


if __name__ == "__main__":
    main()
