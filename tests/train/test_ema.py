"""The running average of the weights."""

import pytest
import torch
from torch import nn

from eyebright.train.ema import AveragedWeights


def test_the_average_is_that_of_its_formula() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 5.0)
    average = AveragedWeights(model, 0.3)
    expected = 5.0
    for update, weight in enumerate([1.0, 4.0, -2.0, 3.0], start=1):
        nn.init.constant_(model.weight, weight)
        average.update()
        decay = min(0.3, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * weight
    assert average.average["weight"].item() == pytest.approx(expected)


def test_the_statistics_of_norm_layers_are_averaged_and_their_counters_copied() -> None:
    model = nn.BatchNorm1d(2)
    average = AveragedWeights(model, 0.9)
    model(torch.randn(8, 2) + 3)
    average.update()
    decay = 2 / 11
    assert model.running_mean is not None
    torch.testing.assert_close(average.average["running_mean"], (1 - decay) * model.running_mean)
    assert average.average["num_batches_tracked"] == 1


def test_the_model_holds_the_average_inside_the_with_only() -> None:
    model = nn.Linear(1, 1)
    average = AveragedWeights(model, 0.9)
    first = model.weight.detach().clone()
    nn.init.constant_(model.weight, 7.0)
    inside: list[torch.Tensor] = []

    def interrupted() -> None:
        with average.in_the_model():
            inside.append(model.weight.detach().clone())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert torch.equal(inside[0], first)
    assert model.weight.item() == 7.0
    assert torch.equal(average.average["weight"], first)


def test_statistics_that_are_counted_anew_for_the_average_stay_with_it() -> None:
    model = nn.BatchNorm1d(2)
    average = AveragedWeights(model, 0.9)
    assert model.running_mean is not None
    with average.in_the_model():
        model.running_mean.fill_(5.0)
    assert torch.equal(model.running_mean, torch.zeros(2))
    average.take_over()
    assert torch.equal(model.running_mean, torch.full((2,), 5.0))
