"""Objectives for tuning thresholds: a metric of the decisions, costs, a budget of false alarms, or a number of labels.

An objective is given as a value (`Costs`, `Budget`, `TopK`) or as text. The text is also how it is stored with the
thresholds: ``"f1_macro"``, ``"f2_micro"``, ``"f0.5_samples"``, ``"hamming_loss"``, ``"accuracy_multi"``,
``"subset_accuracy"``, ``"cost fn=5,fp=1"``, ``"budget 100/1000"`` or ``"top_k 3"``.

scikit-learn's ``accuracy_score`` of several labels is ``subset_accuracy`` here; ``accuracy_multi`` is fastai's: the
share of the decisions that are right.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from eyebright.errors import InputError, did_you_mean, listing
from eyebright.evaluation.cuts import Array
from eyebright.metrics.decisions import accuracy_multi_metric, fbeta_metric
from eyebright.metrics.labels import Average, hamming_loss_metric, split_targets, subset_accuracy_metric
from eyebright.metrics.meter import Metric

CostName = Literal["fn", "fp", "tp", "tn"]

_F_SCORE = re.compile(rf"f(\d+(?:\.\d+)?)_({'|'.join(get_args(Average))})")


@dataclass(frozen=True)
class Costs:
    """The costs of the four kinds of decisions; their sum over all known decisions is minimised.

    With calibrated probabilities the best threshold of a label is (fp - tn) / (fp - tn + fn - tp), its `break_even`
    (Elkan, 2001, The foundations of cost-sensitive learning, IJCAI).

    Args:
        fn: the cost of a missed label (a false negative).
        fp: the cost of a wrongly predicted label (a false positive).
        tp: the cost of a correctly predicted label; negative for a gain.
        tn: the cost of a label that is correctly not predicted.
        labels: the costs of single labels that differ from these.

    Raises:
        InputError: a cost is not finite, or a wrong decision does not cost more than the right one.
    """

    fn: float = 1.0
    fp: float = 1.0
    tp: float = 0.0
    tn: float = 0.0
    labels: Mapping[str, "Costs"] = field(default_factory=dict[str, "Costs"], hash=False)

    def __post_init__(self) -> None:
        for name in get_args(CostName):
            if not math.isfinite(getattr(self, name)):
                raise InputError(f"the cost `{name}` must be a finite number, got {getattr(self, name)}")
        for wrong, right in (("fn", "tp"), ("fp", "tn")):
            if getattr(self, wrong) <= getattr(self, right):
                raise InputError(
                    f"a wrong decision must cost more than the right one: `{wrong}` is {getattr(self, wrong):g} and "
                    f"`{right}` is {getattr(self, right):g}"
                )

    @property
    def break_even(self) -> float:
        """The probability above which predicting the label costs less on average than not predicting it."""
        return (self.fp - self.tn) / (self.fp - self.tn + self.fn - self.tp)

    def of(self, names: Sequence[str]) -> list["Costs"]:
        """The costs of each of these labels.

        Raises:
            InputError: costs of an unknown label.
        """
        for name in self.labels:
            if name not in names:
                raise InputError(
                    f"costs are given for '{name}', which is not a label.{did_you_mean(name, names)} "
                    f"Known: {listing(names)}"
                )
        return [self.labels.get(name, self) for name in names]

    def __str__(self) -> str:
        given = [
            f"fn={self.fn:g}",
            f"fp={self.fp:g}",
            *(f"{k}={v:g}" for k, v in (("tp", self.tp), ("tn", self.tn)) if v),
        ]
        for label, costs in self.labels.items():
            changed = [name for name in get_args(CostName) if getattr(costs, name) != getattr(self, name)]
            given += [f"{label}:{name}={getattr(costs, name):g}" for name in changed]
        return "cost " + ",".join(given)


@dataclass(frozen=True)
class Budget:
    """A maximum number of false alarms (labels that are predicted wrongly) per number of images, over all labels.

    Within the budget as many labels as possible are found (the greatest micro recall), with as few false alarms as
    that takes.

    Args:
        false_alarms: the number of false alarms.
        images: the number of images that this number is for.

    Raises:
        InputError: a negative number of false alarms, or no images.
    """

    false_alarms: float
    images: float = 1000.0

    def __post_init__(self) -> None:
        if not (0 <= self.false_alarms < math.inf and 0 < self.images < math.inf):
            raise InputError(
                "a budget is a number of false alarms (0 or more) in a number of images (more than 0), got "
                f"{self.false_alarms:g}/{self.images:g}"
            )

    def allowed(self, images: int) -> int:
        """The number of false alarms allowed in a set of so many images."""
        return math.floor(self.false_alarms * images / self.images + 1e-9)

    def __str__(self) -> str:
        return f"budget {self.false_alarms:g}/{self.images:g}"


@dataclass(frozen=True)
class TopK:
    """The threshold that predicts at most k labels for an image *on average*, and as near to k as possible.

    One threshold for all labels: with calibrated probabilities no other thresholds give more right labels. An image
    with few probable labels gets fewer than k, and one with many gets more.

    Args:
        k: the number of labels.

    Raises:
        InputError: not a positive number.
    """

    k: float

    def __post_init__(self) -> None:
        if not 0 < self.k < math.inf:
            raise InputError(f"the number of labels per image must be more than 0, got {self.k:g}")

    def __str__(self) -> str:
        return f"top_k {self.k:g}"


@dataclass(frozen=True)
class GroupMean:
    """A metric as the mean, over groups of decisions, of a value in [0, 1] that grows with quality.

    Args:
        group: the decisions that form a group: those of a class, of an image, or all.
        value: the value of a group, a function of its (true positives, predicted labels, positives, number of
            decisions).
        score: the metric of decisions, as it is reported.
        beta: the beta of an F score; None for other metrics.
    """

    group: Literal["classes", "images", "all"]
    value: Callable[[Array, Array, Array, float], Array]
    score: Metric
    beta: float | None = None

    def __str__(self) -> str:
        return self.score.name


Objective = str | Costs | Budget | TopK
"""What thresholds are tuned for."""

ParsedObjective = GroupMean | Costs | Budget | TopK


def parsed_objective(objective: Objective) -> ParsedObjective:
    """The objective that a string names; a value unchanged.

    Raises:
        InputError: the objective is unknown.
    """
    if not isinstance(objective, str):
        return objective
    if match := _F_SCORE.fullmatch(objective):
        return _f_score(float(match[1]), match[2])  # type: ignore[arg-type]
    if objective in _FURTHER:
        return _FURTHER[objective]
    kind, _, rest = objective.partition(" ")
    if kind in _PARSERS:
        return _PARSERS[kind](rest)
    raise InputError(
        f"thresholds cannot be tuned for '{objective}'.{did_you_mean(objective, KNOWN_OBJECTIVES)} "
        f"Known: {', '.join(KNOWN_OBJECTIVES)}"
    )


def check_metric(metric: Objective) -> None:
    """Raises `InputError` unless thresholds can be tuned for ``metric``; to be called before training."""
    parsed_objective(metric)


def parsed_costs(text: str) -> Costs:
    """The costs that a string states: ``"fn=5,fp=1"``; with costs of single labels: ``"fn=5,fp=1,cat:fn=50"``.

    Raises:
        InputError: the text does not have this form, or see `Costs`.
    """
    general = dict[str, float]()
    of_labels = dict[str, dict[str, float]]()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(?:(.+):)?(fn|fp|tp|tn)\s*=\s*([^=]+?)\s*", part)
        number = _number(match[3]) if match else None
        if match is None or number is None:
            raise InputError(f"costs are written like 'fn=5,fp=1' or 'fn=5,fp=1,LABEL:fn=50', got '{text}'")
        costs = general if match[1] is None else of_labels.setdefault(match[1], {})
        if match[2] in costs:
            raise InputError(f"the cost '{part.strip().partition('=')[0]}' is given twice: '{text}'")
        costs[match[2]] = number
    default = replace(Costs(), **general)
    return replace(default, labels={name: replace(default, **costs) for name, costs in of_labels.items()})


def parsed_budget(text: str) -> Budget:
    """The budget that a string states: ``"100/1000"``, false alarms / images.

    Raises:
        InputError: the text does not have this form, or see `Budget`.
    """
    numbers = [_number(part) for part in text.split("/")]
    if len(numbers) != 2 or numbers[0] is None or numbers[1] is None:
        raise InputError(
            f"a budget is written like '100/1000' (at most 100 false alarms in 1,000 images), got '{text}'"
        )
    return Budget(numbers[0], numbers[1])


def cost_metric(costs: Sequence[Costs]) -> Metric:
    """The mean cost of an image: the costs of its known decisions; images without any are ignored.

    Args:
        costs: the costs of each class.
    """
    fn, fp, tp, tn = (torch.tensor([getattr(c, name) for c in costs]).double() for name in get_args(CostName))

    def cost(decisions: Tensor, target: Tensor) -> float:
        positive, known = split_targets(target, decisions)
        predicted = decisions.detach().cpu() == 1
        of_positive, of_negative = torch.where(predicted, tp, fn), torch.where(predicted, fp, tn)
        cost_of_cell = torch.where(known, torch.where(positive, of_positive, of_negative), 0)
        return float(cost_of_cell.sum() / known.any(dim=1).sum())

    return Metric("cost_per_image", cost, takes="decisions", higher_is_better=False, title="cost per image")


# ------------------------------------------------------------------------------- private


def _f_score(beta: float, average: Average) -> GroupMean:
    def value(true_positives: Array, predicted: Array, positives: Array, n_decisions: float) -> Array:
        whole = predicted + beta**2 * positives
        return (1 + beta**2) * true_positives / np.where(whole > 0, whole, 1)

    groups: dict[str, Any] = {"macro": "classes", "micro": "all", "samples": "images"}
    return GroupMean(groups[average], value, fbeta_metric(beta, average), beta)


def _agreement(true_positives: Array, predicted: Array, positives: Array, n_decisions: float) -> Array:
    return 1 - (predicted + positives - 2 * true_positives) / n_decisions


def _exact_match(true_positives: Array, predicted: Array, positives: Array, n_decisions: float) -> Array:
    return ((true_positives == positives) & (predicted == positives)).astype(np.float64)


_FURTHER = {
    "hamming_loss": GroupMean("classes", _agreement, hamming_loss_metric),
    "accuracy_multi": GroupMean("classes", _agreement, accuracy_multi_metric),
    "subset_accuracy": GroupMean("images", _exact_match, subset_accuracy_metric),
}


def _parsed_top_k(text: str) -> TopK:
    number = _number(text)
    if number is None:
        raise InputError(f"top_k takes a number of labels per image, such as 'top_k 3', got '{text}'")
    return TopK(number)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


_PARSERS: dict[str, Callable[[str], ParsedObjective]] = {
    "cost": parsed_costs,
    "budget": parsed_budget,
    "top_k": _parsed_top_k,
}

KNOWN_OBJECTIVES = (
    *("f1_macro", "f1_micro", "f1_samples", "f2_macro", "f0.5_micro"),
    *_FURTHER,
    *("cost fn=5,fp=1", "budget 100/1000", "top_k 3"),
)
"""An example of each kind; F scores take any beta."""
