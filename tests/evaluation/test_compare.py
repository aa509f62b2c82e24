"""Two models on the same images: values are those of scikit-learn, and intervals are of the same resamples."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from eyebright.errors import InputError
from eyebright.evaluation.compare import compare
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.intervals import corrected_interval
from eyebright.evaluation.metric_value import metric_value
from eyebright.metrics.labels import f1_macro, mean_ap
from eyebright.metrics.meter import Metric
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.points import PointBlock

N = 60


def labels(seed: int, *, noise: float, unknown: bool = False) -> Evaluation:
    random = np.random.default_rng(0)
    targets = (random.random((N, 3)) < 0.4).astype(np.float32)
    outputs = 2 * targets - 1 + noise * np.random.default_rng(seed).normal(size=(N, 3))
    if unknown:
        targets[::7, 1] = np.nan
    return evaluation(MultiCategoryBlock(vocab=["a", "b", "c"]), outputs, torch.from_numpy(targets))


def classes(seed: int, *, noise: float) -> Evaluation:
    targets = np.random.default_rng(0).integers(0, 3, N)
    outputs = np.eye(3)[targets] + noise * np.random.default_rng(seed).normal(size=(N, 3))
    return evaluation(CategoryBlock(vocab=["a", "b", "c"]), outputs, torch.from_numpy(targets))


def evaluation(block: TargetBlock, outputs: np.ndarray[Any, Any], targets: torch.Tensor) -> Evaluation:
    files = tuple(f"{i}.jpg" for i in range(N))
    decision = Decision(block)
    return Evaluation(decision, torch.from_numpy(outputs).float(), targets, files, Path(), torch.full((N, 2), 32))


def precision(evaluated: Evaluation, rows: np.ndarray[Any, Any]) -> float:
    """scikit-learn's mAP of some images, over the labels that one of them has."""
    scores, targets = evaluated.activated.numpy()[rows], evaluated.targets.numpy()[rows]
    each = []
    for k in range(3):
        known = ~np.isnan(targets[:, k])
        if targets[known, k].any():
            each.append(average_precision_score(targets[known, k], scores[known, k]))
    return float(np.mean(each))


@pytest.mark.parametrize("unknown", [False, True])
def test_the_interval_of_mean_average_precision_is_of_scikit_learns_values_on_the_same_resamples(unknown: bool) -> None:
    first, second = labels(1, noise=2.0, unknown=unknown), labels(2, noise=1.0, unknown=unknown)
    found = compare(first, second, mean_ap, n_resamples=200)
    everything = np.arange(N)
    assert found.first == pytest.approx(precision(first, everything))
    assert found.second == pytest.approx(precision(second, everything))

    def difference(rows: np.ndarray[Any, Any]) -> float:
        return precision(second, rows) - precision(first, rows)

    random = np.random.default_rng(0)
    resampled = np.array([difference(random.integers(N, size=N)) for _ in range(200)])
    part = np.random.default_rng(0).permutation(N) % 50
    left_out = np.array([difference(everything[part != i]) for i in range(50)])
    wanted = corrected_interval(resampled, left_out, found.difference)
    error = math.sqrt(49 * left_out.var())  # of the jackknife
    positive = first.targets.numpy() == 1
    trials = min(9 / (1 / positive.sum(axis=0)).sum(), positive.any(axis=1).sum())
    greatest = math.sqrt(np.square(left_out - left_out.mean()).max() * 49 / 50)
    one_more = math.hypot(error, min(greatest, 1 / trials))
    low = min(wanted.low - found.difference, -1.96 * error) * one_more / error
    high = max(wanted.high - found.difference, 1.96 * error) * one_more / error
    assert found.interval.low - found.difference == pytest.approx(low, rel=1e-3)
    assert found.interval.high - found.difference == pytest.approx(high, rel=1e-3)
    assert found.second_is_better


def test_pairs_have_a_narrower_interval_than_two_intervals_side_by_side() -> None:
    first = classes(1, noise=0.6)
    nearly = replace(first, outputs=first.outputs + 0.05 * torch.randn(N, 3, generator=torch.manual_seed(0)))
    accuracy = first.decision.target.metrics()[0]
    paired = compare(first, nearly, accuracy).interval
    apart = compare(first, classes(2, noise=0.6), accuracy).interval
    assert paired.high - paired.low < 0.5 * (apart.high - apart.low)


def test_equal_models_differ_by_nothing_and_neither_is_better() -> None:
    first = labels(1, noise=1.0)
    found = compare(first, first, mean_ap)
    assert (found.difference, found.interval.low, found.interval.high) == (0, 0, 0)
    assert not found.second_is_better
    assert found.text == f"mAP from {found.first:.3g} to {found.first:.3g}: 0 (95 % CI 0 to 0)"


def test_a_lower_error_is_better() -> None:
    first, second = classes(1, noise=2.0), classes(2, noise=0.1)
    error = first.decision.target.metrics()[1]
    assert not error.higher_is_better
    assert compare(first, second, error).second_is_better
    assert not compare(second, first, error).second_is_better


def test_metrics_of_decisions_get_the_decisions_of_each_model() -> None:
    first = labels(1, noise=1.0)
    strict = first.with_decision(first.decision.with_thresholds(replace(first.decision.thresholds, values=0.999)))
    found = compare(first, strict, f1_macro, n_resamples=20)
    assert found.second == metric_value(strict, f1_macro)
    assert found.second < found.first


def test_a_model_with_outputs_that_are_not_finite_is_not_better() -> None:
    first = labels(1, noise=2.0)
    broken = replace(first, outputs=first.outputs.clone().index_fill_(0, torch.tensor([3]), float("nan")))
    found = compare(first, broken, mean_ap)
    assert found.first == metric_value(first, mean_ap)
    assert np.isnan(found.second)
    assert not found.second_is_better
    assert "to –: – (95 % CI – to –)" in found.text


def test_other_images_or_targets_are_refused() -> None:
    first = labels(1, noise=1.0)
    for other in (
        replace(first, files=tuple(reversed(first.files))),
        replace(first, targets=1 - first.targets),
        labels(1, noise=1.0, unknown=True),
    ):
        with pytest.raises(InputError, match="two evaluations of the same images with the same targets"):
            compare(first, other, mean_ap)


def test_metrics_of_logits_get_the_outputs_but_not_of_points() -> None:
    first = labels(1, noise=1.0)
    mean = Metric("mean", lambda outputs, _: outputs.mean(), "logits")
    assert metric_value(first, mean) == pytest.approx(float(first.outputs.mean()))
    points = evaluation(PointBlock(1, names=["a"]), np.ones((N, 2)), torch.ones(N, 1, 2))
    with pytest.raises(InputError, match="'mean' takes logits; an evaluation has points in the user's units"):
        metric_value(points, mean)
