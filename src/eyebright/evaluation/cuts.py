"""All distinct decisions by one threshold on a set of probabilities, and the threshold of the best cut.

All thresholds between two neighbouring probabilities give the same decisions, so a metric is a step function of the
threshold. Computing it once per step finds the exact maximum, which a grid of thresholds could miss. The returned
threshold lies in the middle of the best step (or steps), where the decision on a new image is least likely to change.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_TOLERANCE = 1e-9  # difference of scores that count as equal: they are rounded sums of fractions


@dataclass(frozen=True, eq=False)
class Cuts:
    """All distinct decisions by one threshold, from "none predicted" to "all predicted", by decreasing threshold.

    A probability is predicted if it is strictly greater than the threshold, so a probability of 0 never is. The
    thresholds of a cut reach from its greatest probability that is not predicted (included) to the least that is
    predicted (excluded).

    Args:
        order: the indices of the probabilities above 0, in decreasing order.
        counts: the number of predicted probabilities of each cut.
        levels: the distinct probabilities above 0, in decreasing order, float32 as models return them.
    """

    order: Array
    counts: Array
    levels: Array

    @staticmethod
    def of(probabilities: Array) -> "Cuts":
        """The cuts of one-dimensional probabilities (float32)."""
        order = np.argsort(-probabilities)[: np.count_nonzero(probabilities > 0)]
        ranked = probabilities[order]
        last = np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)]
        ends = np.flatnonzero(last)
        return Cuts(order, np.append(0, ends + 1), ranked[ends])

    def sums(self, values: Array) -> Array:
        """For each cut the sum of ``values`` (one per probability) over its predicted probabilities, float64."""
        running = np.cumsum(values[self.order], dtype=np.float64)
        return np.append(0.0, running)[self.counts]

    def index_at(self, thresholds: Array) -> Array:
        """The index of the cut of each threshold."""
        return np.searchsorted(-self.levels, -thresholds.astype(np.float32), side="left")

    def best_threshold(self, scores: Array) -> float:
        """The threshold in the middle of the cuts with the highest score; of several such plateaus, the widest.

        Args:
            scores: the score of each cut.
        """
        high = np.append(np.float32(1), self.levels)
        low = np.append(self.levels, np.float32(0))
        near = scores >= scores.max() - _TOLERANCE
        step = np.diff(near.astype(np.int8), prepend=0, append=0)
        first, last = np.flatnonzero(step == 1), np.flatnonzero(step == -1) - 1
        widest = np.argmax(high[first] - low[last])
        top, bottom = high[first[widest]], low[last[widest]]
        middle = np.float32((float(top) + float(bottom)) / 2)
        return float(middle if middle < top else bottom)

    def away_from_levels(self, threshold: float) -> float:
        """A threshold with the same decisions, at least a quarter of the gap away from both neighbouring levels."""
        at = int(self.index_at(np.array([threshold]))[0])
        top = float(self.levels[at - 1]) if at else 1.0
        bottom = float(self.levels[at]) if at < len(self.levels) else 0.0
        quarter = (top - bottom) / 4
        moved = np.float32(min(max(threshold, bottom + quarter), top - quarter))
        return float(moved) if bottom <= moved < top else bottom
