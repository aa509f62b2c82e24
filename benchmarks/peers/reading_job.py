"""What a side of the comparison of reading answers, and one clock for all: whole epochs of finished batches.

Imports no library that is compared, because each side may run under an interpreter that has only its own.
"""

import json
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import TypedDict

import torch
from torch import Tensor

from peers.job import Settings

START = 2  # batches that belong to the start of an epoch: one for each worker process


class Epoch(TypedDict):
    """One epoch: whole seconds and those of its start, images in all and in the batches of the start."""

    whole: float
    start: float
    images: int
    in_start: int


class ReadingAnswer(TypedDict):
    """What a side measured; ``cold`` is its first epoch, in which it still loads and starts things."""

    start_up: float
    cold: Epoch
    epochs: list[Epoch]
    versions: dict[str, str]
    said: str


def answer_epochs(settings: Settings, batches: Callable[[], Iterable[Tensor]], *, library: str, said: str) -> None:
    """Time one cold epoch and then the settings' epochs, and print the answer as one line of JSON.

    Args:
        settings: what is read.
        batches: starts an epoch and gives its images, ready for a network.
        library: whose version is kept.
        said: how it reads.
    """
    start_up = time.time() - settings.started
    cold, *epochs = [timed_epoch(batches, settings.size) for _ in range(1 + settings.epochs)]
    versions = {name: version(name) for name in (library, "torch", "torchvision", "pillow")}
    print(json.dumps(ReadingAnswer(start_up=start_up, cold=cold, epochs=epochs, versions=versions, said=said)))


def timed_epoch(batches: Callable[[], Iterable[Tensor]], size: tuple[int, int]) -> Epoch:
    """An epoch with nobody who learns from it; whatever starts with an epoch is in it."""
    started = time.perf_counter()
    start, counts = 0.0, list[int]()
    for x in batches():
        if x.dtype != torch.float32 or tuple(x.shape[1:]) != (3, *size):
            raise SystemExit(f"a batch that is not finished: {x.dtype}, {tuple(x.shape)}")
        counts.append(len(x))
        if len(counts) == START:
            start = _since(started)
    return Epoch(whole=_since(started), start=start, images=sum(counts), in_start=sum(counts[:START]))


def _since(started: float) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started
