"""The running average of the weights."""

import pytest
import torch
from torch import nn

from eyebright.train.ema import AveragedWeights


def test_the_average_equals_its_formula() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 5.0)
    average = AveragedWeights(model, 0.3)
    expected = 5.0
    for update, weight in enumerate([1.0, 4.0, -2.0, 3.0], start=1):
        nn.init.constant_(model.weight, weight)
        average.update()
        decay = min(0.3, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * weight
    assert average.weights["weight"].item() == pytest.approx(expected)


def test_the_statistics_of_norm_layers_are_averaged_and_their_counters_copied() -> None:
    model = nn.BatchNorm1d(2)
    average = AveragedWeights(model, 0.9)
    model(torch.randn(8, 2) + 3)
    average.update()
    decay = 2 / 11
    assert model.running_mean is not None
    torch.testing.assert_close(average.weights["running_mean"], (1 - decay) * model.running_mean)
    assert average.weights["num_batches_tracked"] == 1


@pytest.mark.parametrize("keep", [False, True])
def test_after_an_error_the_model_has_its_own_weights_again(keep: bool) -> None:
    model = nn.Linear(1, 1)
    average = AveragedWeights(model, 0.9)
    first = model.weight.detach().clone()
    nn.init.constant_(model.weight, 7.0)
    inside: list[torch.Tensor] = []

    def interrupted() -> None:
        with average.in_model(keep=keep):
            inside.append(model.weight.detach().clone())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert torch.equal(inside[0], first)
    assert model.weight.item() == 7.0
    assert torch.equal(average.weights["weight"], first)


@pytest.mark.parametrize("keep", [False, True])
def test_the_model_keeps_the_average_only_where_it_is_told_to(keep: bool) -> None:
    model = nn.Linear(1, 1)
    average = AveragedWeights(model, 0.9)
    nn.init.constant_(model.weight, 7.0)
    with average.in_model(keep=keep):
        pass
    assert (model.weight.item() == 7.0) != keep
    average.copy_to_model()
    assert torch.equal(model.weight, average.weights["weight"])
    nn.init.constant_(model.weight, 7.0)
    average.update()
    average.copy_to_model()
    assert torch.equal(model.weight, average.weights["weight"])


@pytest.mark.parametrize("keep", [False, True])
def test_statistics_that_are_recomputed_for_the_average_are_stored_with_it(keep: bool) -> None:
    model = nn.BatchNorm1d(2)
    average = AveragedWeights(model, 0.9)
    assert model.running_mean is not None
    with average.in_model(keep=keep):
        model.running_mean.fill_(5.0)
    if not keep:
        assert torch.equal(model.running_mean, torch.zeros(2))
    average.copy_to_model()
    assert torch.equal(model.running_mean, torch.full((2,), 5.0))
