"""`LabelMatrix`: the labels of items for a stratified split, and strata of items with similar numbers.

The labels of all items are stored as one array of codes, four bytes per label and item.
"""

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from eyebright.sources.categorical import Codes
from eyebright.sources.indices import IndexArray
from eyebright.sources.targets import Floats


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
            for label in sorted(several):
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
