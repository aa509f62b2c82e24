"""The progress bar of reading and comparing images, for the commands that do both."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eyebright.workflow.check import Advance


@contextmanager
def reading_progress() -> "Generator[Advance, None, None]":
    """A progress bar with the rate, on a terminal; removed at the end."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    words = {"images": "reading images", "pairs": "comparing pairs"}
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn())
    rate = TextColumn("{task.fields[rate]}")
    with Progress(
        *columns, rate, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        tasks = {what: bar.add_task(text, total=None, visible=False, rate="") for what, text in words.items()}

        def advance(what: str, done: int, total: int) -> None:
            task = tasks[what]
            speed = next((each.speed for each in bar.tasks if each.id == task), None)
            bar.update(task, completed=done, total=total, visible=True, rate=f"{speed or 0:,.0f}/s")

        yield advance


@contextmanager
def share_progress(text: str) -> "Generator[Callable[[float], None], None, None]":
    """A progress bar of a share from 0 to 1, on a terminal; removed at the end.

    Args:
        text: what is going on.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(text, total=1.0)
        yield lambda share: bar.update(task, completed=share)
