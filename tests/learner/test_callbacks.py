"""The book's callbacks: what a fit does with them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from eyebright.errors import InputError
from eyebright.learner.callbacks import (
    CSVLogger,
    CutMix,
    EarlyStoppingCallback,
    GradientAccumulation,
    GradientClip,
    MixUp,
    SaveModelCallback,
)
from eyebright.learner.learner import Learner
from eyebright.metrics.meter import Metric
from eyebright.train.observers.early_stop import best_epoch
from eyebright.train.options import FitOptions
from support.learners import small_learner, squares_block


@pytest.fixture
def learner(folder: Path, table: pd.DataFrame, tmp_path: Path) -> Learner:
    dls = squares_block(folder).dataloaders(table, tmp_path, bs=8, num_workers=0)
    return small_learner(dls)


class Scripted:
    """A metric with given values, one for each validation."""

    def __init__(self, *values: float) -> None:
        self.values = list(values)

    def metric(self, name: str = "score", *, higher_is_better: bool = True) -> Metric:
        return Metric(name, lambda *_: self.values.pop(0), takes="logits", higher_is_better=higher_is_better)


def test_callbacks_of_options_are_part_of_the_plan_of_this_fit_alone(learner: Learner) -> None:
    learner.fit(1, 1e-3, cbs=[MixUp(0.3), CutMix(0.7), GradientClip(0.5), GradientAccumulation(20)])
    assert learner.run.plans[0].options == FitOptions(mixup=0.3, cutmix=0.7, clip=0.5, accumulate=3)
    learner.fit_one_cycle(1, 1e-3, cbs=MixUp)  # type: ignore[arg-type]  # the book writes it without brackets
    assert learner.run.plans[0].options == FitOptions(mixup=0.4)
    learner.fit(1, 1e-3)
    assert learner.run.plans[0].options == FitOptions()


def test_a_callback_of_the_learner_is_in_each_of_its_fits(learner: Learner) -> None:
    given = small_learner(learner.dls, cbs=MixUp(0.2))
    given.fine_tune(1)
    assert [plan.options.mixup for plan in given.run.plans] == [0.2, 0.2]


def test_what_is_no_callback_is_an_error(learner: Learner) -> None:
    for wrong in (3, nn.Module, ["MixUp"]):
        with pytest.raises(InputError, match="`cbs` takes functions of an event, and callbacks such as MixUp"):
            learner.fit(1, cbs=wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="EarlyStoppingCallback has no keyword 'patiense'. Did you mean 'patience'"):
        EarlyStoppingCallback(patiense=2)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("values", "arguments", "epochs"),
    [
        ((0.1, 0.2, 0.2, 0.3, 0.4), {}, 3),
        ((0.1, 0.2, 0.2, 0.3, 0.4), {"patience": 2}, 5),
        ((0.1, 0.2, 0.25, 0.3, 0.4), {"min_delta": 0.1}, 2),
        ((0.4, 0.3, 0.2, 0.3, 0.1), {"comp": np.less}, 4),
    ],
)
def test_early_stopping_counts_as_in_fastai(
    learner: Learner, values: tuple[float, ...], arguments: dict[str, object], epochs: int
) -> None:
    learner.metrics = [Scripted(*values).metric()]
    learner.fit(5, 1e-4, cbs=EarlyStoppingCallback("score", **arguments))  # type: ignore[arg-type]
    assert len(learner.run.history) == epochs


def test_a_lower_error_is_better_and_so_is_what_a_metric_says_unlike_fastai(learner: Learner) -> None:
    for name, higher in (("error_rate", True), ("mae", False)):
        learner.metrics = [Scripted(0.4, 0.3, 0.2, 0.3).metric(name, higher_is_better=higher)]
        learner.fit(4, 1e-4, cbs=EarlyStoppingCallback(name, patience=1))
        assert len(learner.run.history) == 4
        assert learner.run.stopped is not None


def test_the_best_of_some_epochs_is_the_first_where_they_are_equal() -> None:
    assert best_epoch([0.1, 0.3, 0.3, 0.2]) == 1
    assert best_epoch([float("nan")]) == -1
    assert best_epoch([float("nan"), 0.1]) == 1


def test_the_weights_of_the_best_epoch_are_saved_and_loaded_at_the_end(learner: Learner) -> None:
    learner.metrics = [Scripted(0.5, 0.9, 0.7).metric()]
    states: list[torch.Tensor] = []

    def note(event: object) -> None:
        if type(event).__name__ == "EpochDone":
            states.append(learner.model.head[-1].weight.detach().clone())  # type: ignore[index,union-attr]

    learner.fit(3, 1e-3, cbs=[note, SaveModelCallback("score", fname="best")])
    assert (learner.dls.path / "models" / "best.safetensors").is_file()
    assert torch.equal(learner.model.head[-1].weight, states[1])  # type: ignore[index,union-attr]
    assert not torch.equal(states[1], states[2])
    assert learner.manifest().scores["score"] == 0.9  # not those of the last epoch


def test_averaged_weights_are_saved_where_they_were_validated(learner: Learner) -> None:
    learner.options = FitOptions(ema=0.9)
    learner.fit(3, 1e-2, cbs=SaveModelCallback(every_epoch=True, fname="each"))
    assert sorted(path.name for path in (learner.dls.path / "models").iterdir()) == [
        "each_0.safetensors",
        "each_1.safetensors",
        "each_2.safetensors",
    ]
    expected = [row["valid_loss"] for row in learner.run.history]
    for epoch, loss in enumerate(expected):
        assert learner.load(f"each_{epoch}").validate()[0] == pytest.approx(loss, rel=1e-4)


def test_the_last_weights_are_saved_on_request(learner: Learner) -> None:
    learner.fit(2, 1e-3, cbs=[SaveModelCallback(at_end=True), CSVLogger("log.csv")])
    before = learner.validate()
    assert learner.load("model").validate() == before
    assert len(pd.read_csv(learner.dls.path / "log.csv")) == 2


def test_an_unknown_score_is_an_error_before_training(learner: Learner) -> None:
    learner.metrics = [Scripted(0.1).metric()]
    for callback in (EarlyStoppingCallback("scor"), SaveModelCallback("scor")):
        with pytest.raises(InputError, match=r"unknown score to monitor 'scor'\. Did you mean 'score'\?"):
            learner.fit(1, cbs=callback)
    with pytest.raises(InputError, match="`min_delta` must be 0 or more, got -1"):
        learner.fit(1, cbs=EarlyStoppingCallback(min_delta=-1))
    assert learner.run.history == []
