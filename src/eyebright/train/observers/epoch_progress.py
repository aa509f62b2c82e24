"""The current epoch and step, updated by events: for progress bars and log lines."""

import time

from eyebright.train.events import (
    EpochStarted,
    Event,
    FeaturesComputed,
    FeaturesStarted,
    LRSearchStarted,
    PhaseStarted,
    StepDone,
    ValidationStarted,
)
from eyebright.train.history import SmoothLoss, format_duration


class EpochProgress:
    """The progress of an epoch, its validation, the learning-rate finder, or the features of a dataset.

    ``name`` is the running task, ``step`` the number of steps done, ``steps`` that of all steps, and ``loss`` the
    smoothed training loss, None before the first step.
    """

    def __init__(self) -> None:
        self.name = ""
        self.step = self.steps = 0
        self.loss: float | None = None
        self._smooth = SmoothLoss()
        self._started = time.monotonic()

    def update(self, event: Event) -> None:
        """Updates the progress by an event."""
        match event:
            case PhaseStarted():
                self._smooth = SmoothLoss()
            case EpochStarted(epoch=epoch, epochs=epochs, steps=steps):
                self._begin(f"epoch {epoch + 1}/{epochs}", steps)
            case LRSearchStarted(steps=steps):
                self._smooth = SmoothLoss()
                self._begin("learning rates", steps)
            case FeaturesStarted(steps=steps):
                self._begin("features", steps)
            case FeaturesComputed(step=step):
                self.step = step
            case StepDone(step=step, loss=loss):
                self.step, self.loss = step, self._smooth.add(loss)
            case ValidationStarted():
                self.name = "validating"
            case _:
                pass

    @property
    def loss_text(self) -> str:
        """The smoothed loss as text; empty before the first step."""
        return "" if self.loss is None else f"loss {self.loss:.4f}"

    @property
    def time_left(self) -> str:
        """The estimated time of the remaining steps as text; empty before the first step."""
        if self.step == 0:
            return ""
        return f"{format_duration((time.monotonic() - self._started) / self.step * (self.steps - self.step))} left"

    def _begin(self, name: str, steps: int) -> None:
        self.name, self.steps, self.step, self.loss = name, steps, 0, None
        self._started = time.monotonic()
