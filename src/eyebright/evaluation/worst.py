"""The images with the greatest loss, and which decisions on them were wrong: values for a report to draw."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from eyebright.errors import InputError
from eyebright.metrics.points import point_errors
from eyebright.types import Thresholds


@dataclass(frozen=True, slots=True)
class LabelCase:
    """One image with labels (any number, or one), and the model's mistakes on it.

    Args:
        index: of the image, in the order of the losses.
        loss: of this image.
        missing: the labels that it has and that were not predicted.
        extra: the labels that were predicted and that it does not have; unknown ones are neither missing nor extra.
        probabilities: of every label.
    """

    index: int
    loss: float
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    probabilities: dict[str, float]


@dataclass(frozen=True, slots=True)
class PointCase:
    """One image with points, and how far the model's are from them.

    Args:
        index: of the image, in the order of the losses.
        loss: of this image.
        errors: the distance of each point from its target, in the units of the points; NaN for an unknown point.
    """

    index: int
    loss: float
    errors: tuple[float, ...]


def worst_labels(
    losses: Float[Tensor, " n"],
    probabilities: Float[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    *,
    vocab: Sequence[str],
    thresholds: Thresholds,
    most: int = 9,
) -> list[LabelCase]:
    """The images with the greatest loss, where an image has any number of labels.

    Args:
        losses: of each image, for example by `image_losses`; those that are NaN are left out.
        probabilities: of each label.
        target: 1 where the image has the label, 0 where not, NaN where unknown.
        vocab: the names of the labels.
        thresholds: above which a label is predicted.
        most: how many images.

    Raises:
        InputError: the losses, probabilities, targets and names are not for the same images and labels.
    """
    predicted, positive = thresholds.decide(probabilities).cpu(), target.cpu() == 1
    return _cases(losses, probabilities, predicted & ~target.cpu().isnan(), positive, vocab=vocab, most=most)


def worst_classes(
    losses: Float[Tensor, " n"],
    probabilities: Float[Tensor, "n k"],
    target: Int[Tensor, " n"],
    *,
    vocab: Sequence[str],
    predicted: Int[Tensor, " n"] | None = None,
    most: int = 9,
) -> list[LabelCase]:
    """The images with the greatest loss, where an image has one label.

    Where the predicted class is not the true one, the true one is missing and the predicted one is extra.

    Args:
        losses: as in `worst_labels`; NaN for an image whose class is unknown.
        probabilities: of each class.
        target: the index of the true class; negative where unknown.
        vocab: the names of the classes.
        predicted: the index of the predicted class; None: of the most probable one.
        most: how many images.

    Raises:
        InputError: as in `worst_labels`.
    """
    classes = torch.arange(probabilities.shape[1])
    chosen = probabilities.argmax(dim=1) if predicted is None else predicted
    return _cases(
        losses,
        probabilities,
        chosen.cpu()[:, None] == classes,
        target.cpu()[:, None] == classes,
        vocab=vocab,
        most=most,
    )


def worst_points(
    losses: Float[Tensor, " n"],
    predicted: Float[Tensor, "n ..."],
    target: Float[Tensor, "n p 2"],
    *,
    most: int = 9,
) -> list[PointCase]:
    """The images with the greatest loss, where an image has points.

    Args:
        losses: of each image; those that are NaN (an image all of whose points are unknown) are left out.
        predicted: (x, y) of each point, of the target's shape or flat, (n, 2p).
        target: (x, y) of each point; NaN for an unknown one.
        most: how many images.

    Raises:
        InputError: the shapes do not fit.
    """
    errors = point_errors(predicted, target)
    if len(losses) != len(errors):
        raise InputError(f"there are losses for {len(losses)} images and points for {len(errors)}")
    return [PointCase(i, float(losses[i]), tuple(errors[i].tolist())) for i in _greatest(losses, most)]


def _cases(
    losses: Tensor, probabilities: Tensor, predicted: Tensor, positive: Tensor, *, vocab: Sequence[str], most: int
) -> list[LabelCase]:
    shape = (len(losses), len(vocab))
    if any(matrix.shape != shape for matrix in (probabilities, predicted, positive)):
        raise InputError(
            f"with losses for {shape[0]} images and names for {shape[1]} labels, probabilities have the shape "
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
        for i in _greatest(losses, most)
    ]


def _names(vocab: Sequence[str], which: Tensor) -> tuple[str, ...]:
    return tuple(name for name, yes in zip(vocab, which.tolist(), strict=True) if yes)


def _greatest(losses: Tensor, most: int) -> list[int]:
    """The indices of the greatest losses, the greatest first; of equal ones the first image first."""
    known = (~losses.isnan()).nonzero()[:, 0]
    return known[losses[known].argsort(descending=True, stable=True)][:most].tolist()
