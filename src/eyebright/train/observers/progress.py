"""Shows progress: a table with one line per epoch, and on a terminal a progress bar below it.

The table is fastai's: epoch, train_loss, valid_loss, the metrics and the time, one table for each phase. For
notebooks see `eyebright.train.observers.notebook`.
"""

import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from typing import get_args

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from eyebright._choices import ProgressMode
from eyebright.errors import check_choice, printable
from eyebright.train.events import (
    EpochDone,
    EpochsPlanned,
    EpochStarted,
    Event,
    FeaturesComputed,
    FeaturesStarted,
    Finished,
    HeadFitted,
    LRSearchStarted,
    Observer,
    PhaseStarted,
    StepDone,
    ValidationStarted,
)
from eyebright.train.history import EpochRow, epoch_cells, epoch_columns, text_line
from eyebright.train.observers.epoch_progress import EpochProgress
from eyebright.train.observers.notebook import NotebookTable, in_notebook, notebook_output

_LINE_SECONDS = 30.0
"""The time between two lines of a log with the current step."""

PrintLine = Callable[[str], None]


@contextmanager
def show_progress(mode: str = "auto", *, console: Console | None = None) -> Generator[Observer, None, None]:
    """A context with an observer that shows the training; the progress bar is removed at the end of the ``with``.

    Args:
        mode: ``"bar"`` for a terminal, ``"notebook"`` for the output of a cell, ``"lines"`` for a log, ``"quiet"`` for
            nothing; ``"auto"`` chooses by the kind of output.
        console: the output; None for standard output, or for the notebook that runs this code.

    Raises:
        InputError: an unknown mode, or ``"notebook"`` outside of a notebook.
    """
    check_choice("progress", mode, get_args(ProgressMode))
    if mode == "auto" and console is None and in_notebook():
        mode = "notebook"
    console = console or Console(force_jupyter=False)
    if mode == "auto":
        mode = "bar" if console.is_terminal and not console.is_dumb_terminal else "lines"
    if mode == "quiet":
        yield lambda event: None
    elif mode == "lines":
        yield _Lines(_plain(console), _Table(_plain(console)))
    elif mode == "notebook":
        with closing(NotebookTable(notebook_output())) as table:
            yield table
    else:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        ) as bar:
            yield _Bar(bar, _Table(_plain(bar.console)))


class _Table:
    """One line per epoch, under a header for each phase."""

    def __init__(self, print_line: PrintLine) -> None:
        self._print_line = print_line
        self._columns: list[str] = []

    def __call__(self, event: Event) -> None:
        match event:
            case PhaseStarted():
                self._columns = []
                self._print_if_any(event.title)
            case EpochDone(epoch=epoch, scores=scores, seconds=seconds):
                self._row(EpochRow(epoch, scores, seconds))
            case HeadFitted(scores=scores, seconds=seconds):
                self._row(EpochRow(None, scores, seconds))
            case Finished() | EpochsPlanned():
                self._print_if_any(event.message)
            case _:
                pass

    def _row(self, row: EpochRow) -> None:
        columns = epoch_columns([row])
        if columns != self._columns:
            self._columns = columns
            self._print_line(text_line(columns, columns))
        self._print_line(text_line(columns, epoch_cells(row, columns)))

    def _print_if_any(self, sentence: str) -> None:
        if sentence:
            self._print_line(sentence)


class _Bar:
    """The table, and a progress bar below it."""

    def __init__(self, progress: Progress, table: _Table) -> None:
        self._progress = progress
        self._table = table
        self._epoch = EpochProgress()
        self._task: TaskID | None = None

    def __call__(self, event: Event) -> None:
        self._epoch.update(event)
        match event:
            case EpochStarted() | LRSearchStarted() | FeaturesStarted():
                self._remove_bar()
                self._task = self._progress.add_task(self._epoch.name, total=self._epoch.steps, loss="")
            case StepDone() | FeaturesComputed() | ValidationStarted() if self._task is not None:
                epoch = self._epoch
                self._progress.update(self._task, description=epoch.name, completed=epoch.step, loss=epoch.loss_text)
            case EpochDone() | HeadFitted() | Finished():
                self._remove_bar()
            case _:
                pass
        self._table(event)

    def _remove_bar(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None


class _Lines:
    """The table, and every half minute a line with the current step."""

    def __init__(self, print_line: PrintLine, table: _Table) -> None:
        self._print_line = print_line
        self._table = table
        self._epoch = EpochProgress()
        self._printed = time.monotonic()

    def __call__(self, event: Event) -> None:
        self._epoch.update(event)
        match event:
            case StepDone() | FeaturesComputed() if time.monotonic() - self._printed >= _LINE_SECONDS:
                epoch = self._epoch
                rest = ", ".join(filter(None, [epoch.loss_text, epoch.time_left]))
                self._print_line(f"{epoch.name}, step {epoch.step}/{epoch.steps}: {rest}")
                self._printed = time.monotonic()
            case EpochDone():
                self._printed = time.monotonic()
            case _:
                pass
        self._table(event)


def _plain(console: Console) -> PrintLine:
    """A function that prints lines unchanged: without highlighting, markup or wrapping."""
    return lambda line: console.print(printable(line), highlight=False, markup=False, soft_wrap=True)
