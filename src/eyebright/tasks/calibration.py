"""The calibrations that a `Decision` applies: maps of raw outputs that make probabilities agree with frequencies.

Each maps the raw outputs (logits) to other raw outputs, which the target block then converts to probabilities. Every
map increases strictly, so a label's images keep their order. They are immutable, computed in the dtype of the outputs,
and written as JSON without loss. `eyebright.evaluation.calibrate` fits them.

- ``"temperature"``: the outputs are divided by one number for all labels or classes (Guo et al., 2017,
  arXiv:1706.04599).
- ``"platt"``: for each label slope * output + offset (Platt, 1999, in Advances in Large Margin Classifiers).
- ``"beta"``: for each label a * ln p - b * ln(1 - p) + c, with the uncalibrated probability p (Kull, Silva Filho &
  Flach, 2017, Proceedings of Machine Learning Research 54:623).
- ``"isotonic"``: for each label linear between knots (Zadrozny & Elkan, 2002, doi:10.1145/775047.775151), with a
  bounded slope, so that a rounding difference of the outputs cannot become a jump.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar, Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from eyebright._choices import CalibrationKind
from eyebright.errors import InputError, check_choice, listing, short_repr

MAX_SLOPE = 8.0
"""The largest slope of an isotonic calibration, in calibrated logits per logit of output."""
_MAX_PARAMETER = 1e6  # maximum of a parameter, so that float32 outputs stay finite


class Calibration(Protocol):
    """A strictly increasing function from raw outputs to calibrated raw outputs."""

    kind: ClassVar[CalibrationKind]

    @property
    def n_labels(self) -> int | None:
        """The number of labels with parameters; None: any."""
        ...

    def __call__(self, outputs: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """The calibrated raw outputs, of the same dtype."""
        ...

    def to_json(self) -> dict[str, Any]:
        """The parameters as JSON, without the kind."""
        ...


@dataclass(frozen=True)
class NoCalibration:
    """The outputs, unchanged."""

    kind: ClassVar[CalibrationKind] = "none"

    @property
    def n_labels(self) -> int | None:
        """None: it has no parameters."""
        return None

    def __call__(self, outputs: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """The outputs."""
        return outputs

    def to_json(self) -> dict[str, Any]:
        """Nothing."""
        return {}


@dataclass(frozen=True)
class Temperature:
    """The outputs divided by one number; probabilities are less extreme if it is more than 1.

    Args:
        value: the temperature, positive.

    Raises:
        InputError: the temperature is not a positive number.
    """

    kind: ClassVar[CalibrationKind] = "temperature"
    value: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _numbers("temperature", "value", [self.value], positive=True)[0])

    @property
    def n_labels(self) -> int | None:
        """None: the number is for all labels."""
        return None

    def __call__(self, outputs: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """The outputs divided by the temperature."""
        return outputs / self.value

    def to_json(self) -> dict[str, Any]:
        """The temperature."""
        return {"value": self.value}


@dataclass(frozen=True)
class Platt:
    """Slope * output + offset, for each label.

    Args:
        slopes: the slopes, positive, one for each label.
        offsets: the offsets, one for each label.

    Raises:
        InputError: the numbers are not finite, a slope is not positive, or their counts differ.
    """

    kind: ClassVar[CalibrationKind] = "platt"
    slopes: tuple[float, ...]
    offsets: tuple[float, ...]

    def __post_init__(self) -> None:
        _set_numbers(self, positive=("slopes",))

    @property
    def n_labels(self) -> int | None:
        """The number of slopes."""
        return len(self.slopes)

    def __call__(self, outputs: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """Slope * output + offset."""
        return outputs * outputs.new_tensor(self.slopes) + outputs.new_tensor(self.offsets)

    def to_json(self) -> dict[str, Any]:
        """The numbers of each label."""
        return _lists(self)


@dataclass(frozen=True)
class Beta:
    """a * ln p - b * ln(1 - p) + c, for each label, where p is the sigmoid of the output.

    Args:
        a: the slope where p is near 0, positive, one for each label.
        b: the slope where p is near 1, positive, one for each label.
        c: the offset, one for each label.

    Raises:
        InputError: the numbers are not finite, an a or b is not positive, or their counts differ.
    """

    kind: ClassVar[CalibrationKind] = "beta"
    a: tuple[float, ...]
    b: tuple[float, ...]
    c: tuple[float, ...]

    def __post_init__(self) -> None:
        _set_numbers(self, positive=("a", "b"))

    @property
    def n_labels(self) -> int | None:
        """The number of labels."""
        return len(self.a)

    def __call__(self, outputs: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """The calibrated logits."""
        a, b, c = map(outputs.new_tensor, (self.a, self.b, self.c))
        return b * functional.softplus(outputs) - a * functional.softplus(-outputs) + c

    def to_json(self) -> dict[str, Any]:
        """The numbers of each label."""
        return _lists(self)


@dataclass(frozen=True)
class Isotonic:
    """Linear interpolation between knots, for each label; extrapolated with the slopes of the outer segments.

    Args:
        knots: increasing outputs, at least two for each label.
        values: the calibrated output at each knot, increasing.

    Raises:
        InputError: the numbers are not finite or do not increase, a slope is more than `MAX_SLOPE`, or their counts
            differ.
    """

    kind: ClassVar[CalibrationKind] = "isotonic"
    knots: tuple[tuple[float, ...], ...]
    values: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        for name in ("knots", "values"):
            rows = _list("isotonic", name, getattr(self, name))
            numbers = tuple(_numbers("isotonic", name, _list("isotonic", name, row)) for row in rows)
            object.__setattr__(self, name, numbers)
        if [len(row) for row in self.knots] != [len(row) for row in self.values] or not self.knots:
            raise InputError("the calibration 'isotonic' needs as many values as knots for each label")
        for knots, values in zip(self.knots, self.values, strict=True):
            _check_increasing(knots, values)

    @property
    def n_labels(self) -> int | None:
        """The number of rows of knots."""
        return len(self.knots)

    def __call__(self, outputs: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """The calibrated logits."""
        knots, values, slopes, highest = (table.to(outputs) for table in self.tables)
        columns = outputs.T.contiguous()
        at = (torch.searchsorted(knots, columns, right=True) - 1).clamp(0, slopes.shape[1] - 1)
        interpolated = values.gather(1, at) + slopes.gather(1, at) * (columns - knots.gather(1, at))
        return torch.minimum(
            interpolated, highest.gather(1, at)
        ).T  # the next knot's value: a rounding must not exceed it

    def to_json(self) -> dict[str, Any]:
        """The knots and values of each label."""
        return {name: [list(row) for row in getattr(self, name)] for name in ("knots", "values")}

    @cached_property
    def tables(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Knots, values, slopes and highest values of the segments, one row for each label, float64.

        Labels with fewer knots than others get additional ones on their last segment, which change nothing.
        """
        most = max(map(len, self.knots))
        rows = [_extended(knots, values, most) for knots, values in zip(self.knots, self.values, strict=True)]
        knots, values = torch.tensor(rows, dtype=torch.float64).transpose(0, 1).contiguous()
        slopes = values.diff(dim=1) / knots.diff(dim=1)
        highest = values[:, 1:].clone()
        highest[:, -1] = torch.inf
        return knots, values, slopes, highest


