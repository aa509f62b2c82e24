"""What becomes of a picture in an epoch, and of several at once, whoever reads them.

Randomness is counted: a sample's augmentation comes from (seed, epoch, position) alone, so it is the same whoever reads
it and in whatever order, and any batch can be made again.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped
from torch import Tensor

from eyebright.data.datasets import Dataset
from eyebright.data.pipeline import Look, Pipeline
from eyebright.errors import PictureError
from eyebright.laps import Laps


class Seen(NamedTuple):
    """One sample.

    Args:
        look: the picture, as the CPU leaves it.
        target: its encoded target; None where there is none.
        position: of the item in the data set's source.
    """

    look: Look
    target: Shaped[Tensor, "..."] | None
    position: int


class Chunk(NamedTuple):
    """Several samples, read one after another.

    Args:
        seen: those that could be read.
        skipped: why the others could not: path to reason.
        seconds: the reader's own work by name: decoding, augmenting.
    """

    seen: list[Seen]
    skipped: dict[str, str]
    seconds: dict[str, float]


@dataclass(frozen=True, eq=False)
class Reading:
    """What becomes of the pictures of one side of a split.

    Args:
        dataset: where samples come from.
        pipeline: what happens to each picture.
        training: draw augmentations; otherwise every picture has its one validation view.
        seed: of the augmentations.
        leave_out: unreadable pictures; otherwise they are an error.
    """

    dataset: Dataset
    pipeline: Pipeline
    training: bool
    seed: int
    leave_out: bool

    def sample(self, i: int, epoch: int = 0, laps: Laps | None = None) -> Seen:
        """What becomes of the i-th picture in an epoch.

        Args:
            i: its number on this side.
            epoch: its number.
            laps: is told how long decoding took, and augmenting.

        Raises:
            PictureError: the picture cannot be read.
        """
        sample = self.dataset.sample(i)
        generator = np.random.default_rng([self.seed, epoch, sample.position]) if self.training else None
        look = self.pipeline.look(sample.picture, generator, laps)
        target = self.dataset.fields.target
        return Seen(look, None if target is None else target.encode(sample.value, look.view), sample.position)

    def chunk(self, pictures: Sequence[int], epoch: int) -> Chunk:
        """What becomes of several pictures.

        Raises:
            PictureError: a picture cannot be read, and none may be left out.
        """
        laps = Laps(time.thread_time)
        seen: list[Seen] = []
        skipped: dict[str, str] = {}
        for i in pictures:
            try:
                seen.append(self.sample(i, epoch, laps))
            except PictureError as error:
                if not self.leave_out:
                    raise
                skipped[error.path] = error.reason
        return Chunk(seen, skipped, laps.seconds)
