"""Confidence intervals of metrics over images: Wilson's, and those of the bootstrap.

The bootstrap (Efron & Tibshirani, 1993, An Introduction to the Bootstrap) resamples the images with replacement many
times. *Images* are resampled, not single decisions, because the labels of one image are not independent; or groups of
images, where images belong to groups. A proportion of images gets Wilson's interval: near 0 and 1 the resamples would
vary too little. `eyebright.evaluation.scores` chooses the method of each score.

An interval covers the choice of the test images. It does not cover the variation between repeated training runs.

Axes of arrays: n images, s resamples, g parts that are left out.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Float

from eyebright._defaults import CONFIDENCE
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
    level: float = CONFIDENCE

    def __str__(self) -> str:
        return f"{self.low:.3f} to {self.high:.3f}"


def unknown_interval(level: float = CONFIDENCE) -> Interval:
    """The interval of a score that cannot be computed: both ends are NaN."""
    return Interval(math.nan, math.nan, level)


def wilson(successes: int, trials: int, *, level: float = CONFIDENCE) -> Interval:
    """Wilson's score interval of a proportion (Wilson, 1927, Journal of the American Statistical Association 22:209).

    Args:
        successes: the number of successes, for example of exact matches.
        trials: the number of images; with 0 the interval is NaN.
        level: the confidence level, in (0, 1).

    Raises:
        InputError: not 0 <= successes <= trials.
    """
    if not 0 <= successes <= trials:
        raise InputError(f"expected 0 <= successes <= {trials} trials, got {successes}")
    if trials == 0:
        return unknown_interval(checked_level(level))
    return score_interval(successes / trials, trials, level=level)


def score_interval(share: float, trials: float, *, level: float = CONFIDENCE) -> Interval:
    """Wilson's score interval of a mean of numbers in [0, 1], whose variance is at most that of a proportion.

    Args:
        share: the mean, in [0, 1].
        trials: the number of averaged numbers, or of independent numbers with the same variance; above 0.
        level: the confidence level, in (0, 1).

    Raises:
        InputError: a level outside (0, 1).
    """
    z = NormalDist().inv_cdf(0.5 + checked_level(level) / 2)
    center = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * (share * (1 - share) / trials + z * z / (4 * trials * trials)) ** 0.5
    low = 0.0 if share == 0 else center - half
    high = 1.0 if share == 1 else center + half
    return Interval(low, high, level)


def resample_counts(
    n_images: int, *, n_resamples: int, seed: int, groups: Groups | None = None
) -> Iterator[Float[np.ndarray, "s n"]]:
    """How often each image occurs in each resample, float32, in blocks of resamples that fit in memory.

    Args:
        n_images: the number of images.
        n_resamples: the number of resamples.
        seed: seed of the resamples.
        groups: the group of each image; whole groups are drawn, as many as there are.

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


def leave_out_counts(
    n_images: int, *, seed: int, groups: Groups | None = None, parts: int = 200
) -> Iterator[Float[np.ndarray, "s n"]]:
    """How often each image occurs (0 or 1) if one part of the images is left out, for each of several random parts.

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


def corrected_interval(
    resampled: Float[np.ndarray, " s"], left_out: Float[np.ndarray, " g"], value: float, *, level: float = CONFIDENCE
) -> Interval:
    """The bias-corrected and accelerated (BCa) bootstrap interval, widened to the value itself; NaN values are ignored.

    The percentiles are shifted for the bias of the statistic, estimated by the share of the resamples below the value,
    and for the change of its spread with its value, estimated by the skewness of its jackknife values (Efron, 1987,
    Journal of the American Statistical Association 82:171).

    Args:
        resampled: the statistic of each resample.
        left_out: the statistic without each of several parts of the images, of equal size.
        value: the statistic of all images.
        level: the confidence level, in (0, 1).

    Raises:
        InputError: a level outside (0, 1).
    """
    normal, tail = NormalDist(), (1 - checked_level(level)) / 2
    known = resampled[~np.isnan(resampled)]
    if not len(known) or math.isnan(value):
        return unknown_interval(level)
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


def checked_level(level: float) -> float:
    """The confidence level.

    Raises:
        InputError: it is outside (0, 1).
    """
    if not 0 < level < 1:
        raise InputError(f"the confidence level must be between 0 and 1, got {level}")
    return level
