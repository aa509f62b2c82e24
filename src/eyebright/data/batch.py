"""`Batch`: what a loader yields; `Shard`: the part that one process of a distributed training reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.image.warp import Warp


class Batch(NamedTuple):
    """One batch.

    Args:
        x: images, float32 in [0, 1], in channels_last order, on the device.
        y: encoded targets, on the device; None where the data have none.
        item_indices: for each image the index of its item in the dataset's source; `Dataset.indices` maps a
            position in the dataset to it.
        warps: for each image the warp from the original image to ``x``.
    """

    x: Float[Tensor, "b c h w"]
    y: Shaped[Tensor, "b ..."] | None
    item_indices: list[int]
    warps: list[Warp]


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several nearly equal parts of a batch or of an epoch, for one process of a distributed training.

    Args:
        index: the number of the shard, from 0.
        count: the number of shards.
    """

    index: int
    count: int

    def of(self, order: Sequence[int]) -> Sequence[int]:
        """The indices of this shard: one consecutive piece; all shards in order are the whole.

        >>> [list(Shard(index, 3).of(range(7))) for index in range(3)]
        [[0, 1, 2], [3, 4], [5, 6]]
        """
        size, longer = divmod(len(order), self.count)  # the first shards are longer by one
        start = self.index * size + min(self.index, longer)
        return order[start : start + size + (self.index < longer)]


WHOLE = Shard(0, 1)
"""The only shard, if a single process trains."""
