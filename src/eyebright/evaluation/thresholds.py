"""The thresholds with the best metric: one for all classes, or one for each.

How the best is found depends on how the metric is built (``n`` images, ``k`` classes):

- one threshold for all classes: exactly, for every metric: what each decision adds is summed up along the ranking.
- one for each class, ``f1_macro``, ``hamming_loss``, ``accuracy_multi``: the classes are independent, so each is solved
  alone, exactly.
- one for each class, ``f1_micro``: a ratio of sums over classes. Dinkelbach's method (1967, Management Science 13:492)
  turns it into a few rounds in which each class is again solved alone, exactly.
- one for each class, ``f1_samples``, ``subset_accuracy``: the decisions on an image depend on each other. One class
  after another is solved exactly with the others fixed, from several starts, until nothing improves. The result is
  never worse than the best single threshold, but it can be a local optimum: finding the global one is a search over
  combinations of classes.

Unknown targets (NaN) count nowhere, as in `eyebright.metrics.labels`. A class without positives does not determine its
threshold and keeps the single one for all classes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright import plot
from eyebright._defaults import THRESHOLD_METRIC
from eyebright.errors import InputError, did_you_mean
from eyebright.evaluation.cuts import Array, Cuts
from eyebright.metrics.labels import f1_macro, f1_micro, f1_samples, hamming, hamming_loss, split_targets, subset
from eyebright.metrics.meter import Metric
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

    Tune on images that the model was not trained on, and do not report the metric of the *same* images at the tuned
    thresholds: it is too high, the more so the fewer positives a class has (with five, a threshold is a guess).
    `cross_fitted_score` gives an unbiased score.

    Args:
        probabilities: in [0, 1].
        target: 1 where the image has the label, 0 where not, NaN where unknown.
        metric: ``"f1_macro"``, ``"f1_micro"``, ``"f1_samples"``, ``"hamming_loss"``, ``"accuracy_multi"`` or
            ``"subset_accuracy"``. F1 predicts labels more readily than the last three; and ``"f1_samples"`` does not
            penalise labels on images that have none, so where there are such images take another.
        per_class: one threshold for each class; False: one for all.

    Raises:
        InputError: an unknown metric, probabilities outside [0, 1], shapes that differ, or no image has any label.
    """
    task = _task(probabilities, target, metric)
    if not task.tuned:
        raise InputError("thresholds cannot be tuned: none of these images has a label")
    cuts, scores = _score_at_each_cut(task)
    single = cuts.best_threshold(scores)
    if not per_class:
        return Thresholds(single, metric=metric)
    # Classes without positives stay at the single threshold, where all start; what they predict still counts.
    start = np.full(probabilities.shape[1], single, dtype=np.float32)
    solve = {"classes": _each_class_alone, "all": _by_ratio, "images": _class_after_class}[task.objective.group]
    return Thresholds(tuple(solve(task, start).tolist()), metric=metric)


