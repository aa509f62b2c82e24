"""What is saved is what is answered: a saved evaluation is what the saved model predicts for the same files.

It holds for every kind of target and in every precision of training, since an evaluation is computed in float32.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.model_folder import load_evaluation
from eyebright.learner.learner import Learner
from eyebright.models.build import ImageModel
from eyebright.tasks.registry import TARGET_BLOCKS
from eyebright.train.options import FitOptions
from support.learners import SQUARES, small_learner, squares_block

NEAR = {"rtol": 1e-5, "atol": 1e-5, "equal_nan": True}


@pytest.fixture(scope="module")
def trained(folder: Path, table: pd.DataFrame) -> Callable[[str, str], Learner]:
    """A learner of a kind, after an epoch in a precision, or with a fitted head (""); each is trained once."""
    made: dict[tuple[str, str], Learner] = {}

    def learner(kind: str, precision: str) -> Learner:
        if (kind, precision) not in made:
            dls = squares_block(folder, **SQUARES[kind]).dataloaders(table, bs=8, num_workers=0)
            made[kind, precision] = small_learner(dls, metrics=dls.target.metrics(), precision=precision or "auto")
            if precision:
                made[kind, precision].fit_one_cycle(1, 1e-2)
            else:
                made[kind, precision].fit_head()
        return made[kind, precision]

    return learner


@pytest.fixture
def forward_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of images of each forward pass of a whole model from now on."""
    calls: list[int] = []
    forward = ImageModel.forward

    def counted(model: ImageModel, x: Any) -> Any:
        calls.append(len(x))
        return forward(model, x)

    monkeypatch.setattr(ImageModel, "forward", counted)
    return calls


def test_every_kind_of_target_is_here() -> None:
    assert set(SQUARES) == set(TARGET_BLOCKS)


@pytest.mark.parametrize("kind", SQUARES)
def test_the_saved_model_evaluates_its_images_as_the_learner_did(
    kind: str, trained: Callable[[str, str], Learner], tmp_path: Path
) -> None:
    learner = trained(kind, "")
    expected, valid = learner.evaluate(), learner.dls.valid_ds
    learner.save_model(tmp_path / "model")
    targets = [valid.raw_target(i) for i in range(len(valid))]
    found = load_predictor(tmp_path / "model", device="cpu").evaluate(expected.paths, targets)
    torch.testing.assert_close(found.outputs, expected.outputs, **NEAR)
    torch.testing.assert_close(found.targets, expected.targets, rtol=1e-6, atol=1e-4, equal_nan=True)
    assert (found.files, found.root, found.weights) == (expected.files, expected.root, expected.weights)
    assert torch.equal(found.sizes, expected.sizes)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", ""])
@pytest.mark.parametrize("kind", SQUARES)
def test_the_saved_model_predicts_what_the_saved_evaluation_holds(
    kind: str, precision: str, trained: Callable[[str, str], Learner], tmp_path: Path
) -> None:
    learner = trained(kind, precision)
    learner.save_model(tmp_path / "model", evaluation=learner.evaluate())
    evaluation, predictor = load_evaluation(tmp_path / "model"), load_predictor(tmp_path / "model")
    assert len(evaluation) == 10
    predictions = predictor.predict(evaluation.paths)
    assert [prediction.path for prediction in predictions] == [str(path) for path in evaluation.paths]
    scores = torch.stack([prediction.activated for prediction in predictions])
    torch.testing.assert_close(scores, evaluation.activated, **NEAR)
    for prediction, value in zip(predictions, evaluation.decoded, strict=True):
        torch.testing.assert_close(
            predictor.target.target_row(predictor.target.encode(prediction.decoded)),
            predictor.target.target_row(predictor.target.encode(value)),
            **NEAR,
        )


