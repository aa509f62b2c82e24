"""Plans the epochs of `Learner.lp_ft` that fit into the remaining time after the frozen model."""

import time
from dataclasses import replace
from pathlib import Path

from eyebright.errors import InputError
from eyebright.models.build import ImageModel
from eyebright.train.events import EpochsPlanned
from eyebright.train.phase_setups import Validate
from eyebright.train.plan import Plan
from eyebright.train.state import saved_plans
from eyebright.train.time_plan import Speed, epochs_within
from eyebright.train.trainer import Trainer

_MEASURED = 0.04  # share of the time in which steps are measured
_CHECKPOINT_SPEED = 3e8  # bytes per second that a slow disk writes
_FLOAT32_SLOWDOWN = 1.5  # a validation in float32 takes this many times as long as one in another precision


def epochs_or_minutes(epochs: int | None, minutes: float | None) -> int:
    """The number of epochs; 1 as a placeholder if it is planned from ``minutes``.

    Raises:
        InputError: both are given, or neither; or ``minutes`` is not a positive number.
    """
    if (epochs is None) == (minutes is None):
        raise InputError("give the number of `epochs`, or the `minutes` that fine-tuning may take: one of them")
    if minutes is not None and not 0 < minutes < float("inf"):
        raise InputError(f"`minutes` must be a positive number, got {minutes}")
    return 1 if epochs is None else epochs


def check_no_steps_per_epoch(plan: Plan) -> None:
    """Raises `InputError` if ``steps_per_epoch`` is given, since ``minutes`` plans it."""
    if plan.options.steps_per_epoch is not None:
        raise InputError("`minutes` plans the number of steps of an epoch: leave `steps_per_epoch` out")


def resumed_plan(plan: Plan, checkpoint: str | Path) -> Plan:
    """The plan with the number of epochs and steps that the checkpoint has.

    Args:
        plan: the settings that are asked for.
        checkpoint: the checkpoint to resume.

    Raises:
        TrainingError: there is no such file, or it is not a whole checkpoint.
    """
    saved = saved_plans(checkpoint)[-1]
    options = replace(plan.options, steps_per_epoch=saved.options.steps_per_epoch)
    return replace(plan, epochs=saved.epochs, options=options)


def planned_epochs(
    trainer: Trainer, plan: Plan, validate: Validate, *, end: float, n_validations: int, checkpoint: bool
) -> tuple[Plan | None, EpochsPlanned]:
    """(the plan with the epochs that fit into the time, None if no step fits; the event that reports them).

    Args:
        trainer: trains; a few steps are measured on it, and it is restored.
        plan: the settings; its epochs are not used.
        validate: the validation after each epoch.
        end: the value of ``time.perf_counter`` at which everything is to be finished.
        n_validations: number of validations in float32 that follow the epochs.
        checkpoint: whether each epoch writes a checkpoint.
    """
    left = max(end - time.perf_counter(), 0)
    speed = trainer.measure_speed(plan, validate, seconds=_MEASURED * left)
    exact = speed.epoch_end * (1 if trainer.run.device.precision == "float32" else _FLOAT32_SLOWDOWN)
    if checkpoint:
        speed = Speed(speed.step, speed.epoch_end + _checkpoint_seconds(trainer.model))
    n_batches = len(trainer.dls.train)
    left = end - time.perf_counter() - n_validations * exact
    epochs_and_steps = trainer.run.device.from_main(epochs_within(left, speed, n_batches))
    if epochs_and_steps is None:
        return None, EpochsPlanned(0, 0, n_batches, 0.0)
    epochs, steps = epochs_and_steps
    options = replace(plan.options, steps_per_epoch=None if steps == n_batches else steps)
    event = EpochsPlanned(epochs, steps, n_batches, speed.seconds(epochs, steps))
    return replace(plan, epochs=epochs, options=options), event


def _checkpoint_seconds(model: ImageModel) -> float:
    """The seconds that a checkpoint takes: weights, and the two moments of Adam for each."""
    return 3 * sum(4 * parameter.numel() for parameter in model.parameters()) / _CHECKPOINT_SPEED
