"""What a side of the comparison of predictions is told and what it answers: one JSON each way.

Imports neither library, because each side may run under an interpreter that has only its own.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, TypedDict

WARM = 3  # answers before the first that is timed


@dataclass(frozen=True)
class Settings:
    """Images, and a model that two libraries can build.

    Args:
        images: paths.
        ready: paths of images that have the model's size already, without losses.
        arch: of the backbone.
        size: height and width of what the model sees.
        classes: names.
        stats: mean and standard deviation that images are normalised with.
        folder: of the model, as Eyebright saved it.
        weights: a file with its tensors, in the order of its state dict.
        singles: images that are answered one by one.
        bs: images in a batch of all the images.
        runtime: of Eyebright.
        precision: of Eyebright.
        started: when the process was asked for, seconds since 1970.
    """

    images: list[str]
    ready: list[str]
    arch: str
    size: tuple[int, int]
    classes: list[str]
    stats: tuple[list[float], list[float]]
    folder: str
    weights: str
    singles: int
    bs: int
    runtime: str = "auto"
    precision: str = "float32"
    started: float = 0.0


class Answer(TypedDict):
    """What a side measured.

    ``first`` is the time from the start of the process to the first answer, ``singles`` are the milliseconds of single
    answers and ``working`` those that processors worked for them, ``batch`` the seconds of all images in batches;
    ``bare`` is what reading alone and the model alone took for the same images, where that was measured. ``scores``
    are the probabilities of the single answers, ``exact`` those for the images that need no resizing.
    """

    first: float
    singles: list[float]
    working: list[float]
    batch: float
    bare: tuple[float, float] | None
    scores: list[list[float]]
    exact: list[list[float]]
    versions: dict[str, str]
    said: str


def read_settings() -> Settings:
    """The settings from standard input."""
    return Settings(**json.load(sys.stdin))


def timed_answers(settings: Settings, answer: Callable[[str], list[float]]) -> dict[str, Any]:
    """``first``, ``singles``, ``working``, ``scores`` and ``exact`` of a side.

    Args:
        settings: what to answer.
        answer: gives the probabilities for the image at a path.
    """
    answer(settings.images[0])
    first = time.time() - settings.started
    for path in settings.images[:WARM]:
        answer(path)
    singles: list[float] = []
    working: list[float] = []
    scores: list[list[float]] = []
    for i in range(settings.singles):
        started, worked = time.perf_counter(), time.process_time()
        scores.append(answer(settings.images[i % len(settings.images)]))
        singles.append(1000 * (time.perf_counter() - started))
        working.append(1000 * (time.process_time() - worked))
    exact = [answer(path) for path in settings.ready]
    return {"first": first, "singles": singles, "working": working, "scores": scores, "exact": exact}


def give_answer(answer: dict[str, Any], *libraries: str) -> None:
    """Print the answer, with the versions of what was used, as one line of JSON."""
    versions = {name: version(name) for name in (*libraries, "torch", "torchvision", "timm")}
    print(json.dumps({**answer, "versions": versions}))
