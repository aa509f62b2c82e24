"""Schedules of the learning rate and the momentum: functions of the position in [0, 1].

The position is the fraction of a phase's steps *before* the current step, as in fastai. A `Schedule` is a frozen
dataclass and not a function, so that a checkpoint can store it as JSON.
"""

import bisect
import dataclasses
import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eyebright.errors import InputError, TrainingError, check_not_tiny, listing

Curve = Callable[[float], float]
Momenta = tuple[float, float, float]

BOOK_MOMENTA: Momenta = (0.95, 0.85, 0.95)


class Schedule(ABC):
    """A schedule of the learning rate, as a factor of the peak of each group, and of the momentum."""

    @abstractmethod
    def factor(self, position: float) -> float:
        """The factor of the peak learning rates at a position in [0, 1]."""

    @abstractmethod
    def momentum(self, position: float) -> float:
        """The momentum of SGD, or beta1 of AdamW, at a position in [0, 1]."""


@dataclass(frozen=True)
class OneCycle(Schedule):
    """The learning rate rises and falls on cosines, the momentum falls and rises (arXiv:1803.09820, as in fastai).

    Args:
        div: the first learning rate is the peak divided by this.
        div_final: the last learning rate is the peak divided by this.
        pct_start: fraction of steps in which the learning rate rises, in (0, 1).
        moms: momentum at the start, at the peak of the learning rate and at the end.
    """

    div: float = 25.0
    div_final: float = 1e5
    pct_start: float = 0.25
    moms: Momenta = BOOK_MOMENTA

    def __post_init__(self) -> None:
        _check_share("pct_start", self.pct_start)
        _check_divisor("div", self.div)
        _check_divisor("div_final", self.div_final)

    def factor(self, position: float) -> float:
        """The factor of the peak learning rates."""
        return combined_cos(self.pct_start, 1 / self.div, 1.0, 1 / self.div_final)(position)

    def momentum(self, position: float) -> float:
        """The momentum."""
        return combined_cos(self.pct_start, *self.moms)(position)


@dataclass(frozen=True)
class FlatCosine(Schedule):
    """A constant learning rate that falls on a cosine at the end.

    Args:
        div_final: the last learning rate is the peak divided by this.
        pct_start: fraction of steps with a constant learning rate, in (0, 1).
        mom: the constant momentum.
    """

    div_final: float = 1e5
    pct_start: float = 0.75
    mom: float = 0.9

    def __post_init__(self) -> None:
        _check_share("pct_start", self.pct_start)
        _check_divisor("div_final", self.div_final)

    def factor(self, position: float) -> float:
        """The factor of the peak learning rates."""
        return combined_cos(self.pct_start, 1.0, 1.0, 1 / self.div_final)(position)

    def momentum(self, position: float) -> float:
        """The momentum."""
        return self.mom


@dataclass(frozen=True)
class Constant(Schedule):
    """A constant learning rate and a constant momentum."""

    mom: float = 0.9

    def factor(self, position: float) -> float:
        """The factor of the peak learning rates."""
        return 1.0

    def momentum(self, position: float) -> float:
        """The momentum."""
        return self.mom


def schedule_to_json(schedule: Schedule) -> dict[str, Any]:
    """The schedule as JSON: the name of its class and its fields."""
    if not dataclasses.is_dataclass(schedule):
        raise TrainingError(f"a schedule is a frozen dataclass, so that a checkpoint can hold it; got {schedule!r}")
    return {"name": type(schedule).__name__, **dataclasses.asdict(schedule)}


def schedule_from_json(value: Mapping[str, Any]) -> Schedule:
    """The schedule from the JSON of `schedule_to_json`.

    Raises:
        TrainingError: an unknown schedule.
    """
    known = {kind.__name__: kind for kind in (OneCycle, FlatCosine, Constant)}
    fields: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
    name = fields.pop("name", None)
    if name not in known:
        raise TrainingError(f"unknown schedule '{name}'; the known: {listing(known)}")
    return known[name](**fields)


