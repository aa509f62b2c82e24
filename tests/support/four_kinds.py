"""A small evaluation of each kind of target, with unknown targets and undefined scores."""

import math
from collections.abc import Callable

import torch

from eyebright.evaluation.decide import fit_decision
from eyebright.evaluation.evaluation import Evaluation
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from support.evaluations import make_evaluation

VOCAB = ("bus", "car", "cat", "never")


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def labels() -> Evaluation:
    targets = (random(40, 4) > 0).float()
    targets[:, 3], targets[:5, 1] = 0, math.nan
    evaluation = make_evaluation(MultiCategoryBlock(vocab=VOCAB), 2 * targets.nan_to_num() - 1 + random(40, 4), targets)
    return evaluation.with_decision(fit_decision(evaluation))


def classes() -> Evaluation:
    return make_evaluation(
        CategoryBlock(VOCAB), random(40, 4), torch.arange(40) % 3 - 1, training=["bus", "car", "car"]
    )


def ratings() -> Evaluation:
    return make_evaluation(OrdinalBlock(["1", "2", "3"]), random(40, 2), torch.arange(40) % 3)


def points() -> Evaluation:
    targets = 20 + 5 * random(40, 2, 2)
    targets[3, 0] = math.nan
    block = PointBlock(2, names=("left", "right"))
    return make_evaluation(block, (targets.nan_to_num() + random(40, 2, 2, seed=1)).flatten(1), targets)


def numbers() -> Evaluation:
    targets = random(40, 2)
    targets[:, 1] = 3.0  # R2 is undefined
    return make_evaluation(RegressionBlock(names=("age", "size")), targets + random(40, 2, seed=1), targets)


EVALUATIONS: dict[str, Callable[[], Evaluation]] = {
    "labels": labels,
    "classes": classes,
    "ratings": ratings,
    "points": points,
    "numbers": numbers,
}
