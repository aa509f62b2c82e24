"""`LabelCells`: the images that have each label and those where it is unknown, stored by unique set of labels.

A million images with a hundred labels take no array of a hundred million cells unless one is asked for.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from eyebright._all_but import AllBut
from eyebright.sources.categorical import Categorical, Codes, Mask
from eyebright.sources.indices import IndexArray
from eyebright.types import LabelSet

_CHUNK_SIZE = 4_000_000  # pairs of labels, or cells, that are in memory together


class Entries(NamedTuple):
    """Some labels of unique sets, ordered by set.

    Args:
        sets: shape (m,), the index of the set of each entry.
        labels: shape (m,), the index of its label.
    """

    sets: IndexArray
    labels: IndexArray

    def of_labels(self, first: int, stop: int) -> "Entries":
        """The entries of the labels from ``first`` to before ``stop``, whose indices then begin at 0."""
        inside = (self.labels >= first) & (self.labels < stop)
        return Entries(self.sets[inside], self.labels[inside] - first)


class Vocabulary(NamedTuple):
    """Sets of which all labels of a vocabulary are unknown, but those that are known.

    Args:
        sets: the indices of the sets.
        labels: the indices of the labels of the vocabulary.
        known: the labels that are known.
    """

    sets: IndexArray
    labels: IndexArray
    known: Entries


@dataclass(frozen=True, eq=False)
class LabelCells:
    """For n images and k labels: yes, no or unknown.

    Args:
        names: the k labels, sorted.
        codes: shape (n,), the index of the set of labels of each image.
        n_sets: number of unique sets.
        yes: the labels that images have.
        unknown: the labels that are unknown, listed.
        all_but: those that are unknown as all of a vocabulary but some.
    """

    names: tuple[str, ...]
    codes: Codes
    n_sets: int
    yes: Entries
    unknown: Entries
    all_but: tuple[Vocabulary, ...] = ()

    @staticmethod
    def of(targets: Categorical[LabelSet] | Categorical[str]) -> "LabelCells":
        """The cells of label sets, or of classes, of which each image has one."""
        sets = targets.remove_unused_categories()
        yes = [(category,) if isinstance(category, str) else category for category in sets.categories]
        unknown = [() if isinstance(category, str) else category.unknown for category in sets.categories]
        whole: dict[int, tuple[frozenset[str], list[int]]] = {}
        for row, labels in enumerate(unknown):
            if isinstance(labels, AllBut):
                whole.setdefault(id(labels.vocabulary), (labels.vocabulary, []))[1].append(row)
        listed = [() if isinstance(unknown_labels, AllBut) else unknown_labels for unknown_labels in unknown]
        names = sorted(set[str]().union(*yes, *listed, *(words for words, _ in whole.values())))
        index = {name: i for i, name in enumerate(names)}
        all_but = tuple(
            Vocabulary(
                np.array(rows, dtype=np.int64),
                np.array(sorted(index[name] for name in words), dtype=np.int64),
                _entries(
                    [unknown_labels.known if isinstance(unknown_labels, AllBut) else () for unknown_labels in unknown],
                    index,
                    rows,
                ),
            )
            for words, rows in whole.values()
        )
        rows = range(len(sets.categories))
        return LabelCells(
            tuple(names), sets.codes, len(rows), _entries(yes, index, rows), _entries(listed, index, rows), all_but
        )

    def weights(self, rows: Mask | None = None) -> Int64[np.ndarray, "sets"]:
        """In how many images each set of labels is.

        Args:
            rows: shape (n,), which images are counted; None: all.
        """
        return np.bincount(self.codes if rows is None else self.codes[rows], minlength=self.n_sets)

    def counts(self, rows: Mask | None = None) -> tuple[Int64[np.ndarray, "k"], Int64[np.ndarray, "k"]]:
        """How many images have each label, and of how many it is unknown.

        Args:
            rows: shape (n,), which images are counted; None: all.
        """
        weights = self.weights(rows)
        unknown = self._summed(self.unknown, weights)
        for vocabulary in self.all_but:
            unknown[vocabulary.labels] += weights[vocabulary.sets].sum()
            unknown -= self._summed(vocabulary.known, weights)
        return self._summed(self.yes, weights), unknown

    def labels_per_image(self) -> tuple[Int64[np.ndarray, "n"], Int64[np.ndarray, "n"]]:
        """How many labels each image has, and how many are unknown."""
        unknown = np.bincount(self.unknown.sets, minlength=self.n_sets)
        for vocabulary in self.all_but:
            unknown[vocabulary.sets] += len(vocabulary.labels)
            unknown -= np.bincount(vocabulary.known.sets, minlength=self.n_sets)
        return np.bincount(self.yes.sets, minlength=self.n_sets)[self.codes], unknown[self.codes]

    def together(self) -> tuple[Int64[np.ndarray, "k k"], Int64[np.ndarray, "k k"]]:
        """For labels i and j: how many images have both; and how many have i, and j is unknown."""
        weights = self.weights()
        unknown = self._pairs(self.unknown, weights)
        for vocabulary in self.all_but:
            inside = np.zeros(self.n_sets, dtype=np.int64)
            inside[vocabulary.sets] = weights[vocabulary.sets]
            unknown[:, vocabulary.labels] += self._summed(self.yes, inside)[:, None]
            unknown -= self._pairs(vocabulary.known, weights)
        return self._pairs(self.yes, weights), unknown

    def select(self, labels: IndexArray) -> "LabelCells":
        """The cells of some labels only, in ascending order of their indices."""
        labels = np.unique(labels)
        place = np.full(len(self.names), -1, dtype=np.int64)
        place[labels] = np.arange(len(labels))

        def only(entries: Entries) -> Entries:
            inside = place[entries.labels] >= 0
            return Entries(entries.sets[inside], place[entries.labels[inside]])

        all_but = tuple(
            Vocabulary(vocabulary.sets, place[vocabulary.labels[place[vocabulary.labels] >= 0]], only(vocabulary.known))
            for vocabulary in self.all_but
        )
        names = tuple(self.names[i] for i in labels.tolist())
        return LabelCells(names, self.codes, self.n_sets, only(self.yes), only(self.unknown), all_but)

    def blocks(self) -> "Iterator[tuple[range, Bool[np.ndarray, 'n b'], Bool[np.ndarray, 'n b']]]":
        """For some labels at a time: their indices, which images have them, and which images have them or not."""
        width = max(_CHUNK_SIZE // max(len(self.codes), 1), 1)
        for first in range(0, len(self.names), width):
            stop = min(first + width, len(self.names))
            yes, known = self._dense(first, stop)
            yield range(first, stop), yes[self.codes], known[self.codes]

    def _dense(self, first: int, stop: int) -> tuple[Bool[np.ndarray, "sets b"], Bool[np.ndarray, "sets b"]]:
        shape = (self.n_sets, stop - first)
        yes, known = np.zeros(shape, dtype=np.bool_), np.ones(shape, dtype=np.bool_)
        yes[self.yes.of_labels(first, stop)] = True
        known[self.unknown.of_labels(first, stop)] = False
        for vocabulary in self.all_but:
            labels = vocabulary.labels[(vocabulary.labels >= first) & (vocabulary.labels < stop)] - first
            known[np.ix_(vocabulary.sets, labels)] = False
            known[vocabulary.known.of_labels(first, stop)] = True
        return yes, known

    def _summed(self, entries: Entries, weights: Int64[np.ndarray, "sets"]) -> Int64[np.ndarray, "k"]:
        sums = np.bincount(entries.labels, weights=weights[entries.sets], minlength=len(self.names))
        return sums.astype(np.int64)

    def _pairs(self, others: Entries, weights: Int64[np.ndarray, "sets"]) -> Int64[np.ndarray, "k k"]:
        """For labels i and j: how many images have i, and are in the other entries of j."""
        k = len(self.names)
        counts = np.bincount(others.sets, minlength=self.n_sets)
        starts = np.cumsum(counts) - counts
        sums = np.zeros(k * k)
        ends = np.cumsum(counts[self.yes.sets])
        pieces = np.searchsorted(ends, np.arange(_CHUNK_SIZE, ends[-1] if len(ends) else 0, _CHUNK_SIZE))
        for piece in np.split(np.arange(len(ends)), pieces):
            sets, labels = self.yes.sets[piece], self.yes.labels[piece]
            several = counts[sets]
            positions = np.arange(several.sum()) + np.repeat(starts[sets] - (np.cumsum(several) - several), several)
            flat = np.repeat(labels, several) * k + others.labels[positions]
            sums += np.bincount(flat, weights=np.repeat(weights[sets], several), minlength=k * k)
        return sums.astype(np.int64).reshape(k, k)


def _entries(sets: "list[Any]", index: dict[str, int], rows: Iterable[int]) -> Entries:
    """The labels of the sets in these rows."""
    pairs: Callable[[], Iterator[tuple[int, str]]] = lambda: ((row, label) for row in rows for label in sets[row])
    return Entries(
        np.fromiter((row for row, _ in pairs()), dtype=np.int64),
        np.fromiter((index[label] for _, label in pairs()), dtype=np.int64),
    )
