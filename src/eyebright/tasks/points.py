"""`PointBlock`: points on the image, in pixels of the original image."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float64, Shaped
from torch import Tensor, nn

from eyebright._choices import HeadObjective
from eyebright.errors import DataError, InputError, count_text, listing
from eyebright.image.warp import Warp
from eyebright.losses import MSELossFlat
from eyebright.metrics.meter import Metric
from eyebright.metrics.points import point_error
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.columns import distinct_columns
from eyebright.tasks.learnable import check_numbers, check_range
from eyebright.tasks.mirror import names_without_partner
from eyebright.tasks.point_units import implausible_reason
from eyebright.tasks.task_type import TaskType
from eyebright.types import Points, Size, Thresholds, ordered_names

_CONVERSIONS = {
    "fraction": "multiply x by the image's width and y by its height, or ",
    "percent": "multiply x by a hundredth of the image's width and y by a hundredth of its height, or ",
    None: "",
}


@dataclass(frozen=True, init=False)
class PointBlock(TargetBlock):
    """The target field with points (x, y), in pixels of the user's image.

    The model's outputs are in [-1, 1] over the image that it sees: -1 is the left or top edge, 1 the right or
    bottom one (``2 * x / width - 1``). Points that are unknown (NaN, None) or that a crop has cut off are ignored by
    the loss.

    Args:
        count: the number of points; None: taken from the first training image.
        mirror: for each point, the index of the point whose name it takes in a mirrored image, for example ``(1, 0)``
            for a left and a right eye; None: points are not left/right pairs.
        names: the names of the points; None: ``point1``, ``point2``, ...
        in_pixels: True: coordinates are pixels even if they look like fractions or percentages of the image.

    Raises:
        InputError: the number of names is wrong, names repeat or have no order, or ``mirror`` is not its own inverse.
    """

    name: ClassVar[str] = "points"
    task_type: ClassVar[TaskType] = "points"
    is_geometric: ClassVar[bool] = True
    needs_whole_image: ClassVar[bool] = True
    y_range: ClassVar[tuple[float, float] | None] = (-1.0, 1.0)
    zero_last_layer: ClassVar[bool] = True
    head_objective: ClassVar[HeadObjective] = "squared"
    head_pool_size: ClassVar[int] = 4
    min_steps: ClassVar[int] = 24
    count: int | None
    mirror: tuple[int, ...] | None
    names: tuple[str, ...] | None
    in_pixels: bool

    def __init__(
        self,
        count: int | None = None,
        *,
        mirror: Sequence[int] | None = None,
        names: Sequence[str] | None = None,
        in_pixels: bool = False,
    ) -> None:
        swaps = None if mirror is None else tuple(mirror)
        known = range(len(swaps or ()))
        if swaps is not None and not (set(swaps) <= set(known) and [swaps[i] for i in swaps] == list(known)):
            raise InputError(f"mirror must name a partner for each point and be its own inverse; got {swaps}")
        if names is not None:
            names = ordered_names(names)
            count = len(names) if count is None else count
            if len(names) != count or len(set(names)) != len(names):
                raise InputError(f"{count} points need as many different names, got {list(names)}")
        object.__setattr__(self, "count", count)
        object.__setattr__(self, "mirror", swaps)
        object.__setattr__(self, "names", None if names is None else tuple(names))
        object.__setattr__(self, "in_pixels", in_pixels)

    @property
    def no_flip_reason(self) -> str:
        """The reason why points of a mirrored image may get wrong names: points without names or without a partner.

        Empty if ``mirror`` specifies that every point keeps its name.
        """
        if self.mirror is not None and self.mirror == tuple(range(len(self.mirror))):
            return ""
        if self.names is None or all(map(str.isdecimal, self.names)):
            known = self.count == 1 or self.mirror is not None
            return "" if known else "the names of the points do not show which are left/right pairs; give `mirror`"
        unpaired = names_without_partner(self.names, self.mirror)
        return f"a mirrored {listing(unpaired)} has another name; give `mirror`" if unpaired else ""

    def read(self, raw: Any) -> Points:
        """The points, in pixels.

        Raises:
            InputError: a coordinate is infinite or beyond the largest float32, or only one of x and y is known.
        """
        points = Points.of(raw)
        if raw is points:
            return points
        for x, y in points.xy[~points.known].tolist():
            check_range((x, y), "a coordinate")
            if (x != x) != (y != y):
                raise InputError(
                    f"a point has only one known coordinate, ({x}, {y}); give both, or (nan, nan) or None if the "
                    f"point is unknown"
                )
        if points.known.any():
            check_range((float(points.xy[points.known].abs().max()),), "a coordinate")
        return points

    def fit(self, values: Iterable[Points]) -> "PointBlock":
        """The block with the number of points, taken from the first training image."""
        count = self.count if self.count is not None else len(next(iter(values)))
        if self.mirror is not None and len(self.mirror) != count:
            raise InputError(f"mirror has {len(self.mirror)} entries, but there are {count_text(count, 'point')}")
        return PointBlock(count, mirror=self.mirror, names=self.names, in_pixels=self.in_pixels)

    def check_learnable(self, train: Iterable[Points], valid: Iterable[Points]) -> tuple[str, ...]:
        """The coordinates whose known values are the same in all training images.

        Raises:
            DataError: no coordinate varies, float32 cannot distinguish them, or validation images have no known points.
        """
        return check_numbers(self._coordinates, self._rows(train), self._rows(valid), what="points")

    @property
    def _coordinates(self) -> list[str]:
        points = self.names or [str(i + 1) for i in range(self.n_out // 2)]
        return [f"{axis} of {point}" for point in points for axis in "xy"]

    def _rows(self, values: Iterable[Points]) -> Float64[np.ndarray, "n k"]:
        rows = [np.where(value.known[:, None], value.xy, np.nan).reshape(-1) for value in values]
        return np.array(rows, dtype=np.float64).reshape(-1, self.n_out)

    def encode(self, value: Points, warp: Warp | None = None) -> Float[Tensor, "n 2"]:
        """Shape (n, 2), float32: in [-1, 1] with a warp, else in the original image's pixels; NaN if unknown."""
        if self.count is not None and len(value) != self.count:
            raise InputError(
                f"this image has {count_text(len(value), 'point')}, the others have {self.count}; use NaN for unknown"
            )
        if warp is not None:
            value = self._renamed(warp.points(value), warp)
        xy = torch.where(value.known[:, None], value.xy, torch.nan)
        return (xy if warp is None else xy * 2 / _width_height(warp.output_size) - 1).to(torch.float32)

    def to_user_units(self, rows: Shaped[Tensor, "b ..."], warps: Sequence[Warp]) -> Shaped[Tensor, "b ..."]:
        """Points in pixels of the original images, float32, in the shape of ``rows``."""
        in_pixels = [self._to_pixels(row, warp) for row, warp in zip(rows.detach().cpu(), warps, strict=True)]
        return torch.stack(in_pixels).reshape(rows.shape).float() if in_pixels else rows

    def activate(self, outputs: Float[Tensor, "b k"]) -> Float[Tensor, "b n 2"]:
        """The outputs as points."""
        return outputs.reshape(len(outputs), -1, 2)

    def decode(self, activated: Shaped[Tensor, "..."], thresholds: Thresholds | None = None) -> Points:
        """The points."""
        return Points.of(activated.detach().to("cpu", torch.float64).reshape(-1, 2))

    @property
    def n_out(self) -> int:
        """Two outputs for each point."""
        if self.count is None:
            raise InputError("this PointBlock does not know the number of points; fit it, or give count=...")
        return 2 * self.count

    def loss(self) -> nn.Module:
        """Mean squared error over the known points."""
        return MSELossFlat()

    def head_targets(self, targets: Float[Tensor, "n p 2"]) -> Float[Tensor, "n k"]:
        """A column for each coordinate: x and y of the first point, then of the second, and so on."""
        return targets.flatten(1)

    def metrics(self) -> tuple[Metric, ...]:
        """The mean distance, in pixels of the user's own images."""
        return (point_error,)

    def check_plausible(self, samples: Iterable[tuple[Points, Size]]) -> None:
        """Raises `DataError` if the points are implausible as pixels, unless ``in_pixels`` is True.

        Raises:
            DataError: the points look like fractions or percentages of the image, or most are outside it.
        """
        wrong = None if self.in_pixels else implausible_reason(list(samples))
        if wrong is None:
            return
        raise DataError(
            f"{wrong.reason}; {_CONVERSIONS[wrong.unit]}give PointBlock(in_pixels=True) if the points are right"
        )

    def training_summary(self, values: Sequence[Points]) -> dict[str, Any]:
        """The number of images with each point; the baseline is the mean position of each."""
        xy = torch.stack([self.encode(value) for value in values]).double()
        counts = (~xy.isnan().any(dim=2)).sum(dim=0).tolist()
        return {"images": len(values), "counts": counts, "baseline": {"*": xy.nanmean(dim=0).nan_to_num().tolist()}}

    @property
    def value_names(self) -> tuple[str, ...]:
        """A name for each point: the given one, or ``point1``, ``point2``, ..."""
        return self.names or tuple(f"point{i + 1}" for i in range(self.n_out // 2))

    @property
    def output_names(self) -> tuple[str, ...]:
        """``NAME_x`` and ``NAME_y`` for each point; ``x1``, ``y1``, ... for points without names."""
        if self.names is None:
            return tuple(f"{axis}{i + 1}" for i in range(self.n_out // 2) for axis in "xy")
        return tuple(f"{name}_{axis}" for name in self.names for axis in "xy")

    @property
    def has_names(self) -> bool:
        """Whether the points have names."""
        return self.names is not None

    @property
    def mirrored_names(self) -> dict[str, str]:
        """For each point with a partner in a mirrored image, the name of the partner."""
        names = self.value_names
        return {names[i]: names[j] for i, j in enumerate(self.mirror or ()) if i != j}

    def match_names(self, given: tuple[str, ...], count: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(names of the points of other data, those of this block); points without names have the numbers 1, 2, ...

        Numbers from 0 are another way to count the points of this block, so that the order decides.
        """
        names = self.value_names
        if self.has_names and _are_numbers(names):
            return given or _counted(count), names
        if given == tuple(map(str, range(len(names)))):
            return (), names
        return (given, _counted(len(names))) if not self.has_names and _are_numbers(given) else (given, names)

    def target_of_row(self, row: Float[Tensor, " t"]) -> Float[Tensor, "n 2"]:
        """The points, in pixels."""
        return row.float().reshape(-1, 2)

    def text(self, value: Points) -> str:
        """The points, in whole pixels."""
        return " ".join(f"({x:.0f}, {y:.0f})" for x, y in value.xy[value.known].tolist())

    def points_of(self, value: Points) -> Points:
        """The value itself, which consists of points."""
        return value

    @property
    def table_columns(self) -> tuple[str, ...]:
        """Two columns for each point."""
        return tuple(distinct_columns(self.output_names, taken=("path",), prefix="point_"))

    def table_row(self, value: Points, activated: Float[Tensor, "n 2"]) -> tuple[Any, ...]:
        """X and y of each point, in pixels of the user's own image."""
        return tuple(value.xy.reshape(-1).tolist())

    def prediction_json(self, value: Points, activated: Float[Tensor, "n 2"]) -> dict[str, Any]:
        """``{"points": {name: [x, y]}}``, in pixels of the user's own image."""
        return {"points": dict(zip(self.value_names, value.xy.tolist(), strict=True))}

    def describe(self) -> str:
        """The block and its number of points on one line."""
        return (
            "PointBlock, not fitted yet" if self.count is None else f"PointBlock with {count_text(self.count, 'point')}"
        )

    def to_json(self) -> dict[str, Any]:
        """The number of points, their mirrored partners and their names."""
        return {
            "count": self.count,
            "mirror": None if self.mirror is None else list(self.mirror),
            "names": None if self.names is None else list(self.names),
            "in_pixels": self.in_pixels,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "PointBlock":
        """The block that `to_json` described, of any schema."""
        names, in_pixels = data.get("names"), bool(data.get("in_pixels", False))
        return cls(data["count"], mirror=data["mirror"], names=names, in_pixels=in_pixels)

    @classmethod
    def from_columns(cls, names: Sequence[str], *, mirror: Sequence[int] | None = None) -> "PointBlock":
        """A block for the points of a table, which were converted to pixels when they were read."""
        return cls(mirror=mirror, names=names or None, in_pixels=True)

    def _to_pixels(self, row: Tensor, warp: Warp) -> Float[Tensor, "n 2"]:
        """The points of one row in pixels of the original image; the inverse of `encode` with this warp."""
        encoded = Points.of(row.double().reshape(-1, 2))
        in_input = Points((encoded.xy + 1) * _width_height(warp.output_size) / 2, encoded.known)
        # A point predicted outside of the image is valid: it stays known.
        original = self._renamed(Points(warp.inverse().points(in_input).xy, encoded.known), warp)
        return torch.where(original.known[:, None], original.xy, torch.nan)

    def _renamed(self, points: Points, warp: Warp) -> Points:
        """The points with partners swapped (left and right) if the warp mirrors the image; nothing else swaps them."""
        if self.mirror is None or not warp.is_mirrored:
            return points
        order = list(self.mirror)
        return replace(points, xy=points.xy[order], known=points.known[order])


def _are_numbers(names: Sequence[str]) -> bool:
    return bool(names) and all(map(str.isdecimal, names))


def _counted(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(1, count + 1))


def _width_height(size: Size) -> Float[Tensor, "2"]:
    return torch.tensor([size.width, size.height], dtype=torch.float64)
