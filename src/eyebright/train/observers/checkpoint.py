"""Saves a run after each epoch, so that training can be resumed after a crash."""

from pathlib import Path

from eyebright.train.events import EpochDone, Event, Observer
from eyebright.train.run import Run
from eyebright.train.state import save_checkpoint


def checkpoint(run: Run, path: str | Path) -> Observer:
    """An observer that writes the run to ``path`` after each epoch; the file is always complete.

    Raises, when it writes:
        TrainingError: the file cannot be written, for example because the disk is full; the previous checkpoint is
        kept.
    """

    def observe(event: Event) -> None:
        if isinstance(event, EpochDone):
            save_checkpoint(run, path)

    return observe
