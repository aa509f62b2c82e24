"""Stopping when a score no longer gets better."""

from eyebright.errors import InputError, did_you_mean, listing
from eyebright.train.events import EpochDone, Event, Observer
from eyebright.train.run import Run


def early_stop(run: Run, score: str = "valid_loss", *, patience: int = 3, higher_is_better: bool = False) -> Observer:
    """An observer that stops the run when a score has not been better than before for some epochs.

    It reads the run's own history, so it goes on counting after a resume. Each plan counts for itself: the first epochs
    with everything unfrozen are often worse than the last ones of the head alone.

    Args:
        run: that is stopped.
        score: its name, as in the table.
        patience: how many epochs without a better score are waited for.
        higher_is_better: False for a loss.
    """
    if patience < 1:
        raise InputError(f"early stopping waits for at least 1 epoch, got patience={patience}")
    sign = 1 if higher_is_better else -1

    def observe(event: Event) -> None:
        if not isinstance(event, EpochDone):
            return
        if score not in event.scores:
            near = did_you_mean(score, event.scores)
            raise InputError(f"there is no score '{score}' to stop by.{near} The known: {listing(event.scores)}")
        values = [sign * row[score] for row in run.history[-run.done :]]
        waited = len(values) - 1 - values.index(max(values))
        if waited >= patience:
            run.stop(f"{score} has not been better for {waited} epochs")

    return observe
