"""Thresholds of a decision that are tuned on an evaluation."""

import pytest
import torch
from torch import Tensor

from eyebright.errors import InputError
from eyebright.evaluation.calibrate import fit_calibration
from eyebright.evaluation.decide import check_has_thresholds, fit_decision
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.thresholds import tune_thresholds
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.calibration import NoCalibration
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.regression import RegressionBlock
from support.evaluations import logits, make_evaluation
from support.label_sets import LABEL_SETS, UNKNOWN_SETS, ScoredLabels

SETS = {name: {**LABEL_SETS, **UNKNOWN_SETS}[name] for name in ("plain", "many ties", "some unknown")}


def labels_evaluation(labels: ScoredLabels) -> Evaluation:
    vocab = [f"class {c}" for c in range(labels.target.shape[1])]
    return make_evaluation(MultiCategoryBlock(vocab=vocab), logits(labels.scores), labels.target.float())


@pytest.mark.parametrize("per_class", [True, False], ids=["per class", "single"])
@pytest.mark.parametrize("metric", ["f1_macro", "f1_micro", "subset_accuracy"])
@pytest.mark.parametrize("name", SETS)
def test_thresholds_are_tuned_on_the_evaluation(name: str, metric: str, per_class: bool) -> None:
    evaluation = labels_evaluation(SETS[name])
    decision = fit_decision(evaluation, metric=metric, per_class=per_class)
    expected = tune_thresholds(evaluation.activated, evaluation.targets, metric=metric, per_class=per_class)
    assert decision.thresholds == expected
    assert decision.thresholds.metric == metric
    assert decision.target is evaluation.decision.target


def test_per_class_thresholds_have_the_class_names() -> None:
    decision = fit_decision(labels_evaluation(LABEL_SETS["plain"]))
    assert decision.thresholds.names == tuple(f"class {c}" for c in range(6))


def test_fit_decision_does_not_change_the_evaluation() -> None:
    evaluation = labels_evaluation(LABEL_SETS["plain"])
    before = evaluation.decision
    fit_decision(evaluation)
    assert evaluation.decision is before


@pytest.mark.parametrize(
    ("target", "targets"),
    [(CategoryBlock(["a", "b"]), torch.tensor([0, 1])), (RegressionBlock(2), torch.tensor([[1.0, 2], [3, 4]]))],
    ids=["classes", "numbers"],
)
def test_fit_decision_does_not_change_a_decision_without_thresholds(target: TargetBlock, targets: Tensor) -> None:
    evaluation = make_evaluation(target, torch.zeros(2, 2), targets)
    assert fit_decision(evaluation) is evaluation.decision


@pytest.mark.parametrize("target", [CategoryBlock(["a", "b"]), RegressionBlock(2)], ids=["classes", "numbers"])
def test_a_target_without_thresholds_is_an_error(target: TargetBlock) -> None:
    with pytest.raises(InputError, match=f"only for multi-label targets, and the target is a {type(target).__name__}"):
        check_has_thresholds(Decision(target))


def test_multi_label_targets_have_thresholds() -> None:
    check_has_thresholds(Decision(MultiCategoryBlock(vocab=["a"])))


def test_an_unknown_metric_is_an_error() -> None:
    with pytest.raises(InputError, match="thresholds cannot be tuned for 'f2'"):
        fit_decision(labels_evaluation(LABEL_SETS["plain"]), metric="f2")


def test_images_without_any_label_are_an_error() -> None:
    with pytest.raises(InputError, match="none of these images has a label"):
        fit_decision(labels_evaluation(LABEL_SETS["no positives at all"]))


# ------------------------------------------------------------------------------- calibration


def miscalibrated() -> Evaluation:
    outputs = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    targets = (torch.rand(300, 3, generator=torch.Generator().manual_seed(1)) < outputs.sigmoid()).float()
    return make_evaluation(MultiCategoryBlock(vocab=["a", "b", "c"]), outputs * 4, targets)


def test_thresholds_are_tuned_in_calibrated_probabilities() -> None:
    evaluation = miscalibrated()
    decision = fit_decision(evaluation, calibration="auto")
    assert decision.calibration == fit_calibration(evaluation).calibration
    assert decision.calibration.kind != "none"
    calibrated = decision.activate(evaluation.outputs)
    assert decision.thresholds == tune_thresholds(calibrated, evaluation.targets)


def test_a_decision_keeps_its_calibration_unless_another_is_asked_for() -> None:
    evaluation = miscalibrated()
    decision = fit_decision(evaluation, calibration="platt")
    again = evaluation.with_decision(decision)
    assert fit_decision(again).calibration == decision.calibration
    assert fit_decision(again, calibration="none").calibration == NoCalibration()
    assert fit_decision(again, calibration="platt").calibration == decision.calibration


def test_classes_are_calibrated_and_have_no_thresholds_to_tune() -> None:
    outputs = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    classes = torch.multinomial(outputs.softmax(1), 1, generator=torch.Generator().manual_seed(1))[:, 0]
    evaluation = make_evaluation(CategoryBlock(["a", "b", "c"]), outputs * 4, classes)
    decision = fit_decision(evaluation, calibration="auto")
    assert decision.calibration.kind == "temperature"
    assert decision.thresholds == evaluation.decision.thresholds
