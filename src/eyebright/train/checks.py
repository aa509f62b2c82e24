"""What is refused before training starts, rather than in the middle of its first epoch."""

from torch import nn

from eyebright.data.loader import Loader
from eyebright.errors import InputError
from eyebright.tasks.base import TargetBlock
from eyebright.train.device import Device
from eyebright.train.options import TrainingOptions


def check_batch_size(loader: Loader, head: nn.Module, device: Device) -> None:
    """Refuses batches of one image where the head has batch norms, which have nothing to compare it with.

    Args:
        loader: of the training side.
        head: of the model.
        device: knows how many processes share a batch.

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
    """Refuses options that do not go with the targets or with the loss.

    Args:
        options: of a plan.
        target: the target block.
        own_loss: whether the loss is another one than the block's.

    Raises:
        InputError: mixing, smoothing or balancing is asked for and not possible.
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
