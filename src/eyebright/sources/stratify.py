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

_MOST = 1.25  # of the items that the share asks for


class LabelMatrix(NamedTuple):
    """The labels of items, stored like the rows of a sparse (CSR) matrix.

    Args:
        names: the unique labels.
        counts: how many labels each item has.
        codes: of the labels of the first item, then of the second, and so on: indices in ``names``.
    """

    names: list[str]
    counts: Codes
    codes: Codes

    @staticmethod
    def of(labels: Iterable[Iterable[str]]) -> "LabelMatrix":
        """The labels of items; a label that an item has twice counts once."""
        code_of: dict[str, int] = {}
        counts, codes = array("i"), array("i")
        for several in map(frozenset, labels):
            counts.append(len(several))
            for label in several:
                codes.append(code_of.setdefault(label, len(code_of)))
        return LabelMatrix(list(code_of), np.array(counts, dtype=np.int32), np.array(codes, dtype=np.int32))

    @staticmethod
    def of_categorical(labels: Sequence[Iterable[str]], rows: Codes) -> "LabelMatrix":
        """The labels of items, given as unique sets of labels and the index of each item's set.

        Args:
            labels: the unique sets of labels.
            rows: shape (n,), for each item the index of its set.
        """
        unique = LabelMatrix.of(labels)
        return LabelMatrix(unique.names, unique.counts[rows], unique.codes[unique.places(rows)])

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

    def places(self, order: "IndexArray | Codes") -> IndexArray:
        """The positions in ``codes`` of the labels of these items, item after item."""
        counts = self.counts[order]
        starts = (np.cumsum(self.counts) - self.counts)[order]  # where each item's labels begin
        before = np.cumsum(counts) - counts
        places = np.repeat(starts - before, counts)
        places += np.arange(len(places))
        return places

    def holders(self, order: IndexArray) -> dict[str, Codes]:
        """For each label the items that have it, in ``order``."""
        labels = self.codes[self.places(order)]
        items = np.repeat(order.astype(np.int32), self.counts[order])
        held = grouped(labels, len(self.names))
        return {name: items[places] for name, places in zip(self.names, held, strict=True)}


def iterative_split(labels: LabelMatrix, order: IndexArray, share: float) -> Mask:
    """Whether each item is for validation, shape (n,), by a one-pass variant of iterative stratification.

    The labels are ordered once, by their counts (Sechidis et al., 2011, ECML PKDD, choose the rarest remaining label
    again after each). They are split one after the other, the rarest first: of its items that are not assigned yet, as
    many are for validation as its share still needs. What is lost by rounding is carried on to the next label: of many
    classes of two items each, a share of the classes has a validation item, so that the share of all items is right as
    well. Every label keeps a training item.

    Args:
        labels: of the items.
        order: shape (n,), the item indices in the order in which items are assigned.
        share: the validation share, in [0, 1).
    """
    holders = labels.holders(order)
    bare = order[labels.counts[order] == 0]
    valid, done = np.zeros((2, len(order)), dtype=np.bool_)
    rarest_first = sorted(holders.items(), key=lambda item: (len(item[1]), item[0]))
    carried = 0.0  # validation items that rounding has lost so far
    for items, kept in [*((held, 1) for _, held in rarest_first), (bare, 0)]:
        free = items[~done[items]]
        validates = int(np.count_nonzero(valid[items]))
        missing = min(max(share * len(items) - validates, 0.0), len(free))
        count = min(max(round(missing + carried), 0), len(free), max(len(items) - kept - validates, 0))
        carried = min(max(carried + missing - count, -1.0), 1.0)
        valid[free[:count]] = True
        done[free] = True
    for items in _by_first(holders, order):
        if valid[items].all():
            valid[items[0]] = False
    too_many = int(np.count_nonzero(valid)) - math.ceil(_MOST * share * len(order))
    if too_many > 0:  # several rare labels on the same few items were rounded up one after the other
        valid[order[valid[order]][-too_many:]] = False
    return valid


def group_split(labels: LabelMatrix, groups: Codes, order: IndexArray, share: float) -> Mask:
    """Whether each group is for validation as a whole, so that about the share of each label's items is.

    Labels are split one after the other, the rarest first: a group is for validation if that brings the label nearer to
    its share. What is missing or too much after a label is carried on to the next one. Every label keeps a training
    group, and at least one group is for validation if another can be for training.

    Args:
        labels: of the items.
        groups: shape (n,), the group of each item, from 0 on.
        order: shape (number of groups,), the group indices in the order in which groups are assigned.
        share: the validation share of the items, in [0, 1).
    """
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    valid, done = np.zeros((2, len(order)), dtype=np.bool_)
    everything = np.arange(len(groups), dtype=np.int64)
    holders = labels.holders(everything)
    rarest_first = sorted(holders.items(), key=lambda item: (len(item[1]), item[0]))
    sizes = np.bincount(groups, minlength=len(order))
    carried, most_carried = 0.0, int(sizes.max(initial=0)) / 2
    for items in [*(held for _, held in rarest_first), everything]:
        counts = np.bincount(groups[items], minlength=len(order))
        wanted = min(max(share * len(items) - int(counts[valid].sum()), 0.0), int(counts[~done].sum()))
        missing = wanted + carried
        holding = np.flatnonzero(counts)
        for group in holding[np.argsort(place[holding])].tolist():
            if not done[group] and counts[group] / 2 < missing:
                valid[group] = True
                missing -= int(counts[group])
            done[group] = True
        carried = min(max(missing, -most_carried), most_carried)
    for items in holders.values():
        own = np.unique(groups[items])
        if valid[own].all():
            valid[own[np.argmin(sizes[own])]] = False
    if not valid.any() and share > 0:
        _hold_out_one(valid, holders.values(), groups, sizes)
    return valid


def number_strata(numbers: Floats, count: int) -> Codes:
    """Shape (n,): the stratum of each item. Items with similar numbers share a stratum, and strata are equally large.

    One number alone is sorted. Of several, all but the last are put into bins; bins are walked through in a serpentine
    order, so that neighbours are similar in all numbers. Unknown numbers (NaN) come before all others.

    Args:
        numbers: shape (n, k).
        count: of the strata.
    """
    n, k = numbers.shape
    bins = max(round(count ** (1 / k)), 1)
    keys: list[IndexArray] = []
    direction = np.ones(n, dtype=np.int64)
    for j, column in enumerate(np.where(np.isnan(numbers), -np.inf, numbers).T):
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
    places = np.argsort(codes, kind="stable")
    return np.split(places, np.cumsum(np.bincount(codes, minlength=count)))[:count]


def _by_first(holders: dict[str, Codes], order: IndexArray) -> list[Codes]:
    """The items of each label; labels are ordered by their first items."""
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return sorted(holders.values(), key=lambda items: place[items[0]])


def _hold_out_one(valid: Mask, holders: Iterable[Codes], groups: Codes, sizes: np.ndarray[Any, Any]) -> None:
    """Puts the smallest group into validation without which every label still has a training group."""
    needed = {int(own[0]) for own in (np.unique(groups[items]) for items in holders) if len(own) == 1}
    free = [group for group in np.argsort(sizes, kind="stable").tolist() if sizes[group] and group not in needed]
    if len(free) > (0 if needed else 1):
        valid[free[0]] = True
