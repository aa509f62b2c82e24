"""Points on the image."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from eyebright.errors import InputError
from eyebright.image.warp import Warp
from eyebright.losses import MSELossFlat
from eyebright.metrics.meter import Metric
from eyebright.metrics.points import point_distance
from eyebright.tasks.base import TargetBlock
from eyebright.types import Points, Size, Thresholds


@dataclass(frozen=True, init=False)
class PointBlock(TargetBlock):
    """The target field with points (x, y), in pixels of the user's image.

    The model's outputs are in [-1, 1] over the image that it sees: -1 is the left or top edge, 1 the right or
    bottom one (``2 * x / width - 1``). Points that are unknown (NaN) or that a crop has cut off are not learnt from.

    Args:
        count: how many points; None: as many as the training images have.
        mirror: for each point the index of the one whose name it takes in a mirrored image, for example
            ``(1, 0)`` for a left and a right eye; None: names have no side.
    """

    name: ClassVar[str] = "points"
    count: int | None
    mirror: tuple[int, ...] | None

    def __init__(self, count: int | None = None, *, mirror: Sequence[int] | None = None) -> None:
        swaps = None if mirror is None else tuple(mirror)
        known = range(len(swaps or ()))
        if swaps is not None and not (set(swaps) <= set(known) and [swaps[i] for i in swaps] == list(known)):
            raise InputError(f"mirror names a partner for each point, and is its own inverse; got {swaps}")
        object.__setattr__(self, "count", count)
        object.__setattr__(self, "mirror", swaps)

    def read(self, raw: Any) -> Points:
        """The points, in pixels."""
        return Points.of(raw)

    def fit(self, values: Iterable[Points]) -> "PointBlock":
        """The block that knows how many points there are; the first training image says it."""
        count = self.count if self.count is not None else len(next(iter(values)))
        if self.mirror is not None and len(self.mirror) != count:
            raise InputError(f"mirror has {len(self.mirror)} entries, and there are {count} points")
        return PointBlock(count, mirror=self.mirror)

    def encode(self, value: Points, warp: Warp | None = None) -> Float[Tensor, "n 2"]:
        """Shape (n, 2), float32, in [-1, 1] where visible and NaN where not; in the user's pixels without a warp."""
        if self.count is not None and len(value) != self.count:
            raise InputError(f"this image has {len(value)} points, the others have {self.count}; use NaN for unknown")
        if warp is not None:
            value = self._renamed(warp.points(value), warp)
        xy = torch.where(value.visible[:, None], value.xy, torch.nan)
        return (xy if warp is None else xy * 2 / _edge(warp.size) - 1).to(torch.float32)

    def activate(self, outputs: Float[Tensor, "b k"]) -> Float[Tensor, "b n 2"]:
        """The outputs as points."""
        return outputs.reshape(len(outputs), -1, 2)

    def decode(
        self, answer: Shaped[Tensor, "..."], *, thresholds: Thresholds | None = None, warp: Warp | None = None
    ) -> Points:
        """The points in the user's own pixels."""
        points = Points.of(answer.detach().to("cpu", torch.float64).reshape(-1, 2))
        if warp is None:
            return points
        back = warp.inverse()
        seen = Points((points.xy + 1) * _edge(warp.size) / 2, points.visible)
        outside_is_an_answer = Points(back.points(seen).xy, points.visible)
        return self._renamed(outside_is_an_answer, warp)

    @property
    def width(self) -> int:
        """Two outputs for each point."""
        if self.count is None:
            raise InputError(
                "this PointBlock does not know how many points there are; it is fitted, or given count=..."
            )
        return 2 * self.count

    def loss(self) -> nn.Module:
        """Mean squared error over the visible points."""
        return MSELossFlat()

    def metrics(self) -> tuple[Metric, ...]:
        """The mean distance, in the outputs' units: half the image's width or height is 1."""
        return (point_distance,)

    def words(self, value: Points) -> str:
        """The points, in whole pixels."""
        return " ".join(f"({x:.0f}, {y:.0f})" for x, y in value.xy[value.visible].tolist())

    def marks(self, value: Points) -> Points:
        """The points themselves."""
        return value

    def to_json(self) -> dict[str, Any]:
        """How many points, and which exchange their names."""
        return {"count": self.count, "mirror": None if self.mirror is None else list(self.mirror)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "PointBlock":
        """The block that `to_json` described."""
        return cls(data["count"], mirror=data["mirror"])

    def _renamed(self, points: Points, warp: Warp) -> Points:
        """Left and right names exchanged where the image is mirrored: the only place that does."""
        if self.mirror is None or not warp.mirrored:
            return points
        order = list(self.mirror)
        return replace(points, xy=points.xy[order], visible=points.visible[order])


def _edge(size: Size) -> Float[Tensor, "2"]:
    return torch.tensor([size.width, size.height], dtype=torch.float64)