def cross_fitted_score(
    probabilities: Float[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    *,
    metric: str = THRESHOLD_METRIC,
    per_class: bool = True,
    folds: int = 5,
    seed: int = 0,
) -> float:
    """The score to expect of tuned thresholds on new images: each image is decided by thresholds of the others.

    The images are split into folds at random. The thresholds for a fold are tuned on the other folds, and the metric
    is computed once, over the decisions on all images.

    Args:
        probabilities: in [0, 1].
        target: 1 where the image has the label, 0 where not, NaN where unknown; images without any known label are
            left out.
        metric: as in `tune_thresholds`.
        per_class: as in `tune_thresholds`.
        folds: how many; at most one for each image.
        seed: of the split into folds.

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
        thresholds: where it was computed.
        scores: the metric there.
        metric: its name.
    """

    thresholds: Float[Tensor, " t"]
    scores: Float[Tensor, " t"]
    metric: str

    @property
    def best(self) -> tuple[float, float]:
        """(threshold, score): the first of the thresholds with the best score."""
        better = _objective(self.metric).score.higher_is_better
        at = int(self.scores.argmax() if better else self.scores.argmin())
        return float(self.thresholds[at]), float(self.scores[at])

    def plot(self, *, chosen: float | None = None, ax: "matplotlib.axes.Axes | None" = None) -> "matplotlib.axes.Axes":
        """The curve, with the threshold in use marked where there is one."""
        return plot.plot_threshold_curve(
            self.thresholds.tolist(), {self.metric: self.scores.tolist()}, chosen=chosen, ax=ax
        )

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
    """The metric at each threshold, for a plot; the curve of one class is that of its column alone.

    Args:
        probabilities: in [0, 1].
        target: 1 where the image has the label, 0 where not, NaN where unknown.
        metric: as in `tune_thresholds`.
        thresholds: from 0 to 1 in steps of 0.01 when absent.

    Raises:
        InputError: an unknown metric, probabilities outside [0, 1], or shapes that differ.
    """
    task = _task(probabilities, target, metric)
    cuts, scores = _score_at_each_cut(task)
    at = torch.linspace(0, 1, 101) if thresholds is None else thresholds.cpu()
    values = torch.from_numpy(scores[cuts.index_at(at.numpy())])
    return ThresholdCurve(at, values if task.objective.score.higher_is_better else 1 - values, metric)


# ------------------------------------------------------------------------------- what is optimised


@dataclass(frozen=True)
class _Objective:
    """A metric as the mean, over groups of decisions, of a value in [0, 1] that grows with quality.

    Args:
        group: the decisions that are one group: those on a class, on an image, or all.
        value: of a group, from its (hits, predicted labels, positives, decisions).
        score: the metric as it is reported, of decisions.
    """

    group: Literal["classes", "images", "all"]
    value: Callable[[Array, Array, Array, float], Array]
    score: Metric


def _f1(hits: Array, predicted: Array, positives: Array, decisions: float) -> Array:
    return 2 * hits / np.maximum(predicted + positives, 1)


def _agreement(hits: Array, predicted: Array, positives: Array, decisions: float) -> Array:
    return 1 - (predicted + positives - 2 * hits) / decisions


def _exact_match(hits: Array, predicted: Array, positives: Array, decisions: float) -> Array:
    return ((hits == positives) & (predicted == positives)).astype(np.float64)


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


def refuse_unknown_metric(metric: str) -> None:
    """Raises an `InputError` where thresholds cannot be tuned for ``metric``: to be told so before training."""
    _objective(metric)


def _objective(metric: str) -> _Objective:
    if metric not in _OBJECTIVES:
        raise InputError(
            f"thresholds cannot be tuned for '{metric}'.{did_you_mean(metric, _OBJECTIVES)} "
            f"They can for: {', '.join(_OBJECTIVES)}"
        )
    return _OBJECTIVES[metric]


@dataclass(frozen=True, eq=False)
class _Task:
    """What is to be tuned, a class a row: most of the work is done class by class.

    An unknown cell has the probability 0, which no threshold makes a yes, and is no positive: then it adds nothing to
    any count. Images without any known cell are left out.

    Args:
        scores: probabilities, (k, n), float32, in which thresholds are compared.
        positive: (k, n), booleans.
        known: the number of known cells of each class, (k,).
        objective: what is optimised.
    """

    scores: Array
    positive: Array
    known: Array
    objective: _Objective

    @property
    def tuned(self) -> list[int]:
        """The classes with positives; the others do not determine their threshold."""
        return np.flatnonzero(self.positive.any(axis=1)).tolist()

    def cuts(self, c: int) -> Cuts:
        """The cuts of one class."""
        return Cuts.of(self.scores[c])


def _task(probabilities: Tensor, target: Tensor, metric: str) -> _Task:
    """The task.

    Raises:
        InputError: as in `tune_thresholds`.
    """
    objective = _objective(metric)
    positive, known = split_targets(target, probabilities)
    if not bool(((probabilities >= 0) & (probabilities <= 1)).all()):
        raise InputError("probabilities lie in [0, 1]; these do not (logits become probabilities by the sigmoid)")
    scores = torch.where(known, probabilities.detach().cpu().float(), 0.0)
    images = known.any(dim=1)
    rows = [matrix[images].T.contiguous().numpy() for matrix in (scores, positive)]
    return _Task(rows[0], rows[1], known.sum(dim=0).numpy(), objective)


# ------------------------------------------------------------------------------- one threshold for all


def _score_at_each_cut(task: _Task) -> tuple[Cuts, Array]:
    """The cuts of all probabilities together, and the objective at each; NaN where nothing is known.

    Within a group, sorted, each decision adds a difference to the group's value. These differences, summed along the
    ranking of all decisions, are the objective.
    """
    some = task.known > 0  # a class of which nothing is known is no group

    def grouped(matrix: Array) -> Array:
        matrix = matrix[some]
        return {"classes": matrix, "images": matrix.T, "all": matrix.reshape(1, -1)}[task.objective.group]

    scores, positive = grouped(task.scores), grouped(task.positive)
    groups = len(scores)
    if scores.size == 0:
        return Cuts.of(task.scores.reshape(-1)), np.array([np.nan])
    decisions = task.known.sum() / groups  # so that the mean over groups is the mean over decisions
    order = np.argsort(-scores, axis=1)
    hits = np.cumsum(np.take_along_axis(positive, order, axis=1), axis=1)
    positives, none = hits[:, -1:], np.zeros((groups, 1), dtype=hits.dtype)
    nothing = task.objective.value(none, none, positives, decisions)
    values = task.objective.value(hits, np.arange(1, scores.shape[1] + 1), positives, decisions)
    steps = np.diff(values, axis=1, prepend=nothing)
    cuts = Cuts.of(np.take_along_axis(scores, order, axis=1).reshape(-1))
    return cuts, (nothing.sum() + cuts.totals(steps.reshape(-1))) / groups


# ------------------------------------------------------------------------------- one threshold for each class


def _each_class_alone(task: _Task, start: Array) -> Array:
    """Exact where the objective is a mean over classes."""
    best = start.copy()
    for c in task.tuned:
        cuts = task.cuts(c)
        hits, positives = cuts.totals(task.positive[c]), task.positive[c].sum(keepdims=True)
        best[c] = cuts.best_threshold(task.objective.value(hits, cuts.counts, positives, task.known[c]))
    return best


def _by_ratio(task: _Task, start: Array) -> Array:
    """Exact for micro F1, the greatest 2 * hits / (predicted + positives), by Dinkelbach's method.

    The ratio is at least r when 2 * hits - r * predicted, summed over the classes, is at least r * positives; and that
    sum is greatest when each class's part of it is. So r rises to the ratio of those cuts until it rises no more.
    """
    cuts = {c: task.cuts(c) for c in task.tuned}
    hits = {c: cut.totals(task.positive[c]) for c, cut in cuts.items()}
    fixed = [c for c in range(len(start)) if c not in cuts]
    constant = task.positive.sum() + (task.scores[fixed] > start[fixed, None]).sum()
    ratio, risen = 0.0, True
    while risen:
        chosen = {c: np.argmax(2 * hits[c] - ratio * cut.counts) for c, cut in cuts.items()}
        all_hits = sum(hits[c][at] for c, at in chosen.items())
        predicted = sum(cuts[c].counts[at] for c, at in chosen.items())
        reached = float(2 * all_hits / (predicted + constant))
        risen, ratio = reached > ratio, max(reached, ratio)
    best = start.copy()
    for c, cut in cuts.items():
        best[c] = cut.best_threshold(2 * hits[c] - ratio * cut.counts)
    return best


def _class_after_class(task: _Task, start: Array) -> Array:
    """The best of the local optima from three starts, where the objective is a mean over images."""
    starts = [start] + [
        _each_class_alone(replace(task, objective=_OBJECTIVES[m]), start) for m in ("f1_macro", "hamming_loss")
    ]
    cuts = {c: task.cuts(c) for c in task.tuned}
    ends = [_ascend(task, start, cuts=cuts) for start in starts]
    return max(ends, key=lambda end: end[0])[1]


def _ascend(task: _Task, start: Array, *, cuts: dict[int, Cuts]) -> tuple[float, Array]:
    """(objective, thresholds) where no class alone can improve it."""
    value, (classes, images) = task.objective.value, task.scores.shape
    best = start.copy()
    decisions = task.scores > best[:, None]
    hits, predicted, positives = (decisions & task.positive).sum(0), decisions.sum(0), task.positive.sum(0)
    reached, before = float(value(hits, predicted, positives, classes).mean()), -1.0
    while reached > before + 1e-9:
        before = reached
        for c, cut in cuts.items():
            has = task.positive[c]
            hits, predicted = hits - (has & decisions[c]), predicted - decisions[c]
            gain = value(hits + has, predicted + 1, positives, classes) - value(hits, predicted, positives, classes)
            best[c] = cut.best_threshold(cut.totals(gain) / images)
            decisions[c] = task.scores[c] > best[c]
            hits, predicted = hits + (has & decisions[c]), predicted + decisions[c]
        reached = float(value(hits, predicted, positives, classes).mean())
    return reached, best
