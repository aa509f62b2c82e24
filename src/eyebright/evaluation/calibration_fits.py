"""Fits the parameters of each kind of calibration to counts, for several sets of images and all labels at once.

Temperature, Platt and beta calibration are logistic regressions on one to three functions of the output, fitted by
Fisher scoring with a Gaussian prior. Slopes are fitted as their logarithms, so they are positive.

First one fit for all labels together, with a weak prior (standard deviation 1) around no change. Then each label by
itself, with a prior around the first fit, whose variances are estimated from the labels themselves (empirical Bayes by
the EM algorithm: Dempster, Laird & Rubin, 1977, Journal of the Royal Statistical Society B 39:1). A label with little
evidence keeps nearly the shared parameters, and one with much evidence gets its own.

Isotonic calibration starts from Platt's curve. Its bins have equal Fisher information; in each the odds of that curve
are corrected by (observed + 2) / (expected + 2) positives and negatives; the corrected frequencies are made to increase
by pooling adjacent violators, and the pools are the knots.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

from eyebright._choices import CalibrationKind
from eyebright.evaluation.label_counts import LabelCounts
from eyebright.tasks.calibration import MAX_SLOPE, Beta, Calibration, Isotonic, Platt, Temperature

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

_PRIOR_SD = 0.3  # prior standard deviation between labels, of the logarithm of a slope and of an offset
_PRIOR_LABELS = 2.0  # how many labels the prior counts as
_EM_ROUNDS = 12
_MAX_STEPS = 30
_BINS = 24
_PSEUDO_COUNT = 2.0
_MIN_SLOPE = 0.05
_MIN_RUN = 0.05  # least distance between two knots
_END_RUN = 4.0  # length of the line beyond the outermost bins, whose slope is Platt's


def fit_each_set(counts: LabelCounts, kind: CalibrationKind) -> list[Calibration]:
    """The calibration of several labels, fitted to each set of images.

    Args:
        counts: the counts of one or more sets.
        kind: any but ``"none"``.
    """
    return _FIT_OF_KIND[kind](counts)


def _temperatures(counts: LabelCounts) -> list[Calibration]:
    slopes = _shared_parameters(counts, _linear, n_slopes=1)[:, 0, 0].exp()
    return [Temperature(1 / slope) for slope in slopes.tolist()]


def _platts(counts: LabelCounts) -> list[Calibration]:
    parameters = _each_label(counts, _with_offset, n_slopes=1)
    return [Platt(tuple(s), tuple(o)) for s, o in _columns(parameters, n_slopes=1)]


def _betas(counts: LabelCounts) -> list[Calibration]:
    parameters = _each_label(counts, _beta_features, n_slopes=2)
    return [Beta(tuple(a), tuple(b), tuple(c)) for a, b, c in _columns(parameters, n_slopes=2)]


def _isotonics(counts: LabelCounts) -> list[Calibration]:
    parameters = _each_label(counts, _with_offset, n_slopes=1)
    slopes, offsets = parameters[..., 0].exp(), parameters[..., 1]
    binned = _bins_of_equal_information(counts, (slopes[..., None] * counts.points + offsets[..., None]).sigmoid())
    rows = [
        [_knots(bins, slope) for bins, slope in zip(of_set, of_slopes, strict=True)]
        for of_set, of_slopes in zip(binned.numpy(), slopes.tolist(), strict=True)
    ]
    return [Isotonic(*zip(*of_set, strict=True)) for of_set in rows]


_FIT_OF_KIND: dict[CalibrationKind, Callable[[LabelCounts], list[Calibration]]] = {
    "temperature": _temperatures,
    "platt": _platts,
    "beta": _betas,
    "isotonic": _isotonics,
}


def fit_softmax_temperature(
    outputs: Float[Tensor, "n c"], targets: Shaped[Tensor, " n"], *, start: float = 1.0
) -> float:
    """The softmax temperature with the least log loss; its logarithm has a prior with standard deviation 1.

    Args:
        outputs: raw outputs.
        targets: the index of each image's class.
        start: the starting value of Fisher scoring.
    """
    centered = outputs - outputs.gather(1, targets.long()[:, None])
    theta = -float(np.log(start))
    for _ in range(50):
        slope = float(np.exp(theta))
        shares = (slope * centered).softmax(1)
        mean = (shares * centered).sum(1)
        variance = ((shares * centered.square()).sum(1) - mean.square()).clamp_min(0)
        gradient = slope * float(mean.double().sum()) + theta
        step = gradient / (slope * slope * float(variance.double().sum()) + 1)
        theta -= min(max(step, -1.0), 1.0)
        if abs(step) < 1e-6:
            break
    return float(np.exp(-theta))


# ------------------------------------------------------------------------------- logistic regressions


def _linear(points: Tensor) -> Tensor:
    return points[..., None]


def _with_offset(points: Tensor) -> Tensor:
    return torch.stack([points, torch.ones_like(points)], dim=-1)


def _beta_features(points: Tensor) -> Tensor:
    return torch.stack([-functional.softplus(-points), functional.softplus(points), torch.ones_like(points)], dim=-1)


def _shared_parameters(counts: LabelCounts, features: Callable[[Tensor], Tensor], *, n_slopes: int) -> Tensor:
    """The parameters of all labels together, shape (s, 1, d)."""
    together = counts.together()
    x = features(together.points)
    zero = torch.zeros(len(counts.positives), 1, x.shape[-1], dtype=torch.float64)
    return _scored(together, x, n_slopes=n_slopes, center=zero, precision=torch.ones_like(zero), start=zero)[0]


def _each_label(counts: LabelCounts, features: Callable[[Tensor], Tensor], *, n_slopes: int) -> Float[Tensor, "s k d"]:
    """The parameters of each label, shrunk towards the shared ones."""
    center = _shared_parameters(counts, features, n_slopes=n_slopes)
    x = features(counts.points)
    n_labels = len(x)
    parameters = center.expand(-1, n_labels, -1)
    variance = torch.full_like(center, _PRIOR_SD**2)
    for _ in range(_EM_ROUNDS):
        parameters, spread = _scored(
            counts, x, n_slopes=n_slopes, center=center, precision=1 / variance, start=parameters, steps=2
        )
        total = ((parameters - center).square() + spread).sum(dim=1, keepdim=True)
        variance = (_PRIOR_LABELS * _PRIOR_SD**2 + total) / (_PRIOR_LABELS + n_labels)
    return _scored(counts, x, n_slopes=n_slopes, center=center, precision=1 / variance, start=parameters)[0]


def _scored(
    counts: LabelCounts,
    x: Float[Tensor, "k g d"],
    *,
    n_slopes: int,
    center: Tensor,
    precision: Tensor,
    start: Tensor,
    steps: int = _MAX_STEPS,
) -> tuple[Float[Tensor, "s k d"], Float[Tensor, "s k d"]]:
    """(parameters with the highest posterior density, their posterior variances), by Fisher scoring."""
    parameters = start
    information = torch.empty(0)
    for _ in range(steps):
        gradient, information = _derivatives(counts, x, parameters, n_slopes)
        gradient = gradient + precision * (parameters - center)
        information = information + torch.diag_embed(precision.expand_as(parameters))
        step = torch.linalg.solve(information, gradient).clamp(-1, 1)
        parameters = parameters - step
        if float(step.abs().max()) < 1e-6:
            break
    return parameters, torch.linalg.inv(information).diagonal(dim1=-2, dim2=-1)


def _derivatives(
    counts: LabelCounts, x: Float[Tensor, "k g d"], parameters: Float[Tensor, "s k d"], n_slopes: int
) -> tuple[Float[Tensor, "s k d"], Float[Tensor, "s k d d"]]:
    """(gradient of the negative log-likelihood, Fisher information), in the logarithms of the slopes."""
    images = counts.positives + counts.negatives
    slopes = parameters[..., :n_slopes].exp()
    applied = torch.cat([slopes, parameters[..., n_slopes:]], dim=-1)
    chain = torch.cat([slopes, torch.ones_like(parameters[..., n_slopes:])], dim=-1)
    p = (applied.transpose(0, 1) @ x.mT).sigmoid_()  # label by label: (k, s, g)
    images, positives = images.transpose(0, 1), counts.positives.transpose(0, 1)
    gradient = ((images * p - positives) @ x).transpose(0, 1) * chain
    products = (x[..., None] * x[..., None, :]).flatten(-2)
    information = ((images * p * (1 - p)) @ products).transpose(0, 1).unflatten(-1, (x.shape[-1], x.shape[-1]))
    return gradient, information * chain[..., None] * chain[..., None, :]


def _columns(parameters: Float[Tensor, "s k d"], *, n_slopes: int) -> list[list[list[float]]]:
    """For each set, the values of each parameter; slopes not as logarithms."""
    slopes = parameters[..., :n_slopes].exp().clamp(1e-3, 1e3)
    return torch.cat([slopes, parameters[..., n_slopes:]], dim=-1).transpose(1, 2).tolist()


# ------------------------------------------------------------------------------- isotonic


def _bins_of_equal_information(counts: LabelCounts, p: Float[Tensor, "s k g"]) -> Float[Tensor, "s k 4 b"]:
    """For each bin: images, positives, expected positives, and the mean output weighted by information."""
    images = counts.positives + counts.negatives
    information = images * p * (1 - p)
    total = information.sum(-1, keepdim=True).clamp_min(1e-12)
    middle = (information.cumsum(-1) - information / 2) / total
    at = (middle * _BINS).long().clamp(0, _BINS - 1)
    points = counts.points.expand_as(p)
    summed = [
        torch.zeros(*p.shape[:2], _BINS, dtype=torch.float64).scatter_add(-1, at, values)
        for values in (images, counts.positives, images * p, information * points, information)
    ]
    return torch.stack([*summed[:3], summed[3] / summed[4].clamp_min(1e-300)], dim=2)


def _knots(bins: Array, slope: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(knots, values) of one label from the bins' images, positives, expected positives and mean outputs."""
    images, positives, expected, outputs = bins[:, bins[0] > 1e-9]
    ends = min(max(slope, _MIN_SLOPE), MAX_SLOPE)
    if not len(images):
        return (-1.0, 1.0), (-ends, ends)
    m, none = _PSEUDO_COUNT, images - positives
    odds = expected / np.maximum(images - expected, 1e-9)
    odds *= (positives + m) / (expected + m) * (images - expected + m) / (none + m)
    weights, frequencies, at = _increasing(images, odds / (1 + odds), outputs)
    values = np.log(frequencies / (1 - frequencies))
    rises = np.clip(np.diff(values) / np.diff(at), _MIN_SLOPE, MAX_SLOPE) * np.diff(at)
    inner = np.concatenate([[0.0], np.cumsum(rises)])
    information = weights * frequencies * (1 - frequencies)
    inner += np.average(values - inner, weights=information)
    knots = [at[0] - _END_RUN, *at, at[-1] + _END_RUN]
    return tuple(map(float, knots)), tuple(
        map(float, [inner[0] - _END_RUN * ends, *inner, inner[-1] + _END_RUN * ends])
    )


