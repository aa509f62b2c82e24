"""Folds for cross-validation: stratified over any number of labels per item, with groups that stay whole."""

import numpy as np

from eyebright.errors import InputError, check_count
from eyebright.sources.categorical import Codes
from eyebright.sources.stratified_parts import assign_parts
from eyebright.sources.stratify import LabelMatrix


def assign_folds(labels: LabelMatrix, n_folds: int, *, groups: Codes | None = None, seed: int = 0) -> Codes:
    """The fold of each item, shape (n,), from 0 on; see `eyebright.sources.stratified_parts`. No fold is empty.

    Args:
        labels: the labels of the items.
        n_folds: the number of folds, at least 2.
        groups: shape (n,), the group of each item, from 0 on; None if each item is a group of its own.
        seed: the seed of the order of items.

    Raises:
        InputError: there are fewer items or groups than folds.
    """
    n = len(labels.labels_per_item)
    check_count("n_folds", n_folds)
    units = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    n_units = int(units.max(initial=-1)) + 1
    if n_folds < 2 or n_units < n_folds:
        kind = "images" if groups is None else "groups of images"
        raise InputError(f"`n_folds` must be from 2 to the number of {kind}, {n_units:,}; got {n_folds:,}")
    order = np.random.default_rng(seed).permutation(n_units)
    shares = [1 / n_folds] * n_folds
    return assign_parts(labels, shares, units=units, order=order, keeps_labels=False).part[units]
