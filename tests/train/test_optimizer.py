"""The optimizers against the book's numbers, and against their formulas written out."""

import json
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from eyebright.train.optimizer import GroupedOptimizer

GOLD = json.loads((Path(__file__).parents[1] / "gold" / "g09_learner.json").read_text())
START = [1.0, -2.0, 3.0]


def gradient(step: int) -> Tensor:
    return torch.tensor([0.5, -1.0, 0.1]) * (step + 1) * (-1) ** (step // 3)


def path(parameter: nn.Parameter, *, weight_decay: float, momenta: list[float]) -> list[list[float]]:
    optimizer = GroupedOptimizer([[parameter]], weight_decay=weight_decay)
    points: list[list[float]] = []
    for step, momentum in enumerate(momenta):
        parameter.grad = gradient(step).reshape(parameter.shape)
        optimizer.set([0.1], momentum)
        optimizer.torch.step()
        points.append(parameter.detach().flatten().tolist())
    return points


@pytest.mark.parametrize(
    ("name", "shape", "weight_decay"),
    [
        ("Adam(lr=.1) 10 steps, p0=[1,-2,3], grad_i=[.5,-1,.1]*(i+1)*(-1)^(i//3)", (3, 1), 0.01),
        ("same, do_wd=False (bn/bias)", (3,), 0.01),
        ("same, wd=0", (3, 1), 0.0),
    ],
)
def test_adamw_equals_the_adam_of_the_book(name: str, shape: tuple[int, ...], weight_decay: float) -> None:
    parameter = nn.Parameter(torch.tensor(START).reshape(shape))
    ours = path(parameter, weight_decay=weight_decay, momenta=[0.9] * 10)
    for point, expected in zip(ours, GOLD[name], strict=True):
        assert point == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_beta1_is_the_momentum_of_the_step() -> None:
    momenta = [0.95, 0.93, 0.9, 0.86, 0.85, 0.87, 0.9, 0.94]
    parameter = nn.Parameter(torch.tensor(START).reshape(3, 1))
    ours = path(parameter, weight_decay=0.01, momenta=momenta)
    weight, mean, square = (torch.tensor(START, dtype=torch.float64), *torch.zeros(2, 3, dtype=torch.float64))
    for step, momentum in enumerate(momenta):  # arXiv:1711.05101, algorithm 2, with today's beta1 in the correction
        slope = gradient(step).double()
        mean, square = momentum * mean + (1 - momentum) * slope, 0.99 * square + 0.01 * slope**2
        corrected = mean / (1 - momentum ** (step + 1)), square / (1 - 0.99 ** (step + 1))
        weight = weight * (1 - 0.1 * 0.01) - 0.1 * corrected[0] / (corrected[1].sqrt() + 1e-5)
        assert ours[step] == pytest.approx(weight.tolist(), rel=1e-5)


def test_sgd_equals_that_of_the_book() -> None:
    parameter = nn.Parameter(torch.tensor([[1.0]]))
    optimizer = GroupedOptimizer([[parameter]], kind="sgd", weight_decay=0.0)
    points: list[float] = []
    for _ in range(4):
        parameter.grad = torch.ones(1, 1)
        optimizer.set([0.1], 0.9)
        optimizer.torch.step()
        points.append(parameter.item())
    assert points == pytest.approx(GOLD["SGD(lr=.1,mom=.9) 4 steps grad=1"], rel=1e-6)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_weight_decay_does_not_apply_to_norms_biases_and_frozen_weights(kind: Literal["adamw", "sgd"]) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    model[2].requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
    optimizer = GroupedOptimizer([list(part.parameters()) for part in model], kind=kind, weight_decay=0.5)
    for _ in range(2):
        optimizer.set([0.1, 0.1, 0.1], 0.9)
        optimizer.torch.step()
    for name, parameter in model.named_parameters():
        factor = 0.95**2 if name == "0.weight" else 1.0
        torch.testing.assert_close(parameter, before[name] * factor)


def test_the_parameter_groups_equal_those_of_the_book() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    groups = [list(part.parameters()) for part in model]
    optimizer = GroupedOptimizer(groups)
    optimizer.set([1e-4, 1e-3, 1e-2], 0.85)
    assert len(optimizer.param_groups) == 3
    assert [group["lr"] for group in optimizer.param_groups] == [1e-4, 1e-3, 1e-2]
    assert [group["mom"] for group in optimizer.param_groups] == [0.85] * 3
    assert [[id(p) for p in group["params"]] for group in optimizer.param_groups] == [
        [id(p) for p in group] for group in groups
    ]