@pytest.mark.parametrize("kind", SQUARES)
def test_the_saved_evaluation_is_that_of_the_learner(
    kind: str, trained: Callable[[str, str], Learner], tmp_path: Path
) -> None:
    learner = trained(kind, "float32")
    given = learner.evaluate()
    learner.save_model(tmp_path / "model", evaluation=given)
    read = load_evaluation(tmp_path / "model")
    assert torch.equal(read.outputs, given.outputs)
    torch.testing.assert_close(read.targets, given.targets, equal_nan=True, rtol=0, atol=0)
    assert (read.files, read.root, read.part) == (given.files, given.root, given.part)
    pd.testing.assert_frame_equal(read.columns, given.columns, check_dtype=False)


@pytest.mark.parametrize("kind", SQUARES)
def test_the_scores_of_the_last_epoch_are_those_of_the_evaluation(
    kind: str, trained: Callable[[str, str], Learner]
) -> None:
    learner = trained(kind, "float32")
    evaluation = learner.evaluate()
    last = learner.run.history[-1]
    for metric in learner.metrics:
        given = {
            "logits": evaluation.outputs,
            "decisions": evaluation.decision.decide(evaluation.activated) if metric.takes == "decisions" else None,
        }.get(metric.takes, evaluation.activated)
        assert last[metric.name] == pytest.approx(metric(given, evaluation.targets), rel=1e-5, nan_ok=True)


@pytest.mark.parametrize("kind", SQUARES)
def test_the_validation_images_are_not_computed_again_while_the_weights_stay_the_same(
    kind: str, folder: Path, table: pd.DataFrame, forward_calls: list[int]
) -> None:
    dls = squares_block(folder, **SQUARES[kind]).dataloaders(table, bs=8, num_workers=0)
    learner = small_learner(dls, metrics=dls.target.metrics())
    learner.fit_one_cycle(1, 1e-2)
    forward_calls.clear()
    evaluation = learner.evaluate()
    learner.validate()
    learner.evaluate()
    assert forward_calls == []
    assert len(evaluation) == 10
    with torch.no_grad():
        next(iter(learner.model.parameters())).add_(0.01)
    assert not torch.equal(learner.evaluate().outputs, evaluation.outputs)
    assert sum(forward_calls) == 10


def test_a_head_without_batch_norms_is_evaluated_after_each_epoch(folder: Path, table: pd.DataFrame) -> None:
    dls = squares_block(folder).dataloaders(table, bs=8, num_workers=0)
    learner = small_learner(dls, train_bn=False, keep_statistics=True)  # only weights change, by a fused optimizer
    learner.fit_head(C=1e-3)
    learner.unfreeze()
    losses = [learner.validate()[0]]
    for _ in range(2):
        learner.fit(1, 1e-3)
        losses.append(learner.run.history[-1]["valid_loss"])
        images = torch.cat([x for x, _ in dls.valid])
        expected = learner.model.eval()(images).detach()
        torch.testing.assert_close(learner.evaluate().outputs, expected, rtol=1e-4, atol=1e-4)
    assert len(set(losses)) == 3


def test_averaged_weights_are_not_evaluated_again_after_the_last_epoch(
    folder: Path, table: pd.DataFrame, forward_calls: list[int]
) -> None:
    dls = squares_block(folder).dataloaders(table, bs=8, num_workers=0)
    learner = small_learner(dls, options=FitOptions(ema=0.9))
    learner.fit_one_cycle(2, 1e-2)
    last = learner.run.history[-1]["valid_loss"]
    forward_calls.clear()
    assert learner.validate()[0] == pytest.approx(last, rel=1e-6)
    assert len(learner.evaluate()) == 10
    assert forward_calls == []


def test_in_another_precision_the_evaluation_is_computed_once_more_in_float32(
    folder: Path, table: pd.DataFrame, forward_calls: list[int]
) -> None:
    dls = squares_block(folder).dataloaders(table, bs=8, num_workers=0)
    learner = small_learner(dls, precision="bfloat16")
    learner.fit_one_cycle(1, 1e-2)
    forward_calls.clear()
    first = learner.evaluate()
    assert sum(forward_calls) == 10
    learner.tune_thresholds()
    assert torch.equal(learner.evaluate().outputs, first.outputs)
    assert sum(forward_calls) == 10
