"""Stratified splits for any number of labels per item, with or without groups; ten million items in seconds.

The labels of all items are stored as one array of codes, four bytes per label and item.
"""

import math
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from eyebright.sources.categorical import Codes, Mask
from eyebright.sources.indices import IndexArray
from eyebright.sources.targets import Floats

_MAX_RATIO = 1.25
"""The validation set has at most this many times the requested share of items (the last items in the order go back to
training), and at least the requested share divided by it (further items are added).

Each label is rounded on its own, so several rare labels on the same few items add up: in 3 % of 1,500 random sets of 20
to 160 items with up to 50 labels the share would be exceeded by more than a quarter, by 63 % at most. The value is a
judgement: a lower one takes the only validation items of rare labels more often, a higher one trains on fewer items.
"""


class LabelMatrix(NamedTuple):
    """The labels of items, stored like the rows of a sparse (CSR) matrix.

    Args:
        names: the unique labels.
        labels_per_item: the number of labels of each item.
        codes: the labels of the first item, then of the second, and so on, as indices in ``names``.
    """

    names: list[str]
    labels_per_item: Codes
    codes: Codes

    @staticmethod
    def of(labels: Iterable[Iterable[str]]) -> "LabelMatrix":
        """The labels of items; a label that an item has twice counts once."""
        code_of: dict[str, int] = {}
        labels_per_item, codes = array("i"), array("i")
        for several in map(frozenset, labels):
            labels_per_item.append(len(several))
            for label in several:
                codes.append(code_of.setdefault(label, len(code_of)))
        return LabelMatrix(list(code_of), np.array(labels_per_item, dtype=np.int32), np.array(codes, dtype=np.int32))

    @staticmethod
    def of_categorical(categories: Sequence[Iterable[str]], codes: Codes) -> "LabelMatrix":
        """The labels of items, given as unique sets of labels and the index of each item's set.

        Args:
            categories: the unique sets of labels.
            codes: shape (n,), for each item the index of its set in ``categories``.
        """
        unique = LabelMatrix.of(categories)
        return LabelMatrix(unique.names, unique.labels_per_item[codes], unique.codes[unique.positions(codes)])

    @staticmethod
    def of_array(labels: Codes) -> "LabelMatrix":
        """The labels of items with at most k labels each.

        Args:
            labels: shape (n, k), label ids; -1 for none.
        """
        has = labels >= 0
        unique, codes = np.unique(labels[has], return_inverse=True)
        # Padded with zeros, so that names sort like the ids.
        names = [f"{number:09}" for number in unique.tolist()]
        return LabelMatrix(names, has.sum(axis=1).astype(np.int32), codes.astype(np.int32))

    def positions(self, items: "IndexArray | Codes") -> IndexArray:
        """The positions in ``codes`` of the labels of these items, item after item."""
        counts = self.labels_per_item[items]
        starts = (np.cumsum(self.labels_per_item) - self.labels_per_item)[items]  # of each item's labels in ``codes``
        positions = np.repeat(starts - (np.cumsum(counts) - counts), counts)
        positions += np.arange(len(positions))
        return positions

    def items_by_label(self, order: IndexArray) -> dict[str, Codes]:
        """For each label the items that have it, in ``order``."""
        codes = self.codes[self.positions(order)]
        items = np.repeat(order.astype(np.int32), self.labels_per_item[order])
        return {name: items[at] for name, at in zip(self.names, grouped(codes, len(self.names)), strict=True)}


def iterative_split(labels: LabelMatrix, order: IndexArray, share: float) -> Mask:
    """Whether each item is for validation, shape (n,), by a one-pass variant of iterative stratification.

    The labels are ordered once, by their numbers of items (Sechidis et al., 2011, ECML PKDD, choose the rarest
    remaining label again after each). They are split one after the other, the rarest first: of the label's unassigned
    items, as many go to validation as are missing from ``share`` of its items. The rounding error is carried on to the
    next label. Otherwise, with many classes of two items and a share of 0.2, each would round to 0 validation items; so
    about two of five classes get one, and the total is right. Every label keeps a training item. Items without a label
    are split last.

    Args:
        labels: the labels of the items.
        order: shape (n,), the item indices in the order in which items are assigned.
        share: the validation share, in [0, 1).
    """
    items_by_label = labels.items_by_label(order)
    unlabelled = order[labels.labels_per_item[order] == 0]
    is_valid, is_assigned = np.zeros((2, len(order)), dtype=np.bool_)
    carried = 0.0  # validation items that rounding has lost so far, negative if it has added some
    for items, min_train in [*((items, 1) for items in _rarest_first(items_by_label)), (unlabelled, 0)]:
        unassigned = items[~is_assigned[items]]
        n_valid = int(np.count_nonzero(is_valid[items]))
        wanted = min(max(share * len(items) - n_valid, 0.0), len(unassigned))
        count = min(max(round(wanted + carried), 0), len(unassigned), max(len(items) - min_train - n_valid, 0))
        carried = min(max(carried + wanted - count, -1.0), 1.0)
        is_valid[unassigned[:count]] = True
        is_assigned[unassigned] = True
    for items in _by_first_item(items_by_label, order):
        if is_valid[items].all():
            is_valid[items[0]] = False
    too_many = int(np.count_nonzero(is_valid)) - math.ceil(_MAX_RATIO * share * len(order))
    if too_many > 0:
        is_valid[order[is_valid[order]][-too_many:]] = False
    _fill(is_valid, labels, order, math.floor(share * len(order) / _MAX_RATIO))
    return is_valid


