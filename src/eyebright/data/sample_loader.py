"""Loads samples: reads images, draws their augmentation and preprocesses them on the CPU.

A sample's augmentation depends only on (seed, epoch, index), not on the worker that loads the sample or on the order,
so any batch can be recomputed.
"""

import math
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
from eyebright.image.canonical import CANONICAL
from eyebright.image.warp import Warp
from eyebright.sources.items import describe_item
from eyebright.transforms.pipeline import DrawnImage, Pipeline, Preprocessed

A = TypeVar("A")
B = TypeVar("B")


class LoadedSample(NamedTuple):
    """A sample that is ready to be collated.

    Args:
        preprocessed: the image after the CPU's part of the pipeline.
        target: the encoded target; None without a target block.
        item_index: the index of its item in `Dataset.all_items`.
    """

    preprocessed: Preprocessed
    target: Shaped[Tensor, "..."] | None
    item_index: int


class OpenedSample(NamedTuple):
    """A sample whose image is not decoded.

    Args:
        drawn: the image with its transform parameters.
        target: the encoded target; None without a target block.
        item_index: the index of its item in `Dataset.all_items`.
    """

    drawn: DrawnImage
    target: Shaped[Tensor, "..."] | None
    item_index: int


class Chunk(NamedTuple):
    """Several samples that one worker loaded.

    Args:
        samples: those whose images could be read, in order.
        skipped: the others: path of the image to the reason.
        seconds: CPU seconds of the worker's thread, by step ("decoding", "augmenting").
    """

    samples: list[LoadedSample]
    skipped: dict[str, str]
    seconds: dict[str, float]


@dataclass(frozen=True, eq=False)
class SampleLoader:
    """Loads the samples of one dataset.

    Args:
        dataset: gives images and targets.
        pipeline: transforms each image.
        training: draw augmentations; otherwise each image gets the deterministic validation preprocessing.
        seed: the seed of the augmentations.
        skip_bad: skip unreadable images; otherwise they are an error.
    """

    dataset: Dataset
    pipeline: Pipeline
    training: bool
    seed: int
    skip_bad: bool

    @property
    def image_bytes(self) -> int:
        """The size of one image's pixels, a multiple of 8; 8 if the images have different sizes."""
        pipeline = self.pipeline
        if not self.training and pipeline.pixels_version == CANONICAL:
            size, channel_bytes = pipeline.size, 4
        else:
            size, channel_bytes = pipeline.host_size, 1
        return -(-3 * channel_bytes * math.prod(size or ()) // 8) * 8

    def is_equivalent(self, other: "SampleLoader") -> bool:
        """Whether both load the same samples from the same objects."""
        same_objects = self.dataset is other.dataset and self.pipeline is other.pipeline
        settings = (self.training, self.seed, self.skip_bad)
        return same_objects and settings == (other.training, other.seed, other.skip_bad)

    def sample(self, i: int, epoch: int = 0) -> LoadedSample:
        """The i-th sample, augmented as in this epoch.

        Args:
            i: index in the dataset; plus a multiple of ``len(dataset)``: the same image, augmented differently.
            epoch: the epoch, from 0.

        Raises:
            ImageError: the image cannot be read.
            DataError: a getter or a block raised an error.
        """
        sample, drawn = self._draw(i, epoch)
        return self._encode(sample, self.pipeline.preprocess(drawn))

    def opened(self, i: int) -> OpenedSample:
        """The i-th sample, as in epoch 0, without decoding its image; arguments and errors as in `sample`."""
        sample, drawn = self._draw(i, 0)
        return OpenedSample(drawn, self._encoded_target(sample, drawn.warp), sample.item_index)

    def chunk(self, indices: Sequence[int], epoch: int) -> Chunk:
        """Several samples, augmented as in this epoch.

        Args:
            indices: the indices in the dataset, as in `sample`.
            epoch: the epoch, from 0.

        Raises:
            ImageError: an image cannot be read, and unreadable images are not skipped.
            DataError: a getter or a block raised an error.
        """
        timer = Timer(time.thread_time)
        skipped: dict[str, str] = {}

        def preprocess(drawn_sample: tuple[Sample, DrawnImage]) -> tuple[Sample, Preprocessed]:
            sample, drawn = drawn_sample
            return sample, self.pipeline.preprocess(drawn, timer)

        # One step for all samples before the next step: the pixels of each image evict the rest from the CPU's caches.
        drawn = self._for_readable(lambda i: self._draw(i, epoch), indices, skipped)
        preprocessed = self._for_readable(preprocess, drawn, skipped)
        return Chunk([self._encode(*pair) for pair in preprocessed], skipped, timer.seconds)

    def _draw(self, i: int, epoch: int) -> tuple[Sample, DrawnImage]:
        repeat, i = divmod(i, len(self.dataset))
        sample = self.dataset.sample(i)
        entropy = [self.seed, epoch, sample.item_index, *([repeat] if repeat else [])]
        generator = np.random.default_rng(entropy) if self.training else None
        return sample, self.pipeline.draw(sample.image, generator)

    def _encode(self, sample: Sample, preprocessed: Preprocessed) -> LoadedSample:
        return LoadedSample(preprocessed, self._encoded_target(sample, preprocessed.warp), sample.item_index)

    def _encoded_target(self, sample: Sample, warp: Warp) -> Shaped[Tensor, "..."] | None:
        block = self.dataset.target
        if block is None:
            return None
        try:
            return block.encode(sample.raw_target, warp)
        except EyebrightError as error:
            raise DataError(f"{describe_item(self.dataset.all_items, sample.item_index)}: {error}") from None

    def _for_readable(self, step: Callable[[A], B], inputs: Sequence[A], skipped: dict[str, str]) -> list[B]:
        """The results of a step, without those of unreadable images, which are added to ``skipped``."""
        results: list[B] = []
        for value in inputs:
            try:
                results.append(step(value))
            except ImageError as error:
                if not self.skip_bad:
                    raise
                skipped[error.path] = error.reason
        return results
