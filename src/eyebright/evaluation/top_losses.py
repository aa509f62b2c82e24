"""The images with the greatest loss, and their wrong labels or point errors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from eyebright.errors import InputError
from eyebright.metrics.points import point_errors
from eyebright.types import Thresholds


@dataclass(frozen=True, slots=True)
class LabelCase:
    """An image with one label or several, and the wrong predictions on it.

    Args:
        index: index of the image in the losses.
        loss: the loss of the image.
        missing: false negatives: its labels that were answered no.
        extra: false positives: predicted labels that it does not have; unknown labels are neither missing nor extra.
        probabilities: the probability of each label.
        abstained: its labels on which the model abstains; they do not count as missing.
    """

    index: int
    loss: float
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    probabilities: dict[str, float]
    abstained: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PointCase:
    """An image with points, and the errors of the predicted points.

    Args:
        index: index of the image in the targets.
        mean_error: the mean error of its known points.
        errors: the distance of each point from its target, in the units of the points; NaN for an unknown point.
    """

    index: int
    mean_error: float
    errors: tuple[float, ...]


def top_losses_multilabel(
    losses: Float[Tensor, " n"],
    probabilities: Float[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    *,
    vocab: Sequence[str],
    thresholds: Thresholds,
    k: int = 9,
) -> list[LabelCase]:
    """The images with the greatest loss, for multi-label targets.

    Args:
        losses: the loss of each image, for example from `image_losses`; NaN for images to omit.
        probabilities: the probability of each label.
        target: 1 where the image has the label, 0 where not, NaN where unknown.
        vocab: the names of the labels.
        thresholds: a label is predicted if its probability is greater; below it a person may be asked.
        k: maximum number of images.

    Raises:
        InputError: the losses, probabilities, targets and names are not for the same images and labels.
    """
    predicted, positive = thresholds.decide(probabilities).cpu(), target.cpu() == 1
    cases = _cases(losses, probabilities, predicted & ~target.cpu().isnan(), positive, vocab=vocab, k=k)
    if not thresholds.is_three_way:
        return cases
    abstained = (thresholds.abstains(probabilities).cpu() & positive)[[case.index for case in cases]]
    return [_with_abstained(case, _names(vocab, row)) for case, row in zip(cases, abstained, strict=True)]


def top_losses_single_label(
    losses: Float[Tensor, " n"],
    probabilities: Float[Tensor, "n k"],
    target: Int[Tensor, " n"],
    *,
    vocab: Sequence[str],
    predicted: Int[Tensor, " n"] | None = None,
    k: int = 9,
) -> list[LabelCase]:
    """The images with the greatest loss, for one class per image.

    If the predicted class is wrong, the true class is missing and the predicted class is extra.

    Args:
        losses: as in `top_losses_multilabel`; NaN for an image whose class is unknown.
        probabilities: the probability of each class.
        target: the index of the true class; negative where unknown.
        vocab: the names of the classes.
        predicted: the index of the predicted class; by default the most probable class.
        k: maximum number of images.

    Raises:
        InputError: as in `top_losses_multilabel`.
    """
    classes = torch.arange(probabilities.shape[1])
    chosen = probabilities.argmax(dim=1) if predicted is None else predicted
    return _cases(
        losses,
        probabilities,
        chosen.cpu()[:, None] == classes,
        target.cpu()[:, None] == classes,
        vocab=vocab,
        k=k,
    )


def top_point_errors(
    predicted: Float[Tensor, "n ..."], target: Float[Tensor, "n p 2"], *, k: int = 9
) -> list[PointCase]:
    """The images with the greatest mean error of their points; images without known points are omitted.

    Args:
        predicted: (x, y) of each point, in the shape of the target or flat, (n, 2p).
        target: (x, y) of each point; NaN for an unknown point.
        k: maximum number of images.

    Raises:
        InputError: the shapes differ.
    """
    errors = point_errors(predicted, target)
    means = errors.nanmean(dim=1)
    return [PointCase(i, float(means[i]), tuple(errors[i].tolist())) for i in _top_k(means, k)]


def _cases(
    losses: Tensor, probabilities: Tensor, predicted: Tensor, positive: Tensor, *, vocab: Sequence[str], k: int
) -> list[LabelCase]:
    shape = (len(losses), len(vocab))
    if any(matrix.shape != shape for matrix in (probabilities, predicted, positive)):
        raise InputError(
            f"losses for {shape[0]} images and names for {shape[1]} labels do not fit probabilities of the shape "
            f"{tuple(probabilities.shape)} and targets {tuple(positive.shape)}"
        )
    return [
        LabelCase(
            index=i,
            loss=float(losses[i]),
            missing=_names(vocab, positive[i] & ~predicted[i]),
            extra=_names(vocab, predicted[i] & ~positive[i]),
            probabilities=dict(zip(vocab, probabilities[i].tolist(), strict=True)),
        )
        for i in _top_k(losses, k)
    ]


def _with_abstained(case: LabelCase, abstained: tuple[str, ...]) -> LabelCase:
    return replace(case, missing=tuple(name for name in case.missing if name not in abstained), abstained=abstained)


def _names(vocab: Sequence[str], which: Tensor) -> tuple[str, ...]:
    return tuple(name for name, yes in zip(vocab, which.tolist(), strict=True) if yes)


def _top_k(values: Tensor, k: int) -> list[int]:
    """The indices of the greatest values in decreasing order, without NaN; equal values keep their order."""
    known = (~values.isnan()).nonzero()[:, 0]
    return known[values[known].argsort(descending=True, stable=True)][:k].tolist()
