"""Folds are stratified over all labels, keep groups whole, and are never empty."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from sklearn.model_selection import StratifiedKFold

from eyebright.errors import InputError
from eyebright.sources.folds import assign_folds
from eyebright.sources.stratify import LabelMatrix


def label_matrix(has: np.ndarray) -> LabelMatrix:
    """The labels of a table of zeros and ones, a row an item."""
    return LabelMatrix.of([[str(label) for label in np.flatnonzero(row)] for row in has])


@given(
    n=st.integers(2, 60),
    k=st.integers(0, 8),
    n_folds=st.integers(2, 6),
    n_groups=st.integers(0, 20),
    seed=st.integers(0, 3),
)
def test_groups_are_whole_and_no_fold_is_empty(n: int, k: int, n_folds: int, n_groups: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = label_matrix(generator.random((n, k)) < generator.random(k))
    groups = generator.integers(0, n_groups, n).astype(np.int32) if n_groups else None
    units = n if groups is None else len(np.unique(groups))
    if units < n_folds:
        with pytest.raises(
            InputError, match=f"`n_folds` must be from 2 to the number of .*images, {units}; got {n_folds}"
        ):
            assign_folds(labels, n_folds, groups=groups, seed=seed)
        return
    folds = assign_folds(labels, n_folds, groups=groups, seed=seed)
    assert sorted(set(folds.tolist())) == list(range(n_folds))
    assert np.array_equal(folds, assign_folds(labels, n_folds, groups=groups, seed=seed))
    if groups is not None:
        assert all(len(set(folds[groups == group].tolist())) == 1 for group in groups.tolist())


@given(counts=st.lists(st.integers(1, 40), min_size=1, max_size=6), n_folds=st.integers(2, 6), seed=st.integers(0, 3))
def test_of_one_label_per_item_each_fold_has_its_share_like_scikit_learn(
    counts: list[int], n_folds: int, seed: int
) -> None:
    """Of each label a fold has the share rounded down or up, as scikit-learn's folds have, and so have all items."""
    classes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    if len(classes) < n_folds:
        return
    folds = assign_folds(LabelMatrix.of_array(classes[:, None].astype(np.int32)), n_folds, seed=seed)
    for label, count in enumerate(counts):
        own = np.bincount(folds[classes == label], minlength=n_folds)
        assert set(own.tolist()) <= {count // n_folds, -(-count // n_folds)}
        if min(counts) >= n_folds:
            splits = StratifiedKFold(n_folds).split(np.zeros(len(classes)), classes)
            assert sorted(own.tolist()) == sorted(int((classes[held] == label).sum()) for _, held in splits)
    sizes = np.bincount(folds, minlength=n_folds)
    assert sizes.max() - sizes.min() <= max(len(counts), 1)


def test_of_several_labels_per_item_each_fold_has_its_share() -> None:
    generator = np.random.default_rng(0)
    has = generator.random((1000, 25)) < np.logspace(-2.5, -0.3, 25)
    folds = assign_folds(label_matrix(has), 5)
    by_fold = np.array([has[folds == fold].sum(axis=0) for fold in range(5)])
    assert (np.abs(by_fold - has.sum(axis=0) / 5) <= np.maximum(2, 0.05 * has.sum(axis=0) / 5)).all()
    assert np.ptp(np.bincount(folds)) <= 10


def test_labels_are_spread_over_groups() -> None:
    """Ten groups of ten items; two groups have the label throughout, so two folds get one each."""
    groups = np.repeat(np.arange(10), 10).astype(np.int32)
    has = np.isin(groups, [3, 8])[:, None]
    folds = assign_folds(label_matrix(has), 2, groups=groups)
    assert np.bincount(folds[has[:, 0]]).tolist() == [10, 10]
    assert np.bincount(folds).tolist() == [50, 50]


def test_group_numbers_may_have_gaps() -> None:
    groups = np.array([7, 7, 100, 100, 3, 3], dtype=np.int32)
    folds = assign_folds(label_matrix(np.zeros((6, 0))), 3, groups=groups)
    assert sorted(folds[::2].tolist()) == [0, 1, 2]
    assert np.array_equal(folds[::2], folds[1::2])


@pytest.mark.parametrize("n_folds", [1, 0, 2.0, True])
def test_fewer_than_two_folds_are_an_error(n_folds: int) -> None:
    with pytest.raises(InputError, match="`n_folds` must be"):
        assign_folds(label_matrix(np.ones((5, 1))), n_folds)
