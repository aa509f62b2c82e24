import math

import numpy as np
import pytest
import torch
from sklearn import metrics as oracle

from eyebright.errors import InputError
from eyebright.metrics.values import mae, mean_absolute_error, rmse, root_mean_squared_error

NAN = float("nan")


def test_the_errors_are_scikit_learns():
    generator = np.random.default_rng(0)
    predicted, target = generator.normal(size=(50, 3)), generator.normal(size=(50, 3))
    inputs = torch.tensor(predicted), torch.tensor(target)
    assert mae(*inputs) == pytest.approx(oracle.mean_absolute_error(target, predicted))
    assert rmse(*inputs) == pytest.approx(oracle.mean_squared_error(target.ravel(), predicted.ravel()) ** 0.5)


def test_numbers_that_nobody_knows_are_left_out():
    predicted, target = torch.tensor([[1.0, 5.0], [2.0, 0.0]]), torch.tensor([[0.0, NAN], [0.0, 2.0]])
    assert mae(predicted, target) == pytest.approx(5 / 3)
    assert rmse(predicted, target) == pytest.approx(3**0.5)


def test_a_model_that_gives_no_number_is_not_forgiven():
    assert math.isnan(mae(torch.tensor([NAN, 1.0]), torch.tensor([0.0, 0.0])))


def test_outputs_and_targets_may_differ_in_shape_but_not_in_number():
    assert mae(torch.ones(3, 1), torch.zeros(3)) == 1
    with pytest.raises(InputError, match="each image needs as many targets as outputs"):
        mae(torch.ones(2, 2), torch.zeros(1, 4))


def test_the_ready_metrics_are_errors():
    for metric, name in ((mean_absolute_error, "mae"), (root_mean_squared_error, "rmse")):
        assert (metric.name, metric.takes, metric.higher_is_better) == (name, "values", False)
        assert metric(torch.tensor([3.0]), torch.tensor([1.0])) == 2.0
