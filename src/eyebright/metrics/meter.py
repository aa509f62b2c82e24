"""What a metric is, and the meter that computes metrics over a whole set.

The mean of per-batch values is not the value over the set (F1, mAP and even the error of a smaller last batch go
wrong), so the meter keeps the outputs of all batches and computes once, at the end. And a metric *says* what it takes:
whether a number is a logit or a probability is never guessed from its value.
"""

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
"""What a metric is fed: the model's outputs, the activated outputs, what the thresholds decide, or (for regression
and points, where the activated outputs are no probabilities) values."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that says how good predictions are, over a whole set of images.

    Args:
        name: the key of its value in scores and in ``history.csv``.
        function: from (what it takes, targets) to one number; both hold the whole set, an image a row.
        takes: what the function is fed.
        higher_is_better: False for errors.
        title: the name for people, in tables and reports; None: ``name``.
    """

    name: str
    function: Callable[[Tensor, Tensor], Any]
    takes: Takes
    higher_is_better: bool = True
    title: str | None = None

    @property
    def display_name(self) -> str:
        """The name for people, such as ``"macro F1"``."""
        return self.title or self.name

    def __call__(self, predicted: Shaped[Tensor, "n ..."], target: Shaped[Tensor, "n ..."]) -> float:
        """The metric of predictions of the kind that it takes.

        Raises:
            InputError: the function does not give one number.
        """
        value = self.function(predicted, target)
        try:
            return float(value)
        except (TypeError, ValueError, RuntimeError):
            raise InputError(f"the metric '{self.name}' must give one number, got {type(value).__name__}") from None


def as_metric(function: Callable[[Tensor, Tensor], Any] | Metric) -> Metric:
    """A `Metric` as it is; a plain callable as a metric of logits and targets under its own name, as in the book.

    >>> as_metric(partial(torch.nn.functional.l1_loss, reduction="mean")).name
    'l1_loss'

    Raises:
        InputError: it is not callable, or a class where an instance was meant.
    """
    if isinstance(function, Metric):
        return function
    if isinstance(function, type):
        raise InputError(f"a metric is a function or a Metric, got the class {function.__name__}; call it first")
    if not callable(function):
        raise InputError(f"a metric is a function or a Metric, got {function!r}")
    return Metric(_name(function), function, takes="logits")


class Meter:
    """Collects a set's outputs batch by batch and gives the exact metrics over all of it.

    Args:
        metrics: metrics, or plain callables as in the book. Of two with one name the second is called ``name_2``.
    """

    def __init__(self, metrics: Sequence[Metric | Callable[[Tensor, Tensor], Any]]) -> None:
        self.metrics = named_apart([as_metric(metric) for metric in metrics])
        self._logits: list[Tensor] = []
        self._targets: list[Tensor] = []

    def __len__(self) -> int:
        return sum(map(len, self._logits))

    def add(self, logits: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."]) -> None:
        """Keep one batch: the model's outputs (before activation) and the targets, moved to the CPU.

        Raises:
            InputError: the two are not of the same number of images.
        """
        if len(logits) != len(target):
            raise InputError(f"a batch has outputs for {len(logits)} images and targets for {len(target)}")
        half = logits.dtype in (torch.float16, torch.bfloat16)
        self._logits.append(logits.detach().to("cpu", dtype=torch.float32 if half else None))
        self._targets.append(target.detach().cpu())

    def gathered(self) -> tuple[Float[Tensor, "n ..."], Shaped[Tensor, "n ..."]]:
        """All logits and all targets so far, in the order in which they came.

        Raises:
            InputError: no batch was added.
        """
        if not self._logits:
            raise InputError("there is nothing to compute metrics of: no batch was added")
        return torch.cat(self._logits), torch.cat(self._targets)

    def result(self, scores: Callable[[Tensor], Tensor], thresholds: Thresholds | None = None) -> dict[str, float]:
        """The value of every metric over all batches, by name, in the given order.

        Args:
            scores: from logits to probabilities, or values: those of a `Decision`.
            thresholds: from probabilities to decisions; 0.5 when absent.

        Raises:
            InputError: no batch was added.
        """
        logits, target = self.gathered()
        activated = scores(logits)
        takes = {metric.takes for metric in self.metrics}
        fed = {"logits": logits, "probabilities": activated, "values": activated}
        if "decisions" in takes:
            fed["decisions"] = (thresholds or Thresholds()).decide(activated)
        return {metric.name: metric(fed[metric.takes], target) for metric in self.metrics}


def _name(function: Callable[..., Any]) -> str:
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)


def named_apart(metrics: Sequence[Metric]) -> list[Metric]:
    """The metrics with different names: a table has one column for each."""
    apart: list[Metric] = []
    for metric in metrics:
        taken = {other.name for other in apart}
        name, count = metric.name, 1
        while name in taken:
            count += 1
            name = f"{metric.name}_{count}"
        apart.append(replace(metric, name=name))
    return apart
