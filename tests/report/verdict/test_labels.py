"""Each proposal for several labels rests on counts that a second computation gives too."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from eyebright.evaluation.thresholds import tune_thresholds
from eyebright.report.labels import MultiLabelReport
from eyebright.report.verdict.values import Recommendation, Verdict
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.types import LabelSet, Thresholds
from support.evaluations import logits, make_evaluation

VOCAB = ("bus", "car", "cat", "dog")
N = 80


def verdict(
    probabilities: torch.Tensor, targets: torch.Tensor, *, counts: tuple[int, ...] = (), tuned: bool = False
) -> Verdict:
    training = [LabelSet([name]) for name, count in zip(VOCAB, counts, strict=False) for _ in range(count)]
    thresholds = tune_thresholds(probabilities, targets) if tuned else Thresholds((0.5,) * 4)
    evaluation = make_evaluation(
        MultiCategoryBlock(vocab=VOCAB), logits(probabilities), targets, thresholds=thresholds, training=training
    )
    return MultiLabelReport(evaluation).verdict()


def rule(found: Verdict, name: str) -> Recommendation:
    return next(one for one in found.recommendations if one.rule == name)


def rules(found: Verdict) -> set[str]:
    return {one.rule for one in found.recommendations}


@pytest.fixture
def targets() -> torch.Tensor:
    """Twenty images of each label, and none of two."""
    return torch.eye(4).repeat_interleave(20, dim=0)


@pytest.fixture
def right(targets: torch.Tensor) -> torch.Tensor:
    """Probabilities that are always right, and sure enough."""
    return 0.1 + 0.8 * targets


def test_a_model_without_a_mistake_is_reliable_and_has_nothing_to_do(right, targets):
    found = verdict(right, targets)
    assert found.recommendations == []
    assert found.cannot == []
    assert found.can[0] == (
        "Of the labels that it predicts, 100 % are right (80 of 80); of the labels that the images have, it finds 100 "
        "% (80 of 80)."
    )
    assert "4 of 4 labels are reliable" in found.can[-1]


def test_two_labels_that_are_taken_for_each_other_are_named_with_the_exact_gain(right, targets):
    wrong = right.clone()
    wrong[20:26, 1], wrong[20:26, 2] = 0.2, 0.8  # cars called cats
    wrong[40:43, 2], wrong[40:43, 1] = 0.2, 0.8  # cats called cars
    wrong[0, 3] = 0.8
    recommendation = rule(verdict(wrong, targets), "confused_labels")
    assert recommendation.about == ("car", "cat")
    assert recommendation.evidence.startswith("On 9 of the 10 images with a mistake")
    fixed = right.clone()
    fixed[0, 3] = 0.8
    for value, probabilities in ((recommendation.gain.before, wrong), (recommendation.gain.after, fixed)):
        assert value == pytest.approx(f1_score(targets, probabilities > 0.5, average="macro"))


def test_weak_rare_labels_are_to_be_labelled_and_weak_frequent_ones_to_be_looked_at(right, targets):
    wrong = right.clone()
    wrong[:10, 0], wrong[25:33, 1] = 0.3, 0.3
    found = verdict(wrong, targets, counts=(5, 300, 100, 100))
    rare, hard = rule(found, "rare_labels"), rule(found, "hard_label")
    assert rare.about == ("bus",)
    assert "on 20 images, 5 training images (median label: 100)" in rare.evidence
    assert hard.about == ("car",)
    assert "missed on 8 of 20 images, predicted wrongly on 0" in hard.evidence
    each = f1_score(targets, wrong > 0.5, average=None)
    assert rare.gain.after - rare.gain.before == pytest.approx((np.median(each) - each[0]) / 4)


def test_sure_contradictions_of_the_data_are_proposed_for_checking(right, targets):
    wrong = right.clone()
    wrong[3:7, 2] = 0.97  # extra, and sure
    wrong[45, 2] = 0.02  # missing, and sure
    wrong[50, 3] = 0.9  # extra, not sure
    recommendation = rule(verdict(wrong, targets), "suspicious_labels")
    assert "On 5 images" in recommendation.evidence
    assert "(4 labels that the data lack, 1 that the model does not see)" in recommendation.evidence
    corrected = targets.clone()
    corrected[3:7, 2], corrected[45, 2] = 1, 0
    assert recommendation.gain.at_most
    assert recommendation.gain.after == pytest.approx(f1_score(corrected, wrong > 0.5, average="macro"))


def test_a_score_at_tuned_thresholds_that_is_too_good_is_said(targets):
    random = torch.rand(N, 4, generator=torch.Generator().manual_seed(0))
    assert "optimistic_thresholds" not in rules(verdict(random, targets))
    recommendation = rule(verdict(random, targets, tuned=True), "optimistic_thresholds")
    assert recommendation.gain.before < recommendation.gain.after
    assert f"Expect macro F1 {recommendation.gain.before:.3f}" in recommendation.action


def test_labels_with_few_images_are_named_and_not_judged(right, targets):
    few = targets.clone()
    few[:15, 0], few[20:22, 1] = 0, math.nan
    found = verdict(right, few)
    assert found.cannot == ["Too few images to judge, fewer than 10: 1 of 4 labels: 'bus' (5)."]
    assert rule(found, "few_images").evidence.startswith("1 of 4 labels have fewer than 10 evaluated images")


def test_unknown_targets_are_neither_right_nor_wrong(right, targets):
    masked = targets.clone()
    masked[:, 3] = math.nan
    wrong = right.clone()
    wrong[:, 3] = 0.9
    assert verdict(wrong, masked).can[0].startswith("Of the labels that it predicts, 100 % are right (60 of 60)")


def test_without_known_targets_nothing_is_said(right, targets):
    found = verdict(right, torch.full_like(targets, math.nan))
    assert found == Verdict(cannot=["No target of these images is known, so the model cannot be judged."])


def test_a_label_that_is_never_given_is_said_to_be(right, targets):
    wrong = right.clone()
    wrong[:, 0] = 0.1
    assert (
        "'bus': it finds 0 of the 20 images that have it, and never predicts it (F1 0.00)."
        in verdict(wrong, targets).cannot
    )
