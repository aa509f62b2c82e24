"""Folds for cross-validation: stratified over any number of labels per item, with groups that stay whole."""

import numpy as np

from eyebright.errors import InputError, check_count
from eyebright.sources.categorical import Codes
from eyebright.sources.indices import IndexArray
from eyebright.sources.stratify import LabelMatrix, grouped


def assign_folds(labels: LabelMatrix, n_folds: int, *, groups: Codes | None = None, seed: int = 0) -> IndexArray:
    """The fold of each item, shape (n,), from 0 on.

    A one-pass variant of iterative stratification (Sechidis, Tsoumakas & Vlahavas, 2011, On the Stratification of
    Multi-Label Data): the labels are ordered once, the rarest first; each of a label's items goes to the fold that
    lacks most items of the label, and of several to the one that lacks most items. Items without a label come last. A
    group counts like one item with the labels of all of its items. No fold is empty.

    Args:
        labels: the labels of the items.
        n_folds: the number of folds, at least 2.
        groups: shape (n,), the group of each item, from 0 on; None if each item is a group of its own.
        seed: of the order of items.

    Raises:
        InputError: there are fewer items or groups than folds.
    """
    n = len(labels.labels_per_item)
    check_count("n_folds", n_folds)
    units = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
    n_units = int(units.max(initial=-1)) + 1
    if n_folds < 2 or n_units < n_folds:
        kind = "images" if groups is None else "groups of images"
        raise InputError(f"`n_folds` must be from 2 to the number of {kind}, {n_units:,}; got {n_folds:,}")
    return _folds_of_units(labels, units, n_units, n_folds, seed)[units]


def _folds_of_units(labels: LabelMatrix, units: IndexArray, n_units: int, n_folds: int, seed: int) -> IndexArray:
    """The fold of each unit: of each group, or of each item if there are no groups.

    Args:
        labels: the labels of the items.
        units: the unit of each item.
        n_units: their number.
        n_folds: the number of folds.
        seed: of the order of units.
    """
    sizes = np.bincount(units, minlength=n_units)
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(n_units)
    order = shuffled[np.argsort(-sizes[shuffled], kind="stable")]  # large groups first: small ones even out
    pairs, counts = _counts_by_unit(labels, units, order)
    needs = _Needs(np.bincount(labels.codes, minlength=len(labels.names)), len(units), n_folds, generator)
    folds: list[int] = [-1] * n_units
    own = [(pairs[1][at].tolist(), counts[at].tolist()) for at in grouped(pairs[0], n_units)]
    by_label = grouped(pairs[1], len(labels.names))
    for label in np.argsort([len(at) for at in by_label], kind="stable").tolist():
        for unit in pairs[0][by_label[label]].tolist():
            if folds[unit] < 0:
                folds[unit] = needs.take(label, int(sizes[unit]), *own[unit])
    for unit in order.tolist():
        if folds[unit] < 0:
            folds[unit] = needs.take(None, int(sizes[unit]), [], [])
    return _without_empty(np.array(folds, dtype=np.int64), n_folds, order)


def _counts_by_unit(
    labels: LabelMatrix, units: IndexArray, order: IndexArray
) -> tuple[tuple[IndexArray, IndexArray], IndexArray]:
    """The unique pairs of unit and label, sorted by the unit's rank in ``order``, and how many items each has."""
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    n_labels = max(len(labels.names), 1)
    keys = ranks[np.repeat(units, labels.labels_per_item)] * n_labels + labels.codes
    unique, counts = np.unique(keys, return_counts=True)
    return (order[unique // n_labels], unique % n_labels), counts


class _Needs:
    """How many items of each label, and in all, each fold still lacks.

    Args:
        totals: the number of items of each label.
        n: the number of items.
        n_folds: the number of folds.
        generator: of the order of folds that lack the same.
    """

    def __init__(self, totals: IndexArray, n: int, n_folds: int, generator: np.random.Generator) -> None:
        self._labels = [[total / n_folds] * n_folds for total in totals.tolist()]
        self._items = [n / n_folds] * n_folds
        self._order: list[int] = generator.permutation(n_folds).tolist()

    def take(self, label: int | None, size: int, labels: list[int], counts: list[int]) -> int:
        """The fold that lacks most items of the label, which gets the unit.

        Args:
            label: its index; None chooses by the number of items alone.
            size: the number of items of the unit.
            labels: the labels of the unit.
            counts: how many of its items have each.
        """
        lacking = self._items if label is None else self._labels[label]
        fold = max(self._order, key=lambda f: (lacking[f], self._items[f]))
        self._items[fold] -= size
        for own, count in zip(labels, counts, strict=True):
            self._labels[own][fold] -= count
        return fold


def _without_empty(folds: IndexArray, n_folds: int, order: IndexArray) -> IndexArray:
    """The folds of units, where each empty fold has got the last unit of the fold that has most units."""
    counts = np.bincount(folds, minlength=n_folds)
    for empty in np.flatnonzero(counts == 0).tolist():
        largest = int(np.argmax(counts))
        unit = order[folds[order] == largest][-1]
        folds[unit] = empty
        counts[largest] -= 1
        counts[empty] = 1
    return folds
