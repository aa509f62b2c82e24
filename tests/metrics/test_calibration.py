"""Brier score, log loss, reliability bins and calibration errors, beside scikit-learn and known calibration errors."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from sklearn import metrics as sklearn
from sklearn.calibration import calibration_curve
from torch import Tensor

from eyebright.errors import InputError
from eyebright.evaluation.intervals import wilson
from eyebright.metrics.calibration import (
    brier_score,
    brier_score_metric,
    calibration_error,
    expected_calibration_error,
    log_loss,
    log_loss_metric,
    pooled,
    reliability_bins,
    top_class,
)
from eyebright.metrics.meter import Meter

NAN = float("nan")


def random_labels(seed: int, n: int = 60, k: int = 4) -> tuple[Tensor, Tensor]:
    """(probabilities with ties, targets of which some are unknown)."""
    generator = torch.Generator().manual_seed(seed)
    probabilities = (torch.rand(n, k, generator=generator) * 20).round() / 20
    targets = (torch.rand(n, k, generator=generator) < 0.4).float()
    targets[torch.rand(n, k, generator=generator) < 0.2] = NAN
    return probabilities, targets


def known(probabilities: Tensor, targets: Tensor, label: int) -> tuple[np.ndarray, np.ndarray]:
    there = ~targets[:, label].isnan()
    return targets[there, label].numpy(), probabilities[there, label].numpy()


# ------------------------------------------------------------------------------- scores


@pytest.mark.parametrize("seed", range(5))
def test_scores_of_each_label_are_scikit_learns_on_the_known_cells(seed: int) -> None:
    probabilities, targets = random_labels(seed)
    for c in range(4):
        y, p = known(probabilities, targets, c)
        one = probabilities[:, [c]], targets[:, [c]]
        assert brier_score(*one) == pytest.approx(sklearn.brier_score_loss(y, p))
        assert log_loss(*one) == pytest.approx(sklearn.log_loss(y, p, labels=[0, 1]), rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_scores_of_all_labels_are_scikit_learns_over_all_known_cells(seed: int) -> None:
    probabilities, targets = random_labels(seed)
    y, p = known(probabilities.reshape(-1, 1), targets.reshape(-1, 1), 0)
    assert brier_score(probabilities, targets) == pytest.approx(sklearn.brier_score_loss(y, p))
    assert log_loss(probabilities, targets) == pytest.approx(sklearn.log_loss(y, p), rel=1e-5)


def test_scores_of_classes_are_scikit_learns() -> None:
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.randn(50, 5, generator=generator, dtype=torch.float64).softmax(1)
    classes = torch.randint(5, (50,), generator=generator)
    of_all = brier_score(probabilities, classes), log_loss(probabilities, classes)
    rows = np.eye(5)[classes]
    assert of_all[0] == pytest.approx(float(((probabilities.numpy() - rows) ** 2).sum(1).mean()))
    assert of_all[1] == pytest.approx(sklearn.log_loss(classes, probabilities, labels=range(5)), rel=1e-5)
    with_unknown = torch.cat([classes, torch.tensor([-1])])
    more = torch.cat([probabilities, torch.eye(5)[:1]])
    assert (brier_score(more, with_unknown), log_loss(more, with_unknown)) == of_all


def test_a_label_of_which_nothing_is_known_has_no_score() -> None:
    probabilities, targets = torch.full((3, 2), 0.5), torch.tensor([[1, NAN], [0, NAN], [1, NAN]])
    for score in (brier_score, log_loss):
        assert [math.isnan(score(probabilities[:, [c]], targets[:, [c]])) for c in (0, 1)] == [False, True]
    error = reliability_bins(probabilities, targets).error()
    assert error.isnan().tolist() == [False, True]
    assert np.isnan(expected_calibration_error(probabilities, torch.full((3, 2), NAN)))
    assert np.isnan(expected_calibration_error(probabilities, torch.tensor([-1, -1, -1])))


def test_a_certain_and_wrong_prediction_has_a_finite_log_loss() -> None:
    assert log_loss(torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [0.0]])) == pytest.approx(23 * np.log(2))


def test_probabilities_outside_of_0_to_1_and_classes_without_one_are_refused() -> None:
    with pytest.raises(InputError, match=r"probabilities must be in \[0, 1\]; apply the sigmoid"):
        brier_score(torch.tensor([[2.0]]), torch.tensor([[1.0]]))
    with pytest.raises(InputError, match="classes have an index below 2 for each of the 1 images, got 1 of up to 2"):
        log_loss(torch.tensor([[0.5, 0.5]]), torch.tensor([2]))
    with pytest.raises(InputError, match="one index for each of the 1 images"):
        top_class(torch.tensor([[0.5, 0.5]]), torch.tensor([[1, 0]]))


# ------------------------------------------------------------------------------- bins


def test_bins_of_equal_mass_are_scikit_learns() -> None:
    generator = np.random.default_rng(0)
    p = generator.random(1000)
    y = (generator.random(1000) < p).astype(float)
    frequency, probability = calibration_curve(y, p, n_bins=10, strategy="quantile")
    bins = reliability_bins(torch.from_numpy(p)[:, None], torch.from_numpy(y)[:, None], bins=10)
    assert bins.count.tolist() == [[100] * 10]
    assert np.allclose(bins.probability[0], probability, atol=2e-3)  # one image at an edge may be in the other bin
    assert np.allclose(bins.frequency[0], frequency, atol=0.011)


@given(st.integers(0, 1000), st.integers(1, 20))
@settings(max_examples=30)
def test_bins_hold_every_known_image_once_and_equal_probabilities_together(seed: int, bins: int) -> None:
    probabilities, targets = random_labels(seed)
    got = reliability_bins(probabilities, targets, bins=bins)
    for c in range(4):
        y, p = known(probabilities, targets, c)
        counts, there = got.count[c], got.count[c] > 0
        assert int(counts.sum()) == len(y)
        assert float((got.frequency[c] * counts)[there].sum()) == pytest.approx(y.sum())
        assert float((got.probability[c] * counts)[there].sum()) == pytest.approx(p.sum())
        assert bool((got.probability[c][there].diff() > 0).all())
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed))
    again = reliability_bins(probabilities[order], targets[order], bins=bins)
    assert torch.equal(again.count, got.count)


def test_the_frequency_of_a_bin_has_wilsons_interval() -> None:
    targets = torch.tensor([1.0] * 3 + [0.0] * 17)[:, None]
    bins = reliability_bins(torch.full((20, 1), 0.3), targets, bins=1)
    expected = wilson(3, 20)
    assert (float(bins.low), float(bins.high)) == pytest.approx((expected.low, expected.high))


def test_few_images_make_few_bins() -> None:
    probabilities = torch.linspace(0, 1, 25)[:, None]
    assert (reliability_bins(probabilities, torch.zeros(25, 1)).count > 0).sum() == 2
    assert (reliability_bins(probabilities[:1], torch.ones(1, 1)).count > 0).sum() == 1


def test_the_number_of_bins_is_at_least_one() -> None:
    with pytest.raises(InputError, match="bins"):
        reliability_bins(torch.zeros(2, 1), torch.zeros(2, 1), bins=0)


def test_the_top_class_is_a_label() -> None:
    probabilities = torch.tensor([[0.7, 0.3], [0.4, 0.6], [0.1, 0.9]])
    highest, right = top_class(probabilities, torch.tensor([0, 0, -1]))
    assert highest[:, 0].tolist() == pytest.approx([0.7, 0.6, 0.9])
    assert right[:2, 0].tolist() == [1, 0]
    assert right[2].isnan()


# ------------------------------------------------------------------------------- errors


def reference_error(p: np.ndarray, y: np.ndarray, bins: int) -> tuple[float, float]:
    """(ECE, debiased squared error) of equal bins in a plain loop, as the module describes them."""
    order = np.argsort(p)
    plain = squared = 0.0
    for rows in np.array_split(order, bins):
        residual = y[rows] - p[rows]
        plain += len(rows) / len(p) * abs(residual.mean())
        squared += len(rows) / len(p) * (residual.mean() ** 2 - residual.var(ddof=1) / len(rows))
    return plain, squared


def test_errors_are_those_of_a_plain_loop() -> None:
    generator = np.random.default_rng(1)
    p, y = generator.random(600), (generator.random(600) < 0.3).astype(float)
    bins = reliability_bins(torch.from_numpy(p)[:, None], torch.from_numpy(y)[:, None], bins=12)
    plain, squared = reference_error(p, y, 12)
    assert float(bins.error(debiased=False)) == pytest.approx(plain)
    assert float(bins.error(squared=True)) == pytest.approx(squared)


def test_where_all_probabilities_of_a_bin_are_equal_the_squared_error_is_that_of_kumar_and_others() -> None:
    p = torch.tensor([0.2] * 40 + [0.7] * 60)[:, None]
    y = torch.tensor([1.0] * 11 + [0] * 29 + [1] * 50 + [0] * 10)[:, None]
    bins = reliability_bins(p, y, bins=2)
    (f1, n1), (f2, n2) = (11 / 40, 40), (50 / 60, 60)
    first, second = (f1 - 0.2) ** 2 - f1 * (1 - f1) / (n1 - 1), (f2 - 0.7) ** 2 - f2 * (1 - f2) / (n2 - 1)
    assert float(bins.error(squared=True)) == pytest.approx(0.4 * first + 0.6 * second, rel=1e-5)


def simulated(true: float, seeds: int = 400, n: int = 200) -> tuple[float, float, float, float]:
    """Mean (plain, debiased) absolute, and (plain, debiased) squared error where frequencies differ by ``true``."""
    generator = np.random.default_rng(0)
    p = torch.from_numpy(generator.uniform(0.2, 0.8, (n, seeds)))
    frequency = p + torch.where(p > 0.5, true, -true)
    bins = reliability_bins(p, torch.from_numpy((generator.random((n, seeds)) < frequency.numpy()).astype(float)))
    errors = [bins.error(debiased=debiased, squared=squared) for squared in (False, True) for debiased in (False, True)]
    return tuple(float(error.mean()) for error in errors)  # type: ignore[return-value]


@pytest.mark.parametrize("true", [0.0, 0.05, 0.1, 0.2])
def test_the_debiased_squared_error_is_that_of_the_simulation_on_average(true: float) -> None:
    _, _, plain, debiased = simulated(true)
    # The middle bin spans both signs, which takes up to 1/15 of the error away.
    assert debiased == pytest.approx(true**2, abs=0.0012 + true**2 / 15)
    assert plain > debiased + 0.005


@pytest.mark.parametrize("true", [0.0, 0.05, 0.1, 0.2])
def test_the_debiased_absolute_error_is_nearer_to_that_of_the_simulation(true: float) -> None:
    plain, debiased, _, _ = simulated(true)
    assert debiased < plain
    assert abs(debiased - true) <= abs(plain - true) + true / 15
    assert debiased == pytest.approx(true, abs=0.065 * (true == 0) + 0.05 * (true > 0))


# ------------------------------------------------------------------------------- as metrics


def test_they_are_metrics_of_probabilities_of_labels_and_of_classes() -> None:
    logits, targets = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(40, 3)
    meter = Meter([brier_score_metric, log_loss_metric, calibration_error])
    meter.add(logits, targets)
    p = logits.sigmoid()
    expected = brier_score(p, targets), log_loss(p, targets), expected_calibration_error(p, targets)
    assert tuple(meter.result(torch.sigmoid).values()) == pytest.approx(expected)
    meter = Meter([brier_score_metric, calibration_error])
    classes = torch.zeros(40, dtype=torch.long)
    meter.add(logits, classes)
    p = logits.softmax(1)
    assert list(meter.result(lambda outputs: outputs.softmax(1)).values()) == pytest.approx(
        [brier_score(p, classes), float(reliability_bins(*pooled(p, classes)).error())]
    )
