"""The history of a training run for display: the table of epochs as fastai prints it, and the smoothed training loss.

The table has the columns epoch, train_loss, valid_loss, the metrics and the time. Its ``train_loss`` is the exact mean
over the images of the epoch. The smoothed loss of the steps is for the progress bar, plots and the learning-rate
finder.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class EpochRow(NamedTuple):
    """One row of the table.

    Args:
        epoch: the number of the epoch, from 0; None for the frozen model, before the first epoch.
        scores: ``train_loss``, then the validation scores.
        seconds: the duration of the epoch.
    """

    epoch: int | None
    scores: Mapping[str, float]
    seconds: float


def history_rows(history: Sequence[Mapping[str, float]]) -> list[EpochRow]:
    """The rows of the table, from ``Run.history``."""
    return [
        EpochRow(
            int(row["epoch"]),
            {name: value for name, value in row.items() if name not in ("epoch", "seconds")},
            row["seconds"],
        )
        for row in history
    ]


def epoch_columns(rows: Sequence[EpochRow]) -> list[str]:
    """The column names: the number of the epoch, every score that occurs in any epoch, and the time."""
    return ["epoch", *dict.fromkeys(name for row in rows for name in row.scores), "time"]


def epoch_cells(row: EpochRow, columns: Sequence[str]) -> list[str]:
    """The cells of one row; a cell is empty if the epoch lacks that score."""
    scores = [f"{row.scores[name]:.6f}" if name in row.scores else "" for name in columns[1:-1]]
    return ["frozen" if row.epoch is None else str(row.epoch), *scores, format_duration(row.seconds)]


def text_line(columns: Sequence[str], cells: Sequence[str]) -> str:
    """One line of the table as text, with right-aligned cells."""
    return "  ".join(cell.rjust(max(len(column), 8)) for column, cell in zip(columns, cells, strict=True))


def text_table(rows: Sequence[EpochRow]) -> str:
    """The table as text."""
    columns = epoch_columns(rows)
    return "\n".join(text_line(columns, cells) for cells in (columns, *(epoch_cells(row, columns) for row in rows)))


def format_duration(seconds: float) -> str:
    """A duration as minutes and seconds, ``"01:05"``, or for an hour and more as ``"1:01:05"``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


class SmoothLoss:
    """Exponentially weighted mean of the losses, with Adam's bias correction (arXiv:1412.6980, section 3).

    Args:
        beta: the weight of the previous mean; fastai uses 0.98.
    """

    def __init__(self, beta: float = 0.98) -> None:
        self._beta = beta
        self._sum = 0.0
        self._count = 0

    def add(self, loss: float) -> float:
        """Add a loss, and return the updated mean."""
        self._sum = self._beta * self._sum + (1 - self._beta) * loss
        self._count += 1
        return self._sum / (1 - self._beta**self._count)


def smoothed(losses: Iterable[float], *, beta: float = 0.98) -> list[float]:
    """The smoothed loss after each of the losses."""
    smooth = SmoothLoss(beta)
    return [smooth.add(loss) for loss in losses]
