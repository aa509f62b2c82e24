"""Confusions of labels beside a count image by image, scipy's distribution, and planted ones."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy.stats import binomtest, hypergeom

from eyebright.errors import InputError
from eyebright.evaluation.confusions import Relation, confusions_of, hypergeometric_tail, label_confusions
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from support.evaluations import make_evaluation

NAMES = ("bus", "car", "cat", "dog")
RELATIONS: tuple[Relation, Relation] = ("instead", "beside")


def drawn(seed: int, n: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """(decisions, targets), some of them unknown."""
    generator = torch.Generator().manual_seed(seed)
    targets = (torch.rand(n, 4, generator=generator) < 0.4).float()
    targets[torch.rand(n, 4, generator=generator) < 0.1] = math.nan
    return torch.rand(n, 4, generator=generator) < 0.5, targets


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(RELATIONS))
def test_counts_are_those_of_the_images_one_by_one(seed: int, relation: Relation) -> None:
    decisions, targets = drawn(seed)
    found = {(one.label, one.other): one for one in confusions_of(decisions, targets, NAMES, relation=relation)}
    for a, label in enumerate(NAMES):
        for b, other in enumerate(NAMES):
            both = images = extra = total = 0
            for said, true in zip(decisions.tolist(), targets.tolist(), strict=True):
                if a == b or math.isnan(true[a]) or true[b] != 0:
                    continue  # an image with the other label, or of which it is unknown, confuses nothing
                is_there = true[a] == 1 and said[a] == (relation == "beside")
                both += is_there and said[b]
                images += is_there
                extra += said[b]
                total += 1
            one = found.pop((label, other), None)
            assert (one is None) == (both == 0)
            if one is not None:
                assert (one.count, one.images) == (both, images)
                assert one.expected == pytest.approx(images * extra / total)
                interval = binomtest(both, images).proportion_ci(0.95)
                assert (one.low, one.high) == pytest.approx((interval.low, interval.high), abs=1e-6)
    assert found == {}


def test_p_values_are_those_of_fishers_exact_test() -> None:
    rng = np.random.default_rng(0)
    total = rng.integers(1, 300, 500)
    first, second = (rng.integers(0, total + 1) for _ in range(2))
    both = rng.integers(np.maximum(first + second - total, 0), np.minimum(first, second) + 1)
    expected = hypergeom.sf(both - 1, total, first, second)
    np.testing.assert_allclose(hypergeometric_tail(both, first, second, total), expected, rtol=1e-9, atol=1e-300)


def test_labels_that_stand_together_are_no_confusion() -> None:
    targets = torch.zeros(200, 4)
    targets[:100, :2] = 1  # a car with every bus
    decisions = targets.bool()
    assert [confusions_of(decisions, targets, NAMES, relation=one) for one in RELATIONS] == [[], []]


def test_what_is_said_instead_comes_first_and_is_significant() -> None:
    decisions, targets = torch.zeros(300, 4, dtype=torch.bool), torch.zeros(300, 4)
    targets[:60, 2] = 1
    decisions[:60, 2] = True
    decisions[:20, 2], decisions[:20, 3] = False, True  # 20 cats are called dogs
    decisions[100:110, 0] = True  # a bus here and there
    first, *rest = confusions_of(decisions, targets, NAMES, relation="instead")
    assert (first.label, first.other, first.count, first.images, first.share) == ("cat", "dog", 20, 20, 1.0)
    assert first.expected == pytest.approx(20 * 20 / 300)
    assert first.p_value < 1e-6
    assert rest == []


def test_what_is_imagined_beside_a_label_is_compared_with_how_often_it_is_imagined_at_all() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = torch.zeros(1000, 4)
    targets[:500, 0] = 1
    decisions = targets.bool()
    decisions[:, 3] = torch.rand(1000, generator=generator) < 0.2  # everywhere
    decisions[:100, 1] = True  # only beside a bus
    car, dog = confusions_of(decisions, targets, NAMES, relation="beside")
    assert (car.other, car.count, car.expected) == ("car", 100, 50.0)
    assert car.p_value < 1e-6
    assert (dog.other, dog.p_value > 0.05) == ("dog", True)
    assert dog.low < dog.expected / dog.images < dog.high


def test_independent_answers_are_rarely_significant() -> None:
    wrong = 0
    for seed in range(40):
        decisions, targets = drawn(seed, 100)
        wrong += any(one.p_value < 0.05 for one in confusions_of(decisions, targets, NAMES, relation="instead"))
    assert wrong <= 6  # 2 are expected at most; P(more than 6) < 0.5 %


def test_the_thresholds_of_the_model_decide() -> None:
    targets = torch.tensor([[1.0, 0, 0, 0]] * 5)
    outputs = torch.tensor([[-3.0, 3, -3, -3]] * 5)
    evaluation = make_evaluation(MultiCategoryBlock(vocab=NAMES), outputs, targets)
    (one,) = label_confusions(evaluation, "instead")
    assert (one.label, one.other, one.count) == ("bus", "car", 5)
    assert label_confusions(evaluation, "beside") == []
    assert label_confusions(evaluation, "instead", limit=0) == []


def test_one_class_per_image_has_a_matrix_instead() -> None:
    evaluation = make_evaluation(CategoryBlock(NAMES), torch.zeros(3, 4), torch.tensor([0, 1, 2]))
    with pytest.raises(InputError, match="a CategoryBlock has a confusion matrix"):
        label_confusions(evaluation, "instead")


def test_nothing_known_and_a_single_label_confuse_nothing() -> None:
    unknown = torch.full((5, 4), math.nan)
    assert confusions_of(torch.ones(5, 4, dtype=torch.bool), unknown, NAMES, relation="instead") == []
    assert confusions_of(torch.ones(5, 1, dtype=torch.bool), torch.zeros(5, 1), ("a",), relation="beside") == []
