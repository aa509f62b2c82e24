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

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.errors import InputError

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
    z = NormalDist().inv_cdf(0.5 + _checked(level) / 2)
    if trials == 0:
        return Interval(float("nan"), float("nan"), level)
    share = successes / trials
    center = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * (share * (1 - share) / trials + z * z / (4 * trials * trials)) ** 0.5
    low = 0.0 if successes == 0 else center - half
    high = 1.0 if successes == trials else center + half
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


def resample_counts(n_images: int, *, n_resamples: int, seed: int) -> Iterator[Float[np.ndarray, "s n"]]:
    """How often each image occurs in each resample, float32, in blocks of resamples that fit in memory."""
    generator = np.random.default_rng(seed)
    block = max(_MAX_BLOCK // _at_least_one(n_images, "images"), 1)
    for start in range(0, _at_least_one(n_resamples, "n_resamples"), block):
        rows = (generator.integers(n_images, size=n_images) for _ in range(min(block, n_resamples - start)))
        yield np.stack([np.bincount(row, minlength=n_images) for row in rows]).astype(np.float32)


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


def _at_least_one(number: int, name: str) -> int:
    if number < 1:
        raise InputError(f"a bootstrap needs {name} >= 1, got {number}")
    return number


def _checked(level: float) -> float:
    if not 0 < level < 1:
        raise InputError(f"the confidence level must be between 0 and 1, got {level}")
    return level
