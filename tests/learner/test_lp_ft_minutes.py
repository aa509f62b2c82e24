"""`Learner.lp_ft(minutes=...)`: the epochs that fit, the frozen model where none does, and the resumed plan."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from eyebright.errors import InputError, TrainingError
from eyebright.learner.learner import Learner
from eyebright.train.events import EpochStarted, Event
from eyebright.train.options import FitOptions
from eyebright.train.time_plan import Speed
from eyebright.train.trainer import Trainer
from support.images import coloured_squares
from support.learners import small_learner, squares_block


@pytest.fixture(scope="module")
def table(folder: Path) -> pd.DataFrame:
    return coloured_squares(folder, 48)


def learner_of(folder: Path, table: pd.DataFrame, **options: Any) -> Learner:
    dls = squares_block(folder).dataloaders(table, bs=8, num_workers=0)
    return small_learner(dls, metrics=dls.target.metrics(), train_bn=False, keep_statistics=True, **options)


def weights(learner: Learner) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.fixture
def takes(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float], None]:
    """A function that sets the seconds of a step and of a validation, as if they were measured."""

    def set_speed(step: float, epoch_end: float) -> None:
        monkeypatch.setattr(Trainer, "measure_speed", lambda *_, **__: Speed(step, epoch_end))

    return set_speed


def test_as_many_epochs_are_trained_as_fit(folder: Path, table: pd.DataFrame, takes) -> None:
    takes(1e6, 2e6)  # the seconds that this machine takes do not matter beside them
    learner = learner_of(folder, table)
    n_batches = len(learner.dls.train)
    found = learner.lp_ft(minutes=(3 * (n_batches + 2) + 4 * 2 + 0.2) * 1e6 / 60, keep_better=False)  # it validates 4x
    assert found.plan is not None
    assert (found.plan.epochs, found.plan.options.steps_per_epoch) == (3, None)
    assert len(learner.run.history) == 3
    same_epochs = learner_of(folder, table)
    same_epochs.lp_ft(3, keep_better=False)
    assert same(weights(learner), weights(same_epochs))  # measuring has left no trace


def test_shorter_epochs_use_the_time_and_are_trained_as_planned(folder: Path, table: pd.DataFrame, takes) -> None:
    takes(1e6, 1e5)
    learner = learner_of(folder, table)
    assert len(learner.dls.train) == 4
    found = learner.lp_ft(minutes=(4 * 0.1 + 2 * 3.1 + 0.3) * 1e6 / 60, keep_better=False)
    assert found.plan is not None
    assert (found.plan.epochs, found.plan.options.steps_per_epoch) == (2, 3)
    assert len(learner.run.losses) == 6
    asked = learner_of(folder, table, options=FitOptions(steps_per_epoch=3))
    asked.lp_ft(2, keep_better=False)
    assert same(weights(learner), weights(asked))


@pytest.mark.slow
def test_measured_on_this_machine_training_ends_in_time(folder: Path, table: pd.DataFrame) -> None:
    learner = learner_of(folder, table)
    found = learner.lp_ft(minutes=0.1)
    assert found.plan is not None
    assert found.seconds <= 6
    assert len(learner.run.history) == found.plan.epochs or learner.run.stopped is not None
    assert found.doublings is not None
    assert found.doublings > 0
    assert "twice the time" in found.twice_the_time


def test_without_time_for_a_step_the_frozen_model_is_the_result(folder: Path, table: pd.DataFrame, takes) -> None:
    takes(1e9, 1.0)
    head, learner = learner_of(folder, table), learner_of(folder, table)
    head.fit_head()
    found = learner.lp_ft(minutes=0.2)
    assert found.plan is None
    assert found.keeps_frozen
    assert str(found) == "the frozen model is kept: there was no time for fine-tuning"
    assert not found.twice_the_time
    assert same(weights(learner), weights(head))
    assert not learner.model.backbone_was_trained
    assert learner.manifest().scores == pytest.approx(dict(found.frozen_scores))


@pytest.mark.slow
def test_a_resumed_training_keeps_the_plan_and_ends_with_the_same_weights(
    folder: Path, table: pd.DataFrame, tmp_path: Path, takes
) -> None:
    takes(1e6, 1e6)
    checkpoint, minutes = tmp_path / "c.safetensors", 16.5e6 / 60
    whole, broken, resumed = (learner_of(folder, table) for _ in range(3))
    planned = whole.lp_ft(minutes=minutes, keep_better=False).plan
    assert planned is not None
    assert planned.epochs > 1

    def stop(event: Event) -> None:
        if isinstance(event, EpochStarted) and event.epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken.lp_ft(minutes=minutes, keep_better=False, cbs=[stop], checkpoint=checkpoint)
    takes(math.inf, math.inf)  # nothing is measured again
    found = resumed.lp_ft(minutes=minutes, keep_better=False, checkpoint=checkpoint, resume=True)
    assert found.plan == planned
    assert same(weights(resumed), weights(whole))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give the number of `epochs`, or the `minutes` that fine-tuning may take: one of them"),
        ({"epochs": 1, "minutes": 1}, "one of them"),
        ({"minutes": 0}, "`minutes` must be a positive number, got 0"),
        ({"minutes": math.nan}, "`minutes` must be a positive number, got nan"),
        ({"minutes": math.inf}, "`minutes` must be a positive number, got inf"),
        ({"minutes": 1, "resume": True}, "`resume` needs `checkpoint`"),
    ],
)
def test_lengths_that_cannot_be_are_refused_before_the_head_is_replaced(
    given: dict[str, Any], message: str, folder: Path, table: pd.DataFrame
) -> None:
    learner = learner_of(folder, table)
    before = weights(learner)
    with pytest.raises(InputError, match=message):
        learner.lp_ft(**given)
    assert same(weights(learner), before)


def test_steps_of_an_epoch_that_are_asked_for_are_refused_with_minutes(folder: Path, table: pd.DataFrame) -> None:
    learner = learner_of(folder, table, options=FitOptions(steps_per_epoch=2))
    before = weights(learner)
    with pytest.raises(InputError, match="`minutes` plans the number of steps of an epoch: leave `steps_per_epoch`"):
        learner.lp_ft(minutes=1)
    assert same(weights(learner), before)


def test_a_missing_checkpoint_is_an_error(folder: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="there is no checkpoint"):
        learner_of(folder, table).lp_ft(minutes=1, checkpoint=tmp_path / "none.safetensors", resume=True)
