"""The losses, learning rates and scores of a run, under the names of fastai's ``Recorder``."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eyebright import _html as html
from eyebright.plot.curves import plot_loss, plot_rates
from eyebright.train.history import epoch_cells, epoch_columns, history_rows, smoothed, text_table
from eyebright.train.run import Run

if TYPE_CHECKING:
    import matplotlib.axes


class Recorder:
    """The losses, learning rates and scores of a run's last fit.

    Args:
        run: the run; the recorder reads its current state and stores nothing.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def __repr__(self) -> str:
        rows = history_rows(self._run.history)
        return text_table(rows) if rows else f"{type(self).__name__}: nothing has been trained yet"

    def _repr_html_(self) -> str:
        """The table of epochs as HTML, over all phases of the last fit."""
        rows = history_rows(self._run.history)
        columns = epoch_columns(rows)
        return html.block("", html.table(columns, [epoch_cells(row, columns) for row in rows], text_columns=0))

    @property
    def metric_names(self) -> list[str]:
        """The columns of the table of epochs."""
        rows = history_rows(self._run.history)
        return epoch_columns(rows) if rows else ["epoch", "train_loss", "valid_loss", "time"]

    @property
    def values(self) -> list[list[float]]:
        """For each epoch: the training loss, the validation loss and the metrics."""
        return [list(row.scores.values()) for row in history_rows(self._run.history)]

    @property
    def losses(self) -> list[float]:
        """The training loss of each batch, smoothed as in fastai."""
        return smoothed(self._run.losses)

    @property
    def lrs(self) -> list[float]:
        """The head's learning rate of each batch."""
        return [rates[-1] for rates in self._run.lrs]

    @property
    def metrics(self) -> list[list[Tensor]]:
        """For each epoch its metrics without the losses, as tensors, for Microsoft's computer-vision recipes."""
        return [[torch.tensor(value) for value in row[2:]] for row in self.values]

    def plot_losses(self, skip_start: int = 0, *, ax: "matplotlib.axes.Axes | None" = None) -> "matplotlib.axes.Axes":
        """The learning curve from the first step; the name in Microsoft's computer-vision recipes."""
        return self.plot_loss(skip_start, ax=ax)

    def plot_loss(
        self, skip_start: int = 5, *, log: bool = False, ax: "matplotlib.axes.Axes | None" = None
    ) -> "matplotlib.axes.Axes":
        """The learning curve: the smoothed training loss, and the validation loss at the end of each epoch.

        Args:
            skip_start: number of first steps to omit.
            log: True for a logarithmic loss axis.
            ax: axes to draw on; by default those of a new figure.

        Raises:
            MissingExtraError: Matplotlib is not installed.
        """
        n_epochs = len(self._run.history)
        steps_per_epoch = len(self._run.losses) / n_epochs if n_epochs else 0.0
        valid = [
            (round(steps_per_epoch * (i + 1)), row["valid_loss"])
            for i, row in enumerate(self._run.history)
            if "valid_loss" in row
        ]
        return plot_loss(self.losses, valid, skip_start=skip_start, log=log, ax=ax)

    def plot_sched(
        self, *, figsize: tuple[float, float] | None = None, ax: "matplotlib.axes.Axes | None" = None
    ) -> "matplotlib.axes.Axes":
        """The head's learning rate at each step of the last fit.

        Args:
            figsize: width and height of the new figure in inches.
            ax: axes to draw on; by default those of a new figure.

        Raises:
            MissingExtraError: Matplotlib is not installed.
        """
        return plot_rates(self.lrs, ax=ax, figsize=figsize)
