"""Metrics of ordered classes, compared with scikit-learn."""

import math

import numpy as np
import pytest
import torch
from sklearn import metrics as oracle

from eyebright.errors import InputError
from eyebright.metrics.ordinal import median_class, ordinal_accuracy_metric, ordinal_mae_metric, quadratic_kappa_metric


def random_set(seed, *, images=80, classes=5, unknown=0.0):
    generator = np.random.default_rng(seed)
    probabilities = torch.from_numpy(generator.dirichlet(np.ones(classes), size=images))
    target = torch.from_numpy(generator.integers(classes, size=images))
    target[torch.from_numpy(generator.random(images) < unknown)] = -1
    return probabilities, target


def test_no_class_has_a_smaller_expected_distance_than_the_median():
    probabilities, _ = random_set(0, images=200)
    distances = (torch.arange(5)[:, None] - torch.arange(5)).abs().double()  # of each prediction from each class
    expected = probabilities @ distances.T
    chosen = expected.gather(1, median_class(probabilities)[:, None])[:, 0]
    torch.testing.assert_close(chosen, expected.min(dim=1).values)


def test_with_two_equal_halves_the_lower_class_is_the_median():
    assert median_class(torch.tensor([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])).tolist() == [0, 1, 2]


@pytest.mark.parametrize("unknown", [0, 0.3])
def test_ordinal_metrics_on_images_of_known_class_equal_those_of_sklearn(unknown):
    for seed in range(5):
        probabilities, target = random_set(seed, unknown=unknown)
        known = target >= 0
        predicted, true = median_class(probabilities)[known].numpy(), target[known].numpy()
        expected = oracle.cohen_kappa_score(true, predicted, weights="quadratic", labels=range(5))
        assert quadratic_kappa_metric(probabilities, target) == pytest.approx(expected, abs=1e-12)
        assert ordinal_mae_metric(probabilities, target) == pytest.approx(oracle.mean_absolute_error(true, predicted))
        assert ordinal_accuracy_metric(probabilities, target) == pytest.approx(oracle.accuracy_score(true, predicted))


def test_right_answers_have_a_kappa_of_one_and_a_constant_one_of_zero():
    target = torch.tensor([0, 2, 1, 2])
    assert quadratic_kappa_metric(torch.eye(3)[target], target) == 1
    for images in range(3, 60):  # exactly: the baseline of a report is not -4.44e-16
        target = torch.arange(images) % 3
        assert quadratic_kappa_metric(torch.eye(3)[[1] * images], target) == 0


def test_without_known_classes_the_ordinal_metrics_are_nan():
    assert math.isnan(quadratic_kappa_metric(torch.eye(3)[[1, 1]], torch.tensor([1, 1])))
    for metric in (ordinal_mae_metric, quadratic_kappa_metric, ordinal_accuracy_metric):
        assert math.isnan(metric(torch.eye(3), torch.tensor([-1, -1, -1])))


@pytest.mark.wrong_shapes
def test_targets_of_another_shape_are_errors():
    with pytest.raises(InputError, match=r"got \(3, 3\) and \(2,\)"):
        quadratic_kappa_metric(torch.eye(3), torch.tensor([0, 1]))


def test_ordinal_metrics_have_their_usual_names():
    assert [
        metric.display_name for metric in (ordinal_mae_metric, quadratic_kappa_metric, ordinal_accuracy_metric)
    ] == [
        "MAE in classes",
        "quadratic weighted kappa",
        "accuracy",
    ]
