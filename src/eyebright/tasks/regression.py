"""`RegressionBlock`: one or several numbers per image."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float64, Shaped
from torch import Tensor, nn

from eyebright._choices import HeadObjective
from eyebright.errors import InputError, count_text
from eyebright.image.warp import Warp
from eyebright.losses import MSELossFlat
from eyebright.metrics.meter import Metric
from eyebright.metrics.values import mae
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.columns import distinct_columns, is_missing
from eyebright.tasks.learnable import check_numbers, check_range
from eyebright.tasks.task_type import TaskType
from eyebright.types import Thresholds, ordered_names


@dataclass(frozen=True, init=False)
class RegressionBlock(TargetBlock):
    """The target field with one or several numbers that are not coordinates, such as an age or a mass.

    Transforms of the image do not change the numbers.

    Args:
        n_out: the number of outputs; None: taken from the first training image.
        names: the names of the numbers; None: ``value1``, ``value2``, ...
        standardize: the model learns numbers with mean 0 and standard deviation 1 over the training images, so that
            numbers of any size are learnt equally well. Predictions and metrics are always in the user's own unit.
        center: the mean of each number over the training images, if the block is fitted and standardizes.
        scale: the standard deviation of each number over the training images.

    Raises:
        InputError: the number of names is wrong, names repeat, or they have no order.
    """

    name: ClassVar[str] = "regression"
    task_type: ClassVar[TaskType] = "numbers"
    needs_whole_image: ClassVar[bool] = True
    zero_last_layer: ClassVar[bool] = True
    head_objective: ClassVar[HeadObjective] = "squared"
    count: int | None
    names: tuple[str, ...] | None
    standardize: bool
    center: tuple[float, ...] | None
    scale: tuple[float, ...] | None

    def __init__(
        self,
        n_out: int | None = None,
        names: Sequence[str] | None = None,
        standardize: bool = False,  # noqa: FBT001
        center: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
    ) -> None:
        names = None if names is None else ordered_names(names)
        count = len(names) if n_out is None and names is not None else n_out
        if names is not None and (len(names) != count or len(set(names)) != count):
            raise InputError(f"{count} numbers need as many different names, got {list(names)}")
        object.__setattr__(self, "count", count)
        object.__setattr__(self, "names", None if names is None else tuple(names))
        object.__setattr__(self, "standardize", standardize)
        object.__setattr__(self, "center", None if center is None else tuple(center))
        object.__setattr__(self, "scale", None if scale is None else tuple(scale))

    @property
    def no_flip_reason(self) -> str:
        """The reason: a mirrored image may have another number, such as an angle or a position."""
        return "a number may depend on left and right"

    def read(self, raw: Any) -> tuple[float, ...]:
        """The numbers; NaN where one is unknown.

        Raises:
            InputError: a value is not a number, or it is infinite or beyond the largest float32.
        """
        several = raw.reshape(-1).tolist() if hasattr(raw, "reshape") else raw
        row = tuple(several) if isinstance(several, (list, tuple)) else (several,)
        try:
            numbers = tuple(float("nan") if is_missing(number) else float(number) for number in row)
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"a RegressionBlock takes numbers, got {raw!r}") from None
        check_range(numbers, "a number")
        return numbers

    def fit(self, values: Iterable[tuple[float, ...]]) -> "RegressionBlock":
        """The block with the count of numbers in the first value and, if it standardizes, with mean and std of each.

        Raises:
            DataError: the block standardizes, and no number varies, none is known, or float32 cannot distinguish them.
        """
        if not self.standardize:
            count = self.count if self.count is not None else len(next(iter(values)))
            return RegressionBlock(count, self.names, center=self.center, scale=self.scale)
        values = list(values)
        counted = RegressionBlock(self.count if self.count is not None else len(values[0]), self.names)
        rows = torch.stack([counted.encode(value).double() for value in values])
        check_numbers(counted.target_names, counted._rows(values), counted._rows(()), what="numbers")
        known = ~rows.isnan()
        n_known = known.sum(dim=0).clamp(min=1)
        center = rows.nan_to_num().sum(dim=0) / n_known
        scale = (((rows - center).nan_to_num() ** 2).sum(dim=0) / n_known).sqrt()
        scale = torch.where(scale > 0, scale, 1.0)  # a constant number is only centered
        return RegressionBlock(
            counted.count, self.names, standardize=True, center=center.tolist(), scale=scale.tolist()
        )

    def check_learnable(
        self, train: Iterable[tuple[float, ...]], valid: Iterable[tuple[float, ...]]
    ) -> tuple[str, ...]:
        """The numbers whose known values are the same in all training images.

        Raises:
            DataError: no number varies, float32 cannot distinguish them, or validation images have none.
        """
        return check_numbers(self.target_names, self._rows(train), self._rows(valid), what="numbers")

    def _rows(self, values: Iterable[tuple[float, ...]]) -> Float64[np.ndarray, "n k"]:
        return np.array(list(values), dtype=np.float64).reshape(-1, self.n_out)

    def encode(self, value: tuple[float, ...], warp: Warp | None = None) -> Float[Tensor, " k"]:
        """The numbers, float32, standardized if a warp is given and the block standardizes; NaN where unknown."""
        if self.count is not None and len(value) != self.count:
            raise InputError(
                f"this image has {count_text(len(value), 'number')}, the others have {self.count}; use NaN for unknown"
            )
        numbers = torch.tensor(value, dtype=torch.float64)
        if warp is not None and self.center is not None and self.scale is not None:
            center, scale = (torch.tensor(values, dtype=torch.float64) for values in (self.center, self.scale))
            numbers = (numbers - center) / scale
        return numbers.float()

    def to_user_units(self, rows: Shaped[Tensor, "b k"], warps: Sequence[Warp]) -> Shaped[Tensor, "b k"]:
        """The numbers in the user's own unit: not standardized, float32."""
        if self.center is None or self.scale is None:
            return rows
        center, scale = (torch.tensor(values, dtype=torch.float64) for values in (self.center, self.scale))
        return (rows.detach().cpu().double() * scale + center).float()

    def activate(self, outputs: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """The unchanged outputs."""
        return outputs

    def decode(self, activated: Shaped[Tensor, "..."], thresholds: Thresholds | None = None) -> tuple[float, ...]:
        """The numbers."""
        return tuple(activated.reshape(-1).tolist())

    @property
    def n_out(self) -> int:
        """One output for each number."""
        if self.count is None:
            raise InputError("this RegressionBlock does not know the number of outputs; fit it, or give n_out=...")
        return self.count

    def loss(self) -> nn.Module:
        """Mean squared error over the known numbers."""
        return MSELossFlat()

    def metrics(self) -> tuple[Metric, ...]:
        """The mean absolute error."""
        return (mae,)

    def training_summary(self, values: Sequence[tuple[float, ...]]) -> dict[str, Any]:
        """The number of images with each number; the baseline is the mean of each, and for the MAE the median."""
        numbers = torch.tensor(list(values), dtype=torch.float64)
        counts = (~numbers.isnan()).sum(dim=0).tolist()
        return {
            "images": len(values),
            "counts": counts,
            "baseline": {
                "*": numbers.nanmean(dim=0).nan_to_num().tolist(),
                mae.name: numbers.nanquantile(0.5, dim=0).nan_to_num().tolist(),
            },
        }

    @property
    def output_names(self) -> tuple[str, ...]:
        """A name for each number."""
        return self.names or tuple(f"value{i + 1}" for i in range(self.n_out))

    @property
    def has_names(self) -> bool:
        """Whether the numbers have names."""
        return self.names is not None

    def text(self, value: tuple[float, ...]) -> str:
        """The numbers, rounded for reading."""
        return ", ".join(f"{number:.4g}" for number in value)

    @property
    def table_columns(self) -> tuple[str, ...]:
        """A column for each number."""
        return tuple(distinct_columns(self.output_names, taken=("path",), prefix="value_"))

    def table_row(self, value: tuple[float, ...], activated: Float[Tensor, " k"]) -> tuple[Any, ...]:
        """The numbers."""
        return tuple(value)

    def prediction_json(self, value: tuple[float, ...], activated: Float[Tensor, " k"]) -> dict[str, Any]:
        """``{"values": {name: number}}``."""
        return {"values": dict(zip(self.output_names, value, strict=True))}

    def describe(self) -> str:
        """The block and its number of outputs on one line."""
        if self.count is None:
            return "RegressionBlock, not fitted yet"
        return f"RegressionBlock with {count_text(self.count, 'output')}"

    def to_json(self) -> dict[str, Any]:
        """The number of outputs, their names, and their standardization."""
        names = None if self.names is None else list(self.names)
        return {
            "n_out": self.count,
            "names": names,
            "standardize": self.standardize,
            "center": None if self.center is None else list(self.center),
            "scale": None if self.scale is None else list(self.scale),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "RegressionBlock":
        """The block that `to_json` described, of any schema."""
        return cls(
            data["n_out"],
            data.get("names"),
            standardize=bool(data.get("standardize", False)),
            center=data.get("center"),
            scale=data.get("scale"),
        )

    @classmethod
    def from_columns(cls, names: Sequence[str], *, mirror: Sequence[int] | None = None) -> "RegressionBlock":
        """A block for the numbers of a table, which may have any unit."""
        return cls(names=tuple(names) or None, standardize=True)
