"""Numbers: one or several for each image."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from eyebright.errors import InputError
from eyebright.image.warp import Warp
from eyebright.losses import MSELossFlat
from eyebright.metrics.meter import Metric
from eyebright.metrics.values import mean_absolute_error
from eyebright.tasks.base import TargetBlock, is_missing
from eyebright.types import Thresholds


@dataclass(frozen=True)
class RegressionBlock(TargetBlock):
    """The target field with numbers, which no geometry changes (an age, a weight).

    Args:
        n_out: how many numbers; None: as many as the training images have.
    """

    name: ClassVar[str] = "regression"
    n_out: int | None = None

    def read(self, raw: Any) -> tuple[float, ...]:
        """The numbers."""
        several = raw.reshape(-1).tolist() if hasattr(raw, "reshape") else raw
        row = tuple(several) if isinstance(several, (list, tuple)) else (several,)
        try:
            return tuple(float("nan") if is_missing(number) else float(number) for number in row)
        except (TypeError, ValueError):
            raise InputError(f"a RegressionBlock takes numbers, got {raw!r}") from None

    def fit(self, values: Iterable[tuple[float, ...]]) -> "RegressionBlock":
        """The block that knows how many numbers there are; the first training image says it."""
        return RegressionBlock(self.n_out if self.n_out is not None else len(next(iter(values))))

    def encode(self, value: tuple[float, ...], warp: Warp | None = None) -> Float[Tensor, " k"]:
        """The numbers, float32; NaN where one is unknown."""
        if self.n_out is not None and len(value) != self.n_out:
            raise InputError(f"this image has {len(value)} numbers, the others have {self.n_out}; use NaN for unknown")
        return torch.tensor(value, dtype=torch.float32)

    def activate(self, outputs: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """The outputs as they are."""
        return outputs

    def decode(
        self, answer: Shaped[Tensor, "..."], *, thresholds: Thresholds | None = None, warp: Warp | None = None
    ) -> tuple[float, ...]:
        """The numbers."""
        return tuple(answer.reshape(-1).tolist())

    @property
    def width(self) -> int:
        """One output for each number."""
        if self.n_out is None:
            raise InputError(
                "this RegressionBlock does not know how many numbers there are; it is fitted, or given n_out=..."
            )
        return self.n_out

    def loss(self) -> nn.Module:
        """Mean squared error over the known numbers."""
        return MSELossFlat()

    def metrics(self) -> tuple[Metric, ...]:
        """The mean absolute error."""
        return (mean_absolute_error,)

    def words(self, value: tuple[float, ...]) -> str:
        """The numbers, rounded for reading."""
        return ", ".join(f"{number:.4g}" for number in value)

    def to_json(self) -> dict[str, Any]:
        """How many numbers."""
        return {"n_out": self.n_out}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "RegressionBlock":
        """The block that `to_json` described."""
        return cls(data["n_out"])
