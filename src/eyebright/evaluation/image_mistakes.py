"""The mistakes of a model on each image: wrong labels, a wrong class, or the mean error."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eyebright.evaluation.evaluation import Evaluation
from eyebright.metrics.points import point_errors
from eyebright.tasks.task_type import TaskType


def mistakes(evaluation: Evaluation) -> Float[Tensor, " n"]:
    """The mistakes on each image, see `eyebright.evaluation.model_comparison.ImageChange`; NaN where unknown."""
    return _MISTAKES_OF_TASK_TYPE[evaluation.decision.target.task_type](evaluation)


def _wrong_labels(evaluation: Evaluation) -> Float[Tensor, " n"]:
    targets = evaluation.targets
    decided: Bool[Tensor, "n k"] = evaluation.decision.decide(evaluation.activated)
    known = ~targets.isnan()
    abstained = evaluation.decision.abstains(evaluation.activated)  # no mistake
    wrong = ((decided != (targets == 1)) & known & ~abstained).sum(dim=1).double()
    return wrong.where(known.any(dim=1), torch.nan)


def _wrong_class(evaluation: Evaluation) -> Float[Tensor, " n"]:
    block, targets = evaluation.decision.target, evaluation.targets
    predicted = torch.stack([block.encode(value) for value in evaluation.decoded])
    abstained = evaluation.decision.abstains(evaluation.activated).any(dim=1)  # no mistake
    return ((predicted != targets) & ~abstained).double().where(targets >= 0, torch.nan)


def _distances(evaluation: Evaluation) -> Float[Tensor, " n"]:
    return point_errors(evaluation.activated, evaluation.targets).double().nanmean(dim=1)


def _number_errors(evaluation: Evaluation) -> Float[Tensor, " n"]:
    return (evaluation.activated.double() - evaluation.targets.double()).abs().nanmean(dim=1)


_MISTAKES_OF_TASK_TYPE: Mapping[TaskType, Callable[[Evaluation], Float[Tensor, " n"]]] = {
    "labels": _wrong_labels,
    "classes": _wrong_class,
    "points": _distances,
    "numbers": _number_errors,
}
