"""Dealing items to training and validation so that every label keeps its share, ten million of them in seconds.

The labels of all items are one array of numbers, four bytes for each label of each item.
"""

from array import array
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from eyebright.sources.indices import Array

Numbers = np.ndarray[Any, np.dtype[np.int32]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


class LabelMatrix(NamedTuple):
    """The labels of items.

    Args:
        names: the different labels.
        counts: how many labels each item has.
        numbers: of the labels of the first item, then of the second, and so on: places in ``names``.
    """

    names: list[str]
    counts: Numbers
    numbers: Numbers

    @staticmethod
    def of(labels: Iterable[Iterable[str]]) -> "LabelMatrix":
        """The labels of items; a label that an item has twice counts once."""
        number: dict[str, int] = {}
        counts, numbers = array("i"), array("i")
        for one in labels:
            several = frozenset(one)
            counts.append(len(several))
            for label in several:
                numbers.append(number.setdefault(label, len(number)))
        return LabelMatrix(list(number), np.array(counts, dtype=np.int32), np.array(numbers, dtype=np.int32))

    def holders(self, order: Array) -> dict[str, Numbers]:
        """For each label the items that have it, in ``order``."""
        counts = self.counts[order]
        starts = (np.cumsum(self.counts) - self.counts)[order]  # where each item's labels begin
        before = np.cumsum(counts) - counts
        where = np.repeat(starts - before, counts)
        where += np.arange(len(where))
        labels = self.numbers[where]
        del where  # the largest of all
        items = np.repeat(order.astype(np.int32), counts)
        held = grouped(labels, len(self.names))
        return {name: items[places] for name, places in zip(self.names, held, strict=True)}


def iterative_split(labels: LabelMatrix, order: Array, share: float) -> Mask:
    """Which items validate: of each label, from the rarest on, what is still missing to its share.

    No label is left without an item to train on. Sechidis et al., 2011, ECML PKDD, each label split as a whole.

    Args:
        labels: of the items.
        order: in which they are split.
        share: that validates.
    """
    holders = labels.holders(order)
    bare = order[labels.counts[order] == 0]
    valid, done = np.zeros((2, len(order)), dtype=np.bool_)
    rarest_first = sorted(holders.items(), key=lambda item: (len(item[1]), item[0]))
    for holding in [*(held for _, held in rarest_first), bare]:
        free = holding[~done[holding]]
        missing = round(share * len(holding)) - int(np.count_nonzero(valid[holding]))
        valid[free[: max(missing, 0)]] = True
        done[free] = True
    for holding in _by_first(holders, order):
        if valid[holding].all():
            valid[holding[0]] = False
    return valid


def grouped(numbers: "Numbers | Array", count: int) -> list[Array]:
    """For each number below ``count`` the places at which it stands, ascending."""
    places = np.argsort(numbers, kind="stable")
    return np.split(places, np.cumsum(np.bincount(numbers, minlength=count)))[:count]


def _by_first(holders: dict[str, Numbers], order: Array) -> list[Numbers]:
    """The holdings in the order of their first items."""
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return sorted(holders.values(), key=lambda holding: place[holding[0]])
