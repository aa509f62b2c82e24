"""What a person sees of a training: a bar and a growing table in a terminal, plain lines in a log.

The table is the book's: epoch, train_loss, valid_loss, the metrics and the time, one table for each plan.
"""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from eyebright.errors import InputError, did_you_mean, listing
from eyebright.train.events import (
    EpochDone,
    EpochStarted,
    Event,
    Finished,
    Observer,
    PhaseStarted,
    StepDone,
    ValidationStarted,
)
from eyebright.train.smooth import SmoothLoss

MODES = ("auto", "bar", "lines", "quiet")
HEARTBEAT = 30.0

Say = Callable[[str], None]


@contextmanager
def show_progress(mode: str = "auto", *, console: Console | None = None) -> Generator[Observer, None, None]:
    """An observer that shows the training, inside a ``with`` because a bar must be taken off the screen again.

    Args:
        mode: ``"bar"`` for a terminal, ``"lines"`` for a log, ``"quiet"`` for nothing; ``"auto"`` looks where it writes
            to.
        console: where to; None for standard output.
    """
    if mode not in MODES:
        raise InputError(f"unknown progress '{mode}'.{did_you_mean(mode, MODES)} The known: {listing(MODES)}")
    console = console or Console()
    if mode == "auto":
        mode = "bar" if console.is_terminal and not console.is_dumb_terminal else "lines"
    if mode == "quiet":
        yield lambda event: None
    elif mode == "lines":
        yield _Lines(_plain(console), _Table(_plain(console)))
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


def clock(seconds: float) -> str:
    """Minutes and seconds, ``"01:05"``; with hours where there are any, ``"1:01:05"``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


class _Table:
    """One line for each epoch, under a header at the first of each plan."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._columns: tuple[str, ...] = ()

    def __call__(self, event: Event) -> None:
        match event:
            case PhaseStarted(phases=phases, plan=plan):
                self._columns = ()
                if phases > 1:
                    self._say("the head alone" if plan.frozen_to else "everything")
            case EpochDone(epoch=epoch, scores=scores, seconds=seconds):
                self._row(epoch, scores, seconds)
            case Finished(reason=reason) if reason != "done":
                self._say(f"stopped early: {reason}")
            case _:
                pass

    def _row(self, epoch: int, scores: Mapping[str, float], seconds: float) -> None:
        columns = ("epoch", *scores, "time")
        if columns != self._columns:
            self._columns = columns
            self._say(_line(columns, columns))
        self._say(_line(columns, (str(epoch), *(f"{score:.6f}" for score in scores.values()), clock(seconds))))


class _Bar:
    """The table, and a bar below it for the epoch in work."""

    def __init__(self, progress: Progress, table: _Table) -> None:
        self._progress = progress
        self._table = table
        self._smooth = SmoothLoss()
        self._task: TaskID | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case PhaseStarted():
                self._smooth = SmoothLoss()
            case EpochStarted(epoch=epoch, epochs=epochs, steps=steps):
                self._take_off()
                self._task = self._progress.add_task(f"epoch {epoch + 1}/{epochs}", total=steps, loss="")
            case StepDone(step=step, loss=loss) if self._task is not None:
                self._progress.update(self._task, completed=step, loss=f"loss {self._smooth.add(loss):.4f}")
            case ValidationStarted() if self._task is not None:
                self._progress.update(self._task, description="validating")
            case EpochDone() | Finished():
                self._take_off()
            case _:
                pass
        self._table(event)

    def _take_off(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None


class _Lines:
    """The table, and between its rows a sign of life, rarely."""

    def __init__(self, say: Say, table: _Table) -> None:
        self._say = say
        self._table = table
        self._smooth = SmoothLoss()
        self._epoch = ""
        self._started = self._spoken = time.monotonic()

    def __call__(self, event: Event) -> None:
        match event:
            case PhaseStarted():
                self._smooth = SmoothLoss()
            case EpochStarted(epoch=epoch, epochs=epochs):
                self._epoch = f"epoch {epoch + 1}/{epochs}"
                self._started = time.monotonic()
            case StepDone(step=step, steps=steps, loss=loss):
                smooth = self._smooth.add(loss)
                if time.monotonic() - self._spoken >= HEARTBEAT:
                    left = (time.monotonic() - self._started) / step * (steps - step)
                    self._speak(f"{self._epoch}, step {step}/{steps}: loss {smooth:.4f}, {clock(left)} left")
            case EpochDone():
                self._spoken = time.monotonic()
            case _:
                pass
        self._table(event)

    def _speak(self, line: str) -> None:
        self._spoken = time.monotonic()
        self._say(line)


def _line(columns: tuple[str, ...], values: tuple[str, ...]) -> str:
    """The values under their columns, numbers to the right."""
    return "  ".join(value.rjust(max(len(column), 8)) for column, value in zip(columns, values, strict=True))


def _plain(console: Console) -> Say:
    """Says lines as they are: no colours by guess, no markup, no line breaks of its own."""
    return lambda line: console.print(line, highlight=False, markup=False, soft_wrap=True)
