"""Results of the comparison of ``validate()`` and ``get_preds()``, and their timing.

Imports neither fastai nor Eyebright, because each library may run under an interpreter without the other.
"""

import json
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, TypedDict

from peers.training_protocol import Settings


class ValidationResult(TypedDict):
    """Seconds of ``validate()`` and of ``get_preds()``, with the loss and the predictions that they returned."""

    start_up: float
    validate: float
    get_preds: float
    loss: float
    predictions: list[Any]
    vocab: list[str]
    versions: dict[str, str]
    configuration: str


def time_and_print(
    settings: Settings,
    validate: Callable[[], Sequence[float]],
    get_preds: Callable[[], Sequence[Any]],
    *,
    vocab: list[str],
    library: str,
    configuration: str = "",
) -> None:
    """Times both calls and prints the result as one line of JSON.

    Args:
        settings: the settings with the time when the process was started.
        validate: returns the loss first.
        get_preds: returns the predictions first.
        vocab: the class names in the order of the predictions.
        library: its version is recorded.
        configuration: device and precision, as text.
    """
    start_up = time.time() - settings.started
    start = time.perf_counter()
    loss = float(validate()[0])
    validated = time.perf_counter()
    predictions = get_preds()[0]
    end = time.perf_counter()
    result = ValidationResult(
        start_up=start_up,
        validate=validated - start,
        get_preds=end - validated,
        loss=loss,
        predictions=predictions.tolist(),
        vocab=vocab,
        versions={name: version(name) for name in (library, "torch", "torchvision", "timm")},
        configuration=configuration,
    )
    print(json.dumps(result))
