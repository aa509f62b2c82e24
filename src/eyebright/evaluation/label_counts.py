"""`LabelCounts`: the outputs and targets of labels as counts at few points, which calibrations are fitted to quickly.

Fitting needs many passes over all outputs, for each of several training sets. With counts a pass costs as much as one
over `MAX_POINTS` images, whatever their number.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

MAX_POINTS = 256
_MAX_CELLS = 2_000_000  # in one block of labels: limits the memory


@dataclass(frozen=True, eq=False)
class LabelCounts:
    """How many images with and without each label have an output at each point, for several sets of images.

    Args:
        points: the outputs, increasing; float64.
        positives: images of each set that have the label.
        negatives: images that do not have it.
    """

    points: Float[Tensor, "k g"]
    positives: Float[Tensor, "s k g"]
    negatives: Float[Tensor, "s k g"]

    def together(self) -> "LabelCounts":
        """The counts of all labels as one."""
        rows = (matrix.flatten(-2).unsqueeze(-2) for matrix in (self.points, self.positives, self.negatives))
        return LabelCounts(*rows)


def count_labels(
    outputs: Float[Tensor, "n k"], targets: Shaped[Tensor, "n k"], sets: Bool[Tensor, "s n"]
) -> LabelCounts:
    """The counts of each set of images.

    Up to `MAX_POINTS` images each have their own point. Of more, each output is shared by the two of `MAX_POINTS`
    evenly spaced points beside it, in proportion to its nearness, so that the mean of a smooth function changes by at
    most its second derivative times an eighth of the squared step.

    Args:
        outputs: finite raw outputs.
        targets: 1, 0 or NaN (unknown).
        sets: which images each set has.
    """
    width = max(_MAX_CELLS // len(outputs), 1)
    count = _exact if len(outputs) <= MAX_POINTS else _shared
    parts = [
        count(outputs[:, start : start + width].double().T, targets[:, start : start + width].T, sets)
        for start in range(0, outputs.shape[1], width)
    ]
    points, positives, negatives = zip(*parts, strict=True)
    return LabelCounts(torch.cat(points), torch.cat(positives, dim=1), torch.cat(negatives, dim=1))


def _exact(outputs: Tensor, targets: Tensor, sets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    points, order = outputs.sort(dim=1)
    ordered = targets.gather(1, order)
    there = sets[:, order]
    return points, (there & (ordered == 1)).double(), (there & (ordered == 0)).double()


def _shared(outputs: Tensor, targets: Tensor, sets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    low, high = outputs.amin(dim=1, keepdim=True), outputs.amax(dim=1, keepdim=True)
    step = torch.where(high > low, (high - low) / (MAX_POINTS - 1), 1.0)
    position = (outputs - low) / step
    lower = position.long().clamp(0, MAX_POINTS - 2)
    share = position - lower
    at = lower + torch.arange(len(outputs))[:, None] * MAX_POINTS
    positives, negatives = (
        torch.stack([_histogram(at, share, there & (targets == value)) for there in sets]) for value in (1, 0)
    )
    return low + step * torch.arange(MAX_POINTS), positives, negatives


def _histogram(at: Tensor, share: Tensor, cells: Tensor) -> Float[Tensor, "k g"]:
    size = len(at) * MAX_POINTS
    index, upper = at[cells], share[cells]
    below = torch.bincount(index, 1 - upper, minlength=size)
    return (below + torch.bincount(index + 1, upper, minlength=size)).reshape(len(at), MAX_POINTS)
