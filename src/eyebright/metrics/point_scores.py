"""Point errors relative to the size of what is shown: NME, PCK and the area under the cumulative error curve.

The size of an image's object is the distance between two of its labelled points (the eyes), or the box around its
labelled points: ``"box"`` is the square root of its area, ``"diagonal"`` its diagonal. An image whose size is unknown
(a point of the pair is unlabelled) or 0 is ignored. As in `eyebright.metrics.points` every labelled point has the same
weight, and a NaN prediction is an error: NaN in a mean, never a correct keypoint.
"""

import math
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from eyebright.errors import InputError
from eyebright.metrics.meter import Metric
from eyebright.metrics.points import point_errors

SizeOf = Literal["box", "diagonal"] | tuple[int, int]
"""The size of an object: that of the box around its points, or the distance between two of them (their indices)."""


def object_sizes(target: Float[Tensor, "n p 2"], size_of: SizeOf) -> Float[Tensor, " n"]:
    """The size of each image's object, float64; NaN where it is unknown or 0.

    Args:
        target: (x, y) of each point; NaN where unlabelled.
        size_of: what the size is.

    Raises:
        InputError: unknown points, or an invalid ``size_of``.
    """
    points = target.detach().cpu().double()
    if size_of in ("box", "diagonal"):
        unlabelled = points.isnan().any(dim=2, keepdim=True)
        low = torch.where(unlabelled, math.inf, points).amin(dim=1)
        high = torch.where(unlabelled, -math.inf, points).amax(dim=1)
        sides = high - low
        sizes = sides.prod(dim=1).sqrt() if size_of == "box" else sides.square().sum(dim=1).sqrt()
        sizes = torch.where((high >= low).all(dim=1), sizes, math.nan)
    else:
        first, second = _pair(size_of, points.shape[1])
        sizes = (points[:, first] - points[:, second]).square().sum(dim=1).sqrt()
    return torch.where(sizes > 0, sizes, math.nan)


def relative_errors(
    predicted: Float[Tensor, "n ..."], target: Float[Tensor, "n p 2"], *, size_of: SizeOf
) -> tuple[Float[Tensor, "n p"], Float[Tensor, "n p"]]:
    """(error of each point in sizes of its object, 1.0 where it counts and 0.0 where not).

    Args:
        predicted: (x, y) of each point, of the target's shape or flat, (n, 2p).
        target: (x, y) of each point; NaN where unlabelled.
        size_of: what the size is.

    Raises:
        InputError: the shapes do not match, the points are unknown, or ``size_of`` is invalid.
    """
    errors = point_errors(predicted, target)
    sizes = object_sizes(target, size_of)[:, None]
    counts = ~target.cpu().isnan().any(dim=2) & ~sizes.isnan()
    return torch.where(counts, errors / sizes, 0), counts.double()


def nme(predicted: Float[Tensor, "n ..."], target: Float[Tensor, "n p 2"], *, size_of: SizeOf) -> float:
    """The normalised mean error (NME): the mean of `relative_errors`; NaN if no point counts.

    Arguments and errors as in `relative_errors`.
    """
    errors, counts = relative_errors(predicted, target, size_of=size_of)
    return float(errors.sum() / counts.sum())


def relative_pck(
    predicted: Float[Tensor, "n ..."], target: Float[Tensor, "n p 2"], *, size_of: SizeOf, within: float
) -> float:
    """The fraction of the points that are within ``within`` sizes of their target (PCK; Yang & Ramanan, 2013).

    Other arguments and errors as in `relative_errors`.
    """
    errors, counts = relative_errors(predicted, target, size_of=size_of)
    return float(((errors <= within) * counts).sum() / counts.sum())


def error_curve_area(
    predicted: Float[Tensor, "n ..."], target: Float[Tensor, "n p 2"], *, size_of: SizeOf, up_to: float
) -> float:
    """The area under the cumulative error curve up to an error, as a fraction of 1; exact.

    The curve is the share of the points with an error of at most x; the area under it from 0 to c, divided by c, is the
    mean over the points of max(0, 1 - error / c).

    Args:
        predicted: as in `relative_errors`.
        target: as in `relative_errors`.
        size_of: as in `relative_errors`.
        up_to: c, in sizes of the object.

    Raises:
        InputError: as in `relative_errors`.
    """
    errors, counts = relative_errors(predicted, target, size_of=size_of)
    gained = torch.where(errors < up_to, 1 - errors / up_to, 0)  # 0 for a NaN prediction
    return float((gained * counts).sum() / counts.sum())


def nme_metric(size_of: SizeOf) -> Metric:
    """The normalised mean error as a metric, named ``nme_box``, ``nme_diagonal`` or ``nme_0_1`` (by points 0 and 1)."""
    title = f"NME by {_words(size_of)}"
    return Metric(
        f"nme_{_name(size_of)}", partial(nme, size_of=size_of), takes="values", higher_is_better=False, title=title
    )


def pck_metric(size_of: SizeOf, within: float) -> Metric:
    """PCK as a metric, named ``pck_0.1_box`` and so on."""
    title = f"PCK at {within:g} of {_words(size_of)}"
    return Metric(
        f"pck_{within:g}_{_name(size_of)}", partial(relative_pck, size_of=size_of, within=within), "values", title=title
    )


def auc_metric(size_of: SizeOf, up_to: float) -> Metric:
    """The area under the cumulative error curve as a metric, named ``auc_0.1_box`` and so on."""
    title = f"AUC of errors up to {up_to:g} of {_words(size_of)}"
    return Metric(
        f"auc_{up_to:g}_{_name(size_of)}",
        partial(error_curve_area, size_of=size_of, up_to=up_to),
        "values",
        title=title,
    )


def _name(size_of: SizeOf) -> str:
    return size_of if isinstance(size_of, str) else f"{size_of[0]}_{size_of[1]}"


def _words(size_of: SizeOf) -> str:
    if isinstance(size_of, str):
        return {"box": "the box", "diagonal": "the diagonal of the box"}.get(size_of, size_of)
    return f"the distance of points {size_of[0]} and {size_of[1]}"


def _pair(size_of: object, n_points: int) -> tuple[int, int]:
    match size_of:
        case (int(first), int(second)) if first != second and 0 <= first < n_points and 0 <= second < n_points:
            return first, second
        case _:
            raise InputError(
                f"the size of an object is 'box', 'diagonal' or the indices of two of its {n_points} points, got "
                f"{size_of!r}"
            )
