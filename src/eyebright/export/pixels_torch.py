"""Canonical pixels in torch operations that `torch.export` can keep for images of any size.

The numbers are those of `eyebright.image.canonical`: sizes, offsets and the weights of the triangle filter are computed
in float64 in the same order of operations. Along each axis the resize, the crop and the padding are one product with a
matrix that has a row for each pixel of the output, so that no shape depends on where the image is; rows outside of the
image are 0. `torch.nn.functional.interpolate` is not used: its size would have to depend on that of the image, and a
crop behind it on whether there is something to crop.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor, nn

from eyebright.export.pixels_graph import Steps
from eyebright.image.canonical import EPSILON


class PlacedAxis(NamedTuple):
    """The position of the resized image in the output, along one axis, each a float64 without axes.

    Args:
        side: the side of the image.
        resized: its side after the resize.
        offset: where it begins in the output; negative where it is cropped.
    """

    side: Float64[Tensor, ""]
    resized: Float64[Tensor, ""]
    offset: Float64[Tensor, ""]


class CanonicalPixels(nn.Module):
    """Makes canonical pixels of uint8 images of any size.

    Args:
        steps: what is done.
    """

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self.steps = steps

    def forward(
        self, images: UInt8[Tensor, "b h w 3"]
    ) -> tuple[Float[Tensor, "b 3 h2 w2"], tuple[PlacedAxis, PlacedAxis]]:
        """(pixels in [0, 1], where the image is in them vertically and horizontally)."""
        rows, columns = self._places(images)
        n_images, height, width, _ = images.shape
        down = _filter(rows, height, self.steps.output[0])
        across = _filter(columns, width, self.steps.output[1])
        flat = images.reshape(n_images, height, width * 3).float()
        resized = torch.matmul(down, flat).reshape(n_images, self.steps.output[0], width, 3)
        visible = torch.matmul(across, resized)
        levels = (visible / 255).clamp_max(1)  # sums of rounded weights can exceed 1
        return levels.permute(0, 3, 1, 2).contiguous(), (rows, columns)

    def _places(self, images: UInt8[Tensor, "b h w 3"]) -> tuple[PlacedAxis, PlacedAxis]:
        """The position of the image, along each axis: composed of all steps, as `canonical_placement` computes it."""
        steps = self.steps
        sides = [torch.full((), images.shape[axis], dtype=torch.float64) for axis in (1, 2)]
        boxes = [torch.full((), box, dtype=torch.float64) for box in steps.box]
        ratios = torch.stack([box / side for box, side in zip(boxes, sides, strict=True)])
        scale = ratios.amax() if steps.method == "crop" else ratios.amin()
        firsts = boxes if steps.method == "squish" else [_rounded(scale * side) for side in sides]
        rows, columns = (
            self._placed(side, first, axis) for axis, (side, first) in enumerate(zip(sides, firsts, strict=True))
        )
        return rows, columns

    def _placed(self, side: Float64[Tensor, ""], first: Float64[Tensor, ""], axis: int) -> PlacedAxis:
        steps = self.steps
        shift = ((steps.first[axis] - first) / 2).trunc() * steps.scale[axis] + steps.shift[axis]
        scaled = first * steps.scale[axis]
        resized = _rounded(scaled)
        centred = shift + (scaled - resized) / 2
        return PlacedAxis(side, resized, (centred + centred.sign() * EPSILON).trunc())


def _rounded(side: Float64[Tensor, ""]) -> Float64[Tensor, ""]:
    """A side in pixels, rounded half up and at least 1."""
    return (side + 0.5 + EPSILON).floor().clamp_min(1)


def _filter(axis: PlacedAxis, n_pixels: int, n_out: int) -> Float[Tensor, "m n"]:
    """The weights of the pixels of the image for each pixel of the output, along one axis."""
    positions = torch.arange(n_out, dtype=torch.float64) - axis.offset
    centres = ((positions + 0.5) * (axis.side / axis.resized))[:, None]
    support = (axis.side / axis.resized).clamp_min(1)
    pixels = torch.arange(n_pixels, dtype=torch.float64) + 0.5
    weights = (1 - (pixels - centres).abs() / support).clamp_min(0)
    weights = weights * ((positions >= 0) & (positions < axis.resized))[:, None]
    return (weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-12)).float()
