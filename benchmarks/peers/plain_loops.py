"""Targets, loss and the loop of one epoch, shared by the training runs of timm and torchvision."""

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from peers.training_protocol import Settings, TrainingTimer

Step = Callable[[Tensor, Tensor], None]


def encoded(settings: Settings, *, valid: bool) -> tuple[list[str], list[Tensor]]:
    """The paths and encoded targets of one part of the split: class indices, or 0/1 vectors of labels."""
    names = class_names(settings)
    items = [item for item in settings.items if item["valid"] == valid]
    if settings.kind == "single":
        targets = [names.index(str(item["target"])) for item in items]
    else:
        targets = [[int(name in item["target"]) for name in names] for item in items]
    return [item["path"] for item in items], list(torch.tensor(targets))


def class_names(settings: Settings) -> list[str]:
    """The sorted names of all classes or labels."""
    if settings.kind == "single":
        return sorted({str(item["target"]) for item in settings.items})
    return sorted({str(label) for item in settings.items for label in item["target"]})


def loss_function(settings: Settings) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of logits and encoded targets: cross entropy, or binary cross entropy for several labels."""
    if settings.kind == "single":
        return nn.CrossEntropyLoss()
    return lambda logits, target: nn.functional.binary_cross_entropy_with_logits(logits, target.to(logits.dtype))


def autocast(precision: str) -> contextlib.AbstractContextManager[Any]:
    """The context of timm's ``--amp --amp-dtype bfloat16``, or an empty one for other precisions."""
    return torch.autocast("cpu", dtype=torch.bfloat16) if precision == "bfloat16" else contextlib.nullcontext()


def one_epoch(
    timer: TrainingTimer,
    model: nn.Module,
    step: Step,
    *,
    train: Iterable[tuple[Tensor, Tensor]],
    valid: Iterable[tuple[Tensor, Tensor]],
    predict: Callable[[Tensor], Tensor],
) -> None:
    """Trains on all training batches, then predicts all validation batches; reports both to the timer."""
    model.train()
    for x, target in train:
        step(x, target)
        timer.step_done()
    model.eval()
    with torch.inference_mode():
        for x, _ in valid:
            predict(x).float().sigmoid()
    timer.validation_done()
