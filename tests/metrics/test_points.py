"""Metrics of points."""

import math

import numpy as np
import pytest
import torch

from eyebright.errors import InputError
from eyebright.metrics.points import mean_point_error, pck, point_error, point_errors

NAN = float("nan")


def test_point_errors_are_euclidean_distances():
    predicted, target = torch.tensor([[[3.0, 4.0], [1.0, 1.0]]]), torch.tensor([[[0.0, 0.0], [1.0, 0.0]]])
    assert point_errors(predicted, target).tolist() == [[5.0, 1.0]]
    assert mean_point_error(predicted, target) == 3.0


def test_unlabelled_points_are_ignored_and_every_other_point_has_the_same_weight():
    generator = np.random.default_rng(0)
    predicted, target = generator.normal(size=(20, 5, 2)), generator.normal(size=(20, 5, 2))
    unseen = generator.random((20, 5)) < 0.3
    expected = np.mean(
        [math.dist(predicted[i, p], target[i, p]) for i in range(20) for p in range(5) if not unseen[i, p]]
    )
    target[unseen] = NAN
    assert mean_point_error(torch.tensor(predicted), torch.tensor(target)) == pytest.approx(expected)


def test_a_point_with_one_nan_coordinate_is_unlabelled():
    target = torch.tensor([[[NAN, 0.0], [0.0, 2.0]]])
    assert mean_point_error(torch.zeros(1, 2, 2), target) == 2.0
    assert point_errors(torch.zeros(1, 2, 2), target).isnan().tolist() == [[True, False]]


def test_flat_outputs_are_reshaped_to_points():
    predicted, target = torch.arange(8.0).reshape(2, 4), torch.zeros(2, 2, 2)
    assert mean_point_error(predicted, target) == mean_point_error(predicted.reshape(2, 2, 2), target)


def test_pck_counts_a_distance_of_exactly_the_radius_as_correct():
    predicted = torch.tensor([[[3.0, 4.0], [0.0, 1.0], [0.0, 9.0]]])
    target = torch.tensor([[[0.0, 0.0], [0.0, 0.0], [NAN, NAN]]])
    assert [pck(predicted, target, radius=r) for r in (0.5, 1, 4.9, 5)] == [0.0, 0.5, 0.5, 1.0]


def test_a_nan_prediction_is_not_ignored():
    predicted, target = torch.tensor([[[NAN, NAN], [0.0, 0.0]]]), torch.zeros(1, 2, 2)
    assert math.isnan(mean_point_error(predicted, target))
    assert pck(predicted, target, radius=1) == 0.5


def test_without_any_labelled_point_the_error_is_nan():
    assert math.isnan(mean_point_error(torch.zeros(2, 3, 2), torch.full((2, 3, 2), NAN)))


def test_the_point_error_metric_has_its_name_and_lower_is_better():
    assert (point_error.name, point_error.takes, point_error.higher_is_better) == (
        "point_error",
        "values",
        False,
    )
    assert point_error(torch.zeros(1, 1, 2), torch.tensor([[[0.0, 7.0]]])) == 7.0


@pytest.mark.wrong_shapes
def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"\(2, 6\) and targets of the shape \(2, 2, 2\) do not fit"):
        mean_point_error(torch.zeros(2, 6), torch.zeros(2, 2, 2))
    with pytest.raises(InputError, match=r"points have the shape \(images, points, 2\), got targets of \(2, 4\)"):
        mean_point_error(torch.zeros(2, 4), torch.zeros(2, 4))
