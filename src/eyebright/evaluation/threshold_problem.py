"""The problem of finding thresholds: the probabilities, the targets and the objective, and the best single threshold.

The objective at all thresholds is a cumulative sum over the decisions, sorted by probability. So the best threshold for
all classes is exact for every objective.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.errors import InputError
from eyebright.evaluation.cuts import Array, Cuts
from eyebright.evaluation.threshold_objectives import Budget, Costs, GroupMean, ParsedObjective, TopK, cost_metric
from eyebright.metrics.decisions import false_alarms_per_1000_metric, labels_per_image_metric, recall_micro
from eyebright.metrics.labels import split_targets
from eyebright.metrics.meter import Metric

_MAX_BLOCK = 1_000_000  # decisions that are sorted at once: limits the memory


@dataclass(frozen=True, eq=False)
class Problem:
    """The optimisation problem; the matrices have one row per class, because most algorithms work class by class.

    An unknown cell has the probability 0 and is not positive. It is then never predicted and adds to no count. Images
    without any known cell are ignored. (Only `TopK` predicts in unknown cells too, because it needs no targets.)

    Args:
        probabilities: (k, n), float32, the precision in which probabilities are compared with thresholds.
        positive: (k, n), booleans.
        known: the number of known cells of each class, (k,).
        objective: the objective.
        costs: the costs of each class, if the objective is `Costs`.
    """

    probabilities: Array
    positive: Array
    known: Array
    objective: ParsedObjective
    costs: tuple[Costs, ...] = ()

    @property
    def tunable_classes(self) -> list[int]:
        """The classes with positives; the others do not determine their threshold."""
        return np.flatnonzero(self.positive.any(axis=1)).tolist()

    def cuts(self, c: int) -> Cuts:
        """The cuts of one class."""
        return Cuts.of(self.probabilities[c])

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics of decisions that measure the objective; the first is the one to optimise."""
        match self.objective:
            case GroupMean():
                return (self.objective.score,)
            case Costs():
                return (cost_metric(self.costs),)
            case Budget():
                return (recall_micro, false_alarms_per_1000_metric)
            case TopK():
                return (recall_micro, labels_per_image_metric)

    def gains(self, c: int | slice) -> Array:
        """The costs that predicting each cell of these classes saves, if the objective is `Costs`; float64."""
        gained = np.array([costs.fn - costs.tp for costs in self.costs])[c, ..., None]
        lost = np.array([costs.fp - costs.tn for costs in self.costs])[c, ..., None]
        return np.where(self.positive[c], gained, -lost)


def problem_of(
    probabilities: Float[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    objective: ParsedObjective,
    names: Sequence[str] = (),
) -> Problem:
    """The optimisation problem of an objective on these images.

    Args:
        probabilities: the probabilities, in [0, 1].
        target: 1 where the image has the label, 0 where not, NaN where unknown.
        objective: the objective.
        names: the labels, which costs of single labels need.

    Raises:
        InputError: probabilities outside [0, 1], shapes that differ, or costs of an unknown label.
    """
    positive, known = split_targets(target, probabilities)
    if not bool(((probabilities >= 0) & (probabilities <= 1)).all()):
        raise InputError("probabilities must be in [0, 1]; apply the sigmoid to logits first")
    costs: tuple[Costs, ...] = ()
    if isinstance(objective, Costs):
        costs = tuple(objective.of(names or [str(c) for c in range(target.shape[1])]))
    answered = torch.ones_like(known) if isinstance(objective, TopK) else known
    masked = torch.where(answered, probabilities.detach().cpu().float(), 0.0)
    images = answered.any(dim=1)
    rows = [matrix[images].T.contiguous().numpy() for matrix in (masked, positive)]
    return Problem(rows[0], rows[1], known.sum(dim=0).numpy(), objective, costs)


def best_single(problem: Problem) -> float:
    """The best threshold for all classes, in the middle of its plateau."""
    cuts, scores = score_at_each_cut(problem)
    return cuts.best_threshold(scores)


def score_at_each_cut(problem: Problem) -> tuple[Cuts, Array]:
    """The cuts of all probabilities, and at each cut the objective, greater for better; NaN if nothing is known.

    For costs, the score is the saved cost; for a budget or a number of labels it ranks the cuts within the limit and is
    minus infinity beyond it.
    """
    if isinstance(problem.objective, GroupMean):
        return _group_mean_at_each_cut(problem, problem.objective)
    cuts = Cuts.of(problem.probabilities.reshape(-1))
    if isinstance(problem.objective, Costs):
        return cuts, cuts.sums(problem.gains(slice(None)).reshape(-1))
    images = problem.probabilities.shape[1]
    if isinstance(problem.objective, TopK):
        return cuts, np.where(cuts.counts <= problem.objective.k * images + 1e-9, cuts.counts, -np.inf)
    hits = cuts.sums(problem.positive.reshape(-1))
    return cuts, within_budget(hits, cuts.counts - hits, problem.objective.allowed(images), problem.positive.size)


def within_budget(hits: Array, false_alarms: Array, allowed: int, cells: int) -> Array:
    """Scores that rank by hits, then by fewer false alarms; minus infinity beyond the allowed number.

    Args:
        hits: the hits of each choice.
        false_alarms: the false alarms of each choice.
        allowed: the greatest number of false alarms.
        cells: no choice has more false alarms than this; all terms are whole numbers that float64 holds exactly.
    """
    return np.where(false_alarms <= allowed, hits * (cells + 1.0) - false_alarms, -np.inf)


def _group_mean_at_each_cut(problem: Problem, objective: GroupMean) -> tuple[Cuts, Array]:
    """The objective at each cut, from the change of the value of its group that each decision causes.

    The cumulative sum of these differences over all decisions, sorted by probability, is the objective.
    """
    some = problem.known > 0  # a class without known targets is not a group

    def grouped(matrix: Array) -> Array:
        matrix = matrix[some]
        return {"classes": matrix, "images": matrix.T, "all": matrix.reshape(1, -1)}[objective.group]

    probabilities, positive = grouped(problem.probabilities), grouped(problem.positive)
    n_groups = len(probabilities)
    if probabilities.size == 0:
        return Cuts.of(problem.probabilities.reshape(-1)), np.array([np.nan])
    n_decisions = problem.known.sum() / n_groups  # so that the mean over groups is the mean over decisions
    ranked, steps = np.empty(probabilities.shape, dtype=np.float32), np.empty(probabilities.shape)
    none_predicted, block = 0.0, max(_MAX_BLOCK // probabilities.shape[1], 1)
    for first in range(0, n_groups, block):
        rows = slice(first, first + block)
        order = np.argsort(-probabilities[rows], axis=1)
        ranked[rows] = np.take_along_axis(probabilities[rows], order, axis=1)
        true_positives = np.cumsum(np.take_along_axis(positive[rows], order, axis=1), axis=1)
        positives, zero = true_positives[:, -1:], np.zeros((len(order), 1), dtype=true_positives.dtype)
        at_none = objective.value(zero, zero, positives, n_decisions)
        values = objective.value(true_positives, np.arange(1, order.shape[1] + 1), positives, n_decisions)
        steps[rows] = np.diff(values, axis=1, prepend=at_none)
        none_predicted += float(at_none.sum())
    cuts = Cuts.of(ranked.reshape(-1))
    return cuts, (none_predicted + cuts.sums(steps.reshape(-1))) / n_groups
