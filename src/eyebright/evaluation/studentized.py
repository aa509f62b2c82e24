"""Studentized bootstrap intervals of scores that are smooth functions of sums over the images.

The standard error of such a score is known by linearization (the delta method), of all images and of each resample. The
bootstrap-t interval takes the percentiles of the studentized deviations of the resamples (Davison & Hinkley, 1997,
Bootstrap Methods and their Application, sections 2.4 and 5.2), of a share on the scale of its logit, on which the error
hardly depends on the score (section 5.2.2). Unlike percentiles it does not count the bias of a score twice, as that of
macro F1 with few positives for a label, and it accounts for less certain standard errors where a few images cause most
of them.

Near 0 and 1 few images differ, and resamples without any of them are not informative. The interval of a share therefore
also contains Wilson's for its effective number of images (Korn & Graubard, 1998, Survey Methodology 24:193; Franco et
al., 2019, Journal of Survey Statistics and Methodology 7:334).

Axes of arrays: n images, u units (images, or groups of them), s resamples, m summands.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from eyebright._defaults import CONFIDENCE
from eyebright.evaluation.cross_fit import Groups, group_codes
from eyebright.evaluation.intervals import Interval, checked_level, score_interval, unknown_interval
from eyebright.evaluation.metric_sums import SHARE, Limits, Statistic

_BLOCK_SIZE = 4_000_000  # numbers of one block of units: limits the memory
_MAX_UNKNOWN = 0.5  # maximum share of the resamples without a deviation


@dataclass(frozen=True, eq=False)
class SmoothScore:
    """A score as a smooth function of sums over units, each an image or a group of images.

    Args:
        summands: the numbers of each unit, shape (u, m).
        statistic: the score from their sums. It is invariant to a common factor of all sums.
        limits: the smallest and the greatest possible score.
        images: the index of an image of each unit, whose count in a resample is that of the whole group, shape (u,).
        most_trials: the greatest number of independent trials that a share can have.
    """

    summands: Shaped[Tensor, "u m"]
    statistic: Statistic
    limits: Limits
    images: Int[np.ndarray, " u"]
    most_trials: float = math.inf

    @staticmethod
    def of(
        summands: Shaped[Tensor, "n m"],
        statistic: Statistic,
        limits: Limits,
        groups: Groups | None = None,
        *,
        most_trials: float = math.inf,
    ) -> "SmoothScore":
        """The score of images, or of groups of images; those of a group are taken as one trial.

        Raises:
            InputError: there is not one group for each image.
        """
        if groups is None:
            return SmoothScore(summands, statistic, limits, np.arange(len(summands)), most_trials)
        codes = group_codes(groups, len(summands))
        _, images = np.unique(codes, return_index=True)
        of_units = torch.zeros(len(images), summands.shape[1], dtype=_number_type(summands))
        of_units.index_add_(0, torch.from_numpy(codes), summands.to(of_units.dtype))
        most = most_trials * len(images) / max(len(summands), 1)
        return SmoothScore(of_units, statistic, limits, images, most)

    @property
    def value(self) -> float:
        """The score of all units; NaN where it is undefined."""
        return float(self._whole[0])

    @property
    def standard_error(self) -> float:
        """The standard error of the score, by linearization."""
        return math.sqrt(float(self.influences.square().sum()))

    @cached_property
    def effective_units(self) -> float:
        """The number of independent trials of a share with the same variance; 0 if no unit can change the score.

        There are no more than ``most_trials``: a sample that lacks the mistakes that cost most varies too little, such
        as one with a missed label and without a false alarm does for F0.5 (as the effective sample size is at most
        the number of persons in Parker et al., 2017, Vital and Health Statistics 2:175).

        If no unit differs from another, it is the number of units that could: for F1 those with the label or with a
        prediction of it. They are the units with a summand that the score depends on, near the sums of all units.
        """
        error, share = self.standard_error, self._share
        if error > 0 and 0 < share < 1:
            return min(share * (1 - share) * (self.limits[1] - self.limits[0]) ** 2 / error**2, self.most_trials)
        return self._changing_units

    @property
    def possible_trials(self) -> float:
        """Of a share the number of trials that it has at most, or else of units that could change it; otherwise 0."""
        if self.limits != SHARE:
            return 0.0
        return self.most_trials if math.isfinite(self.most_trials) else self._changing_units

    def values(self, counts: Float[np.ndarray, "s n"]) -> Float[np.ndarray, " s"]:
        """The score of each resample."""
        return self.statistic(self._sums(self._weights(counts))).numpy()

    def deviations(self, counts: Float[np.ndarray, "s n"]) -> Float[np.ndarray, " s"]:
        """How far the score of each resample is from that of all images, in its own standard errors, on the scale."""
        weights = self._weights(counts)
        values, gradients = self._value_and_gradient(self._sums(weights))
        squares = torch.zeros(len(weights), dtype=torch.float64)
        for rows, block in self._blocks(len(weights)):
            influences = block @ gradients.T.to(block.dtype)
            squares += (influences.square().T * weights[:, rows]).sum(dim=1, dtype=torch.float64)
        with np.errstate(all="ignore"):  # at a limit the deviation is not finite
            resampled = values.numpy()
            errors = squares.sqrt().numpy() * self._slopes(resampled)
            return (self._scaled(resampled) - self._scaled(np.array([self.value]))) / errors

    def interval(self, deviations: Float[np.ndarray, " s"], *, level: float = CONFIDENCE) -> Interval:
        """The interval; NaN if the score is.

        Args:
            deviations: the deviations of the resamples; those that are not finite are ignored.
            level: the confidence level, in (0, 1).

        Raises:
            InputError: a level outside (0, 1).
        """
        value, error, tail = self.value, self.standard_error, (1 - checked_level(level)) / 2
        if math.isnan(value):
            return unknown_interval(level)
        interval, finite = Interval(value, value, level), deviations[np.isfinite(deviations)]
        if error > 0 and not self._at_limit and len(finite) > _MAX_UNKNOWN * len(deviations):
            whole = np.array([value])
            steps = error * self._slopes(whole) * np.quantile(finite, [1 - tail, tail])
            low, high = self._unscaled(self._scaled(whole) - steps)
            interval = Interval(min(float(low), value), max(float(high), value), level)
        if not self._is_bounded or not self.effective_units:
            return interval
        share, (least, most) = score_interval(self._share, self.effective_units, level=level), self.limits
        low, high = (least + (most - least) * end for end in (share.low, share.high))
        return Interval(min(interval.low, low), max(interval.high, high), level)

    # ------------------------------------------------------------------ linearization

    @cached_property
    def _whole(self) -> tuple[Float[Tensor, "1"], Float[Tensor, "1 m"]]:
        """The score of all units, and its gradient."""
        return self._value_and_gradient(self._sums(torch.ones(1, len(self.summands))))

    @cached_property
    def _changing_units(self) -> float:
        """The number of units that could change the score."""
        near = self._value_and_gradient(self._sums(torch.ones(1, len(self.summands))) + 0.5)[1].abs().T
        return float(sum(int((block.abs() @ near.to(block.dtype) > 0).sum()) for _, block in self._blocks(1)))

    @cached_property
    def influences(self) -> Float[Tensor, " u"]:
        """How much each unit changes the score; they add up to 0."""
        gradient = self._whole[1]
        return torch.cat([(block @ gradient.T.to(block.dtype))[:, 0].double() for _, block in self._blocks(1)])

    def _value_and_gradient(self, sums: Float[Tensor, "s m"]) -> tuple[Float[Tensor, " s"], Float[Tensor, "s m"]]:
        with torch.enable_grad():
            sums = sums.requires_grad_()
            values = self.statistic(sums)
            (gradients,) = torch.autograd.grad(values, sums, torch.ones_like(values))
        return values.detach(), gradients.nan_to_num(0, 0, 0)

    def _sums(self, weights: Float[Tensor, "s u"]) -> Float[Tensor, "s m"]:
        sums = torch.zeros(len(weights), self.summands.shape[1], dtype=torch.float64)
        for rows, block in self._blocks(len(weights)):
            sums += weights[:, rows].to(block.dtype) @ block
        return sums

    def _weights(self, counts: Float[np.ndarray, "s n"]) -> Float[Tensor, "s u"]:
        return torch.from_numpy(counts if len(self.images) == counts.shape[1] else counts[:, self.images])

    def _blocks(self, n_resamples: int) -> Iterator[tuple[slice, Float[Tensor, "b m"]]]:
        """The summands of some units at a time."""
        size = max(_BLOCK_SIZE // max(self.summands.shape[1], n_resamples), 1)
        for start in range(0, len(self.summands), size):
            rows = slice(start, start + size)
            yield rows, self.summands[rows].to(_number_type(self.summands))

    # ------------------------------------------------------------------ the scale

    @property
    def _is_bounded(self) -> bool:
        return all(map(math.isfinite, self.limits))

    @property
    def _at_limit(self) -> bool:
        return not self.limits[0] < self.value < self.limits[1]

    @property
    def _share(self) -> float:
        """The position of the score between its limits, from 0 to 1."""
        low, high = self.limits
        return min(max((self.value - low) / (high - low), 0.0), 1.0)

    def _scaled(self, scores: Float[np.ndarray, " s"]) -> Float[np.ndarray, " s"]:
        low, high = self.limits
        return np.log(scores - low) - np.log(high - scores) if self._is_bounded else scores

    def _slopes(self, scores: Float[np.ndarray, " s"]) -> Float[np.ndarray, " s"]:
        """The derivative of the scale."""
        low, high = self.limits
        return 1 / (scores - low) + 1 / (high - scores) if self._is_bounded else np.ones_like(scores)

    def _unscaled(self, scaled: Float[np.ndarray, " s"]) -> Float[np.ndarray, " s"]:
        low, high = self.limits
        if not self._is_bounded:
            return scaled.clip(low, high)
        with np.errstate(over="ignore"):
            return low + (high - low) / (1 + np.exp(-scaled))


def _number_type(summands: Shaped[Tensor, "u m"]) -> torch.dtype:
    """Float64, or float32 for counts, whose sums are exact in it."""
    return torch.float64 if summands.dtype in (torch.float64, torch.int64) else torch.float32
