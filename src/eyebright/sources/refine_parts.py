"""`Refinement`: moves and exchanges units between parts until none brings the shares of labels nearer.

The objective, which becomes smaller, is the sum over labels and parts of the squared difference between the items that
the part has and those that it should have, divided by the square root of the latter. One more "label" is on every item,
for the sizes of the parts.
"""

import numpy as np

from eyebright.sources.categorical import Codes, Mask
from eyebright.sources.indices import IndexArray
from eyebright.sources.targets import Floats

_MAX_STEPS = 2_000
_MAX_COMPARED = 96  # units of each part of which each pair is compared
_MAX_TRIED = 50  # units, the best first, some of which may not leave their part
_MIN_GAIN = 1e-9
_SIZE_WEIGHT = 2.0  # of the sizes of parts, where a label has 1


class Refinement:
    """Parts of units, and how far the labels in them are from their shares.

    Args:
        part: shape (u,), the part of each unit.
        starts: shape (u + 1,), where the labels of each unit begin in ``labels``.
        labels: shape (p,), the labels of the first unit, then of the second, and so on; the last label is on each unit.
        counts: shape (p,), how many items of the unit have each.
        has: shape (labels, parts), the items with each label in each part, also in units that do not move.
        shares: the share of the items for each part.
        is_kept: shape (labels,), True for labels that keep an item in the first part.
    """

    def __init__(
        self,
        part: Codes,
        starts: IndexArray,
        labels: Codes,
        counts: Codes,
        *,
        has: Floats,
        shares: Floats,
        is_kept: Mask,
    ) -> None:
        self.part = part.copy()
        self._starts, self._labels, self._counts = starts, labels, counts.astype(np.float64)
        self._has, self._is_kept = has.copy(), is_kept
        self._expected = has.sum(axis=1, keepdims=True) * shares
        self._weights = 1 / np.sqrt(np.maximum(self._expected, 1e-9))
        self._weights[-1] *= _SIZE_WEIGHT
        self._units = np.arange(len(part))
        self._squares = self._sum_by_unit(self._weights, self._counts**2)

    def run(self) -> Codes:
        """The part of each unit after all moves and exchanges that help."""
        for _ in range(_MAX_STEPS):
            costs = self._costs()
            if not (self._moved(costs) or self._exchanged(costs)):
                break
        return self.part

    def _costs(self) -> Floats:
        """Shape (u, parts): by how much the sum grows if a unit moves to a part; infinite for its own."""
        sums = self._sum_by_unit(2 * self._weights * (self._has - self._expected), self._counts)
        leaving = self._squares[self._units, self.part] - sums[self._units, self.part]
        costs = leaving[:, None] + self._squares + sums
        costs[self._units, self.part] = np.inf
        return costs

    def _sum_by_unit(self, of_label: Floats, times: Floats) -> Floats:
        return np.add.reduceat(times[:, None] * of_label[self._labels], self._starts[:-1])

    def _moved(self, costs: Floats) -> bool:
        lowest = costs.min(axis=1)
        for unit in np.argsort(lowest, kind="stable")[:_MAX_TRIED].tolist():
            if lowest[unit] > -_MIN_GAIN:
                return False
            if self._can_leave(unit):
                self._move(unit, int(np.argmin(costs[unit])))
                return True
        return False

    def _exchanged(self, costs: Floats) -> bool:
        """Exchanges two units between the part that is farthest from its shares and another one, if that helps."""
        farthest = int(np.argmax((self._weights * (self._has - self._expected) ** 2).sum(axis=0)))
        best, pair = -_MIN_GAIN, (-1, -1)
        for other in range(self._has.shape[1]):
            if other == farthest:
                continue
            first, second = self._cheapest(costs, farthest, other), self._cheapest(costs, other, farthest)
            if not len(first) or not len(second):
                continue
            weights = self._weights[:, farthest] + self._weights[:, other]
            both = costs[first, other][:, None] + costs[second, farthest] - 2 * self._products(first, second, weights)
            at = int(np.argmin(both))
            if both.flat[at] < best:
                best, pair = float(both.flat[at]), (int(first[at // len(second)]), int(second[at % len(second)]))
        if pair[0] < 0:
            return False
        parts = [int(self.part[unit]) for unit in pair]
        for unit, part in zip(pair, reversed(parts), strict=True):
            self._move(unit, part)
        return True

    def _cheapest(self, costs: Floats, part: int, to: int) -> IndexArray:
        units = np.flatnonzero(self.part == part)
        units = units[np.argsort(costs[units, to], kind="stable")[:_MAX_COMPARED]]
        return units[np.array([self._can_leave(unit) for unit in units.tolist()], dtype=np.bool_)]

    def _products(self, first: IndexArray, second: IndexArray, weights: Floats) -> Floats:
        """Shape (first, second): the sum over shared labels of weight and both counts."""
        used = np.unique(
            np.concatenate([self._labels[self._pairs(unit)] for unit in (*first.tolist(), *second.tolist())])
        )
        rows = np.zeros((len(first) + len(second), len(used)))
        for row, unit in enumerate((*first.tolist(), *second.tolist())):
            pairs = self._pairs(unit)
            rows[row, np.searchsorted(used, self._labels[pairs])] = self._counts[pairs]
        return (rows[: len(first)] * weights[used]) @ rows[len(first) :].T

    def _pairs(self, unit: int) -> slice:
        return slice(self._starts[unit], self._starts[unit + 1])

    def _can_leave(self, unit: int) -> bool:
        pairs = self._pairs(unit)
        labels = self._labels[pairs]
        is_last = self._has[labels, 0] <= self._counts[pairs]
        return bool(self.part[unit] != 0 or not (self._is_kept[labels] & is_last).any())

    def _move(self, unit: int, to: int) -> None:
        pairs = self._pairs(unit)
        self._has[self._labels[pairs], self.part[unit]] -= self._counts[pairs]
        self._has[self._labels[pairs], to] += self._counts[pairs]
        self.part[unit] = to
