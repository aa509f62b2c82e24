"""Each proposal for one class an image rests on counts that a second computation gives too."""

import pytest
import torch

from eyebright.report.classes import ClassReport
from eyebright.report.verdict.values import Recommendation, Verdict
from eyebright.tasks.category import CategoryBlock
from support.evaluations import make_evaluation

VOCAB = ("bus", "car", "cat", "dog")


def verdict(
    predicted: torch.Tensor, targets: torch.Tensor, *, sure: float = 1.0, counts: tuple[int, ...] = ()
) -> Verdict:
    outputs = sure * torch.nn.functional.one_hot(predicted, 4).float()
    training = [name for name, count in zip(VOCAB, counts, strict=False) for _ in range(count)]
    return ClassReport(make_evaluation(CategoryBlock(VOCAB), outputs, targets, training=training)).verdict()


def rule(found: Verdict, name: str) -> Recommendation:
    return next(one for one in found.recommendations if one.rule == name)


@pytest.fixture
def targets() -> torch.Tensor:
    return torch.arange(4).repeat_interleave(20)


def test_a_classifier_without_a_mistake_has_nothing_to_do(targets):
    found = verdict(targets, targets)
    assert found.recommendations == []
    assert found.cannot == []
    assert found.can[0] == "It predicts the right class for 100 % of the images (80 of 80)."


def test_the_most_confused_pair_is_named_with_the_exact_gain(targets):
    predicted = targets.clone()
    predicted[20:25], predicted[40:43], predicted[0] = 2, 1, 3
    recommendation = rule(verdict(predicted, targets), "confused_classes")
    assert recommendation.about == ("car", "cat")
    assert recommendation.evidence == "8 of the 9 misclassified images are confusions of these two."
    assert (recommendation.gain.before, recommendation.gain.after) == (71 / 80, 79 / 80)


def test_weak_classes_that_are_rare_in_training_are_to_be_labelled(targets):
    predicted = targets.clone()
    predicted[:8] = 1
    recommendation = rule(verdict(predicted, targets, counts=(1, 30, 30, 30)), "rare_classes")
    assert recommendation.about == ("bus",)
    assert "'bus': 60 % of 20 images recognised, 1 training image (median class: 30)" in recommendation.evidence
    assert (recommendation.gain.before, recommendation.gain.after) == (72 / 80, 80 / 80)


def test_sure_mistakes_are_proposed_for_checking(targets):
    predicted = targets.clone()
    predicted[:4] = torch.tensor([1, 2, 3, 1])
    recommendation = rule(verdict(predicted, targets, sure=20.0), "suspicious_labels")
    assert recommendation.evidence.startswith("On 4 misclassified images the model is at least 95 % certain")
    assert recommendation.gain.at_most
    assert "suspicious_labels" not in {one.rule for one in verdict(predicted, targets).recommendations}


def test_a_class_without_images_is_not_judged(targets):
    few = targets.clamp(max=2)
    found = verdict(few, few)
    assert found.cannot == ["Too few images to judge, fewer than 10: 1 of 4 classes: 'dog' (0)."]
    assert rule(found, "few_images").gain is None


def test_without_known_classes_nothing_is_said(targets):
    found = verdict(targets, torch.full_like(targets, -1))
    assert found == Verdict(cannot=["No class of these images is known, so the model cannot be judged."])