def sched_cos(start: float, end: float, pos: float) -> float:
    """From ``start`` to ``end`` on half a cosine."""
    return start + (1 + math.cos(math.pi * (1 - pos))) * (end - start) / 2


def sched_exp(start: float, end: float, pos: float) -> float:
    """From ``start`` to ``end`` by equal factors."""
    return start * (end / start) ** pos


def combine_scheds(pcts: Sequence[float], scheds: Sequence[Curve]) -> Curve:
    """A curve that consists of several, each on a fraction of [0, 1].

    Args:
        pcts: the fractions; they add up to 1.
        scheds: one curve per fraction, a function of the position in [0, 1].
    """
    if len(pcts) != len(scheds) or min(pcts) < 0 or not math.isclose(sum(pcts), 1.0):
        raise InputError(f"{len(scheds)} schedules need as many shares that add up to 1, got {list(pcts)}")

    # Single precision, as in fastai: near the end of a cosine the two differ by more than 1e-6 otherwise.
    ends = [float(end) for end in np.cumsum(np.array([0, *pcts], dtype=np.float32))]

    def curve(pos: float) -> float:
        index = min(bisect.bisect_right(ends, pos), len(scheds)) - 1
        share = np.float32(ends[index + 1]) - np.float32(ends[index])
        return scheds[index](float((np.float32(pos) - np.float32(ends[index])) / share))

    return curve


@functools.cache
def combined_cos(pct: float, start: float, middle: float, end: float) -> Curve:
    """From ``start`` to ``middle`` on a cosine for a fraction ``pct``, then to ``end`` on another."""
    up, down = (lambda pos: sched_cos(start, middle, pos)), (lambda pos: sched_cos(middle, end, pos))
    return combine_scheds([pct, 1 - pct], [up, down])


def even_mults(start: float, stop: float, n: int) -> list[float]:
    """``n`` numbers from ``start`` to ``stop`` by equal factors; only ``stop`` if ``n`` is 1."""
    if n == 1:
        return [stop]
    step = (stop / start) ** (1 / (n - 1))
    return [start * step**i for i in range(n)]


def lr_groups(lr: float | slice | Sequence[float], n: int) -> tuple[float, ...]:
    """The learning rate of each of ``n`` parameter groups, as fastai writes them.

    Args:
        lr: one number for all; ``slice(a, b)`` for equal factors from ``a`` to ``b``; ``slice(b)`` for ``b`` in the
            last group and ``b / 10`` in the others; or ``n`` numbers.
        n: the number of parameter groups.

    Raises:
        InputError: ``lr`` has another form, or a learning rate is not a positive number.
    """
    if isinstance(lr, (str, bool)):
        raise InputError(f"a learning rate must be a positive number, got {lr!r}")
    if isinstance(lr, slice):
        rates = _slice_rates(lr, n)
    elif isinstance(lr, Sequence):
        rates = [float(rate) for rate in lr]
    else:
        rates = [float(lr)] * n
    if len(rates) != n:
        raise InputError(f"{n} parameter groups need one learning rate or {n}, got {len(rates)}")
    if not all(rate > 0 and math.isfinite(rate) for rate in rates):
        raise InputError(f"a learning rate must be a positive number, got {lr}")
    for rate in rates:
        check_not_tiny("lr", rate)
    return tuple(rates)


def _slice_rates(lr: slice, n: int) -> list[float]:
    if lr.stop is None or lr.step is not None:
        raise InputError(f"learning rates are written slice(last) or slice(first, last), got {lr}")
    if lr.start is None:
        return [lr.stop / 10] * (n - 1) + [float(lr.stop)]
    if lr.start <= 0 or lr.stop <= 0:
        raise InputError(f"a learning rate must be a positive number, got {lr}")
    check_not_tiny("lr", min(lr.start, lr.stop))
    return even_mults(float(lr.start), float(lr.stop), n)


def _check_share(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise InputError(f"{name} is a share of the batches between 0 and 1, got {value}")


def _check_divisor(name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise InputError(f"`{name}` divides the peak learning rate: it must be a positive number, got {value}")
