"""Stopping when a score no longer gets better."""

from collections.abc import Callable

import pytest

from eyebright.errors import InputError
from eyebright.train.events import Event, Finished
from eyebright.train.loop import watch
from eyebright.train.observers.checkpoint import checkpoint
from eyebright.train.observers.early_stop import early_stop
from eyebright.train.plan import Plan
from eyebright.train.run import Run
from eyebright.train.state import load_checkpoint
from support.training import tiny_run, train_all

PLAN = Plan(8, (1e-3,) * 3)


def scores(values: list[float]) -> Callable[[], dict[str, float]]:
    """A validation that gives these values one after the other."""
    rest = iter(values)
    return lambda: {"f1": next(rest)}


def epochs(run: Run, values: list[float], **arguments: object) -> tuple[int, str]:
    """How many epochs are trained, and why training ended."""
    reasons: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, Finished):
            reasons.append(event.reason)

    observers = [early_stop(run, "f1", **arguments), note]  # type: ignore[arg-type]
    watch(train_all(run, validate=scores(values)), observers)
    return len(run.history), reasons[0]


@pytest.mark.parametrize(
    ("values", "patience", "higher", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.2, 0.1, 0.4, 0.5, 0.6], 2, True, 5),
        ([0.1, 0.2, 0.3, 0.2, 0.1, 0.4, 0.5, 0.6], 3, True, 8),
        ([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5], 3, True, 4),
        ([0.5, 0.4, 0.5, 0.3, 0.2, 0.1, 0.1, 0.1], 1, False, 3),
    ],
)
def test_training_ends_without_an_improvement(values: list[float], patience: int, higher: bool, expected: int) -> None:
    run = tiny_run()
    run.begin(PLAN)
    trained, reason = epochs(run, values, patience=patience, higher_is_better=higher)
    assert trained == expected
    assert reason == ("done" if expected == 8 else f"f1 has not improved for {patience} epochs")


def test_epochs_are_counted_within_each_plan() -> None:
    run = tiny_run()
    run.begin(Plan(3, (1e-3,) * 3), Plan(3, (1e-3,) * 3))
    assert epochs(run, [0.7, 0.8, 0.9, 0.1, 0.2, 0.3], patience=2, higher_is_better=True) == (6, "done")


def test_the_count_continues_after_a_resume(tmp_path: object) -> None:
    path = f"{tmp_path}/run.safetensors"
    run = tiny_run()
    run.begin(PLAN)
    events = train_all(run, validate=scores([0.3, 0.2, 0.1]))
    with pytest.raises(RuntimeError, match="StopIteration"):
        watch(events, [checkpoint(run, path), early_stop(run, "f1", patience=4, higher_is_better=True)])
    resumed = tiny_run()
    load_checkpoint(resumed, path)
    assert epochs(resumed, [0.1] * 5, patience=4, higher_is_better=True)[0] == 5


def test_an_unknown_score_is_an_error_that_suggests_the_nearest_one() -> None:
    run = tiny_run()
    run.begin(PLAN)
    observers = [early_stop(run, "train_los")]
    with pytest.raises(InputError, match="unknown score for early stopping 'train_los'. Did you mean 'train_loss'\\?"):
        watch(train_all(run), observers)


def test_patience_is_at_least_one_epoch() -> None:
    with pytest.raises(InputError, match="`patience` must be at least 1 epoch, got 0"):
        early_stop(tiny_run(), patience=0)
