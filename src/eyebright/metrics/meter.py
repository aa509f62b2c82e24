"""`Metric` and `Meter`: metrics with declared inputs, computed once over a whole set of images.

The mean of a metric over batches is not its value over the set (for F1 and mAP never, for an error not if the last
batch is smaller). Therefore the meter keeps the outputs of all batches and computes metrics at the end. Each metric
declares whether it takes logits, probabilities, decisions or values; this is never guessed from the numbers.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.errors import InputError
from eyebright.types import Thresholds

Takes = Literal["logits", "probabilities", "decisions", "values"]
"""Input of a metric: "logits" (raw outputs), "probabilities", "decisions" (thresholded) or "values" (of regression
and points)."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A score of predictions over a whole set of images, one number.

    Args:
        name: the key of its value in the table of epochs and in ``history.csv``.
        function: a function from (input, targets) to one number; both have one row per image of the whole set.
        takes: which input the function takes.
        higher_is_better: False for errors.
        title: the name for people, in tables and reports; None: ``name``.
        has_interval: False for a metric that has no interval by resampling, since its value on resampled images is
            biased: the bins of a calibration error have the noise of the sample, and of the resample in addition.
    """

    name: str
    function: Callable[[Tensor, Tensor], Any]
    takes: Takes
    higher_is_better: bool = True
    title: str | None = None
    has_interval: bool = True

    @property
    def display_name(self) -> str:
        """The name for people, such as ``"macro F1"``."""
        return self.title or self.name

    def __call__(self, predicted: Shaped[Tensor, "n ..."], target: Shaped[Tensor, "n ..."]) -> float:
        """The value of the metric.

        Args:
            predicted: the input that it ``takes``, one row per image.
            target: the encoded targets.

        Raises:
            InputError: the function does not give one number.
        """
        value = self.function(predicted, target)
        try:
            return float(value)
        except (TypeError, ValueError, RuntimeError):
            raise InputError(f"the metric '{self.name}' must give one number, got {type(value).__name__}") from None


def as_metric(function: Callable[[Tensor, Tensor], Any] | Metric) -> Metric:
    """A `Metric` unchanged; a function as a `Metric` of logits and targets with its name, as in fastai.

    >>> as_metric(partial(torch.nn.functional.l1_loss, reduction="mean")).name
    'l1_loss'

    Raises:
        InputError: ``function`` is not callable, or is a class instead of an instance.
    """
    if isinstance(function, Metric):
        return function
    if isinstance(function, type):
        raise InputError(f"a metric must be a function or a Metric, got the class {function.__name__}; call it first")
    if not callable(function):
        raise InputError(f"a metric must be a function or a Metric, got {function!r}")
    return Metric(_name(function), function, takes="logits")


class Meter:
    """Collects the outputs and targets of all batches and computes metrics over all of them.

    Args:
        metrics: metrics, or plain functions as in fastai. If two have the same name, the second gets the name
            ``name_2``.
    """

    def __init__(self, metrics: Sequence[Metric | Callable[[Tensor, Tensor], Any]]) -> None:
        self.metrics = with_unique_names([as_metric(metric) for metric in metrics])
        self._logits: list[Tensor] = []
        self._targets: list[Tensor] = []

    def __len__(self) -> int:
        return sum(map(len, self._logits))

    def add(self, logits: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."]) -> None:
        """Keep one batch: the model's outputs (before activation) and the targets, moved to the CPU.

        Raises:
            InputError: the numbers of images differ.
        """
        if len(logits) != len(target):
            raise InputError(f"a batch has outputs for {len(logits)} images and targets for {len(target)}")
        half = logits.dtype in (torch.float16, torch.bfloat16)
        self._logits.append(logits.detach().to("cpu", dtype=torch.float32 if half else None))
        self._targets.append(target.detach().cpu())

    def concatenated(self) -> tuple[Float[Tensor, "n ..."], Shaped[Tensor, "n ..."]]:
        """(logits, targets) of all batches so far, concatenated.

        Raises:
            InputError: no batch was added.
        """
        if not self._logits:
            raise InputError("no batch was added, so metrics cannot be computed")
        return torch.cat(self._logits), torch.cat(self._targets)

    def result(self, activate: Callable[[Tensor], Tensor], thresholds: Thresholds | None = None) -> dict[str, float]:
        """The value of each metric over all batches, by name, in the given order; NaN if an output is NaN.

        Args:
            activate: a function from logits to probabilities or values, `Decision.activate`.
            thresholds: the thresholds of the probabilities; 0.5 if absent.

        Raises:
            InputError: no batch was added.
        """
        logits, target = self.concatenated()
        if bool(logits.isnan().any()):
            return {metric.name: math.nan for metric in self.metrics}
        activated = activate(logits)
        takes = {metric.takes for metric in self.metrics}
        inputs = {"logits": logits, "probabilities": activated, "values": activated}
        if "decisions" in takes:
            inputs["decisions"] = (thresholds or Thresholds()).decide(activated)
        return {metric.name: metric(inputs[metric.takes], target) for metric in self.metrics}


def _name(function: Callable[..., Any]) -> str:
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)


def with_unique_names(metrics: Sequence[Metric]) -> list[Metric]:
    """The metrics with ``_2``, ``_3``, ... appended to names that are taken, since a table has one column for each."""
    renamed: list[Metric] = []
    for metric in metrics:
        taken = {other.name for other in renamed}
        name, count = metric.name, 1
        while name in taken:
            count += 1
            name = f"{metric.name}_{count}"
        renamed.append(replace(metric, name=name))
    return renamed
