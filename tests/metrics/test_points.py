import math

import numpy as np
import pytest
import torch

from eyebright.errors import InputError
from eyebright.metrics.points import pck, point_distance, point_error, point_errors

NAN = float("nan")


def test_the_distance_is_pythagoras():
    predicted, target = torch.tensor([[[3.0, 4.0], [1.0, 1.0]]]), torch.tensor([[[0.0, 0.0], [1.0, 0.0]]])
    assert point_errors(predicted, target).tolist() == [[5.0, 1.0]]
    assert point_error(predicted, target) == 3.0


def test_points_that_nobody_sees_are_left_out_and_the_others_count_once_each():
    generator = np.random.default_rng(0)
    predicted, target = generator.normal(size=(20, 5, 2)), generator.normal(size=(20, 5, 2))
    unseen = generator.random((20, 5)) < 0.3
    expected = np.mean(
        [math.dist(predicted[i, p], target[i, p]) for i in range(20) for p in range(5) if not unseen[i, p]]
    )
    target[unseen] = NAN
    assert point_error(torch.tensor(predicted), torch.tensor(target)) == pytest.approx(expected)


def test_half_a_point_is_no_point():
    target = torch.tensor([[[NAN, 0.0], [0.0, 2.0]]])
    assert point_error(torch.zeros(1, 2, 2), target) == 2.0
    assert point_errors(torch.zeros(1, 2, 2), target).isnan().tolist() == [[True, False]]


def test_flat_outputs_are_points_in_a_row():
    predicted, target = torch.arange(8.0).reshape(2, 4), torch.zeros(2, 2, 2)
    assert point_error(predicted, target) == point_error(predicted.reshape(2, 2, 2), target)


def test_the_share_of_correct_keypoints_counts_the_border():
    predicted = torch.tensor([[[3.0, 4.0], [0.0, 1.0], [0.0, 9.0]]])
    target = torch.tensor([[[0.0, 0.0], [0.0, 0.0], [NAN, NAN]]])
    assert [pck(predicted, target, radius=r) for r in (0.5, 1, 4.9, 5)] == [0.0, 0.5, 0.5, 1.0]


def test_a_model_that_gives_no_number_is_not_forgiven():
    predicted, target = torch.tensor([[[NAN, NAN], [0.0, 0.0]]]), torch.zeros(1, 2, 2)
    assert math.isnan(point_error(predicted, target))
    assert pck(predicted, target, radius=1) == 0.5


def test_where_nobody_sees_any_point_there_is_no_error():
    assert math.isnan(point_error(torch.zeros(2, 3, 2), torch.full((2, 3, 2), NAN)))


def test_the_ready_metric_is_an_error():
    assert (point_distance.name, point_distance.takes, point_distance.higher_is_better) == (
        "point_error",
        "values",
        False,
    )
    assert point_distance(torch.zeros(1, 1, 2), torch.tensor([[[0.0, 7.0]]])) == 7.0


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"\(2, 6\) and targets of the shape \(2, 2, 2\) do not fit"):
        point_error(torch.zeros(2, 6), torch.zeros(2, 2, 2))
    with pytest.raises(InputError, match=r"points have the shape \(images, points, 2\), got targets of \(2, 4\)"):
        point_error(torch.zeros(2, 4), torch.zeros(2, 4))
