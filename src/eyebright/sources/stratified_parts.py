"""`assign_parts`: items or whole groups of items to any number of parts, stratified over any number of labels.

A vectorized variant of iterative stratification (Sechidis, Tsoumakas & Vlahavas, 2011, On the Stratification of
Multi-Label Data, ECML PKDD). As there, the label with the fewest items that are left is always next, and each part gets
as many of its items as it lacks. Two things are added. Items with the same labels are spread evenly, so that pairs of
labels keep their shares, too; and what a part lacks in total decides how a label is rounded: with many classes of two
items and a validation share of 0.2 each would round to none otherwise.

Ten million items take seconds: the work is vectorized over the items of a label, and each item is assigned once.
"""

import hashlib
import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from eyebright.sources.categorical import Codes
from eyebright.sources.indices import IndexArray
from eyebright.sources.refine_parts import Refinement
from eyebright.sources.stratify import LabelMatrix
from eyebright.sources.targets import Floats

NO_LABEL = -1
"""The code of the label that placed a unit, where the unit has none."""

_MAX_RATIO = 1.25
"""A part has at most this many times its share of the items, and at least the share divided by it, if units can move
without taking a label's last training item.

Each label is rounded on its own, so several rare labels on the same few items add up. A lower value takes the only
validation items of rare labels more often; a higher one trains on fewer items.
"""


_MAX_REFINED_UNITS = (
    4096  # units, drawn at random, that are moved and exchanged at the end; enough for any number of others
)


class Assignment(NamedTuple):
    """The parts of units: of items, or of groups of items.

    Args:
        part: shape (u,), the index of the part of each unit.
        label: shape (u,), the label whose turn it was when the unit was assigned; `NO_LABEL` for a unit without any.
        names: the labels, sorted.
    """

    part: Codes
    label: Codes
    names: list[str]


def assign_parts(
    labels: LabelMatrix,
    shares: Sequence[float],
    *,
    units: "Codes | IndexArray | None" = None,
    order: IndexArray | None = None,
    keeps_labels: bool = True,
) -> Assignment:
    """The part of each unit.

    Args:
        labels: the labels of the n items.
        shares: the share of the items for each part; they add up to 1.
        units: shape (n,), the unit of each item, from 0 to u - 1; items of a unit are in one part. None: each item is a
            unit.
        order: shape (u,), the units in the order in which they are assigned; None: as they are numbered.
        keeps_labels: True if each label keeps an item in the first part, for training.
    """
    table = _Units.of(_with_sorted_names(labels), units, order)
    parts = _Parts(table, shares)
    for label in parts.rarest_first():
        parts.place(label, *table.with_label(label))
    rest = np.flatnonzero(parts.part < 0)
    parts.place(NO_LABEL, rest, table.sizes[rest])
    if keeps_labels:
        parts.keep_labels()
    parts.refine(keeps_labels=keeps_labels)
    parts.balance(keeps_labels=keeps_labels)
    part, label = np.empty((2, len(table.number)), dtype=np.int32)
    part[table.number], label[table.number] = parts.part, parts.label
    return Assignment(part, label, table.names)


