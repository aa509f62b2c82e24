"""How far a score could be off because the set is small: intervals over images.

The bootstrap (Efron & Tibshirani, 1993, An Introduction to the Bootstrap, chapter 13) draws as many images as there
are, with replacement, many times, and takes the percentiles of the scores of these draws. *Images* are drawn, never
single decisions: the labels of one image are not independent. A proportion of images needs no draws, and near 0 and 1
the draws would vary too little: Wilson's interval.

An interval says how the score would vary over other test images of the same kind. It does not cover another training.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.errors import InputError

_DRAWN_AT_ONCE = 4_000_000  # numbers of one block of draws: bounds the memory


@dataclass(frozen=True, slots=True)
class Interval:
    """The interval that a score lies in, with a confidence; NaN where it cannot be computed.

    Args:
        low: the lower end.
        high: the upper end.
        level: the confidence, in (0, 1).
    """

    low: float
    high: float
    level: float = 0.95

    def __str__(self) -> str:
        return f"{self.low:.3f} to {self.high:.3f}"


def wilson(successes: int, trials: int, *, level: float = 0.95) -> Interval:
    """The interval of a proportion (Wilson, 1927, Journal of the American Statistical Association 22:209).

    Args:
        successes: for example the number of exact matches.
        trials: the number of images; with 0 the interval is NaN.
        level: the confidence, in (0, 1).

    Raises:
        InputError: not 0 <= successes <= trials.
    """
    if not 0 <= successes <= trials:
        raise InputError(f"a proportion has successes from 0 to {trials}, got {successes}")
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
    samples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """The bootstrap interval of any statistic of a set of images.

    >>> bootstrap(lambda x: float(x.mean()), [torch.arange(100.0)], samples=200)  # doctest: +ELLIPSIS
    Interval(low=4..., high=5..., level=0.95)

    Args:
        statistic: from the arrays (rows drawn with replacement) to a number; NaN where it has none, which is left out.
        arrays: one row for each image, for example predictions and targets.
        samples: how many times to draw.
        seed: of the draws.
        level: the confidence, in (0, 1).

    Raises:
        InputError: no arrays, no images, or arrays of different lengths.
    """
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1:
        raise InputError(f"a bootstrap needs arrays with one row for each image, got lengths {sorted(lengths)}")
    images = lengths.pop()
    generator = np.random.default_rng(seed)
    values: list[float] = []
    for _ in range(_at_least_one(samples, "samples")):
        rows = torch.from_numpy(generator.integers(_at_least_one(images, "images"), size=images))
        values.append(float(statistic(*(array[rows] for array in arrays))))
    return percentiles(np.array(values)[:, None], level)[0]


def bootstrap_totals(
    statistic: Callable[[Float[Tensor, "s m"]], Float[Tensor, "s q"]],
    totals: Shaped[Tensor, "n m"],
    *,
    samples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> list[Interval]:
    """The bootstrap intervals of q statistics that depend on sums over the images only; all draws in one product.

    Args:
        statistic: from the sums of each draw, a draw a row, to q statistics of each draw.
        totals: what each image adds to each of the m sums, for example its hits in each class.
        samples: how many times to draw.
        seed: of the draws.
        level: the confidence, in (0, 1).
    """
    rows = totals.detach().cpu().double()
    sums = [torch.from_numpy(drawn).double() @ rows for drawn in draws(len(totals), samples=samples, seed=seed)]
    return percentiles(statistic(torch.cat(sums)).numpy(), level)


def draws(images: int, *, samples: int, seed: int) -> Iterator[Float[np.ndarray, "s n"]]:
    """How often each image is drawn in each sample, float32, in blocks of samples that fit in memory."""
    generator = np.random.default_rng(seed)
    at_once = max(_DRAWN_AT_ONCE // _at_least_one(images, "images"), 1)
    for start in range(0, _at_least_one(samples, "samples"), at_once):
        rows = (generator.integers(images, size=images) for _ in range(min(at_once, samples - start)))
        yield np.stack([np.bincount(row, minlength=images) for row in rows]).astype(np.float32)


def percentiles(values: Float[np.ndarray, "s q"], level: float) -> list[Interval]:
    """The interval between the percentiles of each column; draws in which a statistic is NaN are left out."""
    outside = (1 - _checked(level)) / 2
    ends: list[Interval] = []
    for column in values.T:
        known = column[~np.isnan(column)]
        low, high = np.quantile(known, [outside, 1 - outside]) if len(known) else (np.nan, np.nan)
        ends.append(Interval(float(low), float(high), level))
    return ends


def _at_least_one(number: int, what: str) -> int:
    if number < 1:
        raise InputError(f"a bootstrap needs at least one of its {what}, got {number}")
    return number


def _checked(level: float) -> float:
    if not 0 < level < 1:
        raise InputError(f"a confidence level lies between 0 and 1, got {level}")
    return level
