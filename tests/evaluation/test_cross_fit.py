"""Folds for cross-fitting are even, keep groups together and depend on nothing but the seed."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from eyebright.errors import InputError
from eyebright.evaluation.cross_fit import cross_fitted_decisions, group_codes, random_folds
from eyebright.types import Thresholds


@given(codes=st.lists(st.integers(-1, 6), min_size=1, max_size=40), folds=st.integers(1, 6), seed=st.integers(0, 9))
def test_a_group_is_in_one_fold_and_folds_are_even(codes: list[int], folds: int, seed: int) -> None:
    fold = random_folds(len(codes), folds, groups=codes, seed=seed)
    for code in set(codes) - {-1}:
        assert len(set(fold[np.array(codes) == code])) == 1
    filled = np.bincount(fold, minlength=folds)
    largest = max([codes.count(code) for code in set(codes) - {-1}], default=1)
    assert filled.max() - filled.min() <= largest
    assert len(fold) == len(codes)
    assert (fold == random_folds(len(codes), folds, groups=torch.tensor(codes), seed=seed)).all()


def test_without_groups_all_folds_have_as_many_images_and_seeds_differ() -> None:
    assert np.bincount(random_folds(50, 5)).tolist() == [10] * 5
    assert not (random_folds(50, 5, seed=1) == random_folds(50, 5, seed=2)).all()


def test_an_image_without_a_group_is_a_group_of_its_own() -> None:
    assert len(set(group_codes([3, -1, 3, -1, 7], 5))) == 4
    assert group_codes([3, -1, 3, -1, 7], 5)[0] == group_codes([3, -1, 3, -1, 7], 5)[2]


@pytest.mark.parametrize("groups", [[1, 2], [0.5, 1.0, 2.0], [[1], [2], [3]]])
def test_groups_that_do_not_fit_the_images_are_an_error(groups: list[int]) -> None:
    with pytest.raises(InputError, match="groups are one whole number for each of 3 images"):
        random_folds(3, 2, groups=groups)


def test_each_fold_is_decided_by_the_others() -> None:
    probabilities = torch.tensor([[0.2], [0.4], [0.6], [0.8]])

    def fit(rows: torch.Tensor) -> Thresholds:
        return Thresholds(float(probabilities[rows].mean()))

    decisions = cross_fitted_decisions(probabilities, np.array([0, 0, 1, 1]), fit)  # means 0.7 and 0.3
    assert decisions[:, 0].tolist() == [False, False, True, True]