@dataclass(frozen=True, eq=False)
class _Units:
    """Units in the order in which they are assigned, those with the same labels one after the other.

    Elsewhere in this file a unit is its position in this order.

    Args:
        names: the labels.
        number: shape (u,), the number of each unit for the caller.
        rank: shape (u,), its rank in the order that the caller gave.
        sizes: shape (u,), the items of each.
        starts: shape (u + 1,), where the labels of each unit begin in ``labels``.
        labels: shape (p,), the labels of the first unit, then of the second, and so on.
        counts: shape (p,), how many items of the unit have each.
        unit_of: shape (p,), the unit of each.
        by_label: shape (p,), the positions in ``labels`` of the first label, then of the second, and so on, in order.
        label_starts: where those of each label begin in ``by_label``.
    """

    names: list[str]
    number: IndexArray
    rank: IndexArray
    sizes: Codes
    starts: IndexArray
    labels: Codes
    counts: Codes
    unit_of: Codes
    by_label: Codes
    label_starts: IndexArray

    @staticmethod
    def of(labels: LabelMatrix, units: "Codes | IndexArray | None", order: IndexArray | None) -> "_Units":
        unit = np.arange(len(labels.labels_per_item)) if units is None else units
        n_units = int(unit.max(initial=-1)) + 1 if order is None else len(order)
        pair_unit, pair_label, counts = _pairs(labels, units)
        per_unit = np.bincount(pair_unit, minlength=n_units)
        rank = np.arange(n_units)
        if order is not None:
            rank[order] = np.arange(n_units)
        number = np.lexsort((rank, _signatures(labels.names, pair_label, counts, per_unit)))
        at = _ranges((np.cumsum(per_unit) - per_unit)[number], per_unit[number])
        sorted_labels = pair_label[at]
        return _Units(
            labels.names,
            number,
            rank[number],
            np.bincount(unit, minlength=n_units)[number].astype(np.int32),
            np.concatenate([[0], np.cumsum(per_unit[number])]),
            sorted_labels,
            counts[at],
            np.repeat(np.arange(n_units, dtype=np.int32), per_unit[number]),
            np.argsort(sorted_labels, kind="stable").astype(np.int32),
            np.concatenate([[0], np.cumsum(np.bincount(sorted_labels, minlength=len(labels.names)))]),
        )

    def with_label(self, label: int) -> tuple[Codes, Codes]:
        """The units with a label, in order, and how many items of each have it."""
        at = self.by_label[self.label_starts[label] : self.label_starts[label + 1]]
        return self.unit_of[at], self.counts[at]

    def pairs_of(self, units: "Codes | IndexArray") -> tuple[IndexArray, IndexArray]:
        """(index in ``units``, position in ``labels``) for each label of these units."""
        counts = self.starts[units + 1] - self.starts[units]
        return np.repeat(np.arange(len(units)), counts), _ranges(self.starts[units], counts)


