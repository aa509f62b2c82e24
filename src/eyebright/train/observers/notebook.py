"""Shows progress in a notebook: one table for each phase, with a bar below it for the current epoch.

A table is a single output that is updated in place, so a saved notebook has only the finished table. It is updated at
most a few times per second, because every update is a message from the kernel to the browser.
"""

import sys
import time
from collections.abc import Callable

from eyebright._html import block, paragraph, progress_bar, table
from eyebright._optional import import_optional
from eyebright.errors import InputError
from eyebright.train.events import EpochDone, EpochsPlanned, Event, Finished, HeadFitted, PhaseStarted
from eyebright.train.history import EpochRow, epoch_cells, epoch_columns, text_table
from eyebright.train.observers.epoch_progress import EpochProgress

_PAUSE = 0.3  # seconds between two updates

Update = Callable[[str, str], None]
Show = Callable[[str, str], Update]
"""Displays HTML, and the same as plain text for front ends without HTML; the result replaces both by new ones."""


def in_notebook() -> bool:
    """True if the kernel of a notebook runs this code; IPython is not imported to find out."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in type(shell).__mro__)


def notebook_output() -> Show:
    """A function that displays in the output of the running cell.

    Raises:
        InputError: no kernel of a notebook runs this code.
    """
    if not in_notebook():
        raise InputError("progress 'notebook' needs the kernel of a notebook; use 'auto'")
    display = import_optional("IPython.display", extra="notebook", purpose="a table in a notebook").display

    def show(html: str, text: str) -> Update:
        handle = display({"text/html": html, "text/plain": text}, raw=True, display_id=True)
        return lambda html, text: handle.update({"text/html": html, "text/plain": text}, raw=True)

    return show


class NotebookTable:
    """An observer that shows the table of epochs and a progress bar.

    Args:
        show: displays the table.
    """

    def __init__(self, show: Show) -> None:
        self._show = show
        self._epoch = EpochProgress()
        self._begin("")

    def __call__(self, event: Event) -> None:
        """Updates the table and the bar, at most once in `_PAUSE` seconds between epochs."""
        self._epoch.update(event)
        match event:
            case PhaseStarted():
                self.close()
                self._begin(event.title)
                return
            case Finished():
                self._end = event.message
                self.close()
                return
            case EpochsPlanned():
                self._begin(event.message)
                self._draw("")
                return
            case EpochDone(epoch=epoch, scores=scores, seconds=seconds):
                self._rows.append(EpochRow(epoch, scores, seconds))
            case HeadFitted(scores=scores, seconds=seconds):
                self._rows.append(EpochRow(None, scores, seconds))
            case _:
                pass
        if time.monotonic() - self._updated >= _PAUSE:
            self._draw(progress_bar(self._epoch.step, self._epoch.steps, self._bar_text()))

    def close(self) -> None:
        """Removes the bar below the table."""
        if self._rows or self._update is not None:
            self._draw("")

    def _begin(self, title: str) -> None:
        self._title, self._end = title, ""
        self._rows: list[EpochRow] = []
        self._update: Update | None = None
        self._updated = -_PAUSE

    def _bar_text(self) -> str:
        epoch = self._epoch
        return " · ".join(filter(None, [epoch.name, f"{epoch.step}/{epoch.steps}", epoch.loss_text, epoch.time_left]))

    def _draw(self, bar: str) -> None:
        columns = epoch_columns(self._rows)
        cells = [epoch_cells(row, columns) for row in self._rows]
        html = block(
            self._title,
            table(columns, cells, text_columns=0) if cells else "",
            bar,
            paragraph(self._end) if self._end else "",
        )
        text = "\n".join(filter(None, [self._title, text_table(self._rows) if cells else "", self._end]))
        if self._update is None:
            self._update = self._show(html, text)
        else:
            self._update(html, text)
        self._updated = time.monotonic()
