"""`Normalize`: the mean and standard deviation of the input channels of a model.

In Eyebright the model normalises its input, so that training and prediction always agree. `Normalize` in a list of
transforms therefore does not change images: it declares the statistics, which the learner passes to the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from eyebright.errors import InputError
from eyebright.image.warp import Warp
from eyebright.transforms.draw import Transform, TransformParams
from eyebright.types import Size

imagenet_stats = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Normalize(Transform):
    """The mean and standard deviation of each channel, for pixel values in [0, 1].

    Args:
        mean: one value per channel.
        std: one value per channel, greater than 0.

    Raises:
        InputError: ``mean`` and ``std`` differ in length or are empty, or a standard deviation is not greater than 0.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.mean:
            raise InputError(
                f"got {len(self.mean)} means and {len(self.std)} standard deviations; each channel needs one of both"
            )
        if min(self.std) <= 0:
            raise InputError(f"standard deviations must be greater than 0, got {self.std}")

    @staticmethod
    def from_stats(
        mean: Sequence[float],
        std: Sequence[float],
        dim: int = 1,
        ndim: int = 4,
        cuda: bool = True,  # noqa: FBT001 - fastai's signature
    ) -> "Normalize":
        """`Normalize` from two sequences, as in ``Normalize.from_stats(*imagenet_stats)``.

        Args:
            mean: one value per channel.
            std: one value per channel, greater than 0.
            dim: ignored; channels are always the axis before height and width.
            ndim: ignored.
            cuda: ignored; the statistics are moved to the device of the images.

        Raises:
            InputError: as in `Normalize`.
        """
        return Normalize(tuple(float(m) for m in mean), tuple(float(s) for s in std))

    def draw(self, size: Size, generator: np.random.Generator | None) -> TransformParams:
        """The identity, because the model normalises."""
        return TransformParams(Warp.identity(size))

    def __call__(self, images: Float[Tensor, "*b c h w"]) -> Float[Tensor, "*b c h w"]:
        """The normalised images: ``(images - mean) / std``."""
        mean, std = self._broadcastable_stats(images)
        return (images - mean) / std

    def decode(self, images: Float[Tensor, "*b c h w"]) -> Float[Tensor, "*b c h w"]:
        """The images with the normalisation undone: ``images * std + mean``."""
        mean, std = self._broadcastable_stats(images)
        return images * std + mean

    def _broadcastable_stats(self, images: Tensor) -> tuple[Float[Tensor, "c 1 1"], Float[Tensor, "c 1 1"]]:
        return images.new_tensor(self.mean)[:, None, None], images.new_tensor(self.std)[:, None, None]
