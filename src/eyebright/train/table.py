"""The table of epochs as the book prints it: epoch, train_loss, valid_loss, the metrics and the time."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class EpochRow(NamedTuple):
    """One row of the table.

    Args:
        epoch: its number, from 0.
        scores: ``train_loss``, then the validation scores.
        seconds: of the epoch.
    """

    epoch: int
    scores: Mapping[str, float]
    seconds: float


def history_rows(history: Sequence[Mapping[str, float]]) -> list[EpochRow]:
    """The rows for a run's history."""
    return [
        EpochRow(
            int(row["epoch"]),
            {name: value for name, value in row.items() if name not in ("epoch", "seconds")},
            row["seconds"],
        )
        for row in history
    ]


def epoch_columns(rows: Sequence[EpochRow]) -> list[str]:
    """The column names, with every score that any of the epochs has."""
    return ["epoch", *dict.fromkeys(name for row in rows for name in row.scores), "time"]


def epoch_cells(row: EpochRow, columns: Sequence[str]) -> list[str]:
    """The cells of one row; empty where the epoch has no such score."""
    scores = [f"{row.scores[name]:.6f}" if name in row.scores else "" for name in columns[1:-1]]
    return [str(row.epoch), *scores, clock(row.seconds)]


def text_line(columns: Sequence[str], cells: Sequence[str]) -> str:
    """The cells as text, aligned to the right of their columns."""
    return "  ".join(cell.rjust(max(len(column), 8)) for column, cell in zip(columns, cells, strict=True))


def text_table(rows: Sequence[EpochRow]) -> str:
    """The table as text."""
    columns = epoch_columns(rows)
    return "\n".join(text_line(columns, cells) for cells in (columns, *(epoch_cells(row, columns) for row in rows)))


def clock(seconds: float) -> str:
    """Minutes and seconds, ``"01:05"``; with hours where there are any, ``"1:01:05"``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
