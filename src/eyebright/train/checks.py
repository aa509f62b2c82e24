"""Checks before training, so that errors do not occur in the middle of an epoch."""

import dataclasses

import torch
from torch import nn

from eyebright.data.dataloaders import DataLoaders
from eyebright.data.loader import Loader
from eyebright.errors import InputError
from eyebright.models.build import ImageModel, ModelDescription
from eyebright.models.timm_backbone import TimmBackbone
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.registry import block_to_json
from eyebright.train.device import Device
from eyebright.train.options import FitOptions


def check_batch_size(loader: Loader, head: nn.Module, device: Device) -> None:
    """Raises `InputError` for batches of one image if the head has batch norms, which need several.

    Args:
        loader: the training loader.
        head: the head of the model.
        device: the device, which has the number of processes.

    Raises:
        InputError: a batch has one image, or fewer images than there are processes.
    """
    left_over = 0 if loader.drop_last else len(loader.dataset) % loader.bs
    device.check_batch_size(left_over or loader.bs)
    if 1 in (loader.bs, left_over) and any(isinstance(layer, nn.BatchNorm1d) for layer in head.modules()):
        raise InputError(
            f"batches of {loader.bs} out of {len(loader.dataset)} images leave a batch of one image, which the head's "
            f"batch norms cannot learn from; give `bs=2` or more, and `drop_last=True` if one is left over"
        )


def check_options(options: FitOptions, block: TargetBlock, *, n_batches: int, custom_loss: bool) -> None:
    """Raises `InputError` unless the options are valid for the data, the targets and the loss.

    Args:
        options: the options of a phase.
        block: the target block.
        n_batches: number of batches of the training images.
        custom_loss: whether the loss is not that of the target block.

    Raises:
        InputError: an epoch has fewer batches than requested or accumulated; mixing, label smoothing or balancing
            is not possible for this target or loss.
    """
    steps = options.steps_per_epoch
    if steps is not None and steps > n_batches:
        raise InputError(
            f"`steps_per_epoch={steps}` is more than the {n_batches} batches of the training images: give at most "
            f"{n_batches}, or leave it out"
        )
    n_steps = n_batches if steps is None else steps
    if options.accumulate > max(n_steps, 1):
        raise InputError(
            f"`accumulate={options.accumulate}` is more than the {n_steps} batches of an epoch, at whose end the"
            f" weights are updated anyway: give at most {n_steps}, or a smaller `bs`"
        )
    if options.mixes and not block.can_mix:
        raise InputError(
            f"`mixup` and `cutmix` mix the classes of two images, but the target is a {type(block).__name__}:"
            " leave them out"
        )
    if options.changes_loss and custom_loss:
        raise InputError(
            "`label_smoothing` and `balance` change the loss of the target block, but this learner has its own loss: "
            "give them to that loss, or leave `loss_func` out"
        )
    block.training_loss((), label_smoothing=options.label_smoothing, balance=options.balance)


def description_for_data(
    model: ImageModel, block: TargetBlock, dls: DataLoaders, device: torch.device
) -> ModelDescription:
    """The description of the model with the image size of other data, after checking that they fit the model.

    Args:
        model: the model.
        block: the target block of the model.
        dls: the other data.
        device: the device of the model, its precision, and the processes that train with it.

    Raises:
        InputError: the target, the normalisation, the size or the device does not match the model.
    """
    if block_to_json(dls.target) != block_to_json(block):
        raise InputError(
            f"the model has a {block.describe()}, but the new data have a {dls.target.describe()}; give their block "
            f"the fitted values of this one, such as vocab=learn.dls.vocab"
        )
    if dls.device != device:
        raise InputError(f"the new data are for the device '{dls.device}', but the model is on '{device}'")
    check_normalization(model, dls)
    only = model.body.fixed_size if isinstance(model.body, TimmBackbone) else None
    if only is not None and only != dls.size:
        raise InputError(f"the backbone only takes images of {only}, but the new data have images of {dls.size}")
    return dataclasses.replace(model.description, input=dataclasses.replace(model.description.input, size=dls.size))


def check_normalization(model: ImageModel, dls: DataLoaders) -> None:
    """Raises `InputError` if the data declare another mean or std than the model's normalisation."""
    expected, declared = model.description.input, dls.pipeline.normalize
    if declared is not None and (declared.mean, declared.std) != (expected.mean, expected.std):
        raise InputError(
            f"the new data declare the mean {declared.mean} and std {declared.std}, but the model normalises with "
            f"{expected.mean} and {expected.std}: leave Normalize out, or create a new learner"
        )
