"""Sizes and points in continuous pixels, and the description of a model's input."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eyebright.errors import InputError


class Size(NamedTuple):
    """The size of an image in pixels, always (height, width)."""

    height: int
    width: int

    @staticmethod
    def of(value: "int | Sequence[int] | Size") -> "Size":
        """A size from one number (square) or from (height, width).

        Raises:
            InputError: ``value`` is neither, or smaller than one pixel.
        """
        if _is_whole(value):
            size = Size(int(value), int(value))  # type: ignore[arg-type]
        elif isinstance(value, Sequence) and len(value) == 2 and all(map(_is_whole, value)):
            size = Size(int(value[0]), int(value[1]))
        else:
            raise InputError(f"a size must be one number or (height, width), got {value!r}")
        if min(size) < 1:
            raise InputError(f"a size needs at least 1 x 1 pixel, got {size}")
        return size

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"


MAX_SIDE = 8192
"""How many pixels a side of a model's input may have."""


def check_side(size: Size) -> None:
    """Raises `InputError` for an image size that no model's input can have.

    Raises:
        InputError: a side is longer than `MAX_SIDE`.
    """
    if max(size) > MAX_SIDE:
        raise InputError(f"a side of a model's input has at most {MAX_SIDE:,} pixels, got {max(size):.6g}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points on one image.

    Args:
        xy: shape (n, 2), (x, y) in continuous pixels.
        known: shape (n,); False for a point that is unknown or outside of the image; its ``xy`` has no meaning.
    """

    xy: Float[Tensor, "n 2"]
    known: Bool[Tensor, " n"]

    @staticmethod
    def of(value: Any) -> "Points":
        """Points from an array of shape (n, 2), or (2,) for one point; a row that is None or not finite is unknown.

        Raises:
            InputError: the value is not numbers of such a shape.
        """
        if isinstance(value, Points):
            return value
        xy = torch.as_tensor(value if isinstance(value, Tensor) else _coordinates(value))
        xy = xy.to(torch.float64)
        if xy.ndim == 1 and xy.shape[0] == 2:
            xy = xy[None]
        if xy.ndim != 2 or xy.shape[1] != 2:
            raise InputError(f"points must have the shape (n, 2), one (x, y) per row; got {tuple(xy.shape)}")
        return Points(xy, torch.isfinite(xy).all(dim=1))

    def __len__(self) -> int:
        return len(self.xy)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Points) or len(self) != len(other):
            return False
        same = bool((self.known == other.known).all())
        return same and bool((self.xy[self.known] == other.xy[other.known]).all())

    __hash__ = None  # type: ignore[assignment]  # holds tensors

    def __str__(self) -> str:
        """``[(x, y), ...]``, rounded to a tenth of a pixel."""
        return str([tuple(round(value, 1) for value in xy) for xy in self.xy.tolist()])


def _coordinates(value: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Points given as lists, as an array; None stands for an unknown point."""
    if isinstance(value, (list, tuple)):
        value = [(math.nan, math.nan) if xy is None else xy for xy in value]
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"points must be pairs of numbers (x, y), got {str(value)[:200]}") from None


@dataclass(frozen=True, slots=True)
class InputDescription:
    """The input that a model expects; it is part of the model, so training and prediction use the same.

    Args:
        size: the image size that it was built or trained for.
        mean: the mean of each channel, for values in [0, 1].
        std: the standard deviation of each channel, for values in [0, 1].
        interpolation: ``"bilinear"`` or ``"bicubic"``, with which the weights were trained.
    """

    size: Size
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"
