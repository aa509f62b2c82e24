"""The events of the training loop: frozen values that observers match on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from eyebright.train.plan import Plan


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A phase of training begins, or continues after a resume.

    Args:
        phase: the index of the phase, from 0.
        phases: the number of phases of the run.
        plan: the settings of the phase.
    """

    phase: int
    phases: int
    plan: Plan

    @property
    def title(self) -> str:
        """A title for the phase; empty if it is the only one."""
        if self.phases == 1:
            return ""
        return "only the head" if self.plan.frozen_to else "everything"


@dataclass(frozen=True, slots=True)
class LRSearchStarted:
    """The learning-rate finder begins, with at most ``steps`` steps."""

    steps: int


@dataclass(frozen=True, slots=True)
class FeaturesStarted:
    """The features of a dataset are about to be computed, in ``steps`` batches."""

    steps: int


@dataclass(frozen=True, slots=True)
class FeaturesComputed:
    """The features of batch ``step`` of ``steps``, counted from 1, are computed."""

    step: int
    steps: int


@dataclass(frozen=True, slots=True)
class HeadFitted:
    """A linear head is fitted to the features of the frozen backbone.

    Args:
        scores: the validation scores of the frozen model.
        seconds: the duration, including that of computing the features and the scores.
    """

    scores: Mapping[str, float]
    seconds: float


@dataclass(frozen=True, slots=True)
class EpochsPlanned:
    """The epochs that fit into the remaining time were planned, from measured steps.

    Args:
        epochs: the number of epochs; 0 if there is no time for a step.
        steps: the number of batches of an epoch.
        batches: the number of batches of all training images.
        seconds: the expected duration of the epochs.
    """

    epochs: int
    steps: int
    batches: int
    seconds: float

    @property
    def message(self) -> str:
        """A sentence about the plan."""
        if not self.epochs:
            return "the remaining time is too short for a step of fine-tuning"
        share = "" if self.steps == self.batches else f" of the {self.batches}"
        return (
            f"planned: {self.epochs} epoch{'s' * (self.epochs > 1)} of {self.steps}{share} batches, about"
            f" {self.seconds:.0f} s with validation"
        )


@dataclass(frozen=True, slots=True)
class EpochStarted:
    """An epoch begins. ``epoch`` counts from 0 within its phase, ``steps`` are the batches of an epoch."""

    epoch: int
    epochs: int
    steps: int


@dataclass(frozen=True, slots=True)
class StepDone:
    """A step is done: ``step``, counted from 1, of the ``steps`` of this epoch, with the ``loss`` of its batch.

    ``lrs`` has the learning rate of each parameter group.
    """

    step: int
    steps: int
    loss: float
    lrs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ValidationStarted:
    """The training steps of an epoch are done; validation begins."""

    epoch: int


@dataclass(frozen=True, slots=True)
class EpochDone:
    """An epoch is over: the run can be saved, stopped and resumed here.

    Args:
        epoch: the number of the epoch, from 0 within its phase.
        scores: ``train_loss`` (exact mean over the epoch's images), then the validation scores.
        seconds: the duration of the epoch, including validation.
    """

    epoch: int
    scores: Mapping[str, float]
    seconds: float


@dataclass(frozen=True, slots=True)
class Finished:
    """Training is over. ``reason`` is ``"done"``, or the argument of ``run.stop``."""

    reason: str

    @property
    def message(self) -> str:
        """A sentence if training was stopped early; else empty."""
        return "" if self.reason == "done" else f"stopped early: {self.reason}"


Event = (
    PhaseStarted
    | LRSearchStarted
    | FeaturesStarted
    | FeaturesComputed
    | HeadFitted
    | EpochsPlanned
    | EpochStarted
    | StepDone
    | ValidationStarted
    | EpochDone
    | Finished
)
Observer = Callable[[Event], None]
