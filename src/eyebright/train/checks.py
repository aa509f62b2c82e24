"""Checks before training, so that errors do not occur in the middle of an epoch."""

from torch import nn

from eyebright.data.loader import Loader
from eyebright.errors import InputError
from eyebright.tasks.base import TargetBlock
from eyebright.train.device import Device
from eyebright.train.options import TrainingOptions


def check_batch_size(loader: Loader, head: nn.Module, device: Device) -> None:
    """Raises `InputError` for batches of one image if the head has batch norms, which need several.

    Args:
        loader: the training loader.
        head: the head of the model.
        device: the device, which has the number of processes.

    Raises:
        InputError: a batch has one image, or fewer than there are processes.
    """
    left_over = 0 if loader.drop_last else len(loader.dataset) % loader.bs
    device.check_batch_size(left_over or loader.bs)
    if 1 in (loader.bs, left_over) and any(isinstance(layer, nn.BatchNorm1d) for layer in head.modules()):
        raise InputError(
            f"batches of {loader.bs} out of {len(loader.dataset)} images leave one alone in a batch, which the head's"
            " batch norms cannot learn from; give `bs=2` or more, and `drop_last=True` where one is left over"
        )


def check_options(options: TrainingOptions, target: TargetBlock, *, own_loss: bool) -> None:
    """Raises `InputError` unless the options fit the targets and the loss.

    Args:
        options: the options of a plan.
        target: the target block.
        own_loss: whether the loss is not that of the target block.

    Raises:
        InputError: mixing, label smoothing or balancing is not possible for this target or loss.
    """
    if options.mixes and not target.can_mix:
        raise InputError(
            f"`mixup` and `cutmix` mix the classes of two images, and the target is a {type(target).__name__}:"
            " leave them out"
        )
    if options.changes_loss and own_loss:
        raise InputError(
            "`label_smoothing` and `balance` change the loss of the target block, and this learner has a loss of its"
            " own: give them to that loss, or leave `loss_func` out"
        )
    target.training_loss((), label_smoothing=options.label_smoothing, balance=options.balance)