def _increasing(weights: Array, frequencies: Array, outputs: Array) -> tuple[Array, Array, Array]:
    """(weights, frequencies, outputs) of pools whose frequencies increase, and whose outputs are not too close.

    Pooling adjacent violators: Ayer et al. (1955, Annals of Mathematical Statistics 26:641). The output of a pool is
    the mean weighted by information, as in centered isotonic regression (Oron & Flournoy, 2017, arXiv:1701.05964).
    """
    pools: list[Array] = []
    for weight, frequency, output in zip(weights, np.clip(frequencies, 1e-9, 1 - 1e-9), outputs, strict=True):
        pool = np.array([weight, frequency, output])
        while pools and (pools[-1][1] >= pool[1] or pool[2] - pools[-1][2] < _MIN_RUN):
            pool = _merged(pools.pop(), pool)
        pools.append(pool)
    stacked = np.stack(pools, axis=1)
    return stacked[0], stacked[1], stacked[2]


def _merged(first: Array, second: Array) -> Array:
    pools = np.stack([first, second])
    information = pools[:, 0] * pools[:, 1] * (1 - pools[:, 1])
    return np.array(
        [
            pools[:, 0].sum(),
            np.average(pools[:, 1], weights=pools[:, 0]),
            np.average(pools[:, 2], weights=information),
        ]
    )
