"""A model with one label per image answers where it is sure enough: the accuracy among answered images is promised."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import beta

from eyebright._choices import EvaluatedPart
from eyebright.errors import InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.promise import Promise, parse_promise
from eyebright.evaluation.promises import keep_promise
from eyebright.evaluation.selective import SelectivePromise, keep_accuracy
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.types import Thresholds

CLASSES = ["bus", "car", "cat"]


def evaluation(n_images: int, seed: int, *, part: EvaluatedPart = "promise", n_classes: int = 3) -> Evaluation:
    """Outputs, and a class that is drawn with their probabilities."""
    generator = torch.Generator().manual_seed(seed)
    outputs = 2 * torch.randn(n_images, n_classes, generator=generator)
    targets = torch.multinomial(outputs.softmax(dim=1), 1, generator=generator)[:, 0]
    files = tuple(f"{part}{seed}-{i}.jpg" for i in range(n_images))
    block = CategoryBlock([f"c{i}" for i in range(n_classes)])
    return Evaluation(
        Decision(block), outputs, targets, files, Path("photos"), torch.tensor([[30, 40]] * n_images), part=part
    )


def answered(given: Evaluation, threshold: float) -> torch.Tensor:
    return given.activated.max(dim=1).values > float(np.float32(threshold))


def test_the_counts_and_the_bound_are_those_of_the_answered_images() -> None:
    given = evaluation(800, 0)
    found = keep_accuracy(given, Promise("accuracy", 0.8), chosen_on=evaluation(400, 1, part="valid"))
    rows = answered(given, found.threshold)
    right = (given.activated.argmax(dim=1) == given.targets)[rows]
    assert found.kept
    assert (found.total, found.right, found.counted) == (int(rows.sum()), int(right.sum()), 800)
    assert found.bound == pytest.approx(beta.ppf(found.level, found.right, found.total - found.right + 1), abs=1e-9)
    assert found.bound >= 0.8
    assert found.is_promise
    assert "80" not in str(found.missing)
    assert str(found).startswith(f"answered above {found.threshold:.4g}: accuracy at least 0.8 among answered images")


@pytest.mark.slow
@pytest.mark.parametrize("chosen", [True, False])
def test_a_promise_is_broken_in_at_most_its_error(chosen: bool) -> None:
    everything = evaluation(40_000, 7)
    surest, is_right = everything.activated.max(dim=1).values, everything.activated.argmax(dim=1) == everything.targets
    rng = np.random.default_rng(0)
    broken = kept = 0
    for trial in range(200):
        rows = rng.choice(len(everything), 300, replace=False)
        others = evaluation(200, 1000 + trial, part="valid") if chosen else None
        found = keep_accuracy(everything.take(rows.tolist()), Promise("accuracy", 0.8, 0.9), chosen_on=others)
        if found.kept:
            right = is_right[surest > float(np.float32(found.threshold))]
            kept, broken = kept + 1, broken + (float(right.double().mean()) < 0.8)
    assert kept > 50
    assert broken <= 30  # of a binomial with 200 trials at 0.1, 1 in 500 is larger


def test_one_image_of_each_group_counts_and_unknown_classes_do_not() -> None:
    given = evaluation(400, 3)
    given.targets[:100] = -1
    found = keep_accuracy(given, Promise("accuracy", 0.6), groups=[i // 2 for i in range(400)])
    assert (found.n_groups, found.counted) == (200, 150)
    assert "one image of each of 200 groups drawn at random from 400 images" in str(found)


def test_without_enough_evidence_nothing_is_promised_and_it_is_said_what_it_takes() -> None:
    found = keep_accuracy(evaluation(20, 4), Promise("accuracy", 0.95))
    assert not found.kept
    assert found.missing is None or found.missing > 0
    assert "no promise of accuracy >= 0.95" in str(found)


def test_validation_images_give_an_estimate() -> None:
    found = keep_accuracy(evaluation(800, 0, part="valid"), Promise("accuracy", 0.7))
    assert not found.is_promise
    assert "promise" not in str(found)
    assert "estimated with 95 % confidence" in str(found)


def test_the_result_survives_json() -> None:
    found = keep_accuracy(evaluation(800, 0), Promise("accuracy", 0.7))
    assert SelectivePromise.from_json(found.to_json()) == found


def test_wrong_requests_are_errors() -> None:
    given, labels = evaluation(50, 0), MultiCategoryBlock(vocab=CLASSES)
    several = replace(given, decision=Decision(labels), targets=torch.zeros(50, 3))
    with pytest.raises(InputError, match="accuracy is promised for one class per image, got a promise of precision"):
        keep_accuracy(given, Promise("precision", 0.9))
    with pytest.raises(InputError, match="got a promise of accuracy and a MultiCategoryBlock"):
        keep_accuracy(several, Promise("accuracy", 0.9))
    with pytest.raises(InputError, match="accuracy is promised for models with one label per image"):
        keep_promise(several, Promise("accuracy", 0.9))
    with pytest.raises(InputError, match="50 images .* choose the thresholds and test them"):
        keep_accuracy(given, Promise("accuracy", 0.9), chosen_on=given)
    with pytest.raises(InputError, match="for the images that are answered, whatever their labels"):
        parse_promise("accuracy >= 0.9", label="bus")


# ------------------------------------------------------------------ the decision


def test_a_person_is_asked_about_the_predicted_class_up_to_the_threshold() -> None:
    decision = Decision(CategoryBlock(CLASSES), Thresholds(0.6, lower=0.0))
    activated = torch.tensor([[0.7, 0.2, 0.1], [0.2, 0.6, 0.2], [0.3, 0.3, 0.4]])
    abstained = [decision.abstained_labels(row) for row in activated]
    assert abstained == [(), ("car",), ("cat",)]
    assert decision.decode_batch(activated) == ["bus", "car", "cat"]
    assert decision.abstains(activated).sum(dim=1).tolist() == [0, 1, 1]
    assert Decision(CategoryBlock(CLASSES)).abstained_labels(activated[2]) is None


def test_of_ordered_classes_the_probability_of_the_median_counts() -> None:
    decision = Decision(OrdinalBlock(["1", "2", "3"]), Thresholds(0.5, lower=0.0))
    assert decision.abstained_labels(torch.tensor([0.4, 0.2, 0.4])) == ("2",)
    assert decision.abstained_labels(torch.tensor([0.2, 0.6, 0.2])) == ()
