"""Shows progress in a notebook: one table for each plan, with a bar below it for the current epoch.

A table is a single output that is changed in place, so what a saved notebook keeps is the finished table alone. It is
changed a few times a second at most: every change goes through the kernel's messages and the browser.
"""

import sys
import time
from collections.abc import Callable

from eyebright._html import block, paragraph, progress_bar, table
from eyebright._optional import import_optional
from eyebright.errors import InputError
from eyebright.train.events import EpochDone, Event, Finished, PhaseStarted
from eyebright.train.observers.work import Work
from eyebright.train.table import EpochRow, epoch_cells, epoch_columns, text_table

PAUSE = 0.3  # seconds between two changes

Change = Callable[[str, str], None]
Show = Callable[[str, str], Change]
"""Shows HTML, with the same as plain text for where there is no browser; what it gives puts others in their place."""


def in_notebook() -> bool:
    """True where the kernel of a notebook runs this code; IPython is not imported to find that out."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in type(shell).__mro__)


def notebook_output() -> Show:
    """Shows in the output of the cell that runs.

    Raises:
        InputError: no notebook runs this code.
    """
    if not in_notebook():
        raise InputError("progress 'notebook' needs the kernel of a notebook, and there is none; take 'auto'")
    display = import_optional("IPython.display", extra="notebook", purpose="a table in a notebook").display

    def show(html: str, text: str) -> Change:
        handle = display({"text/html": html, "text/plain": text}, raw=True, display_id=True)
        return lambda html, text: handle.update({"text/html": html, "text/plain": text}, raw=True)

    return show


class NotebookTable:
    """The observer.

    Args:
        show: where the table goes.
    """

    def __init__(self, show: Show) -> None:
        self._show = show
        self._work = Work()
        self._begin("")

    def __call__(self, event: Event) -> None:
        """Shows what has happened, when it is time to."""
        self._work.note(event)
        match event:
            case PhaseStarted():
                self.close()
                self._begin(event.title)
                return
            case Finished():
                self._end = event.said
                self.close()
                return
            case EpochDone(epoch=epoch, scores=scores, seconds=seconds):
                self._rows.append(EpochRow(epoch, scores, seconds))
            case _:
                pass
        if time.monotonic() - self._changed >= PAUSE:
            self._draw(progress_bar(self._work.step, self._work.steps, self._words()))

    def close(self) -> None:
        """Leaves the table as it is, without the bar."""
        if self._rows or self._change is not None:
            self._draw("")

    def _begin(self, title: str) -> None:
        self._title, self._end = title, ""
        self._rows: list[EpochRow] = []
        self._change: Change | None = None
        self._changed = -PAUSE

    def _words(self) -> str:
        work = self._work
        return " · ".join(filter(None, [work.name, f"{work.step}/{work.steps}", work.said, work.left]))

    def _draw(self, working: str) -> None:
        columns = epoch_columns(self._rows)
        cells = [epoch_cells(row, columns) for row in self._rows]
        html = block(
            self._title,
            table(columns, cells, text_columns=0) if cells else "",
            working,
            paragraph(self._end) if self._end else "",
        )
        text = "\n".join(filter(None, [self._title, text_table(self._rows) if cells else "", self._end]))
        if self._change is None:
            self._change = self._show(html, text)
        else:
            self._change(html, text)
        self._changed = time.monotonic()
