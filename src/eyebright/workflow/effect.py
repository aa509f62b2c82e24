"""Finds options of a training run that have no effect with its data."""

from torch import nn

from eyebright.errors import InputError
from eyebright.models.groups import has_batch_norms
from eyebright.sources.source import Source
from eyebright.tasks.base import TargetBlock
from eyebright.workflow.option import TARGETS_WITH, option_fields
from eyebright.workflow.options import TrainOptions


def check_effect(options: TrainOptions, block: TargetBlock) -> None:
    """Raises `InputError` if a changed option has no effect with this kind of target, or is not supported by it.

    Args:
        options: the training options.
        block: the target block.

    Raises:
        InputError: there is such an option; the message names it and the targets that support it.
    """
    for field in option_fields(TrainOptions):
        needs = field.option.needs
        if needs and getattr(options, field.name) != field.default and not getattr(block, needs):
            raise InputError(
                f"`{field.name}` is for {TARGETS_WITH[needs]}, and the target is a {type(block).__name__}: leave it out"
            )
    if options.calibrate not in ("auto", *block.calibrations):
        raise InputError(
            f"a {type(block).__name__} cannot have `calibrate='{options.calibrate}'`, only auto, "
            f"{', '.join(block.calibrations)}"
        )


def share_note(options: TrainOptions, source: Source) -> str:
    """A sentence for the user if the share of validation images has no effect; otherwise empty.

    Args:
        options: the training options.
        source: the labelled images, before they are split at random.
    """
    if source.split is None or options.valid_pct == TrainOptions.valid_pct:
        return ""
    return f"`valid_pct={options.valid_pct:g}` has no effect, since the data contain a split"


def epochs_note(options: TrainOptions) -> str:
    """A sentence for the user if options of epochs were changed and no epoch is trained; empty otherwise."""
    if options.trains_epochs:
        return ""
    changed = [
        field.name
        for field in option_fields(TrainOptions)
        if field.option.needs_epochs and getattr(options, field.name) != field.default
    ]
    if not changed:
        return ""
    names = ", ".join(f"`{name}`" for name in changed)
    return (
        f"{names} {'has' if len(changed) == 1 else 'have'} no effect, since `epochs=0` fits a head and trains no epoch"
    )


def statistics_note(options: TrainOptions, body: nn.Module) -> str:
    """A sentence for the user if the backbone has no batch-norm statistics to train; otherwise empty.

    Args:
        options: the training options.
        body: the backbone.
    """
    if options.keep_statistics or has_batch_norms(body):
        return ""
    return "`keep_statistics=False` has no effect, since the backbone has no batch norms"
