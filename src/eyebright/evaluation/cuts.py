"""Every different way to decide a set of probabilities by one threshold, and the middle of the best ones.

Between two neighbouring probabilities all thresholds decide alike, so a metric is a step function of the threshold, and
looking at each step once finds the best exactly; a grid could miss it. The threshold that is returned lies in the
middle of the best step (or steps), where the decision on a new image is least likely to change.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_SAME = 1e-9  # scores nearer than this are equal: they are sums of fractions, and sums are rounded


@dataclass(frozen=True, eq=False)
class Cuts:
    """All ways to decide some probabilities, from "none is a yes" to "all are", by falling threshold.

    A decision is strictly greater than its threshold, so a probability of 0 is never a yes. The thresholds of a cut
    reach from the greatest probability that is a no (included) to the least that is a yes (excluded).

    Args:
        order: the indices of the probabilities above 0, the greatest first.
        counts: the number of yeses of each cut.
        levels: the different probabilities above 0, the greatest first, float32 as models give them.
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

    def totals(self, values: Array) -> Array:
        """At each cut the sum of ``values`` (one for each probability) over its yeses, float64."""
        running = np.cumsum(values[self.order], dtype=np.float64)
        return np.append(0.0, running)[self.counts]

    def index_at(self, thresholds: Array) -> Array:
        """The index of the cut that each threshold makes."""
        return np.searchsorted(-self.levels, -thresholds.astype(np.float32), side="left")

    def best_threshold(self, scores: Array) -> float:
        """The threshold in the middle of the cuts with the highest score; of several such plateaus, of the widest.

        Args:
            scores: the score of each cut.
        """
        high = np.append(np.float32(1), self.levels)
        low = np.append(self.levels, np.float32(0))
        near = scores >= scores.max() - _SAME
        step = np.diff(near.astype(np.int8), prepend=0, append=0)
        first, last = np.flatnonzero(step == 1), np.flatnonzero(step == -1) - 1
        widest = np.argmax(high[first] - low[last])
        top, bottom = high[first[widest]], low[last[widest]]
        middle = np.float32((float(top) + float(bottom)) / 2)
        return float(middle if middle < top else bottom)
