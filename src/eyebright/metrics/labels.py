"""Metrics of labels: any number of labels per image, or exactly one class. Pure functions over a whole set.

A target cell is 1 (the image has the label), 0 (it has not) or NaN (unknown). Four conventions hold everywhere:

- *Unknown* cells are ignored: each metric equals scikit-learn's on the known cells. A mean over classes, or over
  images, ignores those without any known cell.
- *Average precision* is the sum over the thresholds of (gain in recall) times precision. Images with equal scores pass
  a threshold together, as in scikit-learn, so the order of the rows never matters.
- A *class without positives* has no average precision (NaN). The mean skips it, or counts it as 0 on request.
- Precision, recall and F1 are 0 where they would be 0 / 0, as with scikit-learn's ``zero_division=0``: an image without
  labels for which none was predicted counts 0 in the ``"samples"`` average, a class without positives in ``"macro"``.

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
from eyebright.types import Thresholds, refuse_nan

Average = Literal["micro", "macro", "samples"]
"""The average of precision, recall and F1: over all decisions at once, the classes, or the images."""


def split_targets(
    target: Shaped[Tensor, "n k"], predicted: Shaped[Tensor, "n k"]
) -> tuple[Bool[Tensor, "n k"], Bool[Tensor, "n k"]]:
    """(positive, known), boolean and on the CPU: which cells are 1, and which cells are not NaN.

    Args:
        target: 1, 0 or NaN (unknown), of any dtype.
        predicted: scores or decisions for the same images and classes.

    Raises:
        InputError: the shapes differ, there are no rows or columns, or a target is not 0, 1 or NaN.
    """
    if target.ndim != 2 or target.shape != predicted.shape or target.numel() == 0:
        raise InputError(
            "targets and predictions have one row for each image and one column for each class; "
            f"got {tuple(target.shape)} and {tuple(predicted.shape)}"
        )
    target = target.detach().cpu()
    if target.dtype == torch.bool:
        return target, torch.ones_like(target)
    positive, known = target == 1, ~target.isnan()
    if not bool((positive | (target == 0) | ~known).all()):
        raise InputError("targets must be 0 or 1, or NaN where unknown; got other numbers")
    return positive, known


# ------------------------------------------------------------------------------- rankings


def average_precision(scores: Float[Tensor, "n k"], target: Shaped[Tensor, "n k"]) -> Float[Tensor, " k"]:
    """The average precision of each class, in float64; NaN for a class without positives.

    Args:
        scores: any numbers; the greater, the likelier.
        target: 1 where the image has the label, 0 where not, NaN where unknown.

    Raises:
        InputError: the shapes differ, a score is NaN, or a target is another number.
    """
    positive, known = split_targets(target, scores)
    check_can_be_ranked(scores)
    ranked = scores.detach().cpu()
    ranked = ranked.float() if ranked.dtype in (torch.float16, torch.bfloat16) else ranked
    columns = (np.ascontiguousarray(matrix.numpy().T) for matrix in (ranked, positive, known))
    each = [_average_precision(s[k], p[k]) for s, p, k in zip(*columns, strict=True)]
    return torch.tensor(each, dtype=torch.float64)


def mean_average_precision(
    scores: Float[Tensor, "n k"], target: Shaped[Tensor, "n k"], *, absent: Literal["skip", "zero"] = "skip"
) -> float:
    """The mean over the classes of their average precision (mAP).

    Args:
        scores: as in `average_precision`.
        target: as in `average_precision`.
        absent: classes without positives are skipped (NaN if no class has any), or count as 0 as in scikit-learn and
            timm. A class without known targets is always skipped.

    Raises:
        InputError: as in `average_precision`, or another ``absent``.
    """
    if absent not in ("skip", "zero"):
        raise InputError(f"absent must be 'skip' or 'zero', got '{absent}'")
    each = average_precision(scores, target)
    if absent == "skip":
        return float(each.nanmean())
    known = split_targets(target, scores)[1].any(dim=0)
    return float(each[known].nan_to_num(0).mean())


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """Precision and recall of one class at every threshold that changes a decision, from the highest to the lowest.

    Args:
        precision: the precision of the images above the threshold.
        recall: the recall of the positives; NaN when there are none.
        thresholds: the thresholds; ``score > threshold`` gives the same point.
    """

    precision: Float[Tensor, " c"]
    recall: Float[Tensor, " c"]
    thresholds: Float[Tensor, " c"]


def precision_recall_curve(scores: Float[Tensor, " n"], target: Shaped[Tensor, " n"]) -> PrecisionRecall:
    """One class's precision and recall at each of its different scores; no points where nothing is known.

    The points are scikit-learn's in reverse order and without its added (1, 0). The thresholds are the next lower
    score (the last is minus infinity), because here a decision is strictly greater than its threshold.

    Args:
        scores: as in `average_precision`, of one class.
        target: as in `average_precision`, of one class.

    Raises:
        InputError: as in `average_precision`.
    """
    positive, known = (cells[:, 0] for cells in split_targets(target[:, None], scores[:, None]))
    check_can_be_ranked(scores)
    ranked, order = scores.detach().cpu()[known].sort(descending=True)
    last = torch.ones(len(ranked), dtype=torch.bool)  # of the images with equal scores
    last[:-1] = ranked[:-1] != ranked[1:]
    hits = positive[known][order].cumsum(0)[last].double()
    predicted = last.nonzero()[:, 0].double() + 1
    lower = torch.cat([ranked[last][1:], ranked.new_full((min(len(ranked), 1),), -torch.inf)])
    return PrecisionRecall(hits / predicted, hits / positive.sum(), lower)


# ------------------------------------------------------------------------------- decisions


def precision(decisions: Bool[Tensor, "n k"], target: Shaped[Tensor, "n k"], *, average: Average) -> float:
    """The fraction of the predicted labels that are right.

    Args:
        decisions: True where a label is predicted.
        target: 1 where the image has the label, 0 where not, NaN where unknown.
        average: over all decisions, over the classes, or over the images.

    Raises:
        InputError: the shapes differ, or another number, or another average.
    """
    hits, predicted, _ = decision_counts(decisions, target, average)
    return float(ratio(hits, predicted).mean())


def recall(decisions: Bool[Tensor, "n k"], target: Shaped[Tensor, "n k"], *, average: Average) -> float:
    """The fraction of the true labels that are predicted; arguments and errors as in `precision`."""
    hits, _, positives = decision_counts(decisions, target, average)
    return float(ratio(hits, positives).mean())


def f1(decisions: Bool[Tensor, "n k"], target: Shaped[Tensor, "n k"], *, average: Average) -> float:
    """The harmonic mean of precision and recall: 2 * hits / (predicted + positives).

    The formula is van Rijsbergen's (1979, Information Retrieval, chapter 7). Arguments and errors as in `precision`.
    """
    hits, predicted, positives = decision_counts(decisions, target, average)
    return float(ratio(2 * hits, predicted + positives).mean())


def hamming_loss(decisions: Bool[Tensor, "n k"], target: Shaped[Tensor, "n k"]) -> float:
    """The fraction of all known cells (images x classes) that are decided wrongly; NaN when nothing is known.

    Arguments and errors as in `precision`.
    """
    wrong, known = _wrong(decisions, target)
    return float(wrong[known].double().mean())


def subset_accuracy(decisions: Bool[Tensor, "n k"], target: Shaped[Tensor, "n k"]) -> float:
    """The exact match ratio: the fraction of the images whose known cells are all decided rightly.

    Images without any known cell are ignored; NaN when nothing is known. Arguments and errors as in `precision`.
    """
    wrong, known = _wrong(decisions, target)
    return float((~wrong.any(dim=1))[known.any(dim=1)].double().mean())


@dataclass(frozen=True, slots=True)
class ClassScores:
    """The scores of one class: a row of the per-class table.

    Args:
        known: the number of images with a known target; all other numbers are over these.
        positives: the number of images that have the label.
        predicted: the number of images that the label is predicted for.
        threshold: above which it is predicted.
        average_precision: NaN when there are no positives.
        precision: 0 when it is never predicted.
        recall: 0 when there are no positives.
        f1: 0 when neither.
    """

    known: int
    positives: int
    predicted: int
    threshold: float
    average_precision: float
    precision: float
    recall: float
    f1: float


def per_class(
    probabilities: Float[Tensor, "n k"], target: Shaped[Tensor, "n k"], thresholds: Thresholds
) -> list[ClassScores]:
    """One row for each class, in the order of the classes.

    Args:
        probabilities: the probabilities of each class.
        target: 1 where the image has the label, 0 where not, NaN where unknown.
        thresholds: the thresholds above which a label is predicted.

    Raises:
        InputError: the shapes differ, a probability is NaN, or the number of thresholds differs from the number of
            classes.
    """
    cells = decision_cells(thresholds.decide(probabilities), target)
    hits, predicted, positives, known = (matrix.sum(dim=0).double() for matrix in cells)
    columns = [
        known.long(),
        positives.long(),
        predicted.long(),
        thresholds.per_class(probabilities.shape[1]),
        average_precision(probabilities, target),
        ratio(hits, predicted),
        ratio(hits, positives),
        ratio(2 * hits, predicted + positives),
    ]
    return [ClassScores(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


# ------------------------------------------------------------------------------- the fastai book's functions


def accuracy_multi(
    inp: Float[Tensor, "n k"],
    targ: Shaped[Tensor, "n k"],
    thresh: float = 0.5,
    sigmoid: bool = True,  # noqa: FBT001 (fastai's signature)
) -> Float[Tensor, ""]:
    """The fraction of all known cells that are decided rightly: 1 - `hamming_loss`, from logits, as in fastai.

    Args:
        inp: logits; or probabilities, with ``sigmoid=False``.
        targ: 1 where the image has the label, 0 where not, NaN where unknown.
        thresh: a label is predicted when its probability is greater.
        sigmoid: whether ``inp`` are logits.

    Raises:
        InputError: the shapes differ, a prediction is NaN, or a target is another number.
    """
    refuse_nan(inp, "predictions")
    probabilities = inp.sigmoid() if sigmoid else inp
    wrong, known = _wrong(probabilities > thresh, targ)
    return (~wrong)[known].double().mean()


def accuracy(inp: Float[Tensor, "..."], targ: Shaped[Tensor, "..."], axis: int = -1) -> Float[Tensor, ""]:
    """The fraction of the images whose most probable class is the true one, as in fastai.

    Args:
        inp: logits or probabilities.
        targ: the indices of the true classes; negative where unknown: the image is ignored.
        axis: the axis of the classes in ``inp``.

    Raises:
        InputError: there is not one target for each predicted class, or a prediction is NaN.
    """
    refuse_nan(inp, "predictions")
    predicted = inp.argmax(dim=axis)
    if predicted.shape != targ.shape:
        raise InputError(
            f"predicted classes of the shape {tuple(predicted.shape)} and targets of the shape {tuple(targ.shape)} "
            "differ"
        )
    return (predicted == targ)[targ >= 0].double().mean()


def error_rate(inp: Float[Tensor, "..."], targ: Shaped[Tensor, "..."], axis: int = -1) -> Float[Tensor, ""]:
    """1 - `accuracy`; arguments and errors are the same."""
    return 1 - accuracy(inp, targ, axis=axis)


# ------------------------------------------------------------------------------- as Metric


def _f1_micro(decisions: Tensor, target: Tensor) -> float:
    return f1(decisions, target, average="micro")


def _f1_macro(decisions: Tensor, target: Tensor) -> float:
    return f1(decisions, target, average="macro")


def _f1_samples(decisions: Tensor, target: Tensor) -> float:
    return f1(decisions, target, average="samples")


mean_ap = Metric("mAP", mean_average_precision, takes="probabilities")
f1_micro = Metric("f1_micro", _f1_micro, takes="decisions", title="micro F1")
f1_macro = Metric("f1_macro", _f1_macro, takes="decisions", title="macro F1")
f1_samples = Metric("f1_samples", _f1_samples, takes="decisions", title="samples F1")
hamming_loss_metric = Metric(
    "hamming_loss", hamming_loss, takes="decisions", higher_is_better=False, title="Hamming loss"
)
subset_accuracy_metric = Metric("subset_accuracy", subset_accuracy, takes="decisions", title="exact match")
accuracy_metric = Metric("accuracy", accuracy, takes="logits")
error_rate_metric = Metric("error_rate", error_rate, takes="logits", higher_is_better=False, title="error rate")

# ------------------------------------------------------------------------------- private


def _average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """The mean over the positives of the precision at a threshold that includes exactly their score and greater ones.

    Each positive adds 1 / (number of positives) to the recall, so negatives need not be visited one by one.
    """
    hits = np.sort(scores[positive])
    if len(hits) == 0:
        return float("nan")
    predicted = len(scores) - np.searchsorted(np.sort(scores), hits, side="left")
    right = len(hits) - np.searchsorted(hits, hits, side="left")
    return float(np.mean(right / predicted))


def decision_counts(
    decisions: Shaped[Tensor, "n k"], target: Shaped[Tensor, "n k"], average: Average
) -> Sequence[Float[Tensor, " g"]]:
    """The numbers of hits, predictions and positives (float64): in total, per class, or per image with known cells.

    Arguments and errors as in `precision`.
    """
    axes: dict[str, tuple[int, ...]] = {"micro": (0, 1), "macro": (0,), "samples": (1,)}
    if average not in axes:
        raise InputError(f"average must be 'micro', 'macro' or 'samples', got '{average}'")
    *cells, known = decision_cells(decisions, target)
    counted = known.sum(axes[average]) > 0
    return [matrix.sum(axes[average]).double()[counted] for matrix in cells]


def decision_cells(decisions: Tensor, target: Tensor) -> Sequence[Tensor]:
    """Boolean matrices (hits, predicted, positive, known); the first three are False in unknown cells."""
    positive, known = split_targets(target, decisions)
    predicted = _checked_decisions(decisions) & known
    return positive & predicted, predicted, positive, known


def _wrong(decisions: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(known cells with wrong decisions, known cells)."""
    _, predicted, positive, known = decision_cells(decisions, target)
    return predicted != positive, known


def _checked_decisions(decisions: Tensor) -> Tensor:
    decisions = decisions.detach().cpu()
    if decisions.dtype == torch.bool:
        return decisions
    if not bool(((decisions == 0) | (decisions == 1)).all()):
        raise InputError(
            "decisions must be 0 or 1, got other numbers; Thresholds.decide converts probabilities to decisions"
        )
    return decisions == 1


def check_can_be_ranked(scores: Shaped[Tensor, "..."]) -> None:
    """Raises `InputError` if a score is NaN."""
    if bool(scores.isnan().any()):
        raise InputError("scores hold NaN, which cannot be ranked")


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """The quotient, and 0 for 0 / 0."""
    return part / whole.clamp(min=1)
