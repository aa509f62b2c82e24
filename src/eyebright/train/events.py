"""The events of the training loop: frozen values that observers match on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from eyebright.train.plan import Plan


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A plan begins, or goes on after a resume. ``phase`` counts from 0."""

    phase: int
    phases: int
    plan: Plan

    @property
    def title(self) -> str:
        """The title of the plan; empty where it is the only one."""
        if self.phases == 1:
            return ""
        return "the head alone" if self.plan.frozen_to else "everything"


@dataclass(frozen=True, slots=True)
class SearchStarted:
    """The learning-rate finder begins, with at most ``steps`` steps."""

    steps: int


@dataclass(frozen=True, slots=True)
class EpochStarted:
    """An epoch begins. ``epoch`` counts from 0 within its plan, ``steps`` are the batches of an epoch."""

    epoch: int
    epochs: int
    steps: int


@dataclass(frozen=True, slots=True)
class StepDone:
    """A step is done: ``step`` of the ``steps`` of this epoch; ``lrs`` has the learning rate of each group."""

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
        epoch: counts from 0 within its plan.
        scores: ``train_loss`` (exact mean over the epoch's images), then the validation scores.
        seconds: of the epoch, validation included.
    """

    epoch: int
    scores: Mapping[str, float]
    seconds: float


@dataclass(frozen=True, slots=True)
class Finished:
    """Training is over. ``reason`` is ``"done"``, or what ``run.stop`` was given."""

    reason: str

    @property
    def said(self) -> str:
        """A sentence where training was stopped early; else empty."""
        return "" if self.reason == "done" else f"stopped early: {self.reason}"


Event = PhaseStarted | SearchStarted | EpochStarted | StepDone | ValidationStarted | EpochDone | Finished
Observer = Callable[[Event], None]