CALIBRATIONS: dict[str, Callable[..., Calibration]] = {
    kind.kind: kind for kind in (NoCalibration, Temperature, Platt, Beta, Isotonic)
}
"""The calibrations by their name in a saved model."""


def calibration_to_json(calibration: Calibration) -> dict[str, Any]:
    """The calibration as data, with its kind."""
    return {"kind": calibration.kind, **calibration.to_json()}


def calibration_from_json(data: dict[str, Any]) -> Calibration:
    """The calibration that `calibration_to_json` described.

    Raises:
        InputError: this version does not know the kind, or a number is missing or invalid.
    """
    numbers = dict(data)
    kind = str(numbers.pop("kind"))
    check_choice("calibration", kind, CALIBRATIONS)
    expected = [field.name for field in fields(CALIBRATIONS[kind])]  # type: ignore[arg-type]
    if sorted(numbers) != sorted(expected):
        has = listing(expected) if expected else "nothing else"
        raise InputError(f"the calibration '{kind}' has {has}, got {listing(numbers) if numbers else 'nothing else'}")
    return CALIBRATIONS[kind](**numbers)


def _extended(knots: Sequence[float], values: Sequence[float], length: int) -> list[list[float]]:
    """(knots, values) with additional knots on the last segment, one apart."""
    slope = (values[-1] - values[-2]) / (knots[-1] - knots[-2])
    further = range(1, length - len(knots) + 1)
    return [[*knots, *(knots[-1] + i for i in further)], [*values, *(values[-1] + slope * i for i in further)]]


def _check_increasing(knots: Sequence[float], values: Sequence[float]) -> None:
    if len(knots) < 2:
        raise InputError(f"the calibration 'isotonic' needs two knots for each label, got {len(knots)}")
    steps = [(x - before, y - below) for (before, x), (below, y) in zip(pairwise(knots), pairwise(values), strict=True)]
    if min(map(min, steps)) <= 0:
        raise InputError("the knots and the values of the calibration 'isotonic' must increase")
    steepest = max(rise / run for run, rise in steps)
    if steepest > MAX_SLOPE * 1.0001:
        raise InputError(f"the slope of the calibration 'isotonic' must be at most {MAX_SLOPE:g}, got {steepest:.4g}")


def _set_numbers(calibration: Any, *, positive: Sequence[str]) -> None:
    """Checks the numbers of a frozen calibration and converts them to tuples."""
    kind, names = calibration.kind, [field.name for field in fields(calibration)]
    for name in names:
        given = _list(kind, name, getattr(calibration, name))
        object.__setattr__(calibration, name, _numbers(kind, name, given, positive=name in positive))
    counts = [len(getattr(calibration, name)) for name in names]
    if len(set(counts)) != 1 or not counts[0]:
        got = listing(f"{count} {name}" for name, count in zip(names, counts, strict=True))
        raise InputError(f"the calibration '{kind}' needs equal counts of parameters, one of each per label, got {got}")


def _lists(calibration: Any) -> dict[str, Any]:
    return {field.name: list(getattr(calibration, field.name)) for field in fields(calibration)}


def _list(kind: str, name: str, given: Any) -> Sequence[Any]:
    if not isinstance(given, (list, tuple)):
        raise InputError(f"`{name}` of the calibration '{kind}' must be a list, got {short_repr(given)}")
    return given


def _numbers(kind: str, name: str, given: Sequence[Any], *, positive: bool = False) -> tuple[float, ...]:
    """The numbers as floats.

    Raises:
        InputError: one is not a number, NaN, very large, or not positive although it must be.
    """
    lowest = 1 / _MAX_PARAMETER if positive else -_MAX_PARAMETER
    for value in given:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not lowest <= value <= _MAX_PARAMETER:
            raise InputError(
                f"`{name}` of the calibration '{kind}' must be numbers from {lowest:g} to {_MAX_PARAMETER:g}, "
                f"got {short_repr(value)}"
            )
    return tuple(map(float, given))
