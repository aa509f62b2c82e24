"""A metric over the threshold is the metric at each threshold."""

import pytest
import torch
from sklearn import metrics as oracle
from torch import Tensor

from eyebright.errors import InputError
from eyebright.evaluation.threshold_curve import threshold_curve
from eyebright.metrics.labels import f1_macro, f1_micro, f1_samples, hamming_loss, subset_accuracy
from eyebright.types import Thresholds
from support.label_sets import random_set

METRICS = {
    "f1_macro": f1_macro,
    "f1_micro": f1_micro,
    "f1_samples": f1_samples,
    "hamming_loss": hamming_loss,
    "accuracy_multi": lambda decisions, target: 1 - hamming_loss(decisions, target),
    "subset_accuracy": subset_accuracy,
}


@pytest.mark.parametrize("unknown", [False, True], ids=["known", "some unknown"])
@pytest.mark.parametrize("levels", [None, 4], ids=["all different", "ties"])
@pytest.mark.parametrize("metric", METRICS)
def test_the_curve_is_the_metric_at_each_threshold(metric: str, levels: int | None, unknown: bool) -> None:
    labels = random_set(40, 4, levels=levels)
    target = labels.target.double()
    target[:, 3] = 0
    if unknown:
        target[torch.rand(target.shape, generator=torch.Generator().manual_seed(0)) < 0.4] = torch.nan
    curve = threshold_curve(labels.scores, target, metric=metric)
    expected = [METRICS[metric](Thresholds(float(t)).decide(labels.scores), target) for t in curve.thresholds]
    assert len(curve.thresholds) == 101
    assert curve.scores.tolist() == pytest.approx(expected, abs=1e-9)


def test_the_curve_of_one_class_is_computed_from_its_column() -> None:
    labels = random_set(40, 4)
    at = torch.tensor([0.25, 0.5, 0.75])
    curve = threshold_curve(labels.scores[:, [2]], labels.target[:, [2]], thresholds=at)
    expected = [oracle.f1_score(labels.target[:, 2].numpy(), (labels.scores[:, 2] > t).numpy()) for t in at]
    assert curve.scores.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("metric", METRICS)
def test_without_known_targets_the_curve_is_nan(metric: str) -> None:
    target: Tensor = torch.full((3, 2), torch.nan)
    assert threshold_curve(torch.rand(3, 2), target, metric=metric).scores.isnan().all()


def test_costs_and_budgets_have_no_curve_of_a_metric() -> None:
    labels = random_set(10, 2)
    with pytest.raises(InputError, match="a threshold curve shows a metric, which 'budget 1/10' is not"):
        threshold_curve(labels.scores, labels.target, metric="budget 1/10")
