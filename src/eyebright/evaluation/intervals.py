"""Confidence intervals of metrics, over images.

The bootstrap (Efron & Tibshirani, 1993, An Introduction to the Bootstrap, chapter 13) resamples the images with
replacement many times and takes percentiles of the metric's values on the resamples. *Images* are resampled, not single
decisions, because the labels of one image are not independent. A proportion of images gets Wilson's interval: near 0
and 1 the resamples would vary too little.

An interval covers the choice of the test images. It does not cover the variation between repeated training runs.

Resampling is biased where a class has few positives: some resamples have none of them, others have one twice, which
raises its precision. The percentiles may then lie on one side of the value itself, and the interval is widened to it.

Axes of arrays: n images, s resamples, m summands of an image, q statistics.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from eyebright.errors import InputError
from eyebright.evaluation.cross_fit import Groups, group_codes

_MAX_BLOCK = 4_000_000  # counts in one block of resamples: limits the memory


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval of a metric; NaN if it cannot be computed.

    Args:
        low: the lower end.
        high: the upper end.
        level: the confidence level, in (0, 1).
    """

    low: float
    high: float
    level: float = 0.95

    def __str__(self) -> str:
        return f"{self.low:.3f} to {self.high:.3f}"


def wilson(successes: int, trials: int, *, level: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion (Wilson, 1927, Journal of the American Statistical Association 22:209).

    Args:
        successes: for example the number of exact matches.
        trials: the number of images; with 0 the interval is NaN.
        level: the confidence level, in (0, 1).

    Raises:
        InputError: not 0 <= successes <= trials.
    """
    if not 0 <= successes <= trials:
        raise InputError(f"expected 0 <= successes <= {trials} trials, got {successes}")
    _checked(level)
    if trials == 0:
        return Interval(float("nan"), float("nan"), level)
    return score_interval(successes / trials, trials, level=level)


def score_interval(share: float, trials: int, *, level: float = 0.95) -> Interval:
    """Wilson's score interval of a mean of numbers between 0 and 1, which varies at most as much as a proportion.

    Args:
        share: the mean, in [0, 1].
        trials: how many numbers it is the mean of, 1 or more.
        level: the confidence level, in (0, 1).

    Raises:
        InputError: a level outside (0, 1).
    """
    z = NormalDist().inv_cdf(0.5 + _checked(level) / 2)
    center = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * (share * (1 - share) / trials + z * z / (4 * trials * trials)) ** 0.5
    low = 0.0 if share == 0 else center - half
    high = 1.0 if share == 1 else center + half
    return Interval(low, high, level)


def bootstrap(
    statistic: Callable[..., float],
    arrays: Sequence[Shaped[Tensor, "n ..."]],
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """The bootstrap interval of a statistic of a set of images.

    >>> bootstrap(lambda x: float(x.mean()), [torch.arange(100.0)], n_resamples=200)  # doctest: +ELLIPSIS
    Interval(low=4..., high=5..., level=0.95)

    Args:
        statistic: a function of the resampled arrays; resamples for which it is NaN are ignored.
        arrays: arrays with one row per image, for example predictions and targets.
        n_resamples: number of bootstrap resamples.
        seed: seed of the resamples.
        level: the confidence level, in (0, 1).

    Raises:
        InputError: no arrays, no images, arrays of different lengths, no resamples, or a level outside (0, 1).
    """
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1:
        raise InputError(f"a bootstrap needs arrays with one row per image, got lengths {sorted(lengths)}")
    n_images = lengths.pop()
    generator = np.random.default_rng(seed)
    values: list[float] = []
    for _ in range(_at_least_one(n_resamples, "n_resamples")):
        rows = torch.from_numpy(generator.integers(_at_least_one(n_images, "images"), size=n_images))
        values.append(float(statistic(*(array[rows] for array in arrays))))
    return percentile_intervals(np.array(values)[:, None], level, [float(statistic(*arrays))])[0]


def bootstrap_sums(
    statistic: Callable[[Float[Tensor, "s m"]], Float[Tensor, "s q"]],
    summands: Shaped[Tensor, "n m"],
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> list[Interval]:
    """The bootstrap intervals of q statistics of sums over the images, vectorised over the resamples.

    Args:
        statistic: a function from the m sums of each resample to its q statistics, one row per resample.
        summands: the m numbers of each image, for example its true positives of each class.
        n_resamples: number of bootstrap resamples.
        seed: seed of the resamples.
        level: the confidence level, in (0, 1).

    Raises:
        InputError: no images, no resamples, or a level outside (0, 1).
    """
    rows = summands.detach().cpu().double()
    sums = [
        torch.from_numpy(counts).double() @ rows
        for counts in resample_counts(len(summands), n_resamples=n_resamples, seed=seed)
    ]
    on_all_images = statistic(rows.sum(dim=0, keepdim=True))[0].tolist()
    return percentile_intervals(statistic(torch.cat(sums)).numpy(), level, on_all_images)


def resample_counts(
    n_images: int, *, n_resamples: int, seed: int, groups: Groups | None = None
) -> Iterator[Float[np.ndarray, "s n"]]:
    """How often each image occurs in each resample, float32, in blocks of resamples that fit in memory.

    Args:
        n_images: the number of images.
        n_resamples: the number of resamples.
        seed: seed of the resamples.
        groups: the group of each image; as many groups as there are are drawn, each whole.

    Raises:
        InputError: no images, no resamples, or there is not one group for each image.
    """
    generator = np.random.default_rng(seed)
    codes = None if groups is None else group_codes(groups, n_images)
    drawn = n_images if codes is None else int(codes.max(initial=-1)) + 1
    block = max(_MAX_BLOCK // _at_least_one(n_images, "images"), 1)
    for start in range(0, _at_least_one(n_resamples, "n_resamples"), block):
        rows = (generator.integers(drawn, size=drawn) for _ in range(min(block, n_resamples - start)))
        counts = np.stack([np.bincount(row, minlength=drawn) for row in rows]).astype(np.float32)
        yield counts if codes is None else counts[:, codes]


def studentized_interval(resampled: Float[np.ndarray, " s"], quotient: "Quotient", *, level: float = 0.95) -> Interval:
    """The bootstrap-t interval of a quotient of sums (Davison & Hinkley, 1997, sections 2.4 and 5.2).

    Where a few images make most of an error, its standard error varies with it from resample to resample, which
    percentiles miss. The interval ends at 0, and at 1, where no image could be beyond.

    Args:
        resampled: the studentized deviation of each resample, `Quotient.deviations`; those that are not finite are
            ignored.
        quotient: of all images.
        level: the confidence level, in (0, 1).

    Raises:
        InputError: a level outside (0, 1).
    """
    tail = (1 - _checked(level)) / 2
    finite = resampled[np.isfinite(resampled)]
    if math.isnan(quotient.value) or not len(finite):
        return Interval(quotient.value, quotient.value, level)
    low, high = quotient.value - quotient.standard_error * np.quantile(finite, [1 - tail, tail])
    low = max(low, 0.0) if quotient.is_at_least_0 else low
    high = min(high, 1.0) if quotient.is_at_most_1 else high
    return Interval(min(float(low), quotient.value), max(float(high), quotient.value), level)


@dataclass(frozen=True, eq=False)
class Quotient:
    """A quotient of two sums over the images, or over groups of images.

    Args:
        first: what each image or group adds to the first sum, (u,).
        second: what each adds to the second sum, (u,).
        images: the index of an image of each, whose count in a resample is that of the whole group, (u,).
    """

    first: Float[np.ndarray, " u"]
    second: Float[np.ndarray, " u"]
    images: Int[np.ndarray, " u"]

    @staticmethod
    def of(summands: Float[np.ndarray, "n 2"], groups: Groups | None = None) -> "Quotient":
        """The quotient of the sums of two numbers of each image.

        Raises:
            InputError: there is not one group for each image.
        """
        codes = np.arange(len(summands)) if groups is None else group_codes(groups, len(summands))
        _, images = np.unique(codes, return_index=True)
        first, second = (np.bincount(codes, weights=column) for column in summands.T)
        return Quotient(first, second, images)

    @property
    def value(self) -> float:
        """The quotient; NaN for 0 / 0."""
        whole = float(self.second.sum())
        return float(self.first.sum()) / whole if whole else math.nan

    @property
    def standard_error(self) -> float:
        """The standard error of the quotient, by linearization."""
        return float(np.sqrt(np.square(self.first - self.value * self.second).sum()) / self.second.sum())

    @property
    def is_at_least_0(self) -> bool:
        """Whether no image can make the quotient negative."""
        return bool((self.first >= 0).all())

    @property
    def is_at_most_1(self) -> bool:
        """Whether no image can make the quotient greater than 1."""
        return bool((self.first <= self.second).all())

    def deviations(self, counts: Float[np.ndarray, "s n"]) -> Float[np.ndarray, " s"]:
        """How far the quotient of each resample is from that of all images, in its own standard errors."""
        weights = counts[:, self.images].astype(np.float64)
        with np.errstate(all="ignore"):  # a resample without anything to divide by is NaN
            whole = weights @ self.second
            ratio = (weights @ self.first) / whole
            squares = weights @ np.square(self.first) + np.square(ratio) * (weights @ np.square(self.second))
            squares -= 2 * ratio * (weights @ (self.first * self.second))
            return (ratio - self.value) / (np.sqrt(np.maximum(squares, 0)) / whole)


def leave_out_counts(
    n_images: int, *, seed: int, groups: Groups | None = None, parts: int = 200
) -> Iterator[Float[np.ndarray, "s n"]]:
    """How often each image occurs if one part of them is left out (0 or 1), for each of several random parts.

    Parts are single images, or single groups, unless there are more than ``parts``.

    Args:
        n_images: the number of images.
        seed: seed of the parts.
        groups: the group of each image; a part consists of whole groups.
        parts: the greatest number of parts.

    Raises:
        InputError: there is not one group for each image.
    """
    codes = np.arange(n_images) if groups is None else group_codes(groups, n_images)
    units = int(codes.max(initial=-1)) + 1
    part = (np.random.default_rng(seed).permutation(units) % parts)[codes]
    block = max(_MAX_BLOCK // n_images, 1)
    for start in range(0, min(units, parts), block):
        left_out = np.arange(start, min(start + block, units, parts))
        yield (part != left_out[:, None]).astype(np.float32)


def percentile_intervals(
    values: Float[np.ndarray, "s q"], level: float, on_all_images: Sequence[float]
) -> list[Interval]:
    """The interval between the percentiles of each column, widened to the value on all images; NaN is ignored.

    Args:
        values: the statistics of each resample.
        level: the confidence level, in (0, 1).
        on_all_images: the statistics of the set itself, not resampled.
    """
    tail = (1 - _checked(level)) / 2
    intervals: list[Interval] = []
    for column, value in zip(values.T, on_all_images, strict=True):
        known = column[~np.isnan(column)]
        low, high = np.quantile(known, [tail, 1 - tail]) if len(known) else (np.nan, np.nan)
        intervals.append(Interval(float(np.fmin(low, value)), float(np.fmax(high, value)), level))
    return intervals


def corrected_interval(
    resampled: Float[np.ndarray, " s"], left_out: Float[np.ndarray, " g"], value: float, *, level: float = 0.95
) -> Interval:
    """The bias-corrected and accelerated (BCa) bootstrap interval, widened to the value itself; NaN values are ignored.

    The percentiles are shifted for the bias of the statistic, estimated by the share of the resamples below the value,
    and for the change of its spread with its value, estimated by the skewness of its jackknife values (Efron, 1987,
    Journal of the American Statistical Association 82:171).

    Args:
        resampled: the statistic of each resample.
        left_out: the statistic of the images without each of several parts of them, of the same size.
        value: the statistic of all images.
        level: the confidence level, in (0, 1).

    Raises:
        InputError: a level outside (0, 1).
    """
    normal, tail = NormalDist(), (1 - _checked(level)) / 2
    known = resampled[~np.isnan(resampled)]
    if not len(known) or math.isnan(value):
        return Interval(math.nan, math.nan, level)
    below = (np.count_nonzero(known < value) + np.count_nonzero(known == value) / 2) / len(known)
    bias = normal.inv_cdf(float(np.clip(below, 1 / (len(known) + 1), len(known) / (len(known) + 1))))
    left = left_out[~np.isnan(left_out)]
    influence = left.mean() - left if len(left) else np.zeros(1)
    spread = float(np.square(influence).sum()) ** 1.5
    acceleration = float((influence**3).sum()) / (6 * spread) if spread > 0 else 0.0

    def percentile(share: float) -> float:
        shifted = bias + normal.inv_cdf(share)
        return normal.cdf(bias + shifted / max(1 - acceleration * shifted, 0.1))

    low, high = np.quantile(known, [percentile(tail), percentile(1 - tail)])
    return Interval(min(float(low), value), max(float(high), value), level)


def _at_least_one(number: int, name: str) -> int:
    if number < 1:
        raise InputError(f"a bootstrap needs {name} >= 1, got {number}")
    return number


def _checked(level: float) -> float:
    if not 0 < level < 1:
        raise InputError(f"the confidence level must be between 0 and 1, got {level}")
    return level
