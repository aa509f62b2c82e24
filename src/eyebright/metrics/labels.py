"""Metrics of labels: any number of labels per image, or one. Pure functions over a whole set.

Three conventions, said once:

- *Average precision* is the sum over the cuts of the ranking of (gain in recall) times precision. Images with the
  same score stand at the same cut, as in scikit-learn, so the order of the rows can never matter.
- A *class without positives* has no average precision (NaN). The mean leaves it out, or counts it as 0 when asked.
- Precision, recall and F1 of nothing (nothing given, nothing there) are 0, as scikit-learn's ``zero_division=0``. So a
  image without labels for which none was given counts 0 in the ``"samples"`` average, and a class without positives 0
  in the ``"macro"`` one.

Decisions come from `Thresholds.decide`: strictly greater than the threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from eyebright.errors import InputError
from eyebright.metrics.meter import Metric
from eyebright.types import Thresholds

Average = Literal["micro", "macro", "samples"]
"""Over what precision, recall and F1 are averaged: all decisions at once, the classes, or the images."""

# ------------------------------------------------------------------------------- rankings


def average_precision(scores: Float[Tensor, "n k"], target: Shaped[Tensor, "n k"]) -> Float[Tensor, " k"]:
    """The average precision of each class, in float64; NaN for a class without positives.

    Args:
        scores: any numbers that rank the images of a class, greater means likelier.
        target: 1 where the image has the label, else 0.

    Raises:
        InputError: the shapes differ, a score is NaN, or a target is neither 0 nor 1.
    """
    positive = _yes_no(target, scores, "targets").numpy()
    ranked = scores.detach().cpu()
    ranked = (ranked.float() if ranked.dtype in (torch.float16, torch.bfloat16) else ranked).numpy()
    if np.isnan(ranked).any():
        raise InputError("scores hold NaN, which has no place in a ranking")
    pairs = zip(np.ascontiguousarray(ranked.T), np.ascontiguousarray(positive.T), strict=True)
    return torch.tensor([_average_precision(s, p) for s, p in pairs], dtype=torch.float64)


def mean_average_precision(
    scores: Float[Tensor, "n k"], target: Shaped[Tensor, "n k"], *, absent: Literal["skip", "zero"] = "skip"
) -> float:
    """The mean over the classes of their average precision (mAP).

    Args:
        scores: as in `average_precision`.
        target: as in `average_precision`.
        absent: classes without positives are skipped (NaN when that is all), or count as 0 as in scikit-learn and timm.
    """
    if absent not in ("skip", "zero"):
        raise InputError(f"absent is 'skip' or 'zero', got '{absent}'")
    each = average_precision(scores, target)
    return float(each.nan_to_num(0).mean() if absent == "zero" else each.nanmean())


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """Precision and recall of one class at every cut of its ranking, from the highest threshold to the lowest.

    Args:
        precision: of the images above the threshold.
        recall: of the positives; NaN when there are none.
        thresholds: deciding ``score > threshold`` gives the same point.
    """

    precision: Float[Tensor, " c"]
    recall: Float[Tensor, " c"]
    thresholds: Float[Tensor, " c"]


def precision_recall_curve(scores: Float[Tensor, " n"], target: Shaped[Tensor, " n"]) -> PrecisionRecall:
    """One class's precision and recall at each of its different scores.

    The points are scikit-learn's in reverse order and without its added (1, 0). The thresholds are the next lower
    score (the last is minus infinity), because here a decision is strictly greater than its threshold.

    Raises:
        InputError: the shapes differ, a score is NaN, or a target is neither 0 nor 1.
    """
    positive = _yes_no(target[:, None], scores[:, None], "targets")[:, 0]
    if bool(scores.isnan().any()):
        raise InputError("scores hold NaN, which has no place in a ranking")
    ranked, order = scores.detach().cpu().sort(descending=True)
    last = torch.ones(len(ranked), dtype=torch.bool)
    last[:-1] = ranked[:-1] != ranked[1:]
    hits = positive[order].cumsum(0)[last].double()
    given = last.nonzero()[:, 0].double() + 1
    lower = torch.cat([ranked[last][1:], ranked.new_tensor([-torch.inf])])
    return PrecisionRecall(hits / given, hits / positive.sum(), lower)


# ------------------------------------------------------------------------------- decisions


def precision(decisions: Bool[Tensor, "n k"], target: Shaped[Tensor, "n k"], *, average: Average) -> float:
    """The share of the given labels that are right."""
    hits, given, _ = _counts(decisions, target, average)
    return float(_ratio(hits, given).mean())


def recall(decisions: Bool[Tensor, "n k"], target: Shaped[Tensor, "n k"], *, average: Average) -> float:
    """The share of the true labels that are given."""
    hits, _, there = _counts(decisions, target, average)
    return float(_ratio(hits, there).mean())


def f1(decisions: Bool[Tensor, "n k"], target: Shaped[Tensor, "n k"], *, average: Average) -> float:
    """The harmonic mean of precision and recall: 2 * right / (given + there) (van Rijsbergen, 1979, chapter 7)."""
    hits, given, there = _counts(decisions, target, average)
    return float(_ratio(2 * hits, given + there).mean())


def hamming_loss(decisions: Bool[Tensor, "n k"], target: Shaped[Tensor, "n k"]) -> float:
    """The share of all decisions (images x classes) that are wrong."""
    return float(_wrong(decisions, target).double().mean())


def subset_accuracy(decisions: Bool[Tensor, "n k"], target: Shaped[Tensor, "n k"]) -> float:
    """The share of the images whose labels are all right, none missing and none too many."""
    return float((~_wrong(decisions, target).any(dim=1)).double().mean())


@dataclass(frozen=True, slots=True)
class ClassScores:
    """How one class fares: a row of the per-class table.

    Args:
        positives: how many images have the label.
        given: how many images were given it.
        threshold: above which it is given.
        average_precision: NaN when there are no positives.
        precision: 0 when it was never given.
        recall: 0 when there are no positives.
        f1: 0 when neither.
    """

    positives: int
    given: int
    threshold: float
    average_precision: float
    precision: float
    recall: float
    f1: float


def per_class(
    probabilities: Float[Tensor, "n k"], target: Shaped[Tensor, "n k"], thresholds: Thresholds
) -> list[ClassScores]:
    """One row for each class, in the order of the classes."""
    hits, given, there = _counts(thresholds.decide(probabilities), target, "macro")
    columns = [
        there.long(),
        given.long(),
        thresholds.per_class(probabilities.shape[1]),
        average_precision(probabilities, target),
        _ratio(hits, given),
        _ratio(hits, there),
        _ratio(2 * hits, given + there),
    ]
    return [ClassScores(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


# ------------------------------------------------------------------------------- the book's


def accuracy_multi(
    inp: Float[Tensor, "n k"],
    targ: Shaped[Tensor, "n k"],
    thresh: float = 0.5,
    sigmoid: bool = True,  # noqa: FBT001 (the book's signature)
) -> Float[Tensor, ""]:
    """The share of all decisions that are right: 1 - `hamming_loss`, from logits, as in the book.

    Args:
        inp: logits; or probabilities, with ``sigmoid=False``.
        targ: 1 where the image has the label, else 0.
        thresh: a label is given when its probability is greater.
        sigmoid: whether ``inp`` are logits.
    """
    probabilities = inp.sigmoid() if sigmoid else inp
    return (~_wrong(probabilities > thresh, targ)).double().mean()


def accuracy(inp: Float[Tensor, "..."], targ: Shaped[Tensor, "..."], axis: int = -1) -> Float[Tensor, ""]:
    """The share of the images whose likeliest class is the true one, as in the book.

    Args:
        inp: logits or probabilities.
        targ: the numbers of the true classes.
        axis: the axis of the classes in ``inp``.

    Raises:
        InputError: there is not one true class for each choice.
    """
    chosen = inp.argmax(dim=axis)
    if chosen.shape != targ.shape:
        raise InputError(f"choices of the shape {tuple(chosen.shape)} and true classes of {tuple(targ.shape)} differ")
    return (chosen == targ).double().mean()


def error_rate(inp: Float[Tensor, "..."], targ: Shaped[Tensor, "..."], axis: int = -1) -> Float[Tensor, ""]:
    """1 - `accuracy`."""
    return 1 - accuracy(inp, targ, axis=axis)


# ------------------------------------------------------------------------------- ready for a Meter


def _f1_micro(decisions: Tensor, target: Tensor) -> float:
    return f1(decisions, target, average="micro")


def _f1_macro(decisions: Tensor, target: Tensor) -> float:
    return f1(decisions, target, average="macro")


def _f1_samples(decisions: Tensor, target: Tensor) -> float:
    return f1(decisions, target, average="samples")


mean_ap = Metric("mAP", mean_average_precision, takes="probabilities")
f1_micro = Metric("f1_micro", _f1_micro, takes="decisions")
f1_macro = Metric("f1_macro", _f1_macro, takes="decisions")
f1_samples = Metric("f1_samples", _f1_samples, takes="decisions")
hamming = Metric("hamming_loss", hamming_loss, takes="decisions", higher_is_better=False)
subset = Metric("subset_accuracy", subset_accuracy, takes="decisions")
top1 = Metric("accuracy", accuracy, takes="logits")
error = Metric("error_rate", error_rate, takes="logits", higher_is_better=False)

# ------------------------------------------------------------------------------- how


def _average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Each positive brings 1 / positives of recall, at the precision of the cut that it stands at.

    That cut holds all images with its score or a greater one, so only the positives have to be looked up.
    """
    hits = np.sort(scores[positive])
    if len(hits) == 0:
        return float("nan")
    given = len(scores) - np.searchsorted(np.sort(scores), hits, side="left")
    right = len(hits) - np.searchsorted(hits, hits, side="left")
    return float(np.mean(right / given))


