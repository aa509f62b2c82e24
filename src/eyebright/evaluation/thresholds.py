"""Thresholds that optimise a metric: one for all classes, or one per class.

The algorithm depends on the metric:

- one threshold for all classes: exact for every metric. The metric at all thresholds is a cumulative sum over the
  decisions, sorted by probability.
- one threshold per class, ``f1_macro``, ``hamming_loss``, ``accuracy_multi``: exact, because the classes are
  independent and each is optimised on its own.
- one threshold per class, ``f1_micro``: exact by Dinkelbach's method (1967, Management Science 13:492), which reduces a
  ratio of sums over classes to a few rounds of independent optimisations.
- one threshold per class, ``f1_samples``, ``subset_accuracy``: coordinate ascent from several starts, because the
  decisions on an image depend on each other. Each step optimises one class exactly, with the others fixed. The result
  is never worse than the best single threshold, but it can be a local optimum.

Unknown targets (NaN) are masked, as in `eyebright.metrics.labels`. A class without positives does not determine its
threshold and gets the best single threshold of all classes, or 0.5 where that would give it to most images.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright._defaults import THRESHOLD_METRIC
from eyebright.errors import InputError, did_you_mean
from eyebright.evaluation.cuts import Array, Cuts
from eyebright.metrics.labels import f1_macro, f1_micro, f1_samples, hamming, hamming_loss, split_targets, subset
from eyebright.metrics.meter import Metric
from eyebright.plot.curves import plot_threshold_curve
from eyebright.types import Thresholds

if TYPE_CHECKING:
    import matplotlib.axes


def tune_thresholds(
    probabilities: Float[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    *,
    metric: str = THRESHOLD_METRIC,
    per_class: bool = True,
) -> Thresholds:
    """The thresholds with the best metric on these images, each in the middle of its plateau.

    Tune on images that the model was not trained on. The metric of the *same* images at the tuned thresholds is
    optimistic, especially for classes with few positives; `cross_fitted_score` returns an unbiased score.

    Args:
        probabilities: in [0, 1].
        target: 1 where the image has the label, 0 where not, NaN where unknown.
        metric: ``"f1_macro"``, ``"f1_micro"``, ``"f1_samples"``, ``"hamming_loss"``, ``"accuracy_multi"`` or
            ``"subset_accuracy"``. F1 leads to lower thresholds than the last three. ``"f1_samples"`` does not penalise
            labels on images without any label; choose another metric if there are such images.
        per_class: True for one threshold per class; False for one threshold for all.

    Raises:
        InputError: an unknown metric, probabilities outside [0, 1], shapes that differ, or no image has any label.
    """
    problem = _problem(probabilities, target, metric)
    if not problem.tunable_classes:
        raise InputError("thresholds cannot be tuned: none of these images has a label")
    cuts, scores = _score_at_each_cut(problem)
    single = cuts.best_threshold(scores)
    if not per_class:
        return Thresholds(single, metric=metric)
    # Classes without positives keep the single threshold, and their predictions still count.
    start = np.full(probabilities.shape[1], single, dtype=np.float32)
    often = (problem.probabilities > single).sum(axis=1) > problem.known / 2
    without = np.setdiff1d(np.arange(len(start)), problem.tunable_classes)
    start[without[often[without]]] = max(single, 0.5)
    algorithms = {"classes": _optimise_independently, "all": _dinkelbach, "images": _coordinate_ascent}
    optimise = algorithms[problem.objective.group]
    return Thresholds(tuple(optimise(problem, start).tolist()), metric=metric)


def cross_fitted_score(
    probabilities: Float[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    *,
    metric: str = THRESHOLD_METRIC,
    per_class: bool = True,
    folds: int = 5,
    seed: int = 0,
) -> float:
    """The score to expect of tuned thresholds on new images, by cross-fitting.

    The images are split into folds at random. The thresholds for a fold are tuned on the other folds, and the metric
    is computed once, over the decisions on all images.

    Args:
        probabilities: in [0, 1].
        target: 1 where the image has the label, 0 where not, NaN where unknown; images without any known label are
            ignored.
        metric: as in `tune_thresholds`.
        per_class: as in `tune_thresholds`.
        folds: number of folds, at most one per image.
        seed: seed of the split into folds.

    Raises:
        InputError: as in `tune_thresholds`; or fewer than two images or folds.
    """
    score = _objective(metric).score
    known = split_targets(target, probabilities)[1].any(dim=1)
    probabilities, target = probabilities.detach().cpu()[known], target.cpu()[known]
    if min(folds, len(probabilities)) < 2:
        raise InputError(f"a cross-fitted score needs two images and two folds, got {len(probabilities)} and {folds}")
    fold = torch.from_numpy(np.random.default_rng(seed).permutation(len(probabilities)) % folds)
    decisions = torch.zeros(probabilities.shape, dtype=torch.bool)
    for held_out in fold.unique():
        rest = fold != held_out
        thresholds = tune_thresholds(probabilities[rest], target[rest], metric=metric, per_class=per_class)
        decisions[~rest] = thresholds.decide(probabilities[~rest])
    return score(decisions, target)


@dataclass(frozen=True, eq=False, repr=False)
class ThresholdCurve:
    """A metric over the threshold, one threshold for all classes.

    Args:
        thresholds: the thresholds at which the metric was computed.
        scores: the metric at each threshold.
        metric: the name of the metric.
    """

    thresholds: Float[Tensor, " t"]
    scores: Float[Tensor, " t"]
    metric: str

    @property
    def best(self) -> tuple[float, float]:
        """(threshold, score) of the first threshold with the best score."""
        better = _objective(self.metric).score.higher_is_better
        at = int(self.scores.argmax() if better else self.scores.argmin())
        return float(self.thresholds[at]), float(self.scores[at])

    def plot(self, *, chosen: float | None = None, ax: "matplotlib.axes.Axes | None" = None) -> "matplotlib.axes.Axes":
        """Plot the curve.

        Args:
            chosen: the threshold in use, drawn as a vertical line.
            ax: axes to draw on; by default those of a new figure.

        Raises:
            MissingExtraError: Matplotlib is not installed.
        """
        return plot_threshold_curve(self.thresholds.tolist(), {self.metric: self.scores.tolist()}, chosen=chosen, ax=ax)

    def __repr__(self) -> str:
        threshold, score = self.best
        return f"ThresholdCurve of {self.metric}: best {score:.4f} at {threshold:.2f}"


def threshold_curve(
    probabilities: Float[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    *,
    metric: str = THRESHOLD_METRIC,
    thresholds: Float[Tensor, " t"] | None = None,
) -> ThresholdCurve:
    """The metric over one threshold for all classes; for one class, pass its column alone.

    Args:
        probabilities: in [0, 1].
        target: 1 where the image has the label, 0 where not, NaN where unknown.
        metric: as in `tune_thresholds`.
        thresholds: the thresholds; by default from 0 to 1 in steps of 0.01.

    Raises:
        InputError: an unknown metric, probabilities outside [0, 1], or shapes that differ.
    """
    problem = _problem(probabilities, target, metric)
    cuts, scores = _score_at_each_cut(problem)
    at = torch.linspace(0, 1, 101) if thresholds is None else thresholds.cpu()
    values = torch.from_numpy(scores[cuts.index_at(at.numpy())])
    return ThresholdCurve(at, values if problem.objective.score.higher_is_better else 1 - values, metric)


# ------------------------------------------------------------------------------- the objective


@dataclass(frozen=True)
class _Objective:
    """A metric as the mean, over groups of decisions, of a value in [0, 1] that grows with quality.

    Args:
        group: the decisions that form a group: those of a class, of an image, or all.
        value: the value of a group, a function of its (true positives, predicted labels, positives, number of
            decisions).
        score: the metric of decisions, as it is reported.
    """

    group: Literal["classes", "images", "all"]
    value: Callable[[Array, Array, Array, float], Array]
    score: Metric


def _f1(true_positives: Array, predicted: Array, positives: Array, n_decisions: float) -> Array:
    return 2 * true_positives / np.maximum(predicted + positives, 1)


def _agreement(true_positives: Array, predicted: Array, positives: Array, n_decisions: float) -> Array:
    return 1 - (predicted + positives - 2 * true_positives) / n_decisions


def _exact_match(true_positives: Array, predicted: Array, positives: Array, n_decisions: float) -> Array:
    return ((true_positives == positives) & (predicted == positives)).astype(np.float64)


def _accuracy_multi(decisions: Tensor, target: Tensor) -> float:
    return 1 - hamming_loss(decisions, target)


_OBJECTIVES = {
    "f1_macro": _Objective("classes", _f1, f1_macro),
    "f1_micro": _Objective("all", _f1, f1_micro),
    "f1_samples": _Objective("images", _f1, f1_samples),
    "hamming_loss": _Objective("classes", _agreement, hamming),
    "accuracy_multi": _Objective("classes", _agreement, Metric("accuracy_multi", _accuracy_multi, "decisions")),
    "subset_accuracy": _Objective("images", _exact_match, subset),
}


def check_metric(metric: str) -> None:
    """Raises `InputError` unless thresholds can be tuned for ``metric``; to be called before training."""
    _objective(metric)


def _objective(metric: str) -> _Objective:
    if metric not in _OBJECTIVES:
        raise InputError(
            f"thresholds cannot be tuned for '{metric}'.{did_you_mean(metric, _OBJECTIVES)} "
            f"Known: {', '.join(_OBJECTIVES)}"
        )
    return _OBJECTIVES[metric]


@dataclass(frozen=True, eq=False)
class _Problem:
    """The optimisation problem; the matrices have one row per class, because most algorithms work class by class.

    An unknown cell has the probability 0 and is not positive. It is then never predicted and adds to no count. Images
    without any known cell are ignored.

    Args:
        probabilities: (k, n), float32, the precision in which probabilities are compared with thresholds.
        positive: (k, n), booleans.
        known: the number of known cells of each class, (k,).
        objective: the objective, to be maximised.
    """

    probabilities: Array
    positive: Array
    known: Array
    objective: _Objective

    @property
    def tunable_classes(self) -> list[int]:
        """The classes with positives; the others do not determine their threshold."""
        return np.flatnonzero(self.positive.any(axis=1)).tolist()

    def cuts(self, c: int) -> Cuts:
        """The cuts of one class."""
        return Cuts.of(self.probabilities[c])


def _problem(probabilities: Tensor, target: Tensor, metric: str) -> _Problem:
    """The optimisation problem of a metric on these images.

    Raises:
        InputError: as in `tune_thresholds`.
    """
    objective = _objective(metric)
    positive, known = split_targets(target, probabilities)
    if not bool(((probabilities >= 0) & (probabilities <= 1)).all()):
        raise InputError("probabilities must be in [0, 1]; apply the sigmoid to logits first")
    masked = torch.where(known, probabilities.detach().cpu().float(), 0.0)
    images = known.any(dim=1)
    rows = [matrix[images].T.contiguous().numpy() for matrix in (masked, positive)]
    return _Problem(rows[0], rows[1], known.sum(dim=0).numpy(), objective)


# ------------------------------------------------------------------------------- one threshold for all


def _score_at_each_cut(problem: _Problem) -> tuple[Cuts, Array]:
    """The cuts of all probabilities, and the objective at each cut; NaN if all targets are unknown.

    Each decision, in the sorted order of its group, changes the value of the group by a difference. The cumulative sum
    of these differences over all decisions, sorted by probability, is the objective.
    """
    some = problem.known > 0  # a class without known targets is not a group

    def grouped(matrix: Array) -> Array:
        matrix = matrix[some]
        return {"classes": matrix, "images": matrix.T, "all": matrix.reshape(1, -1)}[problem.objective.group]

    probabilities, positive = grouped(problem.probabilities), grouped(problem.positive)
    n_groups = len(probabilities)
    if probabilities.size == 0:
        return Cuts.of(problem.probabilities.reshape(-1)), np.array([np.nan])
    n_decisions = problem.known.sum() / n_groups  # so that the mean over groups is the mean over decisions
    order = np.argsort(-probabilities, axis=1)
    true_positives = np.cumsum(np.take_along_axis(positive, order, axis=1), axis=1)
    positives, zero = true_positives[:, -1:], np.zeros((n_groups, 1), dtype=true_positives.dtype)
    none_predicted = problem.objective.value(zero, zero, positives, n_decisions)
    predicted = np.arange(1, probabilities.shape[1] + 1)
    values = problem.objective.value(true_positives, predicted, positives, n_decisions)
    steps = np.diff(values, axis=1, prepend=none_predicted)
    cuts = Cuts.of(np.take_along_axis(probabilities, order, axis=1).reshape(-1))
    return cuts, (none_predicted.sum() + cuts.sums(steps.reshape(-1))) / n_groups


# ------------------------------------------------------------------------------- one threshold per class


def _optimise_independently(problem: _Problem, start: Array) -> Array:
    """The best thresholds if the objective is a mean over classes; exact."""
    best = start.copy()
    for c in problem.tunable_classes:
        cuts = problem.cuts(c)
        true_positives, positives = cuts.sums(problem.positive[c]), problem.positive[c].sum(keepdims=True)
        best[c] = cuts.best_threshold(problem.objective.value(true_positives, cuts.counts, positives, problem.known[c]))
    return best


def _dinkelbach(problem: _Problem, start: Array) -> Array:
    """The thresholds with the best micro F1 by Dinkelbach's method; exact.

    Micro F1 is the ratio 2 * true positives / (predicted + positives). It is at least r if the sum over the classes of
    (2 * true positives - r * predicted) is at least r * positives, and the sum is greatest if each of its terms is.
    Each round maximises the terms for the current r and sets r to the ratio of the result, until r stops increasing.
    """
    cuts = {c: problem.cuts(c) for c in problem.tunable_classes}
    true_positives = {c: cut.sums(problem.positive[c]) for c, cut in cuts.items()}
    fixed = [c for c in range(len(start)) if c not in cuts]
    constant = problem.positive.sum() + (problem.probabilities[fixed] > start[fixed, None]).sum()
    ratio, increased = 0.0, True
    while increased:
        chosen = {c: np.argmax(2 * true_positives[c] - ratio * cut.counts) for c, cut in cuts.items()}
        total = sum(true_positives[c][at] for c, at in chosen.items())
        predicted = sum(cuts[c].counts[at] for c, at in chosen.items())
        new_ratio = float(2 * total / (predicted + constant))
        increased, ratio = new_ratio > ratio, max(new_ratio, ratio)
    best = start.copy()
    for c, cut in cuts.items():
        best[c] = cut.best_threshold(2 * true_positives[c] - ratio * cut.counts)
    return best


def _coordinate_ascent(problem: _Problem, start: Array) -> Array:
    """The best of the local optima from three starts, for an objective that is a mean over images."""
    starts = [start] + [
        _optimise_independently(replace(problem, objective=_OBJECTIVES[m]), start) for m in ("f1_macro", "hamming_loss")
    ]
    cuts = {c: problem.cuts(c) for c in problem.tunable_classes}
    ends = [_ascend(problem, start, cuts=cuts) for start in starts]
    return max(ends, key=lambda end: end[0])[1]


def _ascend(problem: _Problem, start: Array, *, cuts: dict[int, Cuts]) -> tuple[float, Array]:
    """(objective, thresholds) of a local optimum, which no change of a single class improves."""
    value, (classes, images) = problem.objective.value, problem.probabilities.shape
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
