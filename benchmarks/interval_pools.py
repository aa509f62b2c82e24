"""Pools with a known law, for `intervals.py`: points, numbers and ratings, some predictions far off."""

from pathlib import Path

import torch
from torch import Tensor

from eyebright.evaluation.evaluation import Evaluation
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock

_IMAGES = 2000
_GROSS = 0.05  # share of the images whose error is ten times as large


def made_pool(kind: str) -> Evaluation:
    """Points (five an image), numbers or ratings (five classes); errors are normal, ten times as large in 5 %."""
    generator = torch.Generator().manual_seed(0)
    gross = torch.where(torch.rand(_IMAGES, generator=generator) < _GROSS, 10.0, 1.0)
    if kind == "points":
        target = 20 + 80 * torch.rand(_IMAGES, 5, 2, generator=generator)
        errors = torch.randn(target.shape, generator=generator) * gross[:, None, None]
        return _evaluation(PointBlock(names=list("abcde")), target + errors, target)
    truth = torch.randn(_IMAGES, generator=generator)
    error = 0.2 * torch.randn(_IMAGES, generator=generator) * gross
    if kind == "numbers":
        return _evaluation(RegressionBlock(names=["value"]), (truth + error)[:, None], truth[:, None])
    cuts = torch.tensor([-1.2, -0.4, 0.4, 1.2])
    outputs = 6 * ((truth + error)[:, None] - cuts)
    return _evaluation(OrdinalBlock(list("12345")), outputs, (truth[:, None] > cuts).sum(dim=1))


def _evaluation(block: TargetBlock, outputs: Tensor, target: Tensor) -> Evaluation:
    files = tuple(f"{i:04}.jpg" for i in range(len(outputs)))
    return Evaluation(Decision(block), outputs, target, files, Path("made"), torch.full((len(outputs), 2), 128))
