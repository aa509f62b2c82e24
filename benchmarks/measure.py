"""What every benchmark here does in the same way: sides in turn, medians, ratios round by round, JSON with the machine.

Machines drift: they grow hot, and others use them. So what is compared runs in turn (A B A B ...), and the ratio is
taken within each round, where the drift meets both sides alike.
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
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch

from eyebright._system.cpus import cpu_count

T = TypeVar("T")
PACKAGES = ("eyebright", "torch", "torchvision", "timm", "numpy", "opencv-python-headless", "pillow")


@dataclass(frozen=True)
class Spread:
    """Several measurements of one thing."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        return f"{digits(self.median)} [{digits(min(self.values))}-{digits(max(self.values))}]"

    def to_json(self) -> dict[str, Any]:
        """The measurements and their summary."""
        return {"median": self.median, "min": min(self.values), "max": max(self.values), "values": list(self.values)}


def alternate(sides: Mapping[str, Callable[[int], T]], rounds: Sequence[int]) -> dict[str, list[T]]:
    """What each side gave in each round; the sides run in turn and are called with the round's number."""
    results: dict[str, list[T]] = {name: [] for name in sides}
    for done, number in enumerate(rounds, start=1):
        for name, side in sides.items():
            results[name].append(side(number))
            print(f"round {done} of {len(rounds)}: {name}", file=sys.stderr)
    return results


def spread(values: Sequence[float]) -> Spread:
    """The measurements of all rounds as one value."""
    return Spread(tuple(values))


def ratios(first: Sequence[float], second: Sequence[float]) -> Spread:
    """The first side's numbers over the second's, round by round."""
    return Spread(tuple(a / b for a, b in zip(first, second, strict=True)))


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table that also reads well in a terminal; numbers to the right."""
    cells = [[cell if isinstance(cell, str) else _cell(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(columns), *cells]) for i in range(len(columns))]
    ruler = ["-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)]
    lines = [_line(columns, widths), "|".join(["", *ruler, ""])]
    return "\n".join([*lines, *(_line(line, widths) for line in cells)])


def digits(value: float) -> str:
    """About three digits that count."""
    decimals = next((n for n, limit in enumerate((100, 10, 1)) if abs(value) >= limit), 3)
    return f"{value:.{decimals}f}"


def save(path: Path | None, results: Mapping[str, Any]) -> None:
    """Write the results, with when and where they were measured, as JSON."""
    if path is not None:
        record = {"when": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine(), **results}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1, default=_plain) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """What the numbers depend on besides the code."""
    return {
        "processor": _processor(),
        "processors": cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "load_before": round(LOAD, 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def warn_if_busy() -> None:
    """Say on the terminal that other programs are using this machine."""
    if cpu_count() / 2 < LOAD:
        print(f"this machine is busy (load {LOAD:.1f}): trust the ratios at most, not the seconds", file=sys.stderr)


LOAD = os.getloadavg()[0]  # processes that wanted a processor in the last minute, before we started


def _processor() -> str:
    """The processor's name; Python's own answer is often only the architecture."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    if sys.platform == "darwin":
        asked = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=True)
        return asked.stdout.strip()
    return platform.processor() or platform.machine()


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(cells, widths, strict=True))
    )
    return "| " + " | ".join([first, *rest]) + " |"


def _cell(value: Any) -> str:
    return digits(value) if isinstance(value, float) else "" if value is None else str(value)


def _plain(value: Any) -> Any:
    return value.to_json() if isinstance(value, Spread) else asdict(value)