class _Parts:
    """The parts of units while they are assigned, and what each part lacks.

    Args:
        units: the units.
        shares: the share of the items for each part.
    """

    def __init__(self, units: _Units, shares: Sequence[float]) -> None:
        self._units = units
        self._shares = np.asarray(shares, dtype=np.float64)
        k, n_labels = len(self._shares), len(units.names)
        totals = np.bincount(units.labels, weights=units.counts, minlength=n_labels)
        self._lacks = totals[:, None] * self._shares  # (labels, parts): items with the label that each part lacks
        self._has = np.zeros((n_labels, k), dtype=np.int64)  # those that it has
        self._left = np.diff(units.label_starts)  # units with the label that are not assigned
        self._sizes = np.zeros(k, dtype=np.int64)  # items of each part
        self._total = int(units.sizes.sum())
        self.part = np.full(len(units.number), -1, dtype=np.int32)
        self.label = np.full(len(units.number), NO_LABEL, dtype=np.int32)
        self._heap: list[tuple[int, int]] = []  # (units left, label)

    def rarest_first(self) -> Iterator[int]:
        """The labels, always the one with the fewest units that are left; of several the first by its name."""
        self._push(np.flatnonzero(self._left))
        while self._heap:
            left, label = heapq.heappop(self._heap)
            if left == self._left[label]:  # otherwise it was pushed again, with fewer
                yield label

    def place(self, label: int, units: "Codes | IndexArray", counts: Codes) -> None:
        """Assigns those of the units with a label that are left, units with equally many items evenly.

        Args:
            label: the label; `NO_LABEL` for units without any.
            units: those that have it.
            counts: how many items of each have it; of units without labels, how many items they have.
        """
        is_left = self.part[units] < 0
        units, counts = units[is_left], counts[is_left]
        for count in np.unique(counts)[::-1].tolist():
            same = units[counts == count]
            if label == NO_LABEL:
                wanted, favoured = self._shares * self._total - self._sizes, np.zeros_like(self._shares)
            else:  # of the items that are assigned, a part lacks some; they decide how this label is rounded
                lacking = self._shares * self._sizes.sum() - self._sizes
                wanted, favoured = self._lacks[label], np.clip(lacking / count, -1, 1)
            self._assign(same, _interleaved(_apportioned(wanted, self._shares, favoured, len(same))), label)

    def keep_labels(self) -> None:
        """Each label without an item in the first part gets one: its smallest unit."""
        for label in np.flatnonzero(self._has[:, 0] == 0).tolist():
            units, _ = self._units.with_label(label)
            if len(units) and not self._has[label, 0]:
                self._move(int(units[np.lexsort((self._units.rank[units], self._units.sizes[units]))[0]]), 0)

    def refine(self, *, keeps_labels: bool) -> None:
        """Moves and exchanges some of the units, so that labels are nearer to their shares.

        Args:
            keeps_labels: True if no label may lose its last item in the first part.
        """
        units = np.sort(np.argsort(self._units.rank)[:_MAX_REFINED_UNITS])
        owners, at = self._units.pairs_of(units)
        used, labels = np.unique(self._units.labels[at], return_inverse=True)
        starts = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(units)) + 1)])
        every = starts[1:] - 1  # each unit's last label is the one that all items have
        all_labels, all_counts = np.full((2, len(at) + len(units)), len(used), dtype=np.int32)
        is_own = np.ones(len(all_labels), dtype=np.bool_)
        is_own[every] = False
        all_labels[is_own], all_counts[is_own] = labels, self._units.counts[at]
        all_counts[every] = self._units.sizes[units]
        is_kept = np.append(np.full(len(used), keeps_labels), np.False_)
        has = np.vstack([self._has[used], self._sizes]).astype(np.float64)
        refined = Refinement(
            self.part[units], starts, all_labels, all_counts, has=has, shares=self._shares, is_kept=is_kept
        ).run()
        for at_unit in np.flatnonzero(refined != self.part[units]).tolist():
            self._move(int(units[at_unit]), int(refined[at_unit]))

    def balance(self, *, keeps_labels: bool) -> None:
        """Moves units between parts until each has about its share, as far as units allow it.

        Args:
            keeps_labels: True if no label may lose its last item in the first part.
        """
        for part in np.argsort(self._shares, kind="stable").tolist():
            wanted = float(self._shares[part]) * self._total
            while wanted and self._sizes[part] > math.ceil(_MAX_RATIO * wanted):
                to = int(np.argmax(self._shares * self._total - self._sizes))
                if not self._move_one(part, to, int(self._sizes[part]) - wanted, keeps_labels=keeps_labels):
                    break
            while wanted and self._sizes[part] < max(math.floor(wanted / _MAX_RATIO), 1):
                source = int(np.argmax(self._sizes - self._shares * self._total))
                missing = wanted - int(self._sizes[part])
                if not self._move_one(source, part, missing, keeps_labels=keeps_labels):
                    break

    def _move_one(self, source: int, to: int, items: float, *, keeps_labels: bool) -> bool:
        """Moves the last unit whose size is nearer to ``items`` than nothing is; False if there is none."""
        if source == to:
            return False
        units = np.flatnonzero(self.part == source)
        is_empty = not self._sizes[to]
        if is_empty and len(units) < 2:
            return False
        order = units[np.argsort(-self._units.rank[units], kind="stable")]
        if is_empty:
            order = order[np.argsort(self._units.sizes[order], kind="stable")]
        else:
            order = order[self._units.sizes[order] < 2 * items]
        for unit in order.tolist():
            if source or not keeps_labels or self._can_go(unit):
                self._move(unit, to)
                return True
        return False

    def _can_go(self, unit: int) -> bool:
        """True if no label of the unit is without an item in the first part when it leaves it."""
        at = slice(self._units.starts[unit], self._units.starts[unit + 1])
        return bool((self._has[self._units.labels[at], 0] > self._units.counts[at]).all())

    def _move(self, unit: int, to: int) -> None:
        at = slice(self._units.starts[unit], self._units.starts[unit + 1])
        for part, sign in ((int(self.part[unit]), -1), (to, 1)):
            self._sizes[part] += sign * self._units.sizes[unit]
            self._has[self._units.labels[at], part] += sign * self._units.counts[at]
        self.part[unit] = to

    def _assign(self, units: "Codes | IndexArray", parts: Codes, label: int) -> None:
        self.part[units], self.label[units] = parts, label
        sizes = np.bincount(parts, weights=self._units.sizes[units], minlength=len(self._sizes))
        self._sizes += sizes.astype(np.int64)
        owners, at = self._units.pairs_of(units)
        labels, counts = self._units.labels[at], self._units.counts[at]
        np.subtract.at(self._lacks, (labels, parts[owners]), counts)
        np.add.at(self._has, (labels, parts[owners]), counts)
        touched, times = np.unique(labels, return_counts=True)
        self._left[touched] -= times
        self._push(touched[self._left[touched] > 0])

    def _push(self, labels: "Codes | IndexArray") -> None:
        for entry in zip(self._left[labels].tolist(), labels.tolist(), strict=True):
            heapq.heappush(self._heap, entry)


