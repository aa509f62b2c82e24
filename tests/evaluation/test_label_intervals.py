"""The vectorised intervals of label metrics against resampling the rows."""

import math

import pytest
import torch
from hypothesis import given, settings, strategies as st

from eyebright.errors import InputError
from eyebright.evaluation.intervals import bootstrap, wilson
from eyebright.evaluation.label_intervals import average_precision_intervals, decision_metric_intervals
from eyebright.metrics.labels import average_precision, f1_macro, f1_micro, f1_samples, hamming, mean_average_precision
from support.label_sets import LABEL_SETS, UNKNOWN_SETS

N_RESAMPLES = 60


def ends(interval):
    return (interval.low, interval.high)


@pytest.fixture(params=[*LABEL_SETS.values(), *UNKNOWN_SETS.values()], ids=[*LABEL_SETS, *UNKNOWN_SETS])
def labels(request):
    return request.param


def test_mean_average_precision_agrees_with_resampled_rows(labels):
    fast = average_precision_intervals(labels.scores, labels.target, n_resamples=N_RESAMPLES, seed=3)
    slow = bootstrap(mean_average_precision, [labels.scores, labels.target], n_resamples=N_RESAMPLES, seed=3)
    assert ends(fast.mean) == pytest.approx(ends(slow), abs=1e-9, nan_ok=True)


def test_average_precision_of_each_class_agrees_with_resampled_rows(labels):
    fast = average_precision_intervals(labels.scores, labels.target, n_resamples=N_RESAMPLES, seed=3)
    for c, interval in enumerate(fast.per_class):
        column = [labels.scores[:, [c]], labels.target[:, [c]]]
        slow = bootstrap(lambda s, t: float(average_precision(s, t)), column, n_resamples=N_RESAMPLES, seed=3)
        assert ends(interval) == pytest.approx(ends(slow), abs=1e-9, nan_ok=True)
        assert math.isnan(interval.low) == (not (labels.target[:, c] == 1).any())


@pytest.mark.parametrize("metric", [f1_micro, f1_macro, f1_samples, hamming], ids=lambda metric: metric.name)
def test_metrics_of_decisions_agree_with_resampled_rows(labels, metric):
    fast = decision_metric_intervals(labels.decisions, labels.target, n_resamples=N_RESAMPLES, seed=4)
    slow = bootstrap(metric, [labels.decisions, labels.target], n_resamples=N_RESAMPLES, seed=4)
    assert ends(fast[metric.name]) == pytest.approx(ends(slow), abs=1e-9, nan_ok=True)


def test_exact_matches_get_wilsons_interval(plain):
    exact = int((plain.decisions == plain.target).all(dim=1).sum())
    found = decision_metric_intervals(plain.decisions, plain.target, n_resamples=N_RESAMPLES, level=0.8)
    assert found["subset_accuracy"] == wilson(exact, 60, level=0.8)


def test_exact_matches_ignore_images_without_known_targets(partly_known):
    known = ~partly_known.target.isnan()
    right = (partly_known.decisions == (partly_known.target == 1)) | ~known
    counted = known.any(dim=1)
    found = decision_metric_intervals(partly_known.decisions, partly_known.target, n_resamples=2)["subset_accuracy"]
    assert found == wilson(int(right[counted].all(dim=1).sum()), int(counted.sum()))


def test_float_and_boolean_targets_give_identical_intervals(plain):
    target = plain.target.double()
    booleans, numbers = (
        average_precision_intervals(plain.scores, t, n_resamples=N_RESAMPLES) for t in (plain.target, target)
    )
    assert booleans == numbers
    booleans, numbers = (
        decision_metric_intervals(plain.decisions, t, n_resamples=N_RESAMPLES) for t in (plain.target, target)
    )
    assert booleans == numbers


@pytest.mark.wrong_shapes
def test_invalid_arguments_are_errors(plain):
    with pytest.raises(InputError, match="NaN"):
        average_precision_intervals(plain.scores * torch.nan, plain.target)
    with pytest.raises(InputError, match="one row for each image"):
        decision_metric_intervals(plain.decisions, plain.target.T)


@given(st.integers(0, 10_000), st.integers(3, 12), st.integers(1, 4))
@settings(deadline=None)
def test_every_score_lies_inside_its_own_interval_also_with_few_positives(seed, images, classes):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(images, classes, generator=generator)
    target = (torch.rand(images, classes, generator=generator) < 0.2).double()
    target[0, 0] = 1
    intervals = average_precision_intervals(scores, target, n_resamples=40, seed=seed)
    assert intervals.mean.low <= mean_average_precision(scores, target) <= intervals.mean.high
    for score, interval in zip(average_precision(scores, target).tolist(), intervals.per_class, strict=True):
        assert math.isnan(score) or interval.low <= score <= interval.high
    decided = decision_metric_intervals(scores > 0.5, target, n_resamples=40, seed=seed)
    for metric in (f1_micro, f1_macro, f1_samples, hamming):
        score = metric(scores > 0.5, target)
        assert decided[metric.name].low - 1e-9 <= score <= decided[metric.name].high + 1e-9
