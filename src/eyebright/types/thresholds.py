"""`Thresholds`: from probabilities to decisions, for all classes or for each, with two or three answers."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eyebright import _html as html
from eyebright.errors import InputError


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds of probabilities: one for all classes, or one for each; two for three-way answers.

    A label is predicted if its probability is *greater than* its threshold (strictly, as in fastai), in metrics,
    predictions and plots alike. With ``lower``, an image does not have the label at ``lower`` or below, and between
    the two a person is to be asked.

    Args:
        values: one number in [0, 1], or one for each class in the order of the vocabulary.
        metric: the metric that they were tuned for; None: they were set by hand.
        names: the names of the classes, only for display; None: not known.
        lower: one number in [0, 1], or one for each class, none above its threshold; None: a label that is not
            predicted is answered no.

    Raises:
        InputError: a number is outside [0, 1], or a lower threshold is above the other.
    """

    values: float | tuple[float, ...] = 0.5
    metric: str | None = None
    names: tuple[str, ...] | None = field(default=None, compare=False)
    lower: float | tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _checked_thresholds(self.values))
        if self.lower is None:
            return
        object.__setattr__(self, "lower", _checked_thresholds(self.lower))
        lower, upper = np.atleast_1d(self.lower), np.atleast_1d(self.values)
        if len({len(lower), len(upper)} - {1}) > 1:
            raise InputError(f"there are lower thresholds for {len(lower)} classes, and upper ones for {len(upper)}")
        if (lower > upper).any():
            raise InputError("a lower threshold is above the upper one: a label cannot be answered yes and no at once")

    @property
    def is_three_way(self) -> bool:
        """Whether there are answers between yes and no, for which a person is to be asked."""
        return self.lower is not None

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        title = "Thresholds" if self.metric is None else f"Thresholds for {self.metric}"
        columns = (self.values,) if self.lower is None else (self.lower, self.values)
        heads = ("threshold",) if self.lower is None else ("lower threshold", "upper threshold")
        n_labels = max(len(column) if isinstance(column, tuple) else 0 for column in columns)
        if not n_labels:
            thresholds = ", ".join(f"{head} {value:.3f}" for head, value in zip(heads, columns, strict=True))
            return html.block(title, html.paragraph(f"{thresholds}, for all labels"), html.paragraph(self._meaning))
        names = self.names if self.names and len(self.names) == n_labels else range(n_labels)
        cells = [column if isinstance(column, tuple) else (column,) * n_labels for column in columns]
        rows = [(name, *(f"{value:.3f}" for value in row)) for name, *row in zip(names, *cells, strict=True)]
        return html.block(title, html.table(("label", *heads), rows), html.paragraph(self._meaning))

    @property
    def _meaning(self) -> str:
        """How probabilities become answers, in a sentence or two."""
        if self.lower is None:
            return "A label is predicted if its probability is above its threshold."
        return (
            "A label is predicted if its probability is above its upper threshold, and not if it is at or below its "
            "lower one; between them a person is asked."
        )

    def decide(self, probabilities: Float[Tensor, "*b k"]) -> Bool[Tensor, "*b k"]:
        """True where a probability is above its threshold.

        Raises:
            InputError: a probability is NaN, or there are per-class thresholds for another number of classes.
        """
        refuse_nan(probabilities, "probabilities")
        return probabilities > self.per_class(probabilities.shape[-1]).to(probabilities)

    def abstains(self, probabilities: Float[Tensor, "*b k"]) -> Bool[Tensor, "*b k"]:
        """True where the model abstains (asks a person): above the lower threshold, and not above the other.

        Raises:
            InputError: as in `decide`.
        """
        if self.lower is None:
            return torch.zeros_like(probabilities, dtype=torch.bool)
        lower = _per_class(self.lower, probabilities.shape[-1]).to(probabilities)
        return (probabilities > lower) & ~self.decide(probabilities)

    def check_count(self, classes: int) -> None:
        """Raises `InputError` if there are per-class thresholds for another number of classes."""
        for values in (self.values, self.lower):
            if values is not None:
                _per_class(values, classes)

    def per_class(self, classes: int) -> Float[Tensor, " k"]:
        """One threshold for each of ``classes`` classes, float64; `decide` rounds them to the probabilities' dtype.

        Raises:
            InputError: there are per-class thresholds for another number of classes.
        """
        return _per_class(self.values, classes)


def _checked_thresholds(values: Any) -> Any:
    """The thresholds as numbers, of an array or a tensor too.

    Raises:
        InputError: one is not a number in [0, 1].
    """
    given: Any = getattr(values, "tolist", lambda: values)()
    every: tuple[Any, ...] = tuple(given) if isinstance(given, (list, tuple)) else (given,)
    for value in every:
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value <= 1:
            raise InputError(f"a threshold must be in [0, 1], got {value!r}")
    return every if isinstance(given, (list, tuple)) else given


def _per_class(values: float | tuple[float, ...], classes: int) -> Float[Tensor, " k"]:
    if not isinstance(values, tuple):
        return torch.full((classes,), values, dtype=torch.float64)
    if len(values) != classes:
        raise InputError(f"there are thresholds for {len(values)} classes, not for {classes}")
    return torch.tensor(values, dtype=torch.float64)


def refuse_nan(values: Float[Tensor, "..."], name: str) -> None:
    """Raises `InputError` if a value is NaN: a comparison with NaN is False, which would be a decision.

    Args:
        values: predicted probabilities or values.
        name: what they are called in the message.
    """
    if values.is_floating_point() and bool((wrong := values.isnan()).any()):
        count = f"{int(wrong.sum()):,} of {values.numel():,}"
        raise InputError(
            f"{count} {name} are NaN, so there is no prediction; the outputs of the model are NaN or infinite"
        )
