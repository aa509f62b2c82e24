"""Relative point errors equal a plain loop over the points."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from eyebright.errors import InputError
from eyebright.metrics.point_scores import SizeOf, auc_metric, nme_metric, object_sizes, pck_metric


def some_points(seed: int, unlabelled: float = 0.3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = 100 * torch.rand(12, 4, 2, generator=generator)
    predicted = target + 20 * torch.randn(12, 4, 2, generator=generator)
    target[torch.rand(12, 4, generator=generator) < unlabelled] = math.nan
    return predicted, target


def errors_one_by_one(predicted: Tensor, target: Tensor, by: SizeOf) -> list[float]:
    errors: list[float] = []
    for p, t in zip(predicted.double().tolist(), target.double().tolist(), strict=True):
        labelled = [i for i, (x, _) in enumerate(t) if not math.isnan(x)]
        if isinstance(by, tuple):
            size = math.dist(t[by[0]], t[by[1]])
        elif labelled:
            width, height = (max(t[i][a] for i in labelled) - min(t[i][a] for i in labelled) for a in (0, 1))
            size = math.sqrt(width * height) if by == "box" else math.hypot(width, height)
        else:
            size = math.nan
        if size > 0:
            errors += [math.dist(p[i], t[i]) / size for i in labelled]
    return errors


@pytest.mark.parametrize("by", ["box", "diagonal", (0, 2)])
def test_scores_are_those_of_the_points_one_by_one(by: SizeOf) -> None:
    for seed in range(5):
        predicted, target = some_points(seed)
        errors = np.array(errors_one_by_one(predicted, target, by))
        assert nme_metric(by)(predicted, target) == pytest.approx(errors.mean())
        assert nme_metric(by)(predicted.flatten(1), target) == pytest.approx(errors.mean())
        assert pck_metric(by, 0.3)(predicted, target) == pytest.approx((errors <= 0.3).mean())
        at = np.linspace(0, 0.5, 20_001)
        curve = (np.sort(errors)[None] <= at[:, None]).mean(axis=1)
        area = np.trapezoid(curve, at) / 0.5
        assert auc_metric(by, 0.5)(predicted, target) == pytest.approx(area, abs=1e-3)


def test_without_a_labelled_point_or_a_size_scores_are_nan() -> None:
    nothing = torch.full((2, 3, 2), math.nan)
    for target in (nothing, torch.ones(2, 3, 2)):
        for metric in (nme_metric("box"), pck_metric("diagonal", 0.1), auc_metric((0, 1), 0.1)):
            assert math.isnan(metric(torch.zeros(2, 3, 2), target))
    assert object_sizes(nothing, "box").isnan().all()


def test_a_prediction_that_is_nan_is_an_error_and_never_correct() -> None:
    predicted, target = some_points(0, unlabelled=0)
    predicted[0, 0] = math.nan
    assert math.isnan(nme_metric("box")(predicted, target))
    assert pck_metric("box", 1e9)(predicted, target) == pytest.approx(47 / 48)
    assert auc_metric("box", 1e9)(predicted, target) == pytest.approx(47 / 48, abs=1e-6)


@pytest.mark.parametrize("by", ["eyes", (0, 0), (0, 4), (-1, 1)])
def test_a_size_that_is_not_there_is_an_error(by) -> None:
    with pytest.raises(InputError, match="'box', 'diagonal' or the indices of two of its 4 points"):
        nme_metric(by)(*some_points(0))


def test_metrics_have_names() -> None:
    assert [m.name for m in (nme_metric((0, 1)), pck_metric("box", 0.1), auc_metric("diagonal", 0.08))] == [
        "nme_0_1",
        "pck_0.1_box",
        "auc_0.08_diagonal",
    ]
