"""The thresholds that make the best of a model's probabilities: one for all classes, or one for each.

How the best is found depends on how the metric is put together (``n`` pictures, ``k`` classes):

- one threshold for all classes: exactly, for every metric: what each decision adds is summed up along the ranking.
- one for each class, ``f1_macro``, ``hamming_loss``, ``accuracy_multi``: the classes do not touch each other, so each
  is solved alone, exactly.
- one for each class, ``f1_micro``: a ratio of sums over classes. Dinkelbach's method (1967, Management Science 13:492)
  turns it into a few rounds in which each class is again solved alone, exactly.
- one for each class, ``f1_samples``, ``subset_accuracy``: the decisions on a picture depend on each other. Class after
  class is solved exactly with the others held, from several starts, until nothing gets better. The result is never
  worse than the best single threshold, but it can be a local optimum: finding the global one is a search over
  combinations of classes.

A class without positives says nothing about its threshold and keeps the global one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.errors import InputError, did_you_mean
from eyebright.interpret.cuts import Array, Cuts
from eyebright.metrics.labels import f1_macro, f1_micro, f1_samples, hamming, hamming_loss, subset
from eyebright.metrics.meter import Metric
from eyebright.types import Thresholds


def tune_thresholds(
    probabilities: Float[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    *,
    metric: str = "f1_macro",
    per_class: bool = True,
) -> Thresholds:
    """The thresholds with the best metric on these pictures, each in the middle of its plateau.

    Tune on pictures that the model was not trained on, and do not report the metric of the *same* pictures at the tuned
    thresholds: it is too good, the more so the fewer positives a class has (with five, a threshold is a guess).
    `cross_fitted_score` gives the honest number.

    Args:
        probabilities: in [0, 1].
        target: 1 where the picture has the label, else 0.
        metric: ``"f1_macro"``, ``"f1_micro"``, ``"f1_samples"``, ``"hamming_loss"``, ``"accuracy_multi"`` or
            ``"subset_accuracy"``. Note that F1 gives labels more readily than the other three.
        per_class: one threshold for each class; False: one for all.

    Raises:
        InputError: an unknown metric, probabilities outside [0, 1], shapes that differ, or no picture has any label.
    """
    objective = _objective(metric)
    scores, positive = _arrays(probabilities, target)
    if not positive.any():
        raise InputError("thresholds cannot be tuned: none of these pictures has a label")
    single = _best_for_all(scores, positive, objective)
    if not per_class:
        return Thresholds(single, metric=metric)
    # Classes without positives stay at the single threshold; what they give still counts.
    start = np.full(scores.shape[1], single)
    tuned = np.flatnonzero(positive.any(axis=0))
    solve = {"classes": _each_alone, "all": _by_ratio, "pictures": _class_after_class}[objective.shared]
    return Thresholds(tuple(solve(scores, positive, objective, start, tuned).tolist()), metric=metric)


def cross_fitted_score(
    probabilities: Float[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    *,
    metric: str = "f1_macro",
    per_class: bool = True,
    folds: int = 5,
    seed: int = 0,
) -> float:
    """The metric to expect of tuned thresholds on new pictures: each picture is decided by thresholds of the others.

    The pictures are dealt into folds at random. The thresholds for a fold are tuned on the other folds, and the metric
    is computed once, over the decisions on all pictures.

    Args:
        probabilities: in [0, 1].
        target: 1 where the picture has the label, else 0.
        metric: as in `tune_thresholds`.
        per_class: as in `tune_thresholds`.
        folds: how many; at most one for each picture.
        seed: of the dealing.

    Raises:
        InputError: as in `tune_thresholds`; or fewer than two pictures or folds.
    """
    score = _objective(metric).score
    if min(folds, len(probabilities)) < 2:
        raise InputError(f"a cross-fitted score needs two pictures and two folds, got {len(probabilities)} and {folds}")
    fold = torch.from_numpy(np.random.default_rng(seed).permutation(len(probabilities)) % folds)
    probabilities, target = probabilities.detach().cpu(), target.cpu()
    decisions = torch.zeros(probabilities.shape, dtype=torch.bool)
    for held in fold.unique():
        rest = fold != held
        thresholds = tune_thresholds(probabilities[rest], target[rest], metric=metric, per_class=per_class)
        decisions[~rest] = thresholds.decide(probabilities[~rest])
    return score(decisions, target)


@dataclass(frozen=True, eq=False)
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


def threshold_curve(
    probabilities: Float[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    *,
    metric: str = "f1_macro",
    thresholds: Float[Tensor, " t"] | None = None,
) -> ThresholdCurve:
    """The metric at each threshold, for a plot; the curve of one class is that of its column alone.

    Args:
        probabilities: in [0, 1].
        target: 1 where the picture has the label, else 0.
        metric: as in `tune_thresholds`.
        thresholds: from 0 to 1 in steps of 0.01 when absent.

    Raises:
        InputError: an unknown metric, probabilities outside [0, 1], or shapes that differ.
    """
    objective = _objective(metric)
    cuts, scores = _staircase(*_arrays(probabilities, target), objective)
    at = torch.linspace(0, 1, 101) if thresholds is None else thresholds.cpu()
    values = torch.from_numpy(scores[cuts.at(at.numpy())])
    return ThresholdCurve(at, values if objective.score.higher_is_better else 1 - values, metric)


# ------------------------------------------------------------------------------- what is made best


@dataclass(frozen=True)
class _Objective:
    """A metric as the mean, over groups of decisions, of a value in [0, 1] that grows with quality.

    Args:
        shared: what one group is: the decisions on a class, on a picture, or all.
        value: from (labels right, labels given, labels there, decisions) of a group.
        score: the metric as it is reported, of decisions.
    """

    shared: Literal["classes", "pictures", "all"]
    value: Callable[[Array, Array, Array, int], Array]
    score: Metric


def _f1(right: Array, given: Array, there: Array, decisions: int) -> Array:
    return 2 * right / np.maximum(given + there, 1)


def _agreement(right: Array, given: Array, there: Array, decisions: int) -> Array:
    return 1 - (given + there - 2 * right) / decisions


def _all_right(right: Array, given: Array, there: Array, decisions: int) -> Array:
    return ((right == there) & (given == there)).astype(np.float64)


def _accuracy_multi(decisions: Tensor, target: Tensor) -> float:
    return 1 - hamming_loss(decisions, target)


_OBJECTIVES = {
    "f1_macro": _Objective("classes", _f1, f1_macro),
    "f1_micro": _Objective("all", _f1, f1_micro),
    "f1_samples": _Objective("pictures", _f1, f1_samples),
    "hamming_loss": _Objective("classes", _agreement, hamming),
    "accuracy_multi": _Objective("classes", _agreement, Metric("accuracy_multi", _accuracy_multi, "decisions")),
    "subset_accuracy": _Objective("pictures", _all_right, subset),
}


def _objective(metric: str) -> _Objective:
    if metric not in _OBJECTIVES:
        raise InputError(
            f"thresholds cannot be tuned for '{metric}'.{did_you_mean(metric, _OBJECTIVES)} "
            f"They can for: {', '.join(_OBJECTIVES)}"
        )
    return _OBJECTIVES[metric]


def _arrays(probabilities: Tensor, target: Tensor) -> tuple[Array, Array]:
    """The probabilities as float32 (thresholds are compared in it), and the targets as booleans."""
    if probabilities.ndim != 2 or probabilities.shape != target.shape or probabilities.numel() == 0:
        raise InputError(
            "probabilities and targets have one row for each picture and one column for each class; "
            f"got {tuple(probabilities.shape)} and {tuple(target.shape)}"
        )
    if not bool(((probabilities >= 0) & (probabilities <= 1)).all()):
        raise InputError("probabilities lie in [0, 1]; these do not (logits become probabilities by the sigmoid)")
    if not bool(((target == 0) | (target == 1)).all()):
        raise InputError("targets are 0 or 1, got other numbers")
    return probabilities.detach().cpu().float().numpy(), (target.cpu() == 1).numpy()


# ------------------------------------------------------------------------------- one threshold for all


def _best_for_all(scores: Array, positive: Array, objective: _Objective) -> float:
    cuts, values = _staircase(scores, positive, objective)
    return cuts.best(values)


def _staircase(scores: Array, positive: Array, objective: _Objective) -> tuple[Cuts, Array]:
    """The cuts of all probabilities together, and the objective at each.

    Within a group, sorted, each decision adds the difference that it makes to the group's value. These differences,
    summed along the ranking of all decisions, are the objective.
    """
    shape = {"classes": scores.T.shape, "pictures": scores.shape, "all": (1, scores.size)}[objective.shared]
    turn = objective.shared == "classes"
    grouped = (scores.T if turn else scores).reshape(shape)
    order = np.argsort(-grouped, axis=1)
    ranked = np.take_along_axis(grouped, order, axis=1)
    right = np.cumsum(np.take_along_axis((positive.T if turn else positive).reshape(shape), order, axis=1), axis=1)
    there = right[:, -1:]
    given = np.arange(1, shape[1] + 1)
    nothing = objective.value(np.zeros_like(there), np.zeros_like(there), there, shape[1])
    steps = np.diff(objective.value(right, given, there, shape[1]), axis=1, prepend=nothing)
    cuts = Cuts.of(ranked.reshape(-1))
    return cuts, (nothing.sum() + cuts.totals(steps.reshape(-1))) / shape[0]


# ------------------------------------------------------------------------------- one threshold for each class


def _each_alone(scores: Array, positive: Array, objective: _Objective, start: Array, tuned: Array) -> Array:
    """Exact where the objective is a mean over classes."""
    best = start.copy()
    for c in tuned:
        cuts = Cuts.of(np.ascontiguousarray(scores[:, c]))
        right = cuts.totals(positive[:, c])
        best[c] = cuts.best(objective.value(right, cuts.given, positive[:, c].sum(), len(scores)))
    return best


def _by_ratio(scores: Array, positive: Array, objective: _Objective, start: Array, tuned: Array) -> Array:
    """Exact for micro-F1, the greatest 2 * right / (given + there), by Dinkelbach's method.

    The ratio is at least r when 2 * right - r * given, summed over the classes, is at least r * there; and that sum is
    greatest when each class's share of it is. So r rises to the ratio of those cuts until it rises no more.
    """
    best = start.copy()
    cuts = [Cuts.of(np.ascontiguousarray(scores[:, c])) for c in tuned]
    right = [cut.totals(positive[:, c]) for cut, c in zip(cuts, tuned, strict=True)]
    fixed = np.setdiff1d(np.arange(scores.shape[1]), tuned)
    constant = positive.sum() + (scores[:, fixed] > start[fixed]).sum()
    ratio, risen = 0.0, True
    while risen:
        chosen = [np.argmax(2 * r - ratio * cut.given) for cut, r in zip(cuts, right, strict=True)]
        hits = sum(r[at] for r, at in zip(right, chosen, strict=True))
        given = sum(cut.given[at] for cut, at in zip(cuts, chosen, strict=True))
        risen = 2 * hits / (given + constant) > ratio
        ratio = max(ratio, 2 * hits / (given + constant))
    for c, cut, r in zip(tuned, cuts, right, strict=True):
        best[c] = cut.best(2 * r - ratio * cut.given)
    return best


def _class_after_class(scores: Array, positive: Array, objective: _Objective, start: Array, tuned: Array) -> Array:
    """The best local optimum from three starts, where the objective is a mean over pictures."""
    starts = [
        start,
        _each_alone(scores, positive, _OBJECTIVES["f1_macro"], start, tuned),
        _each_alone(scores, positive, _OBJECTIVES["hamming_loss"], start, tuned),
    ]
    cuts = {c: Cuts.of(np.ascontiguousarray(scores[:, c])) for c in tuned.tolist()}
    ends = [_ascend(scores, positive, objective, s, cuts) for s in starts]
    return max(ends, key=lambda end: end[0])[1]


def _ascend(
    scores: Array, positive: Array, objective: _Objective, start: Array, cuts: dict[int, Cuts]
) -> tuple[float, Array]:
    """The objective and the thresholds when no class alone can make it better."""
    best = start.copy()
    decisions = scores > best.astype(np.float32)
    right, given, there = (decisions & positive).sum(1), decisions.sum(1), positive.sum(1)
    classes = scores.shape[1]
    reached, before = float(objective.value(right, given, there, classes).mean()), -1.0
    while reached > before + 1e-9:
        before = reached
        for c, cut in cuts.items():
            has, gave = positive[:, c], decisions[:, c]
            right, given = right - (has & gave), given - gave
            without = objective.value(right, given, there, classes)
            worth = objective.value(right + has, given + 1, there, classes) - without
            best[c] = cut.best(cut.totals(worth) / len(scores))
            decisions[:, c] = scores[:, c] > np.float32(best[c])
            right, given = right + (has & decisions[:, c]), given + decisions[:, c]
        reached = float(objective.value(right, given, there, classes).mean())
    return reached, best
