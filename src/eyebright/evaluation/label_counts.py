"""`LabelCounts`: the outputs and targets of labels as counts at few points, which calibrations are fitted to quickly.

Fitting needs many passes over all outputs, for each of several training sets. With counts a pass costs as much as one
over `MAX_POINTS` images, whatever their number.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
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


def count_labels(outputs: Float[Tensor, "n k"], targets: Shaped[Tensor, "n k"], fold: Int[Tensor, " n"]) -> LabelCounts:
    """The counts of the images of all folds, then of all but the first, all but the second, and so on.

    Up to `MAX_POINTS` images each have their own point. With more images, each output is divided between the two
    nearest of `MAX_POINTS` evenly spaced points, in proportion to its nearness, so that the mean of a smooth function
    changes by at most its second derivative times an eighth of the squared step.

    Args:
        outputs: finite raw outputs.
        targets: 1, 0 or NaN (unknown).
        fold: the fold of each image, from 0; -1 for images in no fold.
    """
    width = max(_MAX_CELLS // len(outputs), 1)
    count = _exact if len(outputs) <= MAX_POINTS else _shared
    parts = [
        count(outputs[:, start : start + width].double().T, targets[:, start : start + width].T, fold)
        for start in range(0, outputs.shape[1], width)
    ]
    points, positives, negatives = zip(*parts, strict=True)
    return LabelCounts(
        torch.cat(points), *(_all_and_without(torch.cat(counts, dim=1)) for counts in (positives, negatives))
    )


def _all_and_without(of_fold: Float[Tensor, "f k g"]) -> Float[Tensor, "s k g"]:
    total = of_fold.sum(0, keepdim=True)
    return torch.cat([total, (total - of_fold).clamp_min(0)])


def _exact(outputs: Tensor, targets: Tensor, fold: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    points, order = outputs.sort(dim=1)
    ordered, in_fold = targets.gather(1, order), fold[order] == torch.arange(int(fold.max()) + 1)[:, None, None]
    return points, (in_fold & (ordered == 1)).double(), (in_fold & (ordered == 0)).double()


def _shared(outputs: Tensor, targets: Tensor, fold: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    low, high = outputs.amin(dim=1, keepdim=True), outputs.amax(dim=1, keepdim=True)
    step = torch.where(high > low, (high - low) / (MAX_POINTS - 1), 1.0)
    position = (outputs - low) / step
    lower = position.long().clamp(0, MAX_POINTS - 2)
    share, n_labels, n_folds = position - lower, len(outputs), int(fold.max()) + 1
    at = lower + (torch.arange(n_labels)[:, None] + n_labels * fold) * MAX_POINTS

    def histogram(cells: Tensor) -> Tensor:
        index, upper = at[cells], share[cells]
        size = n_folds * n_labels * MAX_POINTS
        below = torch.bincount(index, 1 - upper, minlength=size)
        return (below + torch.bincount(index + 1, upper, minlength=size)).reshape(n_folds, n_labels, MAX_POINTS)

    positives, negatives = (histogram((fold >= 0) & (targets == value)) for value in (1, 0))
    return low + step * torch.arange(MAX_POINTS), positives, negatives
