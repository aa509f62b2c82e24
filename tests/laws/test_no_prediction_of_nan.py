"""Outputs that are NaN or infinite are never an answer: no label, no class, no threshold and no score is made of them.

Every comparison with NaN is False, so that without these checks an image would have "no label", or the first class.
"""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from eyebright.errors import ArtifactError, DataError, InputError
from eyebright.evaluation.decide import fit_decision
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.parquet import to_parquet
from eyebright.image.warp import Warp
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_evaluation
from eyebright.inference.save_folder import save_model
from eyebright.metrics.book import F1ScoreMulti, HammingLossMulti
from eyebright.metrics.labels import accuracy, accuracy_multi, error_rate, f1_macro, per_class
from eyebright.metrics.meter import Meter
from eyebright.metrics.ordinal import ordinal_accuracy_metric, quadratic_kappa_metric
from eyebright.models.build import model_description
from eyebright.report.build import build_report
from eyebright.report.data import ReportFacts
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.registry import TARGET_BLOCKS
from eyebright.tasks.regression import RegressionBlock
from eyebright.train.evaluate import Outputs, score
from eyebright.types import LabelSet, Points, Size, Thresholds
from support.evaluations import make_evaluation

NAN, INF = math.nan, math.inf
KINDS: dict[str, tuple[TargetBlock, object]] = {
    "multicategory": (MultiCategoryBlock(vocab=["a", "b"]), LabelSet(["a"])),
    "category": (CategoryBlock(vocab=["a", "b"]), "a"),
    "ordinal": (OrdinalBlock(["1", "2", "3"]), "2"),
    "points": (PointBlock(1), Points.of([[3.0, 4.0]])),
    "regression": (RegressionBlock(2), (1.0, 2.0)),
}


def evaluation(kind: str, value: float) -> Evaluation:
    """Four images, of which the third has one output with this value."""
    block, target = KINDS[kind]
    outputs = torch.zeros(4, block.n_out)
    outputs[2, -1] = value
    return make_evaluation(block, outputs, torch.stack([block.encode(target)] * 4))


def test_every_kind_is_walked() -> None:
    assert set(KINDS) == set(TARGET_BLOCKS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_nothing_is_made_of_an_evaluation_with_such_an_output(kind: str, value: float, tmp_path: Path) -> None:
    given = evaluation(kind, value)
    says = "the outputs of 1 of 4 images are NaN or infinite .'002.jpg'."
    assert repr(given).endswith(f"; {given.not_finite}")
    for make in (
        lambda: given.activated,
        lambda: given.decoded,
        lambda: fit_decision(given),
        lambda: build_report(given, ReportFacts(title="t")),
        lambda: to_parquet([given], {}),
    ):
        with pytest.raises(DataError, match=f"^{says}, so there are no predictions; train again"):
            make()
    manifest = Manifest(model_description("test_resnet", given.decision.target.n_out, size=32), given.decision)
    with pytest.raises(ArtifactError, match=f"the model is not saved in '.*': {says}; train again"):
        save_model(tmp_path / "model", manifest, {}, evaluation=given)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_finite_evaluation_is_saved_and_loaded(kind: str, tmp_path: Path) -> None:
    given = evaluation(kind, 1.0)
    assert given.not_finite == ""
    manifest = Manifest(model_description("test_resnet", given.decision.target.n_out, size=32), given.decision)
    save_model(tmp_path, manifest, {}, evaluation=given)
    assert load_evaluation(tmp_path).decoded == given.decoded


def test_a_saved_evaluation_with_such_an_output_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = evaluation("multicategory", NAN)
    with monkeypatch.context() as unchecked:  # as an older version saved it
        unchecked.setattr(Evaluation, "not_finite", "")
        manifest = Manifest(model_description("test_resnet", 2, size=32), given.decision)
        save_model(tmp_path, manifest, {}, evaluation=given)
    with pytest.raises(ArtifactError, match="evaluation cannot be used: the outputs of 1 of 4 images are NaN"):
        load_evaluation(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_decision_gives_no_prediction_for_an_output_that_is_nan(kind: str) -> None:
    decision = Decision(KINDS[kind][0])
    activated = decision.activate(torch.full((2, decision.target.n_out), NAN))
    with pytest.raises(InputError, match="outputs of the image are NaN, so there is no prediction"):
        decision.decode_batch(activated)


@pytest.mark.parametrize("thresholds", [Thresholds(0.5), Thresholds((0.2, 0.0))])
def test_no_threshold_decides_about_nan(thresholds: Thresholds) -> None:
    with pytest.raises(InputError, match="^1 of 4 probabilities are NaN, so there is no prediction"):
        thresholds.decide(torch.tensor([[0.1, 0.9], [NAN, 0.3]]))


def test_unknown_targets_are_still_decoded_as_unknown() -> None:
    block = MultiCategoryBlock(vocab=["a", "b"])
    assert block.decode(torch.tensor([NAN, 1.0])) == LabelSet(["b"], unknown=["a"])


def test_no_metric_of_labels_counts_nan_as_an_answer() -> None:
    logits, target = torch.tensor([[NAN, 2.0], [1.0, -1.0]]), torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    classes = torch.tensor([0, 1])
    for compute in (
        lambda: accuracy(logits, classes),
        lambda: error_rate(logits, classes),
        lambda: accuracy_multi(logits, target),
        lambda: accuracy_multi(logits, target, sigmoid=False),
        lambda: F1ScoreMulti(0.5)(logits, target),
        lambda: HammingLossMulti(0.5, sigmoid=False)(logits, target),
        lambda: per_class(logits.sigmoid(), target, Thresholds()),
        lambda: ordinal_accuracy_metric(logits.softmax(1), classes),
        lambda: quadratic_kappa_metric(logits.softmax(1), classes),
    ):
        with pytest.raises(InputError, match="are NaN, so there is no prediction"):
            compute()


def outputs(value: float) -> tuple[Outputs, Tensor, Decision]:
    target = torch.tensor([[0.0, 1.0]] * 3)
    raw = torch.tensor([[-1.0, 1.0], [-2.0, value], [-1.0, 1.0]])
    return (
        Outputs(raw, target, (0, 1, 2), (Warp.identity(Size(8, 8)),) * 3),
        target,
        Decision(KINDS["multicategory"][0]),
    )


@pytest.mark.parametrize("value", [NAN, INF])
def test_every_score_of_an_epoch_is_nan_if_one_output_is_so_that_the_epoch_is_never_the_best(value: float) -> None:
    given, target, decision = outputs(value)
    loss = torch.nn.BCEWithLogitsLoss()
    found = score(given, target, loss=loss, metrics=[f1_macro, f1_macro], decision=decision)
    assert list(found) == ["valid_loss", "f1_macro", "f1_macro_2"]
    assert math.isnan(found["f1_macro"])
    assert math.isnan(found["f1_macro_2"])
    finite, target, decision = outputs(1.0)
    assert score(finite, target, loss=loss, metrics=[f1_macro], decision=decision)["f1_macro"] == 0.5  # 'a' has none


def test_a_meter_says_nan_where_an_output_is_nan() -> None:
    meter = Meter([f1_macro])
    meter.add(torch.tensor([[NAN, 1.0]]), torch.tensor([[0.0, 1.0]]))
    assert math.isnan(meter.result(torch.sigmoid)["f1_macro"])
