"""The time of a training run with ``minutes``: the remaining time, and the image size that it allows."""

import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from eyebright._defaults import EPOCHS, IMAGE_SIZE, IMAGE_SIZES
from eyebright.errors import InputError
from eyebright.learner.fine_tuned import FineTuned
from eyebright.learner.learner import Learner
from eyebright.models.timm_backbone import TimmBackbone
from eyebright.train.state import read_checkpoint, saved_plans
from eyebright.workflow.options import TrainOptions

_STEP = 2.5  # cost of a training step, in forward passes
_RUNTIME = 2.5  # possible speed-up of features by another runtime
_FINISH_SHARE = 0.5  # seconds for scores, files and the exit, in seconds of the start: both are work of one processor


@dataclass(frozen=True)
class TimeBudget:
    """The time limit of a training run.

    Args:
        minutes: the time limit.
        end_of_training: the time by which the epochs must end, as ``time.time()``, earlier than the limit because of
            the final steps.
    """

    minutes: float
    end_of_training: float

    @staticmethod
    def after_start(minutes: float, started: float) -> "TimeBudget":
        """The budget of a run whose model has just been built.

        Args:
            minutes: the time limit.
            started: the start of the run, as ``time.time()``.
        """
        return TimeBudget(minutes, started + 60 * minutes - _FINISH_SHARE * (time.time() - started))

    @property
    def left_for_training(self) -> float:
        """The seconds that are left for the frozen model and the epochs."""
        return self.end_of_training - time.time()


@dataclass(frozen=True)
class Estimate:
    """The estimated time of a training, from a few images that were measured.

    Args:
        n_train: number of training images.
        n_valid: number of validation images.
        decode: seconds to read an image.
        forward: seconds of the network for an image of ``IMAGE_SIZE`` pixels.
    """

    n_train: int
    n_valid: int
    decode: float
    forward: float

    def frozen(self, size: int) -> float:
        """The seconds for the frozen model with square images of this size."""
        return (self.n_train + self.n_valid) * (self.decode + self._forward(size))

    def epoch(self, size: int) -> float:
        """The seconds for an epoch, including validation, with square images of this size."""
        forward = self._forward(size)
        return self.n_train * (self.decode + _STEP * forward) + self.n_valid * forward

    def _forward(self, size: int) -> float:
        return self.forward * (size / IMAGE_SIZE) ** 2


def largest_size(estimate: Estimate, seconds: float) -> int | None:
    """The largest of `IMAGE_SIZES` with which the frozen model and an epoch fit into the time.

    More than `IMAGE_SIZE` needs time for the default's number of epochs. The smallest size is also chosen if only the
    frozen model fits; None if not even that fits.

    Args:
        estimate: the estimated times.
        seconds: the available time.
    """
    for size in IMAGE_SIZES:
        epochs = 1 if size <= IMAGE_SIZE else EPOCHS
        if estimate.frozen(size) + epochs * estimate.epoch(size) <= seconds:
            return size
    return IMAGE_SIZES[-1] if estimate.frozen(IMAGE_SIZES[-1]) / _RUNTIME <= seconds else None


def measured_estimate(learner: Learner) -> Estimate:
    """The estimate from a batch of validation images."""
    dls = learner.dls
    started = time.perf_counter()
    with closing(dls.valid.batches()) as batches:
        batch = next(batches)
    decode = time.perf_counter() - started
    learner.trainer.outputs.of_batches([batch])  # the first pass allocates memory
    started = time.perf_counter()
    learner.trainer.outputs.of_batches([batch])
    forward, n = time.perf_counter() - started, len(batch.item_indices)
    height, width = batch.x.shape[-2:]
    of_default = IMAGE_SIZE**2 / (height * width)
    return Estimate(len(dls.train_ds), len(dls.valid_ds), decode / n, of_default * forward / n)


def check_enough(estimate: Estimate, size: int, seconds: float, budget: TimeBudget) -> None:
    """Raises `InputError` if the frozen model does not fit into the time.

    Args:
        estimate: the estimated times.
        size: height and width of the images.
        seconds: the time for the frozen model and the epochs.
        budget: the whole time.

    Raises:
        InputError: the frozen model does not fit, even if another runtime computes the features.
    """
    needed = estimate.frozen(size) / _RUNTIME
    if needed > seconds:
        enough = budget.minutes + (1.2 * estimate.frozen(size) - seconds) / 60
        raise InputError(
            f"`minutes={budget.minutes:g}` is too short: after the start, {max(seconds, 0):.0f} s are left, but the "
            f"frozen model already takes about {needed:.0f} s with images of {size} pixels; give about {enough:.1f}"
        )


def has_fixed_size(learner: Learner) -> bool:
    """Whether the backbone takes only images of one size."""
    body = learner.model.body
    return isinstance(body, TimmBackbone) and body.fixed_size is not None


def resumed_options(options: TrainOptions, checkpoint: Path) -> TrainOptions:
    """The options with the epochs and the size that were planned before the training was interrupted.

    Args:
        options: the training options, with ``minutes``.
        checkpoint: the checkpoint to resume.

    Raises:
        TrainingError: the file does not exist, or is not a complete checkpoint.
    """
    plan = saved_plans(checkpoint)[-1]
    _, description = read_checkpoint(checkpoint)
    size = options.size or tuple(description["about"]["model"]["input"]["size"])
    steps = plan.options.steps_per_epoch
    return replace(options, minutes=None, epochs=plan.epochs, steps_per_epoch=steps, size=size)


def used_options(options: TrainOptions, fine_tuned: FineTuned | None) -> TrainOptions:
    """The options that repeat a training run: with the planned epochs, and without ``minutes``."""
    if options.minutes is None or fine_tuned is None:
        return options
    plan = fine_tuned.plan
    if plan is None:
        return options.override({"epochs": 0})
    return replace(options, minutes=None, epochs=plan.epochs, steps_per_epoch=plan.options.steps_per_epoch)
