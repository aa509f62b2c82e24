"""How time and memory grow with rows of a table, images, epochs, readers and classes.

    python benchmarks/growth.py [rows] [split] [epochs] [memory] [classes] [--rows 1e7] [--count 1e5] [--json out.json]

All data are generated. "exponent" is the slope of a line fitted to log(seconds) over log(size): 1 is linear growth,
less means that constant costs still matter. Each measurement runs in a process of its own (`growth_worker.py`). Needs
Linux, for the memory of processes.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import growth_worker
import measure
import numpy as np

WORKERS = (1, 2, 4, 8)
CLASSES = (10, 100, 1_000)
WARM_UP = 5  # epochs after which memory should be constant
PARTS = ("rows", "split", "epochs", "memory", "classes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure (default: all)")
    parser.add_argument("--rows", type=float, default=1e7, help="rows of the largest table (default: 1e7)")
    parser.add_argument("--count", type=float, default=1e5, help="images of the largest epoch (default: 1e5)")
    parser.add_argument("--json", type=Path, help="file to which all measurements are written")
    arguments = parser.parse_args()
    measure.warn_if_busy()
    results: dict[str, Any] = {}
    for part in arguments.parts or PARTS:
        if part == "rows":
            results[part] = rows(sizes(1e4, arguments.rows))
        if part == "split":
            results[part] = split(sizes(1e5, arguments.rows))
        if part == "epochs":
            results[part] = epochs(sizes(1e2, arguments.count))
        if part == "memory":
            results[part] = memory()
        if part == "classes":
            results[part] = classes()
    measure.save(arguments.json, results)


def rows(numbers: Sequence[int]) -> dict[str, Any]:
    """The stages from a table to batches, for tables of several sizes; also printed."""
    results: dict[str, Any] = {}
    for name in growth_worker.STAGES:
        feasible = [number for number in numbers if number <= growth_worker.MAX_ROWS.get(name, number)]
        measured = [run_worker("rows", name, number) for number in feasible]
        results[name] = {str(number): result for number, result in zip(feasible, measured, strict=True)}
        results[name]["exponent"] = exponent(feasible, [result["seconds"] for result in measured])
    columns = ["seconds for rows", *(f"{number:,}" for number in numbers), "exponent", "peak, MB", "MB before"]
    lines = [
        [
            name,
            *(result[str(n)]["seconds"] if str(n) in result else None for n in numbers),
            result["exponent"],
            *memory_of_largest(result),
        ]
        for name, result in results.items()
    ]
    print(measure.table(columns, lines) + "\n")
    return results


def split(numbers: Sequence[int]) -> dict[str, Any]:
    """What ``eyebright split`` does with a table: read, check without pixels, split, prove, write; also printed."""
    results = {str(number): run_worker("split", "", number) for number in numbers}
    stages = [name for name in results[str(numbers[0])] if name not in ("MB before", "MB at most")]
    totals = [sum(result[name] for name in stages) for result in results.values()]
    columns = ["rows", *(f"{name}, s" for name in stages), "all, s", "MB before", "peak, MB"]
    lines = [
        [f"{number:,}", *(result[name] for name in stages), total, result["MB before"], result["MB at most"]]
        for number, result, total in zip(numbers, results.values(), totals, strict=True)
    ]
    print(measure.table(columns, lines))
    print(f"exponent: {exponent(numbers, totals):.3f}\n")
    return results


def epochs(numbers: Sequence[int]) -> dict[str, Any]:
    """An epoch of loading, for several numbers of images; also printed."""
    measured = [run_worker("epochs", "", number) for number in numbers]
    seconds = [statistics.median(result["seconds"][1:]) for result in measured]
    training_images = [number * 4 // 5 for number in numbers]
    growth = exponent(training_images, seconds)
    lines = [[f"{n:,}", s, 1e6 * s / n] for n, s in zip(training_images, seconds, strict=True)]
    print(measure.table(["images per epoch", "seconds", "microseconds per image"], lines))
    print(f"exponent: {growth:.3f}\n")
    return {"images": training_images, "seconds": [result["seconds"] for result in measured], "exponent": growth}


def memory() -> dict[str, Any]:
    """The memory of all processes over twenty epochs, with several numbers of readers; also printed."""
    results = {
        f"loading, {n} {kind}": run_worker("loading", kind, n) for kind in ("threads", "processes") for n in WORKERS
    }
    results |= {f"training, 2 {kind}": run_worker("training", kind, 2) for kind in ("threads", "processes")}
    for result in results.values():
        result["MB per epoch"] = float(np.polyfit(range(20 - WARM_UP), result["MB"][WARM_UP:], 1)[0])
    counts = ("threads", "processes")
    columns = ["20 epochs", "MB after 1", f"after {WARM_UP}", "after 20", f"MB per epoch after {WARM_UP}", *counts]
    lines = [
        [
            name,
            *(result["MB"][epoch] for epoch in (0, WARM_UP - 1, -1)),
            result["MB per epoch"],
            *(f"{result[count][-1]:.0f}" for count in counts),
        ]
        for name, result in results.items()
    ]
    print(measure.table(columns, lines) + "\n")
    return results


def classes() -> dict[str, Any]:
    """Metrics and threshold tuning, for several numbers of classes; also printed."""
    results: dict[str, Any] = {}
    for name in ("metrics", "thresholds"):
        measured = {str(number): run_worker("classes", name, number) for number in CLASSES}
        seconds = [result["seconds"] for result in measured.values()]
        results[name] = {**measured, "exponent": exponent(CLASSES, seconds)}
    title = f"{growth_worker.METRIC_IMAGES:,} images, seconds for classes"
    columns = [title, *map(str, CLASSES), "exponent", "peak, MB", "MB before"]
    lines = [
        [name, *(result[str(n)]["seconds"] for n in CLASSES), result["exponent"], *memory_of_largest(result)]
        for name, result in results.items()
    ]
    print(measure.table(columns, lines) + "\n")
    return results


def sizes(smallest: float, largest: float) -> list[int]:
    """The powers of ten from the smallest to the largest."""
    return [10**n for n in range(round(np.log10(smallest)), round(np.log10(largest)) + 1)]


def exponent(numbers: Sequence[float], seconds: Sequence[float]) -> float:
    """The exponent of growth; with four sizes or more the smallest, dominated by constant costs, is left out."""
    skipped = 1 if len(numbers) > 3 else 0
    if len(numbers) - skipped < 2:
        return float("nan")
    return float(np.polyfit(np.log(numbers[skipped:]), np.log(seconds[skipped:]), 1)[0])


def memory_of_largest(result: Mapping[str, Any]) -> tuple[float, float]:
    """The peak memory of the largest size, and the memory before the stage (torch and the table)."""
    largest = result[max((size for size in result if size.isdecimal()), key=int)]
    return largest["MB at most"], largest["MB before"]


def run_worker(kind: str, name: str, number: int) -> Any:
    """The result of one measurement in a new process."""
    print(f"{kind} {name} {number:,}", file=sys.stderr)
    process = subprocess.run(
        [sys.executable, "-m", "growth_worker"],
        input=json.dumps([kind, name, number]),
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise SystemExit(f"measuring {kind} {name} {number} failed:\n{process.stderr[-3000:]}")
    return json.loads(process.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
