"""The epochs that fit into a time, and the measured steps that they are planned from."""

from collections.abc import Iterator

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from eyebright.errors import InputError
from eyebright.train import time_plan
from eyebright.train.events import EpochsPlanned, StepDone
from eyebright.train.run import TrainBatch
from eyebright.train.step import step
from eyebright.train.time_plan import Speed, StopAfter, epochs_within, step_seconds
from support.training import setup_of, tiny_model, tiny_plans, tiny_run

SECONDS = st.floats(0.01, 1e4)


@given(seconds=SECONDS, step=st.floats(1e-3, 10), epoch_end=st.floats(0, 30), n_batches=st.integers(1, 500))
def test_the_epochs_never_take_longer_and_seldom_much_less(
    seconds: float, step: float, epoch_end: float, n_batches: int
) -> None:
    speed = Speed(step, epoch_end)
    found = epochs_within(seconds, speed, n_batches)
    if found is None:
        assert step + epoch_end > seconds
        return
    epochs, steps = found
    assert epochs >= 1
    assert 1 <= steps <= n_batches
    planned = speed.seconds(epochs, steps)
    assert planned <= seconds * (1 + 1e-9)
    # What is left is at most a step of each epoch and of one more, 4 %, or the end of one more epoch.
    assert seconds - planned <= max(0.04 * seconds, (epochs + 1) * step, step + epoch_end) * (1 + 1e-9)


def test_without_a_batch_nothing_is_planned() -> None:
    with pytest.raises(InputError, match="there is no batch to train on"):
        epochs_within(10, Speed(1, 1), 0)


class Clock:
    """A clock that each step moves on."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


def test_steps_are_measured_without_the_first_two_and_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(time_plan, "time", clock)
    run, plan = tiny_run(tiny_model()), tiny_plans()[-1]
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    durations: Iterator[float] = iter([50.0, 20.0, 1.0, 2.0, 3.0, 2.0, 2.0, 1000.0])
    seen: list[int] = []

    def slow_step(given, model, batch: TrainBatch):
        clock.now += next(durations)
        seen.append(len(batch[0]))
        return step(given, model, batch)

    setup = setup_of(run)
    assert step_seconds(run, setup, plan=plan, step=slow_step, seconds=79.5) == pytest.approx(2.0)
    assert len(seen) == 7  # 80 s are over after it
    assert all(torch.equal(before[name], tensor) for name, tensor in run.model.state_dict().items())
    assert not run.history
    assert not run.losses


def test_training_ends_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(time_plan, "time", clock)
    run = tiny_run(tiny_model())
    observe = StopAfter(run, 10)
    for seconds, stopped in ((9.9, False), (0.2, True)):
        clock.now += seconds
        observe(StepDone(1, 2, 0.5, (1e-3,)))
        assert (run.stopped is not None) == stopped
    assert run.stopped == "the time is over, since steps took longer than measured"


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (EpochsPlanned(3, 8, 8, 61.4), "planned: 3 epochs of 8 batches, about 61 s with validation"),
        (EpochsPlanned(1, 5, 8, 9.6), "planned: 1 epoch of 5 of the 8 batches, about 10 s with validation"),
        (EpochsPlanned(0, 0, 8, 0.0), "the remaining time is too short for a step of fine-tuning"),
    ],
)
def test_the_plan_is_a_sentence(event: EpochsPlanned, message: str) -> None:
    assert event.message == message