def _fill(is_valid: Mask, labels: LabelMatrix, order: IndexArray, least: int) -> None:
    """Takes training items for validation until there are ``least``; no label loses its last training item.

    Rounding each label on its own can leave too few, too: several rare labels on the same few items each round to 0
    validation items.
    """
    missing = least - int(np.count_nonzero(is_valid))
    if missing <= 0:
        return
    training = order[~is_valid[order]]
    n_training = np.bincount(labels.codes[labels.positions(training)], minlength=len(labels.names))
    for item in training.tolist():
        codes = labels.codes[labels.positions(np.array([item]))]
        if (n_training[codes] > 1).all():
            is_valid[item] = True
            n_training[codes] -= 1
            missing -= 1
            if not missing:
                return


def group_split(labels: LabelMatrix, groups: Codes, order: IndexArray, share: float) -> Mask:
    """Whether each group goes to validation, shape (number of groups,), with about ``share`` of each label's items.

    Labels are split one after the other, the rarest first: a group goes to validation if that brings the label nearer
    to its share. What is missing or too much after a label is carried on to the next one. Every label keeps a training
    group, and at least one group is for validation if another can be for training.

    Args:
        labels: the labels of the items.
        groups: shape (n,), the group of each item, from 0 on.
        order: shape (number of groups,), the group indices in the order in which groups are assigned.
        share: the validation share of the items, in [0, 1).
    """
    n_groups = len(order)
    rank = _ranks(order)
    is_valid, is_assigned = np.zeros((2, n_groups), dtype=np.bool_)
    all_items = np.arange(len(groups), dtype=np.int64)
    items_by_label = labels.items_by_label(all_items)
    sizes = np.bincount(groups, minlength=n_groups)
    carried, most_carried = 0.0, int(sizes.max(initial=0)) / 2  # items; at most half of the largest group
    for items in [*_rarest_first(items_by_label), all_items]:
        items_per_group = np.bincount(groups[items], minlength=n_groups)  # only items with the label
        wanted = min(
            max(share * len(items) - int(items_per_group[is_valid].sum()), 0.0),
            int(items_per_group[~is_assigned].sum()),
        )
        missing = wanted + carried
        with_label = np.flatnonzero(items_per_group)
        for group in with_label[np.argsort(rank[with_label])].tolist():
            if not is_assigned[group] and items_per_group[group] / 2 < missing:
                is_valid[group] = True
                missing -= int(items_per_group[group])
            is_assigned[group] = True
        carried = min(max(missing, -most_carried), most_carried)
    for items in items_by_label.values():
        with_label = np.unique(groups[items])
        if is_valid[with_label].all():
            is_valid[with_label[np.argmin(sizes[with_label])]] = False
    if not is_valid.any() and share > 0:
        _add_one_to_valid(is_valid, items_by_label.values(), groups, sizes)
    return is_valid


def regression_strata(targets: Floats, count: int) -> Codes:
    """Shape (n,): the stratum of each item. Items with similar targets share a stratum, and strata are equally large.

    One target alone is sorted. Of several, all but the last are put into bins; bins are walked through in a serpentine
    order, so that neighbours are similar in all targets. Unknown targets (NaN) come before all others.

    Args:
        targets: shape (n, k), the regression targets; NaN where unknown.
        count: the number of strata.
    """
    n, k = targets.shape
    bins = max(round(count ** (1 / k)), 1)
    keys: list[IndexArray] = []
    direction = np.ones(n, dtype=np.int64)
    for j, column in enumerate(np.where(np.isnan(targets), -np.inf, targets).T):
        rank = np.empty(n, dtype=np.int64)
        rank[np.argsort(column, kind="stable")] = np.arange(n)
        key = rank if j == k - 1 else rank * bins // n
        keys.append(key * direction)
        direction = np.where(key % 2 == 1, -1, 1)
    strata = np.empty(n, dtype=np.int32)
    strata[np.lexsort(keys[::-1])] = np.arange(n) * count // max(n, 1)
    return strata


def grouped(codes: "Codes | IndexArray", count: int) -> list[IndexArray]:
    """For each code below ``count`` the positions at which it occurs, ascending."""
    positions = np.argsort(codes, kind="stable")
    return np.split(positions, np.cumsum(np.bincount(codes, minlength=count)))[:count]


def _rarest_first(items_by_label: dict[str, Codes]) -> list[Codes]:
    """The items of each label; labels are ordered by their numbers of items, then by name."""
    return [items for _, items in sorted(items_by_label.items(), key=lambda entry: (len(entry[1]), entry[0]))]


def _by_first_item(items_by_label: dict[str, Codes], order: IndexArray) -> list[Codes]:
    """The items of each label; labels are ordered by the rank of their first items in ``order``."""
    rank = _ranks(order)
    return sorted(items_by_label.values(), key=lambda items: rank[items[0]])


def _ranks(order: IndexArray) -> IndexArray:
    """The position of each index in ``order``, a permutation."""
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return ranks


def _add_one_to_valid(is_valid: Mask, label_items: Iterable[Codes], groups: Codes, sizes: np.ndarray[Any, Any]) -> None:
    """Puts one group into validation: the smallest one without which every label still has a training group."""
    groups_of_labels = [np.unique(groups[items]) for items in label_items]
    needed = {int(of_label[0]) for of_label in groups_of_labels if len(of_label) == 1}
    candidates = [group for group in np.argsort(sizes, kind="stable").tolist() if sizes[group] and group not in needed]
    if len(candidates) > (0 if needed else 1):  # without needed groups one must be left to train on
        is_valid[candidates[0]] = True
