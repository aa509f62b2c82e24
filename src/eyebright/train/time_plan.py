"""Plans the epochs that fit into a time limit, from the measured seconds of a step and of a validation."""

import math
import time
from dataclasses import dataclass, replace
from itertools import count

from eyebright.errors import InputError
from eyebright.train.events import Event, StepDone
from eyebright.train.plan import Plan
from eyebright.train.run import PhaseSetup, Run
from eyebright.train.step import Step
from eyebright.train.trial import endless_batches, trial_run

_WARM_UP = 2  # steps that are not counted: the first ones allocate memory and wait for the first images
_MIN_STEPS = 4  # steps that are counted
_TOLERANCE = 0.04  # share of the time within which whole epochs are preferred to shorter ones


@dataclass(frozen=True, slots=True)
class Speed:
    """The measured speed of training on this machine.

    Args:
        step: seconds of a step, including waiting for its images.
        epoch_end: seconds between the last step of an epoch and the first one of the next: validation, checkpoint.
    """

    step: float
    epoch_end: float

    def seconds(self, epochs: int, steps: int) -> float:
        """The seconds of a training run.

        Args:
            epochs: number of epochs.
            steps: number of steps of an epoch.
        """
        return epochs * (steps * self.step + self.epoch_end)


def step_seconds(run: Run, setup: PhaseSetup, *, plan: Plan, step: Step, seconds: float) -> float:
    """The seconds of a training step, measured by trial steps; the model and the run are restored.

    Args:
        run: the run.
        setup: the model that a step calls, and the training batches.
        plan: the plan to measure for.
        step: the training step.
        seconds: the duration of the measurement; at least six steps are run.
    """
    plan = replace(plan, options=replace(plan.options, ema=None))
    started, times = time.perf_counter(), list[float]()
    with trial_run(run, setup, plan) as trial:
        model = run.device.data_parallel(setup.model)
        for index, batch in zip(count(), endless_batches(setup.batches, run.epoch), strict=False):
            trial.set_rates(0, setup.steps)
            with trial.device.fork_rng(run.seed, index):
                step(trial, model, batch)
            times.append(time.perf_counter())
            if len(times) >= _WARM_UP + _MIN_STEPS and run.device.from_main(times[-1] - started > seconds):
                break
    return (times[-1] - times[_WARM_UP - 1]) / (len(times) - _WARM_UP)


def epochs_within(seconds: float, speed: Speed, n_batches: int) -> tuple[int, int] | None:
    """(epochs, steps of an epoch) that take the given time, or a bit less; None if not a single step fits.

    Whole epochs, unless they leave more than 4 % of the time unused, and one more epoch, with all epochs shortened
    equally, would leave less.

    >>> epochs_within(100, Speed(step=1, epoch_end=2), n_batches=8)
    (10, 8)
    >>> epochs_within(95, Speed(step=1, epoch_end=2), n_batches=23)
    (4, 21)
    >>> epochs_within(2, Speed(step=1, epoch_end=2), n_batches=8) is None
    True

    Args:
        seconds: the time for training with its validations.
        speed: the measured times of a step and of the end of an epoch.
        n_batches: number of batches of the training images.

    Raises:
        InputError: there is no batch.
    """
    if not n_batches:
        raise InputError("there is no batch to train on: are there fewer training images than the batch size?")
    if speed.seconds(1, 1) > seconds:
        return None
    whole = math.floor(seconds / speed.seconds(1, n_batches))
    if whole and speed.seconds(whole, n_batches) >= (1 - _TOLERANCE) * seconds:
        return whole, n_batches
    choices = [(whole, n_batches)] if whole else []
    steps = math.floor((seconds / (whole + 1) - speed.epoch_end) / speed.step)
    if steps >= 1:
        choices.append((whole + 1, min(steps, n_batches)))
    return max(choices, key=lambda choice: speed.seconds(*choice)) if choices else (1, 1)


class StopAfter:
    """An observer that ends training when its time is over: a step took longer than it was measured.

    Args:
        run: the run.
        seconds: the time, from the creation of the observer.
    """

    def __init__(self, run: Run, seconds: float) -> None:
        self._run = run
        self._end = time.perf_counter() + seconds

    def __call__(self, event: Event) -> None:
        """Stops the run after a step beyond the time, in all processes at once."""
        if isinstance(event, StepDone) and self._run.device.from_main(time.perf_counter() > self._end):
            self._run.stop("the time is over, since steps took longer than measured")
