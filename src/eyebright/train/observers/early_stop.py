"""Early stopping: ends training when a score no longer improves."""

import math
from collections.abc import Sequence

from eyebright.errors import InputError, check_choice
from eyebright.train.events import EpochDone, Event, Observer
from eyebright.train.run import Run


def early_stop(
    run: Run,
    score: str = "valid_loss",
    *,
    patience: int = 3,
    higher_is_better: bool = False,
    min_delta: float = 0.0,
) -> Observer:
    """An observer that stops the run when a score has not improved for some epochs.

    It reads the history of the run, so it continues to count after a resume. It counts within each phase (frozen, then
    unfrozen): the first epochs with all layers unfrozen are often worse than the last epochs with a frozen backbone.

    Args:
        run: the run to stop.
        score: the name of the score, as in the table of epochs.
        patience: number of epochs without an improvement after which training ends.
        higher_is_better: False for a loss.
        min_delta: smaller improvements of the best score are ignored.

    Raises:
        InputError: ``patience`` is not positive; or, during training, the score is unknown.
    """
    if patience < 1:
        raise InputError(f"`patience` must be at least 1 epoch, got {patience}")
    sign = 1 if higher_is_better else -1

    def observe(event: Event) -> None:
        if not isinstance(event, EpochDone):
            return
        check_choice("score for early stopping", score, event.scores)
        values = [sign * row[score] for row in run.history[-run.phase_epoch :]]
        waited = len(values) - 1 - best_epoch(values, min_delta)
        if waited >= patience:
            run.stop(f"{score} has not improved for {waited} epochs")

    return observe


def best_epoch(values: Sequence[float], min_delta: float = 0.0) -> int:
    """The index of the last value that was greater than the best before it by more than ``min_delta``.

    >>> best_epoch([0.5, 0.7, 0.71, 0.6], 0.05)
    1

    Args:
        values: the values of each epoch, the greater the better; -1 is returned if none is a number.
        min_delta: 0 or more.
    """
    best, index = -math.inf, -1
    for i, value in enumerate(values):
        if value - min_delta > best:
            best, index = value, i
    return index
