"""Settings and results of the comparison of prediction, exchanged as JSON, and the timing of single predictions.

Imports neither fastai nor Eyebright, because each library may run under an interpreter without the other.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, TypedDict

WARM_UP = 3  # predictions before the first that is timed


@dataclass(frozen=True)
class Settings:
    """Images, and a model that both libraries can build.

    Args:
        images: paths.
        resized_images: paths of lossless images that already have the model's input size.
        arch: name of the backbone.
        size: (h, w) of the model's input in pixels.
        classes: class names.
        stats: mean and std for normalisation.
        folder: the model as Eyebright saves it.
        weights: a file with the model's tensors in the order of its state dict.
        singles: number of images that are predicted one by one.
        bs: batch size for all images.
        runtime: Eyebright's runtime.
        precision: Eyebright's precision.
        started: time when the process was started, in seconds since 1970.
    """

    images: list[str]
    resized_images: list[str]
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


class PredictionResult(TypedDict):
    """The measurements of one library.

    ``first`` is the time from the start of the process to the first prediction (seconds), ``single`` the elapsed and
    ``single_busy`` the processor time of each single prediction (milliseconds), ``batches`` the time of all images in
    batches (seconds). ``reading_and_model`` are the times of reading alone and of the model alone for the same images
    (seconds), if measured. ``scores`` are the probabilities of the single predictions, ``resized_scores`` those of
    the images that need no resizing.
    """

    first: float
    single: list[float]
    single_busy: list[float]
    batches: float
    reading_and_model: tuple[float, float] | None
    scores: list[list[float]]
    resized_scores: list[list[float]]
    versions: dict[str, str]
    configuration: str


def read_settings() -> Settings:
    """The settings from standard input."""
    return Settings(**json.load(sys.stdin))


def time_single_predictions(settings: Settings, predict: Callable[[str], list[float]]) -> dict[str, Any]:
    """The fields ``first``, ``single``, ``single_busy``, ``scores`` and ``resized_scores`` of the result.

    Args:
        settings: the images.
        predict: a function from the path of an image to its probabilities.
    """
    predict(settings.images[0])
    first = time.time() - settings.started
    for path in settings.images[:WARM_UP]:
        predict(path)
    single: list[float] = []
    single_busy: list[float] = []
    scores: list[list[float]] = []
    for i in range(settings.singles):
        start, busy = time.perf_counter(), time.process_time()
        scores.append(predict(settings.images[i % len(settings.images)]))
        single.append(1000 * (time.perf_counter() - start))
        single_busy.append(1000 * (time.process_time() - busy))
    resized_scores = [predict(path) for path in settings.resized_images]
    return {
        "first": first,
        "single": single,
        "single_busy": single_busy,
        "scores": scores,
        "resized_scores": resized_scores,
    }


def print_result(result: dict[str, Any], *libraries: str) -> None:
    """Prints the result, with package versions, as one line of JSON."""
    versions = {name: version(name) for name in (*libraries, "torch", "torchvision", "timm")}
    print(json.dumps({**result, "versions": versions}))
