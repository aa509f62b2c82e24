"""Mixup and CutMix: a step that mixes the images of its batch, and their targets in the same proportion.

Image i of a batch is mixed with image b - 1 - i, as in timm; this is a random pairing, because batches are shuffled.
All images of a batch are mixed in one proportion, which is drawn from Beta(alpha, alpha).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from eyebright.train.options import FitOptions
from eyebright.train.run import Run, StepResult, TrainBatch
from eyebright.train.step import Step, step


class Box(NamedTuple):
    """A rectangle of pixels: rows ``top`` to ``bottom - 1`` and columns ``left`` to ``right - 1``."""

    top: int
    bottom: int
    left: int
    right: int


def mixing_step(soft_targets: Callable[[Tensor], Tensor]) -> Step:
    """A step that mixes its batch with the options of the current plan.

    Args:
        soft_targets: converts encoded targets to fractions of each class, which can be mixed; see
            `eyebright.tasks.base.TargetBlock.soft_targets`.
    """

    def mixed_step(run: Run, model: nn.Module, batch: TrainBatch) -> StepResult:
        images, targets = batch
        return step(run, model, mix(images, soft_targets(targets), run.plan.options))

    return mixed_step


def mix(images: Float[Tensor, "b c h w"], targets: Float[Tensor, "b k"], options: FitOptions) -> TrainBatch:
    """The batch after mixup or CutMix; with both, after one of them at random (with probability 0.5, as in timm).

    Random numbers come from torch's default generator, which training seeds for each step.

    Args:
        images: the images of a batch.
        targets: fractions of each class; NaN where unknown. A mixed target is unknown if one of its two targets is.
        options: the options, with the alpha of ``mixup`` and ``cutmix``; at least one is above 0.
    """
    use_cutmix = options.cutmix > 0 and (options.mixup == 0 or bool(torch.rand(()) < 0.5))
    share = _beta(options.cutmix if use_cutmix else options.mixup)
    if use_cutmix:
        return cutmix(images, targets, draw_box(images.shape[-2], images.shape[-1], share))
    return mixup(images, targets, share)


def mixup(images: Float[Tensor, "b c h w"], targets: Float[Tensor, "b k"], share: float) -> TrainBatch:
    """Images and targets: ``share`` times each plus ``1 - share`` times its partner (arXiv:1710.09412, equation 1).

    Args:
        images: the images of a batch.
        targets: fractions of each class; NaN where unknown.
        share: lambda of the paper, in [0, 1].
    """
    return _blend(images, share), _blend(targets, share)


def cutmix(images: Float[Tensor, "b c h w"], targets: Float[Tensor, "b k"], box: Box) -> TrainBatch:
    """Images with a box of their partners, and targets blended by area (arXiv:1905.04899, equation 1).

    Args:
        images: the images of a batch.
        targets: fractions of each class; NaN where unknown.
        box: the box inside the images, in pixels.
    """
    top, bottom, left, right = box
    mixed = images.clone()
    mixed[..., top:bottom, left:right] = images.flip(0)[..., top:bottom, left:right]
    height, width = images.shape[-2:]
    return mixed, _blend(targets, 1 - (bottom - top) * (right - left) / (height * width))


def draw_box(height: int, width: int, share: float) -> Box:
    """A random box with about ``1 - share`` of the area; its centre is anywhere, and it is clipped to the image.

    Args:
        height: the height of the images, in pixels.
        width: the width of the images, in pixels.
        share: the fraction of the area that is kept, in [0, 1].
    """
    cut_height, cut_width = int(height * math.sqrt(1 - share)), int(width * math.sqrt(1 - share))
    y, x = int(torch.randint(height, ())), int(torch.randint(width, ()))
    return Box(
        max(y - cut_height // 2, 0),
        min(y + (cut_height + 1) // 2, height),
        max(x - cut_width // 2, 0),
        min(x + (cut_width + 1) // 2, width),
    )


def _beta(alpha: float) -> float:
    return float(torch.distributions.Beta(alpha, alpha, validate_args=False).sample())


def _blend(rows: Shaped[Tensor, "b ..."], share: float) -> Shaped[Tensor, "b ..."]:
    return rows if share == 1 else torch.lerp(rows.flip(0), rows, share)
