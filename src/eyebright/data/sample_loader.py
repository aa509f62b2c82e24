"""What becomes of an image in an epoch, and of several at once, whoever reads them.

Randomness is counted: a sample's augmentation comes from (seed, epoch, index) alone, so it is the same whoever reads
it and in whatever order, and any batch can be made again.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Shaped
from torch import Tensor

from eyebright._system.timer import Timer
from eyebright.data.datasets import Dataset, Sample
from eyebright.errors import DataError, EyebrightError, ImageError
from eyebright.sources.items import where
from eyebright.transforms.pipeline import DrawnImage, Pipeline, Preprocessed

A = TypeVar("A")
B = TypeVar("B")


class LoadedSample(NamedTuple):
    """One sample.

    Args:
        preprocessed: the image, as the CPU leaves it.
        target: its encoded target; None where there is none.
        item_index: of the item in the data set's source.
    """

    preprocessed: Preprocessed
    target: Shaped[Tensor, "..."] | None
    item_index: int


class Chunk(NamedTuple):
    """Several samples, read one after another.

    Args:
        samples: those that could be read.
        skipped: why the others could not: path to reason.
        seconds: the reader's own work by name: decoding, augmenting.
    """

    samples: list[LoadedSample]
    skipped: dict[str, str]
    seconds: dict[str, float]


@dataclass(frozen=True, eq=False)
class SampleLoader:
    """What becomes of the images of one side of a split.

    Args:
        dataset: where samples come from.
        pipeline: what happens to each image.
        training: draw augmentations; otherwise every image has its one validation preprocessing.
        seed: of the augmentations.
        leave_out: unreadable images; otherwise they are an error.
    """

    dataset: Dataset
    pipeline: Pipeline
    training: bool
    seed: int
    leave_out: bool

    def same_as(self, other: "SampleLoader") -> bool:
        """Whether the other one reads the same things in the same way."""
        things = (self.dataset, other.dataset), (self.pipeline, other.pipeline)
        how = (self.training, self.seed, self.leave_out) == (other.training, other.seed, other.leave_out)
        return how and all(one is another for one, another in things)

    def sample(self, i: int, epoch: int = 0) -> LoadedSample:
        """What becomes of the i-th image in an epoch.

        Args:
            i: its number on this side; plus a multiple of ``len(dataset)``: the same image, augmented differently.
            epoch: its number.

        Raises:
            ImageError: the image cannot be read.
        """
        sample, drawn = self._drawn(i, epoch)
        return self._seen(sample, self.pipeline.preprocess(drawn))

    def chunk(self, images: Sequence[int], epoch: int) -> Chunk:
        """What becomes of several images.

        Raises:
            ImageError: an image cannot be read, and none may be left out.
        """
        timer = Timer(time.thread_time)
        skipped: dict[str, str] = {}
        # One kind of work for all of them before the next: the pixels of each drive the rest out of the caches.
        drawn = self._those_that_can(images, skipped, lambda i: self._drawn(i, epoch))
        batch = self._those_that_can(drawn, skipped, lambda one: (one[0], self.pipeline.preprocess(one[1], timer)))
        return Chunk([self._seen(*one) for one in batch], skipped, timer.seconds)

    def _drawn(self, i: int, epoch: int) -> tuple[Sample, DrawnImage]:
        repeat, i = divmod(i, len(self.dataset))
        sample = self.dataset.sample(i)
        counters = [self.seed, epoch, sample.item_index, *([repeat] if repeat else [])]
        generator = np.random.default_rng(counters) if self.training else None
        return sample, self.pipeline.draw(sample.image, generator)

    def _seen(self, sample: Sample, preprocessed: Preprocessed) -> LoadedSample:
        target = self.dataset.fields.target
        if target is None:
            return LoadedSample(preprocessed, None, sample.item_index)
        try:
            return LoadedSample(preprocessed, target.encode(sample.value, preprocessed.warp), sample.item_index)
        except EyebrightError as error:
            raise DataError(f"{where(self.dataset.source, sample.item_index)}: {error}") from None

    def _those_that_can(self, things: Sequence[A], skipped: dict[str, str], work: Callable[[A], B]) -> list[B]:
        """What the work makes of each thing whose image can be read."""
        done: list[B] = []
        for thing in things:
            try:
                done.append(work(thing))
            except ImageError as error:
                if not self.leave_out:
                    raise
                skipped[error.path] = error.reason
        return done
