"""The difference of a metric of two models on the same images, and how it varies with their choice.

The difference is resampled as a whole, so images that are easy or hard for both models do not widen its interval. As
those of single scores (see `eyebright.evaluation.scores`), the interval also contains what the sample does not show:

- of a loss that rare mistakes dominate, mistakes of one model that the other does not make, in both directions (see
  `eyebright.evaluation.rare_mistakes`);
- of a share, one more image on which the models differ.

Axes of tensors: n images.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.evaluation.cross_fit import Groups
from eyebright.evaluation.metric_sums import sums_of
from eyebright.evaluation.rare_mistakes import ImageMistakes, Mistakes, RareMistakes
from eyebright.evaluation.scores import Score, score_of_summands
from eyebright.metrics.meter import Metric


class ScoreDifference(NamedTuple):
    """The scores of two models, and their difference, the second minus the first."""

    before: Score
    after: Score
    difference: Score


def score_difference(
    metric: Metric,
    first: Shaped[Tensor, "n ..."],
    second: Shaped[Tensor, "n ..."],
    target: Shaped[Tensor, "n ..."],
    groups: Groups | None = None,
) -> ScoreDifference:
    """The scores of a metric of two models, and that of their difference.

    Args:
        metric: the metric.
        first: its input by the first model, one row for each image.
        second: its input by the second model.
        target: the encoded target of each image.
        groups: the group of each image, as in `eyebright.evaluation.scores.score_intervals`.

    Raises:
        InputError: as for the metric, or there is not one group for each image.
    """
    sums = sums_of(metric)
    if sums is None or sums.mistakes is None:
        before, after = (Score.of_metric(metric, given, target, groups) for given in (first, second))
        return ScoreDifference(before, after, after - before)
    both = [(given, sums.summands(given, target).double()) for given in (first, second)]
    seen = replace(sums, mistakes=None, opposite=None)
    before, after = (score_of_summands(seen, given, target, summands, groups) for given, summands in both)
    rises, falls = (RareMistakes.of(_increases(sums.mistakes, target, *pair), groups) for pair in (both, both[::-1]))
    return ScoreDifference(before, after, replace(after - before, mistakes=rises, opposite=falls))


def _increases(
    mistakes: Mistakes,
    target: Tensor,
    before: tuple[Tensor, Float[Tensor, "n 2"]],
    after: tuple[Tensor, Float[Tensor, "n 2"]],
) -> ImageMistakes:
    """What makes the loss of one model greater than that of another; both are given as (metric's input, summands)."""
    change = torch.stack([after[1][:, 0] - before[1][:, 0], after[1][:, 1]], dim=1)
    return mistakes(after[0], target, change, before[0])
