"""Computes scores with their confidence intervals, all from the same resamples of the images.

One bootstrap over the images serves all scores, or over groups of images (of one patient, one video), which are drawn
whole (a cluster bootstrap: Davison & Hinkley, 1997, Bootstrap Methods and their Application, section 3.8).

- A proportion of independent images gets Wilson's interval.
- A smooth function of sums over the images gets the bootstrap-t interval, see `eyebright.evaluation.studentized`.
- The upper end of a loss that rare mistakes dominate also contains those that the sample lacks, see
  `eyebright.evaluation.rare_mistakes`.
- Any other score (of a ranking, a median, a difference of two models) gets the bias-corrected and accelerated one,
  that of a ranking also Wilson's for its effective number of trials (`interval_of_ranking`), that of a difference also
  what the sample does not show of it (`with_unseen_change`).

Axes of arrays: n images, s resamples, g parts that are left out.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from eyebright._defaults import CONFIDENCE, RESAMPLES
from eyebright.errors import InputError
from eyebright.evaluation.cross_fit import Groups, group_codes
from eyebright.evaluation.intervals import (
    Interval,
    checked_level,
    corrected_interval,
    leave_out_counts,
    resample_counts,
    score_interval,
    unknown_interval,
    wilson,
)
from eyebright.evaluation.metric_sums import SHARE, Limits, Statistic, Sums, quotient, sums_of
from eyebright.evaluation.rare_mistakes import RareMistakes
from eyebright.evaluation.resampling import Resampled, is_ranking, resampled_metric, resampled_rows
from eyebright.evaluation.studentized import SmoothScore
from eyebright.metrics.meter import Metric


@dataclass(frozen=True, eq=False)
class Score:
    """A score of a set of images, and how it varies with their choice.

    Args:
        value: the score of all images.
        resampled: the score of each resample.
        smooth: the score as a smooth function of sums, if it is one.
        proportion: (successes, trials), if it is a proportion of images and there are no groups.
        mistakes: those of a loss that rare mistakes dominate.
        opposite: what makes it smaller as rarely.
        trials: for a share of another kind, the number of independent trials of a proportion that varies no less.
        most_change: of a difference how much one image, or group, changes it at most, if it is one of shares, or 0;
            None: it is no difference.
    """

    value: float
    resampled: Resampled
    smooth: SmoothScore | None = None
    proportion: tuple[int, int] | None = None
    mistakes: RareMistakes | None = None
    opposite: RareMistakes | None = None
    trials: float = 0.0
    most_change: float | None = None

    @staticmethod
    def of_metric(
        metric: Metric, given: Shaped[Tensor, "n ..."], target: Shaped[Tensor, "n ..."], groups: Groups | None = None
    ) -> "Score":
        """The score of a metric.

        Args:
            metric: the metric.
            given: its input, one row for each image.
            target: the encoded target of each image.
            groups: the group of each image, as in `score_intervals`.

        Raises:
            InputError: as for the metric, or there is not one group for each image.
        """
        sums = sums_of(metric)
        if sums is None:
            trials = positive_trials(target, groups) if is_ranking(metric) else 0.0
            return Score(metric(given, target), resampled_metric(metric, given, target), trials=trials)
        return score_of_summands(sums, given, target, sums.summands(given, target), groups)

    @staticmethod
    def of_proportion(successes: Bool[Tensor, " n"], groups: Groups | None = None) -> "Score":
        """The share of the images that are a success.

        Raises:
            InputError: there is not one group for each image.
        """
        summands = torch.stack([successes, torch.ones_like(successes)], dim=1)
        score = Score.of_sums(summands, SHARE, groups)
        counts = int(successes.sum()), len(successes)
        return score if groups is not None else replace(score, smooth=None, proportion=counts)

    @staticmethod
    def of_sums(
        summands: Shaped[Tensor, "n m"], limits: Limits, groups: Groups | None = None, *, of: Statistic = quotient
    ) -> "Score":
        """The score of a smooth function of sums over the images, by default the first divided by the second.

        Args:
            summands: the numbers of each image.
            limits: the smallest and the greatest possible score.
            groups: the group of each image, as in `score_intervals`.
            of: the function, invariant to a common factor of all sums.

        Raises:
            InputError: there is not one group for each image.
        """
        smooth = SmoothScore.of(summands, of, limits, groups)
        return Score(smooth.value, smooth.values, smooth)

    def __sub__(self, other: "Score") -> "Score":
        """The score of the difference of two scores of the same images."""
        unit = 0.0 if self is other else max(self.unit, other.unit)
        values = self.value - other.value, lambda counts: self.resampled(counts) - other.resampled(counts)
        return Score(*values, most_change=unit)

    @property
    def is_drawn(self) -> bool:
        """Whether its interval needs resamples."""
        return self.proportion is None

    def interval(self, draws: "Draws", *, level: float = CONFIDENCE) -> Interval:
        """The interval.

        Args:
            draws: the draws of `function`.
            level: the confidence level, in (0, 1).

        Raises:
            InputError: a level outside (0, 1).
        """
        if self.proportion is not None:
            return wilson(*self.proportion, level=level)
        if math.isnan(self.value):
            return unknown_interval(checked_level(level))
        limits = -math.inf, math.inf
        if self.smooth is not None:
            interval, limits = self.smooth.interval(draws.drawn, level=level), self.smooth.limits
            if self.mistakes is not None and not self.smooth.standard_error:  # the sample has no loss to learn from
                interval = Interval(self.value, self.value, level)
        elif self.trials:
            interval = interval_of_ranking(draws, self.value, self.trials, level=level)
        else:
            interval = corrected_interval(*draws, self.value, level=level)
        if self.most_change is not None:
            interval = with_unseen_change(interval, draws, self.value, self.most_change)
        more, less = (mistakes.unseen(level=level) if mistakes else 0.0 for mistakes in (self.mistakes, self.opposite))
        low, high = (
            max(self.value - less, min(limits[0], self.value)),
            min(self.value + more, max(limits[1], self.value)),
        )
        return replace(interval, low=min(interval.low, low), high=max(interval.high, high))

    @property
    def unit(self) -> float:
        """How much one image, or group, changes a share at most; 0 for another score."""
        if self.proportion is not None:
            return 1 / self.proportion[1] if self.proportion[1] else 0.0
        trials = self.trials if self.smooth is None else self.smooth.possible_trials
        return 1 / trials if trials else 0.0

    @property
    def function(self) -> Resampled:
        """The function that is computed on the resamples."""
        return self.resampled if self.smooth is None else self.smooth.deviations


def score_of_summands(
    sums: Sums,
    given: Shaped[Tensor, "n ..."],
    target: Shaped[Tensor, "n ..."],
    summands: Shaped[Tensor, "n m"],
    groups: Groups | None = None,
) -> Score:
    """The score of a metric that is a function of sums; arguments and errors as in `Score.of_metric`."""
    limits = sums.limits if sums.limits_of is None else sums.limits_of(given, target)
    most = math.inf if sums.trials is None else sums.trials(summands)
    smooth = SmoothScore.of(summands, sums.statistic, limits, groups, most_trials=most)
    if sums.is_proportion and groups is None:
        successes, trials = summands.double().sum(dim=0).tolist()
        return Score(smooth.value, smooth.values, proportion=(round(successes), round(trials)))
    mistakes, opposite = (
        None if mistakes_of is None else RareMistakes.of(mistakes_of(given, target, summands), groups)
        for mistakes_of in (sums.mistakes, sums.opposite)
    )
    return Score(smooth.value, smooth.values, smooth, mistakes=mistakes, opposite=opposite)


class Draws(NamedTuple):
    """Values of a statistic on the resamples, and on the images without each of several parts of them.

    Args:
        drawn: the value of each resample, shape (s,) or (s, k).
        left_out: the value without each part, shape (g,) or (g, k).
    """

    drawn: Float[np.ndarray, "s *k"]
    left_out: Float[np.ndarray, "g *k"]


def interval_of_ranking(draws: Draws, value: float, trials: float, *, level: float = CONFIDENCE) -> Interval:
    """The bias-corrected and accelerated interval of a share, with Wilson's for its effective number of trials.

    Near 0 and 1 few images differ, and resamples without any of them carry no information. As that of a smooth share
    (see `eyebright.evaluation.studentized`), the interval also contains Wilson's for as many trials as a proportion has
    that varies as much. How much the share varies is estimated by the jackknife (Efron & Tibshirani, 1993, chapter 11).

    Args:
        draws: the share of the resamples, and without each part.
        value: the score of all images, in [0, 1].
        trials: the number of trials of a proportion that would not vary less, which is taken if no image matters.
        level: the confidence level, in (0, 1).

    Raises:
        InputError: a level outside (0, 1).
    """
    resampled = corrected_interval(*draws, value, level=level)
    known = draws.left_out[~np.isnan(draws.left_out)]
    variance = (len(known) - 1) * float(known.var()) if len(known) else 0.0
    effective = max(trials, value * (1 - value) / variance) if variance > 0 else trials
    wilsons = score_interval(value, effective, level=level)
    return Interval(min(resampled.low, wilsons.low), max(resampled.high, wilsons.high), level)


def with_unseen_change(interval: Interval, draws: Draws, difference: float, most_change: float) -> Interval:
    """The interval of a difference of two scores, with one more image on which they differ.

    Where two models differ on few images, resamples say too little of it, and nothing where they differ on none. The
    interval of Agresti & Min (2005, Statistics in Medicine 24:729) adds half an image to each kind, so that the
    variance is that of one more image that differs. Here it is one that counts as much as the one that counts most. The
    interval by resampling gets wider by as much, and contains the normal one, which is less certain of differences that
    few images make.

    Args:
        interval: the interval by resampling.
        draws: the differences of the resamples, and without each part.
        difference: of all images.
        most_change: how much an image can change it at most; 0 where no image is added.
    """
    known = draws.left_out[~np.isnan(draws.left_out)]
    influences = (known.mean() - known) * math.sqrt((len(known) - 1) / len(known)) if len(known) else known
    variance, greatest = float(np.square(influences).sum()), float(np.abs(influences).max(initial=0))
    change = min(greatest, most_change) if variance > 0 else most_change
    wider = math.sqrt(1 + change**2 / variance) if variance > 0 else 1.0
    half = NormalDist().inv_cdf(0.5 + interval.level / 2) * math.sqrt(variance + change**2)
    low = difference - max(wider * (difference - interval.low), half)
    high = difference + max(wider * (interval.high - difference), half)
    is_share = most_change > 0
    return Interval(max(low, -1.0), min(high, 1.0), interval.level) if is_share else Interval(low, high, interval.level)


def score_intervals(
    scores: Sequence[Score],
    n_images: int,
    *,
    groups: Groups | None = None,
    n_resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = CONFIDENCE,
) -> list[Interval]:
    """The interval of each score.

    Args:
        scores: scores of the same images.
        n_images: the number of images.
        groups: the group of each image; groups are drawn whole.
        n_resamples: number of bootstrap resamples.
        seed: seed of the resamples.
        level: the confidence level, in (0, 1).

    Raises:
        InputError: no images, no resamples, groups that do not fit the images, or a level outside (0, 1).
    """
    functions = [score.function for score in scores if score.is_drawn]
    draws = iter(draw(functions, n_images, groups=groups, n_resamples=n_resamples, seed=seed))
    return [score.interval(next(draws) if score.is_drawn else _NO_DRAWS, level=level) for score in scores]


def bootstrap(
    statistic: Callable[..., float],
    arrays: Sequence[Shaped[Tensor, "n ..."]],
    *,
    n_resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = CONFIDENCE,
) -> Interval:
    """The bootstrap interval (bias-corrected and accelerated) of any statistic of a set of images.

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
    score = Score(statistic(*arrays) if min(lengths) else 0.0, resampled_rows(statistic, arrays))
    return score_intervals([score], lengths.pop(), n_resamples=n_resamples, seed=seed, level=level)[0]


