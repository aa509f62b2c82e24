"""Metrics of numbers, compared with scikit-learn."""

import math

import numpy as np
import pytest
import torch
from sklearn import metrics as oracle

from eyebright.errors import InputError
from eyebright.metrics.values import mae, mean_absolute_error, rmse, root_mean_squared_error

NAN = float("nan")


def test_mae_and_rmse_equal_those_of_sklearn():
    generator = np.random.default_rng(0)
    predicted, target = generator.normal(size=(50, 3)), generator.normal(size=(50, 3))
    inputs = torch.tensor(predicted), torch.tensor(target)
    assert mean_absolute_error(*inputs) == pytest.approx(oracle.mean_absolute_error(target, predicted))
    assert root_mean_squared_error(*inputs) == pytest.approx(
        oracle.mean_squared_error(target.ravel(), predicted.ravel()) ** 0.5
    )


def test_unknown_numbers_are_ignored():
    predicted, target = torch.tensor([[1.0, 5.0], [2.0, 0.0]]), torch.tensor([[0.0, NAN], [0.0, 2.0]])
    assert mean_absolute_error(predicted, target) == pytest.approx(5 / 3)
    assert root_mean_squared_error(predicted, target) == pytest.approx(3**0.5)


def test_a_nan_prediction_is_not_ignored():
    assert math.isnan(mean_absolute_error(torch.tensor([NAN, 1.0]), torch.tensor([0.0, 0.0])))


@pytest.mark.wrong_shapes
def test_outputs_and_targets_may_differ_in_shape_but_not_in_number():
    assert mean_absolute_error(torch.ones(3, 1), torch.zeros(3)) == 1
    with pytest.raises(InputError, match="each image needs as many targets as outputs"):
        mean_absolute_error(torch.ones(2, 2), torch.zeros(1, 4))


def test_mae_and_rmse_metrics_have_their_names_and_lower_is_better():
    for metric, name in ((mae, "mae"), (rmse, "rmse")):
        assert (metric.name, metric.takes, metric.higher_is_better) == (name, "values", False)
        assert metric(torch.tensor([3.0]), torch.tensor([1.0])) == 2.0
