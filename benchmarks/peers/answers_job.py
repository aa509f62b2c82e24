"""What a side of the comparison of validations answers, and one clock for both.

Imports neither library, because each side may run under an interpreter that has only its own.
"""

import json
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, TypedDict

from peers.job import Settings


class Answers(TypedDict):
    """What a side measured: seconds of ``validate()`` and of ``get_preds()``, and what they gave."""

    start_up: float
    validate: float
    get_preds: float
    loss: float
    predictions: list[Any]
    vocab: list[str]
    versions: dict[str, str]
    said: str


def give_answers(
    settings: Settings,
    validate: Callable[[], Sequence[float]],
    get_preds: Callable[[], Sequence[Any]],
    *,
    vocab: list[str],
    library: str,
    said: str = "",
) -> None:
    """Time both, and print the answer as one line of JSON.

    Args:
        settings: with the time when the process was asked for.
        validate: gives the loss first.
        get_preds: gives the predictions first.
        vocab: the classes' names in the order of the predictions.
        library: whose version is kept.
        said: how it computed.
    """
    start_up = time.time() - settings.started
    started = time.perf_counter()
    loss = float(validate()[0])
    validated = time.perf_counter()
    predictions = get_preds()[0]
    answered = time.perf_counter()
    answer = Answers(
        start_up=start_up,
        validate=validated - started,
        get_preds=answered - validated,
        loss=loss,
        predictions=predictions.tolist(),
        vocab=vocab,
        versions={name: version(name) for name in (library, "torch", "torchvision", "timm")},
        said=said,
    )
    print(json.dumps(answer))
