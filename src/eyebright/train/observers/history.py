"""The scores of every epoch as a CSV file, written and read back."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from eyebright.errors import ArtifactError, TrainingError
from eyebright.io.atomic import make_folder, write_atomically
from eyebright.train.events import EpochDone, Event, Observer
from eyebright.train.run import Run


def history_csv(run: Run, path: str | Path) -> Observer:
    """An observer that writes the history of a run to ``path`` after each epoch, including epochs before a resume."""

    def observe(event: Event) -> None:
        if isinstance(event, EpochDone):
            run.device.on_main(lambda: write_history(run.history, path))

    return observe


def write_history(history: Sequence[Mapping[str, float]], path: str | Path) -> None:
    """Writes one row per epoch, with all columns that occur in any epoch.

    Raises:
        TrainingError: the file cannot be written.
    """
    # Without an epoch there is a header all the same: other commands may replace an empty file, but not this one.
    columns = list(dict.fromkeys(name for row in history for name in row)) or ["epoch"]

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            table = csv.DictWriter(file, columns, restval="")
            table.writeheader()
            table.writerows(history)

    try:
        make_folder(Path(path).parent)
        write_atomically(Path(path), write)
    except OSError as reason:
        raise TrainingError(f"cannot write the history '{path}': {reason}") from None


def read_history(path: str | Path) -> list[dict[str, float]]:
    """The rows that `write_history` wrote, with identical numbers; empty if there is no such file.

    Raises:
        ArtifactError: the file cannot be read, or contains a value that is not a number.
    """
    if not Path(path).exists():
        return []
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        if any(None in row for row in rows):
            raise ValueError("a row has more cells than the header")
        return [{name: _number(text) for name, text in row.items() if text} for row in rows]
    except (OSError, ValueError, csv.Error) as reason:
        raise ArtifactError(f"cannot read the history '{path}': {reason}") from None


def _number(text: str) -> float:
    return int(text) if text.isdecimal() else float(text)
