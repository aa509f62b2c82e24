"""What is planted in the predicted points is found, with the gain that its removal would bring."""

import math

import pytest
import torch

from eyebright.report.points import PointReport
from eyebright.report.verdict.values import Recommendation, Verdict
from eyebright.tasks.points import PointBlock
from support.evaluations import make_evaluation

NAMES = ("left eye", "right eye", "nose", "mouth")


@pytest.fixture
def targets() -> torch.Tensor:
    return 20 + 400 * torch.rand(60, 4, 2, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def near(targets: torch.Tensor) -> torch.Tensor:
    """Predictions that are two pixels off on average, to all sides."""
    return targets + 1.6 * torch.randn(60, 4, 2, generator=torch.Generator().manual_seed(1))


def verdict(predicted: torch.Tensor, targets: torch.Tensor) -> Verdict:
    sizes = torch.full((60, 2), 440)
    return PointReport(
        make_evaluation(PointBlock(4, names=NAMES), predicted.flatten(1), targets, sizes=sizes)
    ).verdict()


def rule(found: Verdict, name: str) -> Recommendation:
    return next(one for one in found.recommendations if one.rule == name)


def mean_error(predicted: torch.Tensor, targets: torch.Tensor) -> float:
    return float((predicted - targets).double().norm(dim=2).nanmean())


def test_predictions_that_are_near_have_nothing_to_do(near, targets):
    found = verdict(near, targets)
    assert found.recommendations == []
    assert "240 known points of 60 images" in found.can[0]


def test_points_at_each_others_places_are_found(near, targets):
    swapped = near.clone()
    swapped[:7, [0, 1]] = near[:7, [1, 0]]
    recommendation = rule(verdict(swapped, targets), "swapped_points")
    assert recommendation.about == ("left eye", "right eye")
    assert recommendation.evidence == "On 7 images the two are swapped."
    assert recommendation.gain.before == pytest.approx(mean_error(swapped, targets), rel=1e-5)
    assert recommendation.gain.after == pytest.approx(mean_error(near, targets), rel=1e-5)


def test_a_point_that_is_shifted_is_found(near, targets):
    shifted = near.clone()
    shifted[:, 2] += torch.tensor([12.0, 5.0])
    recommendation = rule(verdict(shifted, targets), "shifted_point")
    assert recommendation.about == ("nose",)
    offsets = shifted[:, 2] - targets[:, 2]
    better = shifted.clone()
    better[:, 2] -= offsets.mean(dim=0)
    assert recommendation.gain.after == pytest.approx(mean_error(better, targets), rel=1e-4)


def test_few_images_that_hold_much_of_the_error_are_found(near, targets):
    bad = near.clone()
    bad[:3] += 150
    recommendation = rule(verdict(bad, targets), "worst_images")
    assert recommendation.evidence.startswith("3 images of 60 cause ")
    assert recommendation.gain.after == pytest.approx(mean_error(near[3:], targets[3:]), rel=1e-4)


def test_the_point_that_is_clearly_worse_than_the_median_is_named(near, targets):
    bad = near.clone()
    bad[:, 3] = targets[:, 3] + 5 * (near[:, 3] - targets[:, 3])
    found = verdict(bad, targets)
    assert rule(found, "hard_point").about == ("mouth",)
    assert found.cannot[0].startswith("Weakest point: 'mouth'")


def test_points_that_are_rarely_known_are_not_judged(near, targets):
    few = targets.clone()
    few[5:, 1] = math.nan
    assert "Too few images to judge, fewer than 10: 'right eye' (5)." in verdict(near, few).cannot


def test_without_known_points_nothing_is_said(near, targets):
    found = verdict(near, torch.full_like(targets, math.nan))
    assert found == Verdict(cannot=["No point of these images is known, so the model cannot be judged."])
