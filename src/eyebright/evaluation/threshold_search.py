"""The best thresholds, one per class. The algorithm depends on the objective.

- ``f*_macro``, ``hamming_loss``, ``accuracy_multi`` and costs: exact, because the classes are independent and each is
  optimised on its own.
- ``f*_micro``: exact by Dinkelbach's method (1967, Management Science 13:492), which reduces a ratio of sums over
  classes to a few rounds of independent optimisations.
- a budget of false alarms: exact, see `eyebright.evaluation.threshold_budget`.
- ``f*_samples``, ``subset_accuracy``: coordinate ascent from several starts, because the decisions on an image depend
  on each other. Each step optimises one class exactly, with the others fixed. The result is never worse than the best
  single threshold, but it can be a local optimum.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from eyebright.evaluation.cuts import Array, Cuts
from eyebright.evaluation.threshold_budget import best_within_budget
from eyebright.evaluation.threshold_objectives import Budget, Costs, GroupMean, TopK, parsed_objective
from eyebright.evaluation.threshold_problem import Problem


def best_per_class(problem: Problem, start: Array, classes: Sequence[int]) -> Array:
    """The best thresholds of some classes, each in the middle of its plateau.

    Args:
        problem: the probabilities, the targets and the objective.
        start: the thresholds of the other classes, and where a local search starts, float32, (k,).
        classes: the classes whose thresholds may change; each has positives.
    """
    objective = problem.objective
    if isinstance(objective, TopK) or not classes:
        return start.copy()
    if isinstance(objective, Budget):
        return best_within_budget(problem, start, classes, objective.allowed(problem.probabilities.shape[1]))
    if isinstance(objective, Costs):
        return _least_costs(problem, start, classes)
    search = {"classes": _optimise_independently, "all": _dinkelbach, "images": _coordinate_ascent}
    return search[objective.group](problem, objective, start, classes)


def _least_costs(problem: Problem, start: Array, classes: Sequence[int]) -> Array:
    best = start.copy()
    for c in classes:
        cuts = problem.cuts(c)
        best[c] = cuts.best_threshold(cuts.sums(problem.gains(c)))
    return best


def _optimise_independently(problem: Problem, objective: GroupMean, start: Array, classes: Sequence[int]) -> Array:
    """The best thresholds if the objective is a mean over classes; exact."""
    best = start.copy()
    for c in classes:
        cuts = problem.cuts(c)
        true_positives, positives = cuts.sums(problem.positive[c]), problem.positive[c].sum(keepdims=True)
        best[c] = cuts.best_threshold(objective.value(true_positives, cuts.counts, positives, problem.known[c]))
    return best


def _dinkelbach(problem: Problem, objective: GroupMean, start: Array, classes: Sequence[int]) -> Array:
    """The thresholds with the best micro F score by Dinkelbach's method; exact.

    It is the ratio (1 + beta^2) * true positives / (predicted + beta^2 * positives). It is at least r if the sum over
    the classes of ((1 + beta^2) * true positives - r * predicted) is at least r * beta^2 * positives, and the sum is
    greatest if each of its terms is. Each round maximises the terms for the current r and sets r to the ratio of the
    result, until r stops increasing.
    """
    weight = (objective.beta or 1.0) ** 2
    cuts = {c: problem.cuts(c) for c in classes}
    true_positives = {c: (1 + weight) * cut.sums(problem.positive[c]) for c, cut in cuts.items()}
    fixed = np.setdiff1d(np.arange(len(start)), classes)
    predicted_fixed = problem.probabilities[fixed] > start[fixed, None]
    fixed_true_positives = (1 + weight) * float((predicted_fixed & problem.positive[fixed]).sum())
    constant = weight * problem.positive.sum() + predicted_fixed.sum()
    ratio, increased = 0.0, True
    while increased:
        chosen = {c: np.argmax(true_positives[c] - ratio * cut.counts) for c, cut in cuts.items()}
        total = fixed_true_positives + sum(true_positives[c][at] for c, at in chosen.items())
        predicted = sum(cuts[c].counts[at] for c, at in chosen.items())
        new_ratio = float(total / (predicted + constant))
        increased, ratio = new_ratio > ratio, max(new_ratio, ratio)
    best = start.copy()
    for c, cut in cuts.items():
        best[c] = cut.best_threshold(true_positives[c] - ratio * cut.counts)
    return best


def _coordinate_ascent(problem: Problem, objective: GroupMean, start: Array, classes: Sequence[int]) -> Array:
    """The best of the local optima from three starts, for an objective that is a mean over images."""
    starts = [start]
    for name in ("f1_macro", "hamming_loss"):
        easier = parsed_objective(name)
        starts.append(best_per_class(replace(problem, objective=easier), start, classes))
    cuts = {c: problem.cuts(c) for c in classes}
    ends = [_ascend(problem, objective, start, cuts=cuts) for start in starts]
    return max(ends, key=lambda end: end[0])[1]


def _ascend(problem: Problem, objective: GroupMean, start: Array, *, cuts: dict[int, Cuts]) -> tuple[float, Array]:
    """(objective, thresholds) of a local optimum, which no change of a single class improves."""
    value, (classes, images) = objective.value, problem.probabilities.shape
    best = start.copy()
    decisions = problem.probabilities > best[:, None]
    positives = problem.positive.sum(0)
    true_positives, predicted = (decisions & problem.positive).sum(0), decisions.sum(0)
    reached, before = float(value(true_positives, predicted, positives, classes).mean()), -1.0
    while reached > before + 1e-9:
        before = reached
        for c, cut in cuts.items():
            positive = problem.positive[c]
            true_positives, predicted = true_positives - (positive & decisions[c]), predicted - decisions[c]
            gain = value(true_positives + positive, predicted + 1, positives, classes)
            gain = gain - value(true_positives, predicted, positives, classes)
            best[c] = cut.best_threshold(cut.sums(gain) / images)
            decisions[c] = problem.probabilities[c] > best[c]
            true_positives, predicted = true_positives + (positive & decisions[c]), predicted + decisions[c]
        reached = float(value(true_positives, predicted, positives, classes).mean())
    return reached, best
