"""Metrics of points and of numbers: how far predictions are from the truth, over a whole set.

Targets that are NaN are points that nobody sees (or numbers that nobody knows): they are left out, and each one that is
known counts once, whatever picture it is on. A prediction that is NaN is not left out: it makes the metric NaN.
"""

from jaxtyping import Float
from torch import Tensor

from eyebright.errors import InputError
from eyebright.metrics.meter import Metric


def point_errors(predicted: Float[Tensor, "n ..."], target: Float[Tensor, "n p 2"]) -> Float[Tensor, "n p"]:
    """The Euclidean distance of each point from its target, in the units given; NaN where the target is unknown.

    Args:
        predicted: (x, y) of each point, of the target's shape or flat, (n, 2p).
        target: (x, y) of each point; a row with a NaN is a point that nobody sees.

    Raises:
        InputError: the shapes do not fit.
    """
    predicted, target = _pairs(predicted, target)
    if target.ndim != 3 or target.shape[2] != 2:
        raise InputError(f"points have the shape (pictures, points, 2), got targets of {tuple(target.shape)}")
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
    return float((_of_known_points(predicted, target) <= radius).double().mean())


def mean_absolute_error(predicted: Float[Tensor, "n ..."], target: Float[Tensor, "n ..."]) -> float:
    """The mean distance of numbers from their targets, in the units given."""
    return float(_of_known_numbers(predicted, target).abs().mean())


def root_mean_squared_error(predicted: Float[Tensor, "n ..."], target: Float[Tensor, "n ..."]) -> float:
    """The square root of the mean squared distance of numbers from their targets, in the units given."""
    return float(_of_known_numbers(predicted, target).square().mean().sqrt())


mean_point_error = Metric("point_error", point_error, takes="values", higher_is_better=False)
mae = Metric("mae", mean_absolute_error, takes="values", higher_is_better=False)
rmse = Metric("rmse", root_mean_squared_error, takes="values", higher_is_better=False)


def _of_known_points(predicted: Tensor, target: Tensor) -> Tensor:
    return point_errors(predicted, target)[~target.cpu().isnan().any(dim=-1)]


def _of_known_numbers(predicted: Tensor, target: Tensor) -> Tensor:
    predicted, target = _pairs(predicted, target)
    return (predicted - target)[~target.isnan()]


def _pairs(predicted: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The prediction in the shape of the target, and the target; both float64 on the CPU."""
    if len(predicted) != len(target) or predicted.numel() != target.numel():
        raise InputError(
            f"predictions of the shape {tuple(predicted.shape)} and targets of the shape {tuple(target.shape)} do not "
            "fit: each picture needs as many targets as outputs"
        )
    return predicted.detach().cpu().double().reshape(target.shape), target.cpu().double()
