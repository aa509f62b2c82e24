"""How cost grows: with images, rows of a table, epochs, threads and classes.

    python benchmarks/growth.py [rows] [epochs] [memory] [classes] [--largest 1e7] [--json out.json]

Everything is made on the spot. Growth is the slope of a line through the logarithms of sizes and seconds: 1 is
linear, and less is a constant part that still shows. Each measurement has a process of its own (`growing.py`). It
needs Linux, which tells how much memory a process has.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import growing
import measure
import numpy as np

WORKERS = (1, 2, 4, 8)
CLASSES = (10, 100, 1_000)
SETTLED = 5  # epochs after which memory should stay where it is
PARTS = ("rows", "epochs", "memory", "classes")


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure (default: all)")
    made.add_argument("--largest", type=float, default=1e7, help="rows of the largest table")
    made.add_argument("--count", type=float, default=1e5, help="of the largest epoch")
    made.add_argument("--json", type=Path, help="write everything that was measured there")
    arguments = made.parse_args()
    measure.warn_if_busy()
    results: dict[str, Any] = {}
    for part in arguments.parts or PARTS:
        if part == "rows":
            results[part] = rows(sizes(1e4, arguments.largest))
        if part == "epochs":
            results[part] = epochs(sizes(1e2, arguments.count))
        if part == "memory":
            results[part] = memory()
        if part == "classes":
            results[part] = classes()
    measure.save(arguments.json, results)


def rows(numbers: Sequence[int]) -> dict[str, Any]:
    """Each stage from a table to batches, for each size of the table."""
    results: dict[str, Any] = {}
    for name in growing.STAGES:
        asked = [number for number in numbers if number <= growing.MOST.get(name, number)]
        found = [ask("rows", name, number) for number in asked]
        results[name] = {str(number): one for number, one in zip(asked, found, strict=True)}
        results[name]["growth"] = slope(asked, [one["seconds"] for one in found])
    columns = ["seconds for rows", *(f"{number:,}" for number in numbers), "growth", "MB", "of which before"]
    lines = [
        [name, *(one[str(n)]["seconds"] if str(n) in one else None for n in numbers), one["growth"], *memory_of(one)]
        for name, one in results.items()
    ]
    print(measure.table(columns, lines) + "\n")
    return results


def epochs(numbers: Sequence[int]) -> dict[str, Any]:
    """An epoch of loading, for each number of images."""
    found = [ask("epochs", "", number) for number in numbers]
    seconds = [statistics.median(one["seconds"][1:]) for one in found]
    trained = [number * 4 // 5 for number in numbers]
    growth = slope(trained, seconds)
    lines = [[f"{n:,}", s, 1e6 * s / n] for n, s in zip(trained, seconds, strict=True)]
    print(measure.table(["images in an epoch", "seconds", "microseconds an image"], lines))
    print(f"growth: {growth:.3f}\n")
    return {"images": trained, "seconds": [one["seconds"] for one in found], "growth": growth}


def memory() -> dict[str, Any]:
    """Memory of all processes over twenty epochs, with one reader and with several."""
    results = {f"loading, {n} {kind}": ask("loading", kind, n) for kind in ("threads", "processes") for n in WORKERS}
    results |= {f"training, 2 {kind}": ask("training", kind, 2) for kind in ("threads", "processes")}
    for one in results.values():
        one["MB an epoch"] = float(np.polyfit(range(20 - SETTLED), one["MB"][SETTLED:], 1)[0])
    numbers = ("threads", "processes")
    columns = ["20 epochs", "MB after 1", f"after {SETTLED}", "after 20", f"MB an epoch from {SETTLED} on", *numbers]
    lines = [
        [
            name,
            *(one["MB"][epoch] for epoch in (0, SETTLED - 1, -1)),
            one["MB an epoch"],
            *(f"{one[number][-1]:.0f}" for number in numbers),
        ]
        for name, one in results.items()
    ]
    print(measure.table(columns, lines) + "\n")
    return results


def classes() -> dict[str, Any]:
    """Scores and thresholds, for each number of classes."""
    results: dict[str, Any] = {}
    for name in ("metrics", "thresholds"):
        found = {str(number): ask("classes", name, number) for number in CLASSES}
        results[name] = {**found, "growth": slope(CLASSES, [one["seconds"] for one in found.values()])}
    heads = [f"{growing.SCORED:,} images, seconds for classes", *map(str, CLASSES), "growth", "MB", "of which before"]
    lines = [
        [name, *(one[str(n)]["seconds"] for n in CLASSES), one["growth"], *memory_of(one)]
        for name, one in results.items()
    ]
    print(measure.table(heads, lines) + "\n")
    return results


def sizes(least: float, most: float) -> list[int]:
    """Powers of ten between the two."""
    return [10**n for n in range(round(np.log10(least)), round(np.log10(most)) + 1)]


def slope(numbers: Sequence[float], seconds: Sequence[float]) -> float:
    """The exponent with which seconds grow; of four sizes or more the smallest, where constants show, is left out."""
    skipped = 1 if len(numbers) > 3 else 0
    if len(numbers) - skipped < 2:
        return float("nan")
    return float(np.polyfit(np.log(numbers[skipped:]), np.log(seconds[skipped:]), 1)[0])


def memory_of(one: Mapping[str, Any]) -> tuple[float, float]:
    """The peak of the largest size, and what was there before the stage: torch and the table."""
    found = one[max((size for size in one if size.isdecimal()), key=int)]
    return found["MB at most"], found["MB before"]


def ask(kind: str, name: str, number: int) -> Any:
    """What a process of its own measured."""
    print(f"{kind} {name} {number:,}", file=sys.stderr)
    done = subprocess.run(
        [sys.executable, "-m", "growing"],
        input=json.dumps([kind, name, number]),
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"measuring {kind} {name} {number} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