def positive_trials(target: Shaped[Tensor, "n k"], groups: Groups | None = None) -> float:
    """The number of trials of a proportion with at least the variance of a mean, over labels, of shares of positives.

    The mean of k shares of m_1 to m_k trials has the variance of a share of k^2 / (1 / m_1 + ... + 1 / m_k) trials.
    It is at most the number of images, or groups, with a positive.

    Args:
        target: 1 where the image has the label, 0 where not, NaN where unknown.
        groups: the group of each image, which counts once.

    Raises:
        InputError: there is not one group for each image.
    """
    positive = (target == 1).cpu().numpy()
    if groups is not None:
        codes = group_codes(groups, len(positive))
        of_groups = np.zeros((int(codes.max(initial=-1)) + 1, positive.shape[1]), dtype=np.bool_)
        np.logical_or.at(of_groups, codes, positive)
        positive = of_groups
    counts = positive.sum(axis=0)
    counts = counts[counts > 0]
    return min(len(counts) ** 2 / float((1 / counts).sum()), float(positive.any(axis=1).sum())) if len(counts) else 0.0


def draw(
    functions: Sequence[Resampled], n_images: int, *, groups: Groups | None, n_resamples: int, seed: int
) -> list[Draws]:
    """The values of each function on the same resamples, and without each part of the images.

    Args:
        functions: functions of how often each image occurs in each resample.
        n_images: as in `score_intervals`.
        groups: as in `score_intervals`.
        n_resamples: as in `score_intervals`.
        seed: as in `score_intervals`.

    Raises:
        InputError: as in `score_intervals`.
    """
    drawn = resample_counts(n_images, groups=groups, n_resamples=n_resamples, seed=seed)
    if not functions:
        next(drawn)  # checks the arguments
        return []
    parts = leave_out_counts(n_images, groups=groups, seed=seed, parts=max(n_resamples // 4, _MIN_PARTS))
    of_each = [_values_by_function(functions, blocks) for blocks in (drawn, parts)]
    return [Draws(*both) for both in zip(*of_each, strict=True)]


def _values_by_function(functions: Sequence[Resampled], blocks: Iterator[np.ndarray]) -> list[np.ndarray]:
    """The values of each function on all blocks of resamples."""
    values = [[function(counts) for function in functions] for counts in blocks]
    return [np.concatenate(columns) for columns in zip(*values, strict=True)]


_MIN_PARTS = 50  # with fewer the skewness of the jackknife is not known to a hundredth
_NO_DRAWS = Draws(np.empty(0), np.empty(0))
