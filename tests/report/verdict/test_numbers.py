"""What is planted in the predicted numbers is found, with the gain that its removal would bring."""

import math

import pytest
import torch

from eyebright.report.numbers import NumberReport
from eyebright.report.verdict.values import Recommendation, Verdict
from eyebright.tasks.regression import RegressionBlock
from support.evaluations import make_evaluation


@pytest.fixture
def targets() -> torch.Tensor:
    return 100 * torch.rand(200, 1, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def noise() -> torch.Tensor:
    return torch.randn(200, 1, generator=torch.Generator().manual_seed(1))


def verdict(predicted: torch.Tensor, targets: torch.Tensor, names: tuple[str, ...] = ("age",)) -> Verdict:
    return NumberReport(make_evaluation(RegressionBlock(names=names), predicted, targets)).verdict()


def rule(found: Verdict, name: str) -> Recommendation:
    return next(one for one in found.recommendations if one.rule == name)


def test_numbers_that_are_near_have_nothing_to_do(targets, noise):
    found = verdict(targets + noise, targets)
    assert found.recommendations == []
    assert "(200 known numbers)" in found.can[0]
    assert found.can[-1].endswith("of the variance of the targets (R2).")


def test_predictions_that_are_too_high_are_found(targets, noise):
    recommendation = rule(verdict(targets + noise + 3, targets), "shifted")
    assert "too high by 3." in recommendation.evidence or "too high by 2.9" in recommendation.evidence
    errors = (noise + 3).double()
    assert recommendation.gain.before == pytest.approx(float(errors.abs().mean()), rel=1e-4)
    assert recommendation.gain.after == pytest.approx(float((errors - errors.mean()).abs().mean()), rel=1e-4)


def test_extreme_targets_that_are_pulled_to_the_mean_are_found(targets, noise):
    pulled = targets + noise
    pulled[targets < 12] += 9
    recommendation = rule(verdict(pulled, targets), "extreme_targets")
    assert "Label more images with targets below" in recommendation.action
    assert recommendation.evidence.startswith("On the 20 images")


def test_few_images_that_hold_most_of_the_squared_error_are_found(targets, noise):
    bad = targets + noise
    bad[:10] += 60
    recommendation = rule(verdict(bad, targets), "worst_images")
    assert recommendation.evidence.startswith("10 images of 200 cause 99 % of the squared error")
    assert recommendation.gain.after == pytest.approx(float(noise[10:].abs().mean()), rel=1e-4)


def test_columns_are_named_where_there_are_several(targets, noise):
    both = torch.cat([targets, targets], dim=1)
    found = verdict(torch.cat([targets + noise, targets.mean() + 0 * targets], dim=1), both, ("age", "height"))
    assert "Half of its numbers of 'age' are within" in found.can[0]
    assert any(one.startswith("Its numbers of 'height' explain little of the targets") for one in found.cannot)


def test_equal_targets_have_no_share_that_is_explained(noise):
    found = verdict(noise, torch.full((200, 1), 3.0))
    assert not any("R2" in one for one in (*found.can, *found.cannot))


def test_without_known_numbers_nothing_is_said(targets, noise):
    found = verdict(noise, torch.full_like(targets, math.nan))
    assert found == Verdict(cannot=["No number of these images is known, so the model cannot be judged."])
