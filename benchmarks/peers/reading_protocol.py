"""Results of the comparison of data loading, and the timing of whole epochs of finished batches.

Imports none of the compared libraries, because each may run under an interpreter without the others.
"""

import json
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import TypedDict

import torch
from torch import Tensor

from peers.training_protocol import Settings

START = 2  # batches that count as the start of an epoch: one for each worker process


class Epoch(TypedDict):
    """One epoch: seconds of the whole epoch and of its start, number of images in both."""

    whole: float
    start: float
    images: int
    start_images: int


class ReadingResult(TypedDict):
    """The timed epochs; ``cold`` is the first one, which includes imports and the start of workers."""

    start_up: float
    cold: Epoch
    epochs: list[Epoch]
    versions: dict[str, str]
    configuration: str


def time_epochs(settings: Settings, batches: Callable[[], Iterable[Tensor]], *, library: str, loader: str) -> None:
    """Times a cold epoch and then ``settings.epochs`` epochs, and prints the result as one line of JSON.

    Args:
        settings: the images and the number of epochs.
        batches: starts an epoch and returns its batches (b, c, h, w), normalised.
        library: its version is recorded.
        loader: transforms and workers, as text.
    """
    start_up = time.time() - settings.started
    cold, *epochs = [timed_epoch(batches, settings.size) for _ in range(1 + settings.epochs)]
    versions = {name: version(name) for name in (library, "torch", "torchvision", "pillow")}
    result = ReadingResult(start_up=start_up, cold=cold, epochs=epochs, versions=versions, configuration=loader)
    print(json.dumps(result))


def timed_epoch(batches: Callable[[], Iterable[Tensor]], size: tuple[int, int]) -> Epoch:
    """The times of one epoch without a model, including all that the loader does at the start of an epoch."""
    start = time.perf_counter()
    start_seconds, counts = 0.0, list[int]()
    for x in batches():
        if x.dtype != torch.float32 or tuple(x.shape[1:]) != (3, *size):
            raise SystemExit(f"not a finished batch: {x.dtype}, {tuple(x.shape)}")
        counts.append(len(x))
        if len(counts) == START:
            start_seconds = _seconds_since(start)
    return Epoch(whole=_seconds_since(start), start=start_seconds, images=sum(counts), start_images=sum(counts[:START]))


def _seconds_since(start: float) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start
