"""Shrinks the thresholds of labels with little evidence towards one that rests on all labels.

The best threshold of a label with few positives is mostly noise. Its logit is therefore replaced
by a weighted mean of it and of the logit of the common threshold, with the weight n / `LITTLE_EVIDENCE`, where n is the
smaller of the numbers of images with and without the label. A label with as much evidence keeps its own threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eyebright.evaluation.cuts import Array
from eyebright.evaluation.threshold_objectives import Budget, Costs, GroupMean, TopK
from eyebright.evaluation.threshold_problem import Problem
from eyebright.evaluation.threshold_search import best_per_class

LITTLE_EVIDENCE = 50
"""The number of images with a label, and of images without it, from which its threshold is only its own."""


@dataclass(frozen=True, slots=True)
class Pull:
    """The threshold of a label with little evidence.

    Args:
        label: the index of the label.
        positives: the number of images that have it.
        negatives: the number of images that are known not to have it.
        own: its own best threshold; None without positives.
        common: the threshold that it was pulled to.
        threshold: the result.
    """

    label: int
    positives: int
    negatives: int
    own: float | None
    common: float
    threshold: float

    @property
    def weight(self) -> float:
        """The weight of its own threshold."""
        return evidence_weight(self.positives, self.negatives) if self.own is not None else 0.0


def evidence_weight(positives: int, negatives: int) -> float:
    """The weight of a label's own threshold, from 0 (no evidence) to 1 (enough)."""
    return min(1.0, min(positives, negatives) / LITTLE_EVIDENCE)


def common_thresholds(problem: Problem, single: float) -> Array:
    """The threshold that each class is pulled to, float32: the single one, or with label costs the break-even point.

    A class without positives that the single threshold would give to most of its images gets at least 0.5.
    """
    objective = problem.objective
    if isinstance(objective, Costs) and objective.labels:
        return np.array([costs.break_even for costs in problem.costs], dtype=np.float32)
    common = np.full(len(problem.known), single, dtype=np.float32)
    if not isinstance(objective, TopK):
        often = (problem.probabilities > single).sum(axis=1) > problem.known / 2
        without = np.setdiff1d(np.arange(len(common)), problem.tunable_classes)
        common[without[often[without]]] = max(single, 0.5)
    return common


def pull_towards(problem: Problem, common: Array, own: Array) -> tuple[Array, list[Pull]]:
    """(thresholds, the pulls), where classes with little evidence are pulled and the others tuned around them.

    Args:
        problem: the probabilities, the targets and the objective.
        common: the threshold that each class is pulled to.
        own: the best thresholds per class.
    """
    positives = problem.positive.sum(axis=1)
    negatives = problem.known - positives
    few = [c for c in problem.tunable_classes if evidence_weight(positives[c], negatives[c]) < 1]
    values = own.copy()
    for c in few:
        weight = evidence_weight(positives[c], negatives[c])
        logit = weight * _logit(own[c]) + (1 - weight) * _logit(common[c])
        values[c] = problem.cuts(c).away_from_levels(float(1 / (1 + np.exp(-logit))))
    values = _within_budget(problem, common, values, few)
    independent = isinstance(problem.objective, Costs) or (
        isinstance(problem.objective, GroupMean) and problem.objective.group == "classes"
    )
    if few and not independent:
        values = best_per_class(problem, values, [c for c in problem.tunable_classes if c not in set(few)])
    return values, [
        Pull(
            c,
            int(positives[c]),
            int(negatives[c]),
            float(own[c]) if positives[c] else None,
            float(common[c]),
            float(values[c]),
        )
        for c in range(len(values))
        if c in set(few) or not positives[c]
    ]


def _within_budget(problem: Problem, common: Array, values: Array, few: Sequence[int]) -> Array:
    """The thresholds; none is below the common one if the pulled ones would exceed the budget by themselves."""
    if not isinstance(problem.objective, Budget):
        return values
    fixed = sorted({*few, *np.flatnonzero(~problem.positive.any(axis=1)).tolist()})
    predicted = problem.probabilities[fixed] > values[fixed, None]
    allowed = problem.objective.allowed(problem.probabilities.shape[1])
    if (predicted & ~problem.positive[fixed]).sum() <= allowed:
        return values
    return np.where(np.isin(np.arange(len(values)), few), np.maximum(values, common), values)


def _logit(probability: float) -> float:
    inside = np.clip(np.float64(probability), 1e-7, 1 - 1e-7)
    return float(np.log(inside / (1 - inside)))
