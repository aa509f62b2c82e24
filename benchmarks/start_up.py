"""How long one waits: for an import, for ``eyebright --help``, and from ``eyebright train`` to its first step.

    python benchmarks/start_up.py labels.csv --images photos/ [--fastai-python peer/bin/python] [--json out.json]

Commands run in turn, each in a process of its own, and are timed from outside, interpreter included. The first step is
timed the first time, when the number format is measured, and later, when that is remembered.
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
FOR_THE_FIRST_STEP = 2.0  # seconds more than torch's and timm's own import
TRAIN = "eyebright train, until its first step"

Run = Callable[[int], dict[str, float]]
"""From the round to seconds, by what they were waited for."""


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("data", type=Path, help="a table of labels, or a folder with a folder for each class")
    made.add_argument("--images", type=Path, help="the folder that the table's file names start from")
    made.add_argument("--fastai-python", help="an interpreter with fastai: time its import too")
    made.add_argument("--rounds", type=int, default=5, help="how often each command runs")
    made.add_argument("--json", type=Path, help="write everything that was measured there")
    arguments = made.parse_args()
    measure.warn_if_busy()
    with tempfile.TemporaryDirectory() as folder:
        commands = imports(arguments.fastai_python) | trainings(arguments, Path(folder))
        for run in commands.values():
            run(0)  # what the disk has to give first counts for nobody
        rounds = measure.alternate(commands, range(1, arguments.rounds + 1))
    times = {name: [one[name] for one in found] for found in rounds.values() for name in found[0]}
    report(times)
    measure.save(arguments.json, {"seconds": {name: measure.spread(values) for name, values in times.items()}})


def imports(fastai_python: str | None) -> dict[str, Run]:
    """Commands that only start, by name."""
    told = {
        "pass": [sys.executable, "-c", "pass"],
        "import eyebright": [sys.executable, "-c", "import eyebright"],
        "eyebright --help": [str(Path(sys.executable).with_name("eyebright")), "--help"],
        "import torch": [sys.executable, "-c", "import torch"],
        "import torch, timm": [sys.executable, "-c", "import torch, timm"],
    }
    if fastai_python:
        told["from fastai.vision.all import *"] = [fastai_python, "-c", "from fastai.vision.all import *"]
    return {name: whole(name, command) for name, command in told.items()}


def trainings(arguments: argparse.Namespace, folder: Path) -> dict[str, Run]:
    """``eyebright train`` with its defaults, until its first step, by what it remembers."""
    images = [] if arguments.images is None else ["--images", str(arguments.images.resolve())]
    command = ["train", str(arguments.data.resolve()), *images, "--out", str(folder / "model")]
    return {
        "first": lambda number: first_step(command, folder / f"home{number}", "the first time"),
        "later": lambda _: first_step(command, folder / "home", "later"),
    }


def whole(name: str, command: list[str]) -> Run:
    """Runs a command to its end."""

    def run(_: int) -> dict[str, float]:
        started = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        return {name: time.perf_counter() - started}

    return run


def first_step(command: list[str], home: Path, when: str) -> dict[str, float]:
    """Seconds until the first batch is about to be learnt, and until it is; what is remembered lies in ``home``."""
    started = time.time()
    done = subprocess.run(
        [sys.executable, "-m", "first_step", *command],
        cwd=Path(__file__).parent,
        env={**os.environ, "EYEBRIGHT_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout:
        raise SystemExit(f"eyebright train failed:\n{done.stderr[-3000:]}")
    begun, learnt = (float(word) - started for word in done.stdout.splitlines()[-1].split())
    return {f"{TRAIN} begins, {when}": begun, f"{TRAIN} is done, {when}": learnt}


def report(times: Mapping[str, list[float]]) -> None:
    """Print the table: seconds, seconds above the floor of each, and the goal."""
    lines = [[name, str(measure.spread(values)), *over(name, times)] for name, values in times.items()]
    print(measure.table(["command", "seconds", "more than", "", "goal"], lines))


def over(name: str, times: Mapping[str, list[float]]) -> list[str]:
    """What the command is compared with, the difference round by round, and the goal."""
    floor = "import torch, timm" if name.startswith(TRAIN) else "pass"
    if name == floor:
        return ["", "", ""]
    more = measure.spread([a - b for a, b in zip(times[name], times[floor], strict=True)])
    goal = f"{GOALS[name]} in all" if name in GOALS else ""
    return [floor, str(more), f"{FOR_THE_FIRST_STEP} more" if "begins" in name else goal]


if __name__ == "__main__":
    main()
