"""Mean and standard deviation of the channels: which numbers a network wants to see.

Normalising is the model's own business here (training and serving then cannot disagree), so `Normalize` in a list of
transforms changes no image. It *says* the numbers, and the learner hands them to the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from eyebright.errors import InputError
from eyebright.image.warp import Warp
from eyebright.transforms.draw import Draw, Transform
from eyebright.types import Size

imagenet_stats = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Normalize(Transform):
    """The mean and standard deviation of each channel, for values in [0, 1].

    Args:
        mean: one number for each channel.
        std: one number for each channel.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.mean:
            raise InputError(
                f"there are {len(self.mean)} means for {len(self.std)} standard deviations; each channel needs one"
            )
        if min(self.std) <= 0:
            raise InputError(f"standard deviations are greater than 0, got {self.std}")

    @staticmethod
    def from_stats(
        mean: Sequence[float],
        std: Sequence[float],
        dim: int = 1,
        ndim: int = 4,
        cuda: bool = True,  # noqa: FBT001 - the book's own signature
    ) -> "Normalize":
        """`Normalize` from two sequences, as in ``Normalize.from_stats(*imagenet_stats)``.

        Args:
            mean: one number for each channel.
            std: one number for each channel.
            dim: without meaning here: channels are always the axis before height and width.
            ndim: without meaning here.
            cuda: without meaning here: the numbers follow the images' device.
        """
        return Normalize(tuple(float(m) for m in mean), tuple(float(s) for s in std))

    def draw(self, size: Size, generator: np.random.Generator | None) -> Draw:
        """Nothing: the model normalises."""
        return Draw(Warp.identity(size))

    def __call__(self, images: Float[Tensor, "*b c h w"]) -> Float[Tensor, "*b c h w"]:
        """The images as the network wants them: ``(images - mean) / std``."""
        mean, std = self._columns(images)
        return (images - mean) / std

    def decode(self, images: Float[Tensor, "*b c h w"]) -> Float[Tensor, "*b c h w"]:
        """The images as people want them: ``images * std + mean``."""
        mean, std = self._columns(images)
        return images * std + mean

    def _columns(self, images: Tensor) -> tuple[Float[Tensor, "c 1 1"], Float[Tensor, "c 1 1"]]:
        return images.new_tensor(self.mean)[:, None, None], images.new_tensor(self.std)[:, None, None]
