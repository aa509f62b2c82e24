"""Repeated measurements in alternating order, tables, and JSON files that record the machine.

The speed of a machine drifts: it heats up, and other programs use it. So variants that are compared run alternately
(A B A B ...), and ratios are taken within each round, where the drift affects both variants alike.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import torch

from eyebright._system.cpus import cpu_count

T = TypeVar("T")
PACKAGES = ("eyebright", "torch", "torchvision", "timm", "numpy", "opencv-python-headless", "pillow")


@dataclass(frozen=True)
class Spread:
    """Repeated measurements of one quantity, summarised by median, minimum and maximum."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        return f"{digits(self.median)} [{digits(min(self.values))}-{digits(max(self.values))}]"

    def to_json(self) -> dict[str, Any]:
        """The values and their summary."""
        return {"median": self.median, "min": min(self.values), "max": max(self.values), "values": list(self.values)}


def alternate(variants: Mapping[str, Callable[[int], T]], rounds: Sequence[int]) -> dict[str, list[T]]:
    """The results of each variant in all rounds; in each round all variants run once, in order.

    Args:
        variants: functions to measure by name; called with the number of the round.
        rounds: the numbers of the rounds, for example seeds.
    """
    results: dict[str, list[T]] = {name: [] for name in variants}
    for finished, number in enumerate(rounds, start=1):
        for name, variant in variants.items():
            results[name].append(variant(number))
            print(f"round {finished} of {len(rounds)}: {name}", file=sys.stderr)
    return results


def spread(values: Sequence[float]) -> Spread:
    """The measurements of all rounds as a ``Spread``."""
    return Spread(tuple(values))


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> Spread:
    """The quotients of two series of measurements, round by round."""
    return Spread(tuple(a / b for a, b in zip(numerators, denominators, strict=True)))


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table with padded columns; all but the first are right-aligned."""
    cells = [[cell if isinstance(cell, str) else _cell(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(columns), *cells]) for i in range(len(columns))]
    ruler = ["-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)]
    lines = [_line(columns, widths), "|".join(["", *ruler, ""])]
    return "\n".join([*lines, *(_line(line, widths) for line in cells)])


def digits(value: float) -> str:
    """The number with about three significant digits."""
    decimals = next((n for n, limit in enumerate((100, 10, 1)) if abs(value) >= limit), 3)
    return f"{value:.{decimals}f}"


def save(path: Path | None, results: Mapping[str, Any]) -> None:
    """Writes the results as JSON, with the date and the machine; does nothing if ``path`` is None."""
    if path is not None:
        record = {"when": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine(), **results}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1, default=_to_json) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Hardware, operating system, load and package versions."""
    return {
        "processor": _processor(),
        "processors": cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "load_before": round(LOAD, 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def warn_if_busy() -> None:
    """Prints a warning on stderr if other programs are using the processors."""
    if cpu_count() / 2 < LOAD:
        print(f"this machine is busy (load {LOAD:.1f}): ratios may be usable, seconds are not", file=sys.stderr)


LOAD = os.getloadavg()[0]  # the average over the minute before the start


def _version(name: str) -> str | None:
    """The version of a package; None if it is not installed, but on the path."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """The processor's model name; ``platform.processor()`` is often only the architecture."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return platform.processor() or platform.machine()


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(cells, widths, strict=True))
    )
    return "| " + " | ".join([first, *rest]) + " |"


def _cell(value: Any) -> str:
    return digits(value) if isinstance(value, float) else "" if value is None else str(value)


def _to_json(value: Any) -> Any:
    return value.to_json() if isinstance(value, Spread) else asdict(value)
