"""Evaluations made from given outputs and targets, without a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eyebright.evaluation.evaluation import Evaluation
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.decision import Decision
from eyebright.types import Thresholds


def make_evaluation(
    task: TargetBlock,
    outputs: Tensor,
    targets: Tensor,
    *,
    paths: Sequence[str | Path] = (),
    thresholds: Thresholds | None = None,
    training: Sequence[Any] = (),
    sizes: Tensor | None = None,
    part: str = "valid",
) -> Evaluation:
    """An evaluation of raw outputs and targets.

    Args:
        task: the fitted target block.
        outputs: raw outputs; points and numbers in the user's units.
        targets: encoded targets, without a warp.
        paths: paths of the images, all in one folder; by default invented ones.
        thresholds: the thresholds of the decision.
        training: the targets of the training images, for the baselines; empty if unknown.
        sizes: (height, width) of the images; by default 30 by 40.
        part: the part of the data.
    """
    paths = [Path(path) for path in paths] or [Path("photos", f"{i:03}.jpg") for i in range(len(outputs))]
    return Evaluation(
        Decision(task, thresholds or Thresholds()),
        outputs,
        targets,
        tuple(path.name for path in paths),
        paths[0].parent if paths else Path(),
        torch.tensor([[30, 40]] * len(outputs), dtype=torch.int64).reshape(-1, 2) if sizes is None else sizes,
        part=part,  # type: ignore[arg-type]
        training=task.training_summary(training) if len(training) else {},
    )


def logits(probabilities: Tensor) -> Tensor:
    """The logits of probabilities; finite ones, also of 0 and 1, whose sigmoids are 0 and 1 to float32."""
    return torch.logit(probabilities.double()).clamp(-80, 80).float()