def _with_sorted_names(labels: LabelMatrix) -> LabelMatrix:
    """The same labels with codes in the order of their names, on which nothing else has an influence."""
    order = np.argsort(np.array(labels.names, dtype=object), kind="stable")
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order))
    return LabelMatrix([labels.names[i] for i in order.tolist()], labels.labels_per_item, rank[labels.codes])


def _pairs(labels: LabelMatrix, units: "Codes | IndexArray | None") -> tuple[Codes, Codes, Codes]:
    """(unit, label, items of the unit with the label) for each pair that occurs, sorted by the unit."""
    if units is None:
        unit = np.repeat(np.arange(len(labels.labels_per_item), dtype=np.int32), labels.labels_per_item)
        return unit, labels.codes, np.ones(len(unit), dtype=np.int32)
    n_labels = max(len(labels.names), 1)
    keys = np.repeat(units, labels.labels_per_item).astype(np.int64) * n_labels + labels.codes
    unique, counts = np.unique(keys, return_counts=True)
    return (unique // n_labels).astype(np.int32), (unique % n_labels).astype(np.int32), counts.astype(np.int32)


def _signatures(
    names: Sequence[str], labels: Codes, counts: Codes, per_unit: IndexArray
) -> "np.ndarray[Any, np.dtype[np.uint64]]":
    """Shape (u,): a number for each unit that is the same for units with the same labels, whatever their codes are."""
    digests = b"".join(hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest() for name in names)
    sums = np.zeros(len(labels) + 1, dtype=np.uint64)  # they wrap around, and their differences stay exact
    np.cumsum(np.frombuffer(digests, "<u8")[labels] * counts.astype(np.uint64), out=sums[1:])
    ends = np.cumsum(per_unit)
    return sums[ends] - sums[ends - per_unit]


def _ranges(starts: IndexArray, counts: IndexArray) -> IndexArray:
    """Starts[0], starts[0] + 1, ... (counts[0] numbers), then the same of starts[1], and so on."""
    positions = np.repeat(starts - (np.cumsum(counts) - counts), counts)
    positions += np.arange(len(positions))
    return positions


def _apportioned(wanted: Floats, shares: Floats, favoured: Floats, count: int) -> IndexArray:
    """How many of ``count`` units each part gets: in proportion to what it wants, rounded down or up.

    Args:
        wanted: what each part lacks; no more if it is negative.
        shares: what they want if none lacks anything.
        favoured: is added to the remainders, of which the largest are rounded up.
        count: the number of units.
    """
    weights = np.maximum(wanted, 0.0)
    weights = weights if weights.sum() > 0 else shares
    exact = np.round(weights * (count / weights.sum()), 9)  # ties do not depend on rounding
    whole = np.floor(exact).astype(np.int64)
    remainders = exact - whole
    order = np.argsort(np.where(remainders > 0, -np.round(remainders + favoured, 9), np.inf), kind="stable")
    whole[order[: count - int(whole.sum())]] += 1
    return whole


def _interleaved(counts: IndexArray) -> Codes:
    """The index of each part as often as ``counts`` states, spread evenly."""
    part = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    nth = np.arange(len(part)) - np.repeat(np.cumsum(counts) - counts, counts)
    return part[np.argsort((nth + 0.5) / counts[part], kind="stable")]
