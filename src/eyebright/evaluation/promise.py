"""`Promise`: a bound for precision, recall or the false positive rate that is to hold with a stated confidence."""

import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

from eyebright._defaults import CONFIDENCE
from eyebright.errors import InputError, did_you_mean, short_repr

PromiseMetric = Literal["precision", "recall", "false_positive_rate", "accuracy"]
"""Metrics that can be promised for a label:

- ``precision``: the share of the yes answers that are right.
- ``recall``: the share of the images with the label that are answered yes.
- ``false_positive_rate``: the share of the images without the label that are answered yes.

For a model with one label per image, which asks a person about some images:

- ``accuracy``: the share of the answered images that are answered right.
"""

_ALIASES = {"fpr": "false_positive_rate"}
_TEXT = re.compile(r"\s*([^<>=≤≥]+?)\s*(<=|>=|=<|=>|==|[<>=≤≥])\s*(\S+?)\s*(%?)\s*")


@dataclass(frozen=True, slots=True)
class Promise:
    """A bound that a label's answers on new images keep, with a stated confidence.

    Args:
        metric: the promised metric.
        bound: a lower bound of precision or recall, an upper bound of the false positive rate; in (0, 1).
        confidence: the probability, over the draw of the images that the thresholds are computed from, that the bound
            holds; in (0, 1).
        label: the label; None: each label separately.
        all_labels: True: the confidence holds for all labels at once.

    Raises:
        InputError: an unknown metric, a number outside (0, 1), or one label and all labels at once.
    """

    metric: PromiseMetric
    bound: float
    confidence: float = CONFIDENCE
    label: str | None = None
    all_labels: bool = False

    def __post_init__(self) -> None:
        if self.metric not in get_args(PromiseMetric):
            raise InputError(_unknown(str(self.metric)))
        for name in ("bound", "confidence"):
            value: Any = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
                raise InputError(
                    f"the {name} of a promise must be between 0 and 1 (not included), got {short_repr(value)}"
                )
        if self.error < 1e-9 or not 0 < self.share < 1:
            raise InputError(
                "the bound and the confidence of a promise must differ from 0 and 1 by more than 1e-9, got "
                f"{self.bound} and {self.confidence}"
            )
        if self.all_labels and self.label is not None:
            raise InputError(f"a promise is for one label or for all labels, got the label '{self.label}' and all")
        if self.metric == "accuracy" and (self.all_labels or self.label is not None):
            raise InputError("a promise of accuracy is for the images that are answered, whatever their labels")

    def __str__(self) -> str:
        return f"{self.words} {'<=' if self.is_upper else '>='} {self.bound:g}"

    @property
    def words(self) -> str:
        """The metric in words."""
        return self.metric.replace("_", " ")

    @property
    def is_upper(self) -> bool:
        """True if the bound is an upper one."""
        return self.metric == "false_positive_rate"

    @property
    def share(self) -> float:
        """The promised share of right answers: of yes answers, of images with the label or of images without it."""
        return round(1 - self.bound, 12) if self.is_upper else self.bound

    @property
    def error(self) -> float:
        """The probability that the promise is broken: 1 - confidence."""
        return round(1 - self.confidence, 12)

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return {name: getattr(self, name) for name in ("metric", "bound", "confidence", "label", "all_labels")}

    @staticmethod
    def from_json(data: dict[str, Any]) -> "Promise":
        """The promise that `to_json` described."""
        return Promise(**data)


def parse_promise(
    text: str, *, confidence: float = CONFIDENCE, label: str | None = None, all_labels: bool = False
) -> Promise:
    """A promise from a string such as ``"precision >= 0.95"``, ``"recall >= 90 %"`` or ``"fpr <= 0.01"``.

    >>> str(parse_promise("precision >= 95%")), str(parse_promise("FPR<=0.01"))
    ('precision >= 0.95', 'false positive rate <= 0.01')

    Args:
        text: metric, ``>=`` or ``<=``, and a number between 0 and 1 or a percentage.
        confidence: as in `Promise`.
        label: as in `Promise`.
        all_labels: as in `Promise`.

    Raises:
        InputError: the text is not of this form, names an unknown metric, or bounds the metric on the wrong side; or
            as in `Promise`.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise InputError(f"a promise is written as 'precision >= 0.95' or 'fpr <= 0.01', got {short_repr(text)}")
    name, sign, number, percent = match.groups()
    metric = re.sub(r"[\s_-]+", "_", name.lower())
    metric = _ALIASES.get(metric, metric)
    if metric not in get_args(PromiseMetric):
        raise InputError(_unknown(name))
    expected = "<=" if metric == "false_positive_rate" else ">="
    if sign not in {"<=": ("<=", "=<", "≤"), ">=": (">=", "=>", "≥")}[expected]:
        raise InputError(f"a promise of {name} is written with {expected}, got {short_repr(text)}")
    return Promise(metric, _number(number, text, is_percentage=bool(percent)), confidence, label, all_labels)  # type: ignore[arg-type]


def _number(digits: str, text: str, *, is_percentage: bool) -> float:
    try:
        number = float(digits)
    except ValueError:
        raise InputError(f"a promise needs a number such as 0.95, got '{digits}' in {short_repr(text)}") from None
    if is_percentage:
        return round(number / 100, 12)
    if number > 1:
        raise InputError(
            f"the bound of a promise is between 0 and 1, got {digits}; for a percentage write '{digits} %'"
        )
    return number


def _unknown(name: str) -> str:
    known = (*get_args(PromiseMetric), *_ALIASES)
    meant = did_you_mean(name.lower().replace(" ", "_"), known)
    return f"unknown metric of a promise: {short_repr(name)}.{meant} Known: {', '.join(known)}"
