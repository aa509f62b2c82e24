"""Metrics of points: how far they are from where they should be, over a whole set.

Targets that are NaN are points that nobody sees: they are left out, and each one that is seen counts once, whatever
image it is on. A prediction that is NaN is not left out: it makes a distance NaN, and is no correct keypoint.
"""

from jaxtyping import Float
from torch import Tensor

from eyebright.errors import InputError
from eyebright.metrics.meter import Metric
from eyebright.metrics.values import matched


def point_errors(predicted: Float[Tensor, "n ..."], target: Float[Tensor, "n p 2"]) -> Float[Tensor, "n p"]:
    """The Euclidean distance of each point from its target, in the units given; NaN where the target is unknown.

    Args:
        predicted: (x, y) of each point, of the target's shape or flat, (n, 2p).
        target: (x, y) of each point; a row with a NaN is a point that nobody sees.

    Raises:
        InputError: the shapes do not fit.
    """
    predicted, target = matched(predicted, target)
    if target.ndim != 3 or target.shape[2] != 2:
        raise InputError(f"points have the shape (images, points, 2), got targets of {tuple(target.shape)}")
    return (predicted - target).square().sum(dim=2).sqrt()


def point_error(predicted: Float[Tensor, "n ..."], target: Float[Tensor, "n p 2"]) -> float:
    """The mean distance of the points from their targets, in the units given; NaN when no target is known."""
    return float(_of_known_points(predicted, target).mean())


def pck(predicted: Float[Tensor, "n ..."], target: Float[Tensor, "n p 2"], *, radius: float) -> float:
    """The share of correct keypoints: those not further than ``radius`` from their targets (Yang & Ramanan, 2013).

    Args:
        predicted: as in `point_errors`.
        target: as in `point_errors`.
        radius: in the units given.
    """
    errors = _of_known_points(predicted, target)
    return float((errors <= radius).double().mean())


point_distance = Metric("point_error", point_error, takes="values", higher_is_better=False, title="mean pixel error")


def _of_known_points(predicted: Tensor, target: Tensor) -> Tensor:
    errors = point_errors(predicted, target)
    return errors[~target.cpu().isnan().any(dim=-1)]
