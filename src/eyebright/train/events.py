"""What the training loop says while it runs: frozen values that observers match on."""

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
        """What the plan is called beside others; nothing where it is the only one."""
        if self.phases == 1:
            return ""
        return "the head alone" if self.plan.frozen_to else "everything"


@dataclass(frozen=True, slots=True)
class SearchStarted:
    """A search for a learning rate begins, of at most so many steps."""

    steps: int


@dataclass(frozen=True, slots=True)
class EpochStarted:
    """An epoch begins. ``epoch`` counts from 0 within its plan, ``steps`` are the batches of an epoch."""

    epoch: int
    epochs: int
    steps: int


@dataclass(frozen=True, slots=True)
class StepDone:
    """A batch has been learnt from. ``step`` of the ``steps`` of this epoch are done; ``lrs`` are those it used."""

    step: int
    steps: int
    loss: float
    lrs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ValidationStarted:
    """The epoch's batches are done, the validation set comes next."""

    epoch: int


@dataclass(frozen=True, slots=True)
class EpochDone:
    """An epoch is over: the run stands at a boundary where it can be saved, stopped and resumed.

    Args:
        epoch: counts from 0 within its plan.
        scores: ``train_loss`` (exact mean over the epoch's images), then what validation gave.
        seconds: that the epoch took, with validation.
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
        """A sentence where training ended early; nothing where it is done."""
        return "" if self.reason == "done" else f"stopped early: {self.reason}"


Event = PhaseStarted | SearchStarted | EpochStarted | StepDone | ValidationStarted | EpochDone | Finished
Observer = Callable[[Event], None]
