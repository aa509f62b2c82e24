"""More metrics of decisions on labels: F-beta, Jaccard index, false alarms, labels per image.

The conventions are those of `eyebright.metrics.labels`: unknown cells are ignored, and 0 / 0 counts as 0.
"""

import math
from functools import partial

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from eyebright.errors import InputError
from eyebright.metrics.labels import (
    Average,
    decision_counts,
    f1_macro,
    f1_micro,
    f1_samples,
    hamming_loss,
    precision,
    ratio,
    recall,
    split_targets,
)
from eyebright.metrics.meter import Metric


def fbeta(decisions: Bool[Tensor, "n k"], target: Shaped[Tensor, "n k"], *, beta: float, average: Average) -> float:
    """The weighted harmonic mean of precision and recall, in which recall counts ``beta`` times as much.

    (1 + beta^2) * hits / (predicted + beta^2 * positives), van Rijsbergen (1979, Information Retrieval, chapter 7).

    Args:
        decisions: True where a label is predicted.
        target: 1 where the image has the label, 0 where not, NaN where unknown.
        beta: above 1 favours recall, below 1 precision.
        average: over all decisions, over the classes, or over the images.

    Raises:
        InputError: ``beta`` is not a positive number, the shapes differ, a target is not 0, 1 or NaN, or ``average`` is
            unknown.
    """
    hits, predicted, positives = decision_counts(decisions, target, average)
    return float(fbeta_of_counts(hits, predicted, positives, beta=beta).mean())


def fbeta_of_counts(
    hits: Float[Tensor, "*g"], predicted: Float[Tensor, "*g"], positives: Float[Tensor, "*g"], *, beta: float
) -> Float[Tensor, "*g"]:
    """F-beta of each group of decisions, and 0 for a group without positives and predictions.

    Raises:
        InputError: ``beta`` is not a positive number.
    """
    _check_beta(beta)
    whole = predicted + beta**2 * positives
    return torch.where(whole > 0, (1 + beta**2) * hits / torch.where(whole > 0, whole, 1), 0)


def fbeta_metric(beta: float, average: Average) -> Metric:
    """F-beta as a metric; its name is ``f2_macro``, ``f0.5_micro`` and so on.

    Raises:
        InputError: ``beta`` is not a positive number.
    """
    f1 = {"macro": f1_macro, "micro": f1_micro, "samples": f1_samples}
    if beta == 1:
        return f1[average]
    _check_beta(beta)
    function = partial(fbeta, beta=beta, average=average)
    return Metric(f"f{beta:g}_{average}", function, takes="decisions", title=f"{average} F{beta:g}")


def jaccard(decisions: Bool[Tensor, "n k"], target: Shaped[Tensor, "n k"], *, average: Average) -> float:
    """The Jaccard index: hits / (predicted or positive), also called intersection over union.

    Args:
        decisions: True where a label is predicted.
        target: 1 where the image has the label, 0 where not, NaN where unknown.
        average: over all decisions, over the classes, or over the images.

    Raises:
        InputError: the shapes differ, a target is not 0, 1 or NaN, or ``average`` is unknown.
    """
    hits, predicted, positives = decision_counts(decisions, target, average)
    return float(ratio(hits, predicted + positives - hits).mean())


def jaccard_metric(average: Average) -> Metric:
    """The Jaccard index as a metric, named ``jaccard_macro`` and so on."""
    function = partial(jaccard, average=average)
    return Metric(f"jaccard_{average}", function, takes="decisions", title=f"{average} Jaccard index")


def false_alarms_per_1000(decisions: Bool[Tensor, "n k"], target: Shaped[Tensor, "n k"]) -> float:
    """The number of wrongly predicted labels per 1,000 images, over all classes; NaN if no target is known.

    Images without any known cell are ignored.

    Args:
        decisions: True where a label is predicted.
        target: 1 where the image has the label, 0 where not, NaN where unknown.

    Raises:
        InputError: the shapes differ, or another target.
    """
    images = split_targets(target, decisions)[1].any(dim=1).sum()
    hits, predicted, _ = decision_counts(decisions, target, "micro")
    return float(1000 * (predicted - hits).sum() / images)


def labels_per_image(decisions: Bool[Tensor, "n k"], target: Shaped[Tensor, "n k"]) -> float:
    """The mean number of predicted labels per image, including those whose target is unknown.

    Arguments and errors as in `false_alarms_per_1000`.
    """
    split_targets(target, decisions)
    return float((decisions.detach().cpu() == 1).sum(dim=1).double().mean())


def _accuracy_multi(decisions: Tensor, target: Tensor) -> float:
    return 1 - hamming_loss(decisions, target)


def _precision_micro(decisions: Tensor, target: Tensor) -> float:
    return precision(decisions, target, average="micro")


def _recall_micro(decisions: Tensor, target: Tensor) -> float:
    return recall(decisions, target, average="micro")


accuracy_multi_metric = Metric("accuracy_multi", _accuracy_multi, takes="decisions")
precision_micro = Metric("precision_micro", _precision_micro, takes="decisions", title="micro precision")
recall_micro = Metric("recall_micro", _recall_micro, takes="decisions", title="micro recall")
false_alarms_per_1000_metric = Metric(
    "false_alarms_per_1000",
    false_alarms_per_1000,
    takes="decisions",
    higher_is_better=False,
    title="false alarms in 1,000 images",
)
labels_per_image_metric = Metric("labels_per_image", labels_per_image, takes="decisions", title="labels per image")


def _check_beta(beta: float) -> None:
    if not (beta > 0 and math.isfinite(beta)):
        raise InputError(f"`beta` of the F score must be a positive number, got {beta}")