def _counts(decisions: Tensor, target: Tensor, average: str) -> Sequence[Tensor]:
    """How many labels are right, given and there (float64): in all, for each class, or for each image."""
    axes: dict[str, tuple[int, ...]] = {"micro": (0, 1), "macro": (0,), "samples": (1,)}
    if average not in axes:
        raise InputError(f"average is 'micro', 'macro' or 'samples', got '{average}'")
    there = _yes_no(target, decisions, "targets")
    given = _yes_no(decisions, decisions, "decisions")
    return [matrix.sum(axes[average]).double() for matrix in (there & given, given, there)]


def _wrong(decisions: Tensor, target: Tensor) -> Tensor:
    return _yes_no(decisions, decisions, "decisions") != _yes_no(target, decisions, "targets")


def _yes_no(matrix: Tensor, beside: Tensor, what: str) -> Tensor:
    """The matrix as booleans on the CPU, when it holds nothing else and fits what stands beside it."""
    if matrix.ndim != 2 or matrix.shape != beside.shape or matrix.numel() == 0:
        raise InputError(
            f"{what} and predictions have one row for each image and one column for each class; "
            f"got {tuple(matrix.shape)} and {tuple(beside.shape)}"
        )
    if matrix.dtype == torch.bool:
        return matrix.cpu()
    if not bool(((matrix == 0) | (matrix == 1)).all()):
        advice = "; probabilities become decisions by Thresholds.decide" if what == "decisions" else ""
        raise InputError(f"{what} are 0 or 1, got other numbers{advice}")
    return matrix.cpu() == 1


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """The share, and 0 of nothing."""
    return part / whole.clamp(min=1)
