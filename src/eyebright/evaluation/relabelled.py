"""Compares two models on images whose labels were corrected: by the old labels, by the new ones, and by unchanged ones.

Corrections that a model suggested favour this model: on an image that it nominated as wrongly labelled, its answer
differs from the old label. So the scores of images that were not nominated are given in addition to those of all.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool
from torch import Tensor

from eyebright.evaluation.compare import Comparison, paired_comparisons
from eyebright.evaluation.evaluation import Evaluation
from eyebright.metrics.meter import Metric

JudgedBy = Literal["first", "second", "unchanged", "not_nominated"]
"""All images by the labels of the first or of the second model; the images with the same labels in both; and those of
them that were not nominated."""

_MIN_IMAGES = 2  # images


@dataclass(frozen=True, slots=True)
class Judged:
    """The metrics of two models on a set of images, by the labels of one of them.

    Args:
        by: which images, and by which labels.
        images: the number of images.
        metrics: the metrics of both models.
    """

    by: JudgedBy
    images: int
    metrics: tuple[Comparison, ...]


def relabelled(first: Evaluation, second: Evaluation) -> Bool[Tensor, " n"]:
    """True for images whose targets differ or of which one is unknown; both have the same images in the same order."""
    old, new = (evaluation.targets.double().reshape(len(evaluation), -1) for evaluation in (first, second))
    return ((old != new) & ~(old.isnan() & new.isnan())).any(dim=1)


def judge(
    first: Evaluation, second: Evaluation, metrics: Sequence[Metric], *, nominated: Collection[str] = ()
) -> tuple[Judged, ...]:
    """The metrics of both models by the labels of each, and on images whose labels are the same in both.

    Args:
        first: the evaluation of the first model.
        second: that of the second model, of the same images in the same order, with other targets.
        metrics: the metrics.
        nominated: files of images whose labels were reviewed because a model suggested them, named as in the first
            evaluation; if some are given, the metrics of the other images are computed too.
    """
    changed = relabelled(first, second)
    listed = torch.tensor([file in nominated for file in first.files])
    of_first = first, replace(second, targets=first.targets)
    of_second = replace(first, targets=second.targets), second
    parts: list[tuple[JudgedBy, tuple[Evaluation, Evaluation], Tensor]] = [
        ("first", of_first, torch.ones_like(changed)),
        ("second", of_second, torch.ones_like(changed)),
        ("unchanged", of_second, ~changed),
    ]
    if nominated:
        parts.append(("not_nominated", of_second, ~changed & ~listed))
    judged: list[Judged] = []
    for by, pair, chosen in parts:
        rows = chosen.nonzero()[:, 0].tolist()
        if len(rows) >= _MIN_IMAGES:
            compared, _ = paired_comparisons(pair[0].take(rows), pair[1].take(rows), metrics)
            judged.append(Judged(by, len(rows), tuple(compared)))
    return tuple(judged)
