"""Metrics of points, over a whole set of images: the distances of predicted points from their targets.

NaN targets are unlabelled points and are ignored; every labelled point has the same weight, whatever its image. A NaN
prediction is not ignored: its distance is NaN, and it does not count as a correct keypoint.
"""

from jaxtyping import Float
from torch import Tensor

from eyebright.errors import InputError
from eyebright.metrics.meter import Metric
from eyebright.metrics.values import in_same_shape


def point_errors(predicted: Float[Tensor, "n ..."], target: Float[Tensor, "n p 2"]) -> Float[Tensor, "n p"]:
    """The Euclidean distance of each point from its target, in the units of the inputs; NaN for an unlabelled point.

    Args:
        predicted: (x, y) of each point, of the target's shape or flat, (n, 2p).
        target: (x, y) of each point; a point with a NaN coordinate is unlabelled.

    Raises:
        InputError: the shapes do not fit.
    """
    predicted, target = in_same_shape(predicted, target)
    if target.ndim != 3 or target.shape[2] != 2:
        raise InputError(f"points have the shape (images, points, 2), got targets of {tuple(target.shape)}")
    return (predicted - target).square().sum(dim=2).sqrt()


def mean_point_error(predicted: Float[Tensor, "n ..."], target: Float[Tensor, "n p 2"]) -> float:
    """The mean distance of labelled points from their targets, in the units of the inputs; NaN if none is labelled.

    Args:
        predicted: as in `point_errors`.
        target: as in `point_errors`.

    Raises:
        InputError: the shapes do not fit.
    """
    return float(_known_errors(predicted, target).mean())


def pck(predicted: Float[Tensor, "n ..."], target: Float[Tensor, "n p 2"], *, radius: float) -> float:
    """The percentage of correct keypoints (PCK), as a fraction of 1 (Yang & Ramanan, 2013).

    Args:
        predicted: as in `point_errors`.
        target: as in `point_errors`.
        radius: a labelled point is correct if its distance from its target is at most this, in the units of the inputs.

    Raises:
        InputError: the shapes do not fit.
    """
    errors = _known_errors(predicted, target)
    return float((errors <= radius).double().mean())


# The meter's inputs are in pixels of the image.
point_error = Metric("point_error", mean_point_error, takes="values", higher_is_better=False, title="mean pixel error")


def _known_errors(predicted: Tensor, target: Tensor) -> Tensor:
    errors = point_errors(predicted, target)
    return errors[~target.cpu().isnan().any(dim=-1)]
