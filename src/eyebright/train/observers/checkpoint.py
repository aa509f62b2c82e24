"""Saving the run after every epoch, so that nothing is lost when a machine dies."""

from pathlib import Path

from eyebright.train.events import EpochDone, Event, Observer
from eyebright.train.run import Run
from eyebright.train.state import save_checkpoint


def checkpoint(run: Run, path: str | Path) -> Observer:
    """An observer that writes the run to ``path`` after every epoch; the file is always a whole one.

    Raises, when it writes:
        TrainingError: the disk is full, read-only, or the like; the checkpoint from before is still there.
    """

    def observe(event: Event) -> None:
        if isinstance(event, EpochDone):
            save_checkpoint(run, path)

    return observe
