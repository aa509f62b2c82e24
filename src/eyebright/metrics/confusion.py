"""Confusion matrices and the table of precision, recall and F1, as in scikit-learn, with unknown targets ignored."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from eyebright.errors import InputError
from eyebright.metrics.labels import split_targets

_DIGITS = 2  # of a score in the report
_AVERAGES = ("micro avg", "macro avg", "weighted avg", "samples avg")


def confusion_matrix(predicted: Int[Tensor, " n"], target: Int[Tensor, " n"], classes: int) -> Int[Tensor, "k k"]:
    """The number of images of each class (row) that each class was predicted for (column).

    Args:
        predicted: the index of the predicted class.
        target: the index of the true class; negative where unknown: the image is ignored.
        classes: number k of classes.

    Raises:
        InputError: the shapes differ, or an index is not that of a class.
    """
    if predicted.ndim != 1 or predicted.shape != target.shape:
        raise InputError(
            "a confusion matrix needs one predicted and one true class for each image; "
            f"got {tuple(predicted.shape)} and {tuple(target.shape)}"
        )
    known = target >= 0
    predicted, target = predicted[known].long().cpu(), target[known].long().cpu()
    if predicted.numel() and not (predicted.min() >= 0 and max(predicted.max(), target.max()) < classes):
        raise InputError(f"the indices of {classes} classes are 0 to {classes - 1}; got others")
    return torch.bincount(target * classes + predicted, minlength=classes**2).reshape(classes, classes)


def multilabel_confusion_matrix(decisions: Bool[Tensor, "n k"], target: Shaped[Tensor, "n k"]) -> Int[Tensor, "k 2 2"]:
    """For each label a matrix ``[[absent, extra], [missing, present]]``: rows are the targets, columns the decisions.

    Args:
        decisions: True where a label is predicted.
        target: 1 where the image has the label, 0 where not, NaN where unknown: the cell is ignored.

    Raises:
        InputError: the shapes differ, or a target is another number.
    """
    positive, known = split_targets(target, decisions)
    predicted = decisions.cpu().bool()
    cells = [[~positive & ~predicted, ~positive & predicted], [positive & ~predicted, positive & predicted]]
    return torch.stack([torch.stack([(cell & known).sum(0) for cell in row], -1) for row in cells], -2)


def most_confused_labels(
    decisions: Bool[Tensor, "n k"], target: Shaped[Tensor, "n k"], names: Sequence[str]
) -> list[tuple[str, str, int]]:
    """(missing, predicted instead, number of images), most frequent first, in the order of the labels where equal.

    An image counts for each pair of a label that it has and that was not predicted, and a label that was predicted
    and that it does not have.

    Args:
        decisions: as in `multilabel_confusion_matrix`.
        target: as in `multilabel_confusion_matrix`.
        names: the names of the labels.

    Raises:
        InputError: as in `multilabel_confusion_matrix`.
    """
    positive, known = split_targets(target, decisions)
    predicted = decisions.cpu().bool()
    missing, extra = (positive & ~predicted & known).double(), (~positive & predicted & known).double()
    return largest_pairs((missing.T @ extra).round().long(), names)


def largest_pairs(counts: Int[Tensor, "k k"], names: Sequence[str]) -> list[tuple[str, str, int]]:
    """(row, column, number) of the numbers off the diagonal that are not 0, largest first; ties keep their order."""
    pairs: list[tuple[str, str, int]] = [
        (names[int(row)], names[int(column)], int(counts[row, column]))
        for row, column in counts.nonzero().tolist()
        if row != column
    ]
    return sorted(pairs, key=_count, reverse=True)


def classification_report(
    decisions: Bool[Tensor, "n k"], target: Shaped[Tensor, "n k"], names: Sequence[str], *, single_label: bool = False
) -> str:
    """The text of scikit-learn's ``classification_report`` with ``zero_division=0``.

    Args:
        decisions: True where a label is predicted.
        target: 1 where the image has the label, 0 where not, NaN where unknown: the cell is ignored.
        names: the names of the labels.
        single_label: whether each image has one label exactly: then accuracy is the only average over the decisions.

    Raises:
        InputError: as in `multilabel_confusion_matrix`.
    """
    matrix = multilabel_confusion_matrix(decisions, target).double()
    hits, predicted, support = matrix[:, 1, 1], matrix[:, :, 1].sum(1), matrix[:, 1].sum(1)
    label_scores = _scores(hits, predicted, support)
    rows = [
        (name, *values, int(count)) for name, values, count in zip(names, label_scores.tolist(), support, strict=True)
    ]
    micro = _scores(hits.sum(), predicted.sum(), support.sum())
    weights = support / support.sum() if support.sum() else torch.zeros_like(support)
    averages = [
        micro,
        label_scores.mean(0),
        (label_scores * weights[:, None]).sum(0),
        _sample_scores(decisions, target),
    ]
    total = int(support.sum())
    tail = [(name, *values.tolist(), total) for name, values in zip(_AVERAGES, averages, strict=True)]
    width = max(*(len(name) for name in names), len("weighted avg"), _DIGITS)
    head = " " * width + " " + "".join(f" {name:>9}" for name in ("precision", "recall", "f1-score", "support"))
    lines = [head, "", *(_line(row, width) for row in rows), ""]
    if single_label:
        accuracy = f"{micro[2].item():.{_DIGITS}f}"
        lines += [f"{'accuracy':>{width}} {'':>20} {accuracy:>9} {total:>9}", *(_line(row, width) for row in tail[1:3])]
    else:
        lines += [_line(row, width) for row in tail]
    return "\n".join(lines) + "\n"


def _count(pair: tuple[str, str, int]) -> int:
    return pair[2]


def _line(row: tuple[str, float, float, float, int], width: int) -> str:
    name, *values, support = row
    return f"{name:>{width}} " + "".join(f" {value:>9.{_DIGITS}f}" for value in values) + f" {support:>9}"


def _scores(
    hits: Float[Tensor, " *k"], predicted: Float[Tensor, " *k"], support: Float[Tensor, " *k"]
) -> Float[Tensor, "*k 3"]:
    """Precision, recall and F1; 0 where they would be 0 / 0."""
    pairs = ((hits, predicted), (hits, support), (2 * hits, predicted + support))
    return torch.stack([torch.where(whole > 0, part / whole, 0.0) for part, whole in pairs], -1)


def _sample_scores(decisions: Tensor, target: Tensor) -> Float[Tensor, " 3"]:
    """The mean over the images with known cells of their precision, recall and F1."""
    positive, known = split_targets(target, decisions)
    predicted = decisions.cpu().bool() & known
    hits, counted = positive & predicted, known.any(1)
    sums = [cells.sum(1).double()[counted] for cells in (hits, predicted, positive & known)]
    return _scores(sums[0], sums[1], sums[2]).mean(0)
