"""Predictions for a dataset with its targets and losses: `Learner.get_preds`."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from eyebright.data.batch import Batch
from eyebright.data.loader import Loader
from eyebright.errors import InputError
from eyebright.image.warp import Warp
from eyebright.losses import image_losses
from eyebright.tasks.decision import Decision
from eyebright.train.trainer import Trainer
from eyebright.types import Size

Pairs = Sequence[tuple[Tensor, Tensor | None]]
"""Batches that are given as tensors: inputs, and encoded targets or None."""


def predict_dataset(
    trainer: Trainer,
    loader: Loader | Pairs,
    decision: Decision,
    *,
    with_input: bool,
    with_decoded: bool,
    with_loss: bool,
    act: Callable[[Tensor], Tensor] | None,
) -> tuple[Any, ...]:
    """(inputs, predictions, targets, decoded, losses), only the requested ones; shapes as in `Learner.get_preds`.

    Args:
        trainer: the trainer that computes the outputs.
        loader: the loader of the dataset, without augmentation; or batches as tensors.
        decision: converts outputs to probabilities or values, and decodes them.
        with_input: return the images.
        with_decoded: return the predicted labels, points or numbers.
        with_loss: return the loss of each image.
        act: a function from raw outputs to probabilities or values; None for the activation of the target block.

    Raises:
        InputError: no image can be read, or there is no loss because the dataset has no targets.
    """
    if isinstance(loader, Loader):
        outputs = trainer.outputs.of_loader(loader)
    else:
        outputs = trainer.outputs.of_batches(_as_batches(loader, trainer.run.device.torch_device))
    if with_loss and outputs.targets is None:
        raise InputError("these images have no targets, so there is no loss; leave with_loss out")
    result: list[Any] = [torch.cat([x.cpu() for x, _ in loader])] if with_input else []
    result += [(act or decision.activate)(outputs.outputs), outputs.targets]
    if with_decoded:
        activated = decision.activate(decision.target.to_user_units(outputs.outputs, outputs.warps))
        result.append(decision.decode_batch(activated))
    if with_loss and outputs.targets is not None:
        result.append(image_losses(trainer.loss, outputs.outputs, outputs.targets))
    return tuple(result)


def _as_batches(pairs: Sequence[Any], device: torch.device) -> list[Batch]:
    """The batches on the device, with images that are numbered in their order and not warped."""
    batches: list[Batch] = []
    start = 0
    for pair in pairs:
        match pair:
            case (Tensor() as x, y) if x.ndim == 4 and (y is None or (isinstance(y, Tensor) and len(y) == len(x))):
                warp = Warp.identity(Size(*x.shape[-2:]))
                indices = list(range(start, start + len(x)))
                batches.append(Batch(x.to(device), None if y is None else y.to(device), indices, [warp] * len(x)))
                start += len(x)
            case _:
                raise InputError(
                    "`dl` must be a loader, or batches as from `dls.one_batch()`: (x, y) with as many targets y as "
                    "images x, or (x, None)"
                )
    if len({batch.y is None for batch in batches}) != 1:
        raise InputError("`dl` has no batch, or only some of its batches have targets")
    return batches
