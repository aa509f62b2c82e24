"""What the loops of timm and of torchvision's references share here: targets, loss, and an epoch by the clock."""

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from peers.job import Clock, Settings

Learn = Callable[[Tensor, Tensor], None]


def encoded(settings: Settings, *, valid: bool) -> tuple[list[str], list[Tensor]]:
    """The paths of one side of the split, and for each the number of its class, or 0 or 1 for each label."""
    names = classes(settings)
    items = [item for item in settings.items if item["valid"] == valid]
    if settings.kind == "single":
        targets = [names.index(str(item["answer"])) for item in items]
    else:
        targets = [[int(name in item["answer"]) for name in names] for item in items]
    return [item["path"] for item in items], list(torch.tensor(targets))


def classes(settings: Settings) -> list[str]:
    """The names of the classes, or of the labels."""
    if settings.kind == "single":
        return sorted({str(item["answer"]) for item in settings.items})
    return sorted({str(label) for item in settings.items for label in item["answer"]})


def loss_of(settings: Settings) -> Callable[[Tensor, Tensor], Tensor]:
    """Of logits and encoded targets."""
    if settings.kind == "single":
        return nn.CrossEntropyLoss()
    return lambda logits, target: nn.functional.binary_cross_entropy_with_logits(logits, target.to(logits.dtype))


def autocast(precision: str) -> contextlib.AbstractContextManager[Any]:
    """What ``--amp --amp-dtype bfloat16`` does; nothing for float32."""
    return torch.autocast("cpu", dtype=torch.bfloat16) if precision == "bfloat16" else contextlib.nullcontext()


def one_epoch(
    clock: Clock,
    model: nn.Module,
    learn: Learn,
    *,
    train: Iterable[tuple[Tensor, Tensor]],
    valid: Iterable[tuple[Tensor, Tensor]],
    answer: Callable[[Tensor], Tensor],
) -> None:
    """Learns from the training batches, then answers for the validation batches; the clock hears of both."""
    model.train()
    for x, target in train:
        learn(x, target)
        clock.step_done()
    model.eval()
    with torch.inference_mode():
        for x, _ in valid:
            answer(x).float().sigmoid()
    clock.validation_done()
