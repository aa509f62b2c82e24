"""Every different way to cut a ranking by one threshold, and the middle of the best ones.

Between two neighbouring probabilities all thresholds decide alike, so a metric is a staircase over the threshold, and
looking at each of its steps once finds the best exactly; a grid could miss it. The threshold that is returned lies in
the middle of the best step (or steps), where a new image is least likely to fall on the wrong side.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_ALIKE = 1e-9  # scores nearer than this are the same: they are sums of shares, and sums are rounded


@dataclass(frozen=True, eq=False)
class Cuts:
    """All cuts of some probabilities, from "none is given" to "all are", by falling threshold.

    A decision is strictly greater than its threshold, so a probability of 0 is never given, and the thresholds of a cut
    are those from (and with) the greatest probability that is not given up to (and without) the least that is.

    Args:
        order: the entries with a probability above 0, the greatest first.
        given: how many of them each cut gives.
        levels: the different probabilities above 0, the greatest first, float32 as models give them.
    """

    order: Array
    given: Array
    levels: Array

    @staticmethod
    def of(probabilities: Array) -> "Cuts":
        """The cuts of one-dimensional probabilities (float32)."""
        order = np.argsort(-probabilities)[: np.count_nonzero(probabilities > 0)]
        ranked = probabilities[order]
        last = np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)]
        ends = np.flatnonzero(last)
        return Cuts(order, np.append(0, ends + 1), ranked[ends])

    def totals(self, worth: Array) -> Array:
        """At each cut the sum of ``worth`` (one number for each entry) over the entries that it gives."""
        running = np.cumsum(worth[self.order], dtype=np.float64)
        return np.append(0.0, running)[self.given]

    def at(self, thresholds: Array) -> Array:
        """For each threshold the index of the cut that it makes."""
        return np.searchsorted(-self.levels, -thresholds.astype(np.float32), side="left")

    def best(self, scores: Array) -> float:
        """The threshold in the middle of the highest scores; of several such plateaus, of the widest.

        Args:
            scores: the score of each cut.
        """
        high = np.append(np.float32(1), self.levels)
        low = np.append(self.levels, np.float32(0))
        near = scores >= scores.max() - _ALIKE
        step = np.diff(near.astype(np.int8), prepend=0, append=0)
        first, last = np.flatnonzero(step == 1), np.flatnonzero(step == -1) - 1
        widest = np.argmax(high[first] - low[last])
        top, bottom = high[first[widest]], low[last[widest]]
        middle = np.float32((float(top) + float(bottom)) / 2)
        return float(middle if middle < top else bottom)
