"""Predictions for a dataset beside its targets and losses: `get_preds` and `interpret` of a `Learner`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from eyebright.data.loader import Loader
from eyebright.errors import InputError
from eyebright.losses import image_losses
from eyebright.tasks.decision import Decision
from eyebright.train.trainer import Trainer


class Interpretation(NamedTuple):
    """Predictions, targets and losses of a dataset, in its order.

    Args:
        preds: probabilities of the classes, or predicted values.
        y_true: encoded targets.
        losses: the loss of each image.
    """

    preds: Tensor
    y_true: Tensor
    losses: Tensor


def predict_dataset(
    trainer: Trainer,
    loader: Loader,
    decision: Decision,
    *,
    with_input: bool,
    with_decoded: bool,
    with_loss: bool,
    act: Callable[[Tensor], Tensor] | None,
) -> tuple[Any, ...]:
    """(inputs, predictions, targets, decoded, losses) without those not asked for, in the order of the dataset.

    Args:
        trainer: computes the outputs.
        loader: the loader of the dataset, without augmentation.
        decision: converts outputs to predictions.
        with_input: return the images.
        with_decoded: return the decoded predictions.
        with_loss: return the loss of each image.
        act: a function from raw outputs to predictions; None for the activation of the target block.

    Raises:
        InputError: no image can be read, or there is no loss because the dataset has no targets.
    """
    found = trainer.outputs(loader)
    if with_loss and found.targets is None:
        raise InputError("these images have no targets, so there is no loss; leave with_loss out")
    result: list[Any] = [torch.cat([x.cpu() for x, _ in loader])] if with_input else []
    result += [(act or decision.scores)(found.outputs), found.targets]
    if with_decoded:
        scores = decision.scores(decision.target.own_units(found.outputs, found.warps))
        result.append(decision.answers(scores))
    if with_loss and found.targets is not None:
        result.append(image_losses(trainer.loss, found.outputs, found.targets))
    return tuple(result)
