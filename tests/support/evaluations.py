"""Evaluations that no model has computed: made from outputs and targets, for tests of what is computed from them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eyebright.evaluation.evaluation import Evaluation
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.decision import Decision
from eyebright.types import Thresholds


def evaluation_of(
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
    """The evaluation of a fitted block's raw outputs.

    Args:
        task: the fitted block.
        outputs: raw; points and numbers in the user's own units.
        targets: as the block encodes them without a warp.
        paths: of the images, all in one folder; made up where not given.
        thresholds: from probabilities to decisions.
        training: the values that the model was trained on, for the baselines; none: not known.
        sizes: (height, width) of the images; 30 by 40 where not given.
        part: what the set is for.
    """
    paths = [Path(path) for path in paths] or [Path("photos", f"{i:03}.jpg") for i in range(len(outputs))]
    return Evaluation(
        Decision(task, thresholds or Thresholds()),
        outputs,
        targets,
        tuple(path.name for path in paths),
        paths[0].parent if paths else Path(),
        torch.tensor([[30, 40]] * len(outputs)).reshape(-1, 2) if sizes is None else sizes,
        part=part,  # type: ignore[arg-type]
        training=task.training_summary(training) if len(training) else {},
    )


def logits(probabilities: Tensor) -> Tensor:
    """The outputs that the sigmoid makes these probabilities of, to within float64."""
    return torch.logit(probabilities.double()).float()
