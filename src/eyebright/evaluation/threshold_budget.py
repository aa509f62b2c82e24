"""Thresholds, one per class, that find the most positives within a budget of false alarms over all classes; exact.

One cut of each class is chosen: a multiple-choice knapsack problem (Kellerer, Pferschy & Pisinger, 2004, Knapsack
Problems, chapter 11). A price of a false alarm splits it into one problem for each class; the best price gives a
solution within the budget and an upper bound for every solution. Only cuts whose loss at that price is within the gap
between both can be in a better solution, and dynamic programming chooses among these few.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from eyebright.evaluation.cuts import Array
from eyebright.evaluation.threshold_problem import Problem, within_budget

_HALVINGS = 60  # bisection steps of the interval of prices: to the precision of float64


def best_within_budget(problem: Problem, start: Array, classes: Sequence[int], allowed: int) -> Array:
    """The thresholds with the most hits within the budget, and among these with the fewest false alarms.

    Args:
        problem: the probabilities and the targets.
        start: the thresholds of the other classes, whose false alarms count.
        classes: the classes whose thresholds may change.
        allowed: the greatest number of false alarms, over all classes.
    """
    fixed = np.setdiff1d(np.arange(len(start)), classes)
    alarms = (problem.probabilities[fixed] > start[fixed, None]) & ~problem.positive[fixed]
    choices = _Choices.of(problem, classes, max(allowed - int(alarms.sum()), 0))
    best = start.copy()
    for c, hits in zip(classes, choices.solve(), strict=True):
        cuts = problem.cuts(c)
        hits_of_cuts = cuts.sums(problem.positive[c])
        false_alarms = np.where(hits_of_cuts == hits, cuts.counts - hits_of_cuts, np.inf)
        best[c] = cuts.best_threshold(
            within_budget(hits_of_cuts, false_alarms, int(false_alarms.min()), len(cuts.order))
        )
    return best


@dataclass(frozen=True, eq=False)
class _Choices:
    """For each class, the numbers of hits that a cut can have, each with its smallest number of false alarms.

    Args:
        hits: the hits of the choices of all classes, one class after the other, increasing; the first of a class is 0.
        alarms: the number of false alarms of each choice, at most ``allowed``.
        starts: the index of the first choice of each class.
        allowed: the greatest number of false alarms.
    """

    hits: Array
    alarms: Array
    starts: Array
    allowed: int

    @staticmethod
    def of(problem: Problem, classes: Sequence[int], allowed: int) -> "_Choices":
        frontiers = [_frontier(problem, c, allowed) for c in classes]
        hits, alarms = (np.concatenate([pair[i] for pair in frontiers]) for i in (0, 1))
        starts = np.cumsum([0] + [len(pair[0]) for pair in frontiers[:-1]])
        return _Choices(hits, alarms, starts, allowed)

    def solve(self) -> Array:
        """The number of hits of each class in the best solution."""
        score = self.hits * (self.allowed + 1.0) - self.alarms  # most hits, then fewest false alarms
        chosen, price = self._relaxed(score)
        priced = score - price * self.alarms
        best = np.maximum.reduceat(priced, self.starts)
        gap = best.sum() + price * self.allowed - score[chosen].sum()
        loss = np.repeat(best, np.diff(np.append(self.starts, len(score)))) - priced
        kept = np.flatnonzero(loss <= gap * (1 + 1e-9) + 1e-6)
        return self.hits[self._exact(score, kept)]

    def _relaxed(self, score: Array) -> tuple[Array, float]:
        """(choices within the budget, price): near the best price of a false alarm."""
        low, high = 0.0, float(score.max()) + 1
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            within = self.alarms[self._at_price(score, middle)].sum() <= self.allowed
            low, high = (low, middle) if within else (middle, high)
        chosen, more = self._at_price(score, high), self._at_price(score, low)
        left = self.allowed - self.alarms[chosen].sum()
        for c in range(len(chosen)):
            further = self.alarms[more[c]] - self.alarms[chosen[c]]
            if further <= left and score[more[c]] > score[chosen[c]]:
                chosen[c], left = more[c], left - further
        return chosen, high

    def _at_price(self, score: Array, price: float) -> Array:
        """The best choice of each class at a price of a false alarm; among equal ones that with the fewest alarms."""
        priced = score - price * self.alarms
        lengths = np.diff(np.append(self.starts, len(score)))
        at_best = np.flatnonzero(priced == np.repeat(np.maximum.reduceat(priced, self.starts), lengths))
        return at_best[np.searchsorted(at_best, self.starts)]

    def _exact(self, score: Array, kept: Array) -> Array:
        """The best choice of each class among those that are kept, by dynamic programming over the budget."""
        bounds = np.searchsorted(kept, np.append(self.starts, len(score)))
        of_class = [kept[first:last] for first, last in pairwise(bounds)]
        cheapest = np.array([self.alarms[options[0]] for options in of_class])
        budget = self.allowed - int(cheapest.sum())  # for false alarms beyond those of the cheapest choices
        reached = np.zeros(budget + 1)
        taken = list[Array]()
        for options in of_class:
            further = self.alarms[options] - self.alarms[options[0]]
            best, choice = np.full(budget + 1, -np.inf), np.zeros(budget + 1, dtype=np.int32)
            for i in np.flatnonzero(further <= budget):
                value = reached[: budget + 1 - further[i]] + score[options[i]]
                better = value > best[further[i] :]
                best[further[i] :][better], choice[further[i] :][better] = value[better], i
            reached = best
            taken.append(choice)
        left, chosen = int(np.argmax(reached)), np.zeros(len(of_class), dtype=np.int64)
        for c in range(len(of_class) - 1, -1, -1):
            i = taken[c][left]
            chosen[c] = of_class[c][i]
            left -= int(self.alarms[of_class[c][i]] - self.alarms[of_class[c][0]])
        return chosen


def _frontier(problem: Problem, c: int, allowed: int) -> tuple[Array, Array]:
    """(hits, false alarms) of the cuts of a class: per number of hits the fewest alarms, within the budget."""
    cuts = problem.cuts(c)
    hits = cuts.sums(problem.positive[c])
    alarms = cuts.counts - hits
    first = np.append(True, hits[1:] > hits[:-1]) & (alarms <= allowed)
    return hits[first], alarms[first].astype(np.int64)
