"""`Learner.lp_ft`: a fitted head, then all layers from there; the better of both models stays."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

from eyebright.data.dataloaders import DataLoaders
from eyebright.errors import EyebrightError, InputError, TrainingError
from eyebright.evaluation.metric_value import metric_value
from eyebright.inference.load_predictor import load_predictor
from eyebright.learner import lp_ft as module
from eyebright.learner.callbacks import EarlyStoppingCallback, GradientAccumulation, MixUp
from eyebright.learner.learner import Learner
from eyebright.learner.vision_learner import vision_learner
from eyebright.learner.wise_ft import use_best_share
from eyebright.train.events import EpochStarted, Event, HeadFitted, StepDone
from support.images import coloured_squares
from support.learners import SQUARES, TINY_ARCH, small_learner, squares_block


@pytest.fixture(scope="module")
def table(folder: Path) -> pd.DataFrame:
    return coloured_squares(folder, 48)


def data(folder: Path, table: pd.DataFrame, kind: str) -> DataLoaders:
    return squares_block(folder, **SQUARES[kind]).dataloaders(table, bs=8, num_workers=0)


def learner_of(folder: Path, table: pd.DataFrame, kind: str = "multicategory", **options: Any) -> Learner:
    dls = data(folder, table, kind)
    return small_learner(dls, metrics=dls.target.metrics(), train_bn=False, keep_statistics=True, **options)


def weights(learner: Learner) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.mark.slow
@pytest.mark.parametrize("kind", SQUARES)
def test_training_starts_from_the_fitted_head_and_both_models_are_compared(
    kind: str, folder: Path, table: pd.DataFrame
) -> None:
    head = learner_of(folder, table, kind)
    head.fit_head()
    learner = learner_of(folder, table, kind)
    found = learner.lp_ft(1, lr=1e-30, lr_mult=1, wd=0.0, keep_better=False)  # too small to change a weight
    torch.testing.assert_close(weights(learner), weights(head), rtol=0, atol=1e-20)
    assert found.comparison.metric == learner.dls.target.metrics()[0]
    # The same weights give the same outputs up to float32 rounding, which depends on the processor.
    expected = pytest.approx(metric_value(head.evaluate(), found.comparison.metric), rel=1e-6)
    assert found.comparison.first == expected
    assert found.comparison.second == expected
    assert found.comparison.interval.low == pytest.approx(0, abs=1e-6 * abs(found.comparison.first))
    assert found.comparison.interval.high == pytest.approx(0, abs=1e-6 * abs(found.comparison.first))
    assert learner.model.backbone_was_trained


def test_training_that_makes_it_worse_leaves_the_frozen_model(
    folder: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    head = learner_of(folder, table)
    head.fit_head()
    learner = learner_of(folder, table)
    found = learner.lp_ft(1, lr=1.0, lr_mult=1)
    assert found.keeps_frozen
    assert found.comparison.difference < 0
    assert "the frozen model is kept" in str(found)
    assert same(weights(learner), weights(head))
    assert learner.validate() == pytest.approx(list(found.frozen_scores.values()), abs=1e-6)
    assert learner.manifest().scores == pytest.approx(dict(found.frozen_scores))  # not those of the last epoch
    learner.out_of_fold(3)  # the backbone is the pretrained one again
    evaluation = learner.evaluate()
    learner.save_model(tmp_path / "model", evaluation=evaluation)
    predictions = load_predictor(tmp_path / "model").predict(evaluation.paths)
    activated = torch.stack([prediction.activated for prediction in predictions])
    torch.testing.assert_close(activated, evaluation.activated, rtol=1e-5, atol=1e-5)


def test_without_keep_better_the_trained_model_stays(folder: Path, table: pd.DataFrame) -> None:
    learner = learner_of(folder, table)
    found = learner.lp_ft(1, lr=1.0, lr_mult=1, keep_better=False)
    assert not found.keeps_frozen
    assert found.comparison.difference < 0
    assert metric_value(learner.evaluate(), found.comparison.metric) == found.comparison.second
    with pytest.raises(InputError, match="the backbone was trained"):
        learner.out_of_fold(3)


def test_the_final_weights_are_on_the_line_between_the_frozen_and_the_fine_tuned_ones(
    folder: Path, table: pd.DataFrame
) -> None:
    head, ends = learner_of(folder, table), {}
    head.fit_head()
    for share in (1.0, 0.25):
        learner = learner_of(folder, table)
        found = learner.lp_ft(1, lr=1e-3, wise_ft=share, keep_better=False)
        ends[share] = weights(learner)
        scores = dict(
            zip(["valid_loss", *(metric.name for metric in learner.metrics)], learner.validate(), strict=True)
        )
        assert learner.manifest().scores | {"train_loss": 0} == pytest.approx(scores | {"train_loss": 0}, abs=1e-6)
        assert found.comparison.second == pytest.approx(scores["mAP"])
    for name, start in weights(head).items():
        expected = 0.75 * start + 0.25 * ends[1.0][name] if start.is_floating_point() else ends[1.0][name]
        torch.testing.assert_close(ends[0.25][name], expected)
    assert not same(ends[0.25], ends[1.0])


@pytest.mark.slow
def test_the_share_with_the_lowest_validation_loss_is_chosen(folder: Path, table: pd.DataFrame) -> None:
    losses = {}
    for share in (1 / 3, 2 / 3, 1.0):
        learner = learner_of(folder, table)
        assert learner.lp_ft(1, lr=1e-3, wise_ft=share, keep_better=False).share == share
        losses[share] = learner.validate()[0]
    assert len(set(losses.values())) == 3
    chosen = learner_of(folder, table)
    found = chosen.lp_ft(1, lr=1e-3, keep_better=False)
    assert found.share == min(losses, key=losses.__getitem__)
    assert chosen.validate()[0] == pytest.approx(min(losses.values()))


def test_a_share_whose_loss_is_not_a_number_is_not_chosen() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 3.0)
    losses = {3.0: float("nan"), 2.0: 5.0, 1.0: 5.0}
    share = use_best_share(
        model, {"weight": torch.zeros(1, 1)}, (1, 2 / 3, 1 / 3), lambda: losses[round(model.weight.item(), 3)]
    )
    assert share == 2 / 3  # the first of equal ones
    assert model.weight.item() == pytest.approx(2)


def test_shares_that_cannot_be_are_refused_before_anything_is_computed(folder: Path, table: pd.DataFrame) -> None:
    learner = learner_of(folder, table)
    before = weights(learner)
    for share in (0.0, 1.5, -1.0, float("nan")):
        with pytest.raises(InputError, match="`wise_ft`, the share of the fine-tuned weights, must be above 0"):
            learner.lp_ft(1, wise_ft=share)
    assert same(weights(learner), before)
    trained_norms = small_learner(learner.dls, keep_statistics=False)
    with pytest.raises(InputError, match="an average of batch-norm statistics fits neither model"):
        trained_norms.lp_ft(1, wise_ft=0.5)
    trained_norms.lp_ft(1)  # without an average


@pytest.mark.slow
def test_a_resumed_training_ends_with_the_same_weights_and_the_same_comparison(
    folder: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    whole = learner_of(folder, table)
    expected = whole.lp_ft(2, lr=1e-3, keep_better=False)

    def stop(event: Event) -> None:
        if isinstance(event, EpochStarted) and event.epoch == 1:
            raise KeyboardInterrupt

    broken = learner_of(folder, table)
    with pytest.raises(KeyboardInterrupt):
        broken.lp_ft(2, lr=1e-3, keep_better=False, cbs=[stop], checkpoint=tmp_path / "c.safetensors")
    resumed = learner_of(folder, table)
    found = resumed.lp_ft(2, lr=1e-3, keep_better=False, checkpoint=tmp_path / "c.safetensors", resume=True)
    assert same(weights(resumed), weights(whole))
    assert found.comparison == expected.comparison
    assert len(resumed.run.history) == 2
    assert found.seconds == sum(row["seconds"] for row in resumed.run.history)  # with the epoch before


def test_a_metric_that_the_validation_images_do_not_allow_is_refused_before_training(
    folder: Path, table: pd.DataFrame
) -> None:
    changed = table.assign(labels=table["labels"].where(~table["is_valid"], ""))  # no validation image has a label
    learner = learner_of(folder, changed)
    with pytest.raises(InputError, match="`keep_better=True` compares the mAP of the validation images"):
        learner.lp_ft(1)
    assert not learner.run.history
    found = learner.lp_ft(1, keep_better=False)
    assert not found.keeps_frozen


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 0}, "`epochs` must be a whole number, at least 1 epoch, got 0"),
        ({"lr": -1.0}, "a learning rate must be a positive number, got -1.0"),
        ({"lr": slice(1e-4, 1e-3)}, "a learning rate must be a positive number, got slice"),
        ({"lr_mult": 0}, "`lr_mult` must be a positive number, got 0"),
        ({"lr_mult": 1e300}, "`lr_mult=1e.300` leaves the first layers a learning rate of 0 in float32"),
        ({"div": 0}, "`div` divides the peak learning rate: it must be a positive number, got 0"),
        ({"pct_start": 2.0}, "pct_start is a share of the batches between 0 and 1, got 2.0"),
        ({"cbs": [3]}, "`cbs` takes functions of an event, and callbacks such as MixUp"),
        ({"cbs": EarlyStoppingCallback(monitor="f2")}, "unknown score to monitor 'f2'"),
        ({"cbs": GradientAccumulation(1000)}, "`accumulate=125` is more than the . batches of an epoch"),
        ({"C": -1}, "`C` must be positive and finite, got -1"),
        ({"resume": True}, "`resume` needs `checkpoint`, the file from which training continues"),
        ({"resume": True, "checkpoint": "missing.safetensors"}, "there is no checkpoint 'missing.safetensors'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_before_the_head_is_replaced(
    given: dict[str, Any], message: str, folder: Path, table: pd.DataFrame
) -> None:
    learner = learner_of(folder, table)
    before = weights(learner)
    learner.freeze()
    with pytest.raises(EyebrightError, match=message):
        learner.lp_ft(**{"epochs": 1, **given})
    assert same(weights(learner), before)
    assert learner.trainer.frozen_to == 2


def test_a_checkpoint_of_another_training_is_refused_before_the_head_is_replaced(
    folder: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    learner_of(folder, table).lp_ft(1, checkpoint=tmp_path / "c.safetensors")
    for given, difference in (
        ({"lr": 1e-2}, "lr was .[^]]*. and is .0.01,"),
        ({"epochs": 2}, "epochs was 1 and is 2"),
        ({"cbs": MixUp(0.4)}, "mixup was 0.0 and is 0.4"),
        ({"C": 0.1}, "C was None and is .0.1."),  # the frozen model would be another one
        ({"groups": [i // 2 for i in range(len(table))]}, "groups was None and is"),
    ):
        learner = learner_of(folder, table)
        before = weights(learner)
        with pytest.raises(TrainingError, match=f"the checkpoint does not fit what is to be trained: {difference}"):
            learner.lp_ft(**{"epochs": 1, **given}, checkpoint=tmp_path / "c.safetensors", resume=True)
        assert same(weights(learner), before)


def test_a_last_batch_of_one_image_is_refused_for_batch_norms_of_the_old_head_only(
    folder: Path, table: pd.DataFrame
) -> None:
    train = table.index[~table["is_valid"].to_numpy(bool)]
    some = table.drop(train[: len(train) % 8 + 7])
    assert (len(train) - (len(train) % 8 + 7)) % 8 == 1
    dls = squares_block(folder).dataloaders(some, bs=8, num_workers=0, drop_last=False)
    learner = small_learner(dls, train_bn=False, keep_statistics=True)
    with pytest.raises(InputError, match="leave a batch of one image, which the head's batch norms cannot learn from"):
        learner.fit(1)
    learner.lp_ft(1)


def test_after_a_failed_training_the_learner_has_the_frozen_model(folder: Path, table: pd.DataFrame) -> None:
    head, learner = learner_of(folder, table), learner_of(folder, table)
    head.fit_head()
    with pytest.raises(TrainingError, match="the loss became"):
        learner.lp_ft(2, lr=1e30)
    assert same(weights(learner), weights(head))
    assert learner.manifest().scores == pytest.approx(head.manifest().scores)
    torch.testing.assert_close(learner.evaluate().outputs, head.evaluate().outputs)
    learner.out_of_fold(3)  # the backbone is the pretrained one


def test_a_checkpoint_that_cannot_be_written_leaves_the_trained_weights(
    folder: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    head, learner = learner_of(folder, table), learner_of(folder, table)
    head.fit_head()
    blocked = tmp_path / "a file"
    blocked.touch()
    with pytest.raises(TrainingError, match="cannot write the checkpoint"):
        learner.lp_ft(1, lr=1e-2, checkpoint=blocked / "c.safetensors")
    assert not same(weights(learner), weights(head))
    assert not learner.manifest().scores


def test_observers_see_the_head_that_was_fitted(folder: Path, table: pd.DataFrame) -> None:
    seen: list[Event] = []
    learner = learner_of(folder, table)
    learner.observers = [seen.append]
    learner.fit_head()
    learner.lp_ft(1, cbs=seen.append)
    fitted = [event for event in seen if isinstance(event, HeadFitted)]
    assert len(fitted) == 3  # the second fit has two observers
    assert dict(fitted[0].scores) == pytest.approx(dict(fitted[2].scores), abs=1e-5)


def test_after_an_interruption_within_an_epoch_no_scores_are_those_of_the_weights(
    folder: Path, table: pd.DataFrame
) -> None:
    learner = learner_of(folder, table)

    def stop(event: Event) -> None:
        if isinstance(event, StepDone) and learner.run.history:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learner.fit(2, cbs=stop)
    assert len(learner.run.history) == 1
    assert not learner.manifest().scores  # a step of the second epoch was made


def test_without_batch_norms_there_are_no_statistics_that_forbid_an_average(
    folder: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    dls = data(folder, table, "multicategory")
    options = {"pretrained": False, "precision": "float32", "progress": "quiet", "keep_statistics": False}
    asked: list[Sequence[float]] = []
    monkeypatch.setattr(module, "use_best_share", lambda model, start, shares, loss: asked.append(shares) or 1.0)
    for arch, wise_ft in (("test_vit", None), ("test_vit", 0.5), (TINY_ARCH, None)):
        vision_learner(dls, arch, **options).lp_ft(1, wise_ft=wise_ft)
    assert [len(shares) for shares in asked] == [3, 1, 1]
    assert asked[1:] == [(0.5,), (1.0,)]
