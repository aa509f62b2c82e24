"""The multi-label metrics and the threshold search of Microsoft's computer-vision recipes.

The functions return the values that the recipes document. Their docstrings describe the defects, which
`eyebright.metrics.labels` and `Learner.tune_thresholds` do not have.
"""

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.plot.curves import plot_threshold_curve

ThresholdMetric = Callable[..., Tensor]
"""A metric that is called as ``metric(y_pred, y_true, threshold=...)``."""


def hamming_accuracy(
    y_pred: Float[Tensor, "*n k"],
    y_true: Shaped[Tensor, "*n k"],
    threshold: float = 0.2,
    sigmoid: bool = False,  # noqa: FBT001  # the recipes' signature
) -> Float[Tensor, ""]:
    """The fraction of correct decisions over all images and labels (1 - Hamming loss).

    Defect: as a metric of a `Learner` it gets *logits*, as in the recipes. The default threshold of 0.2 is then a
    logit (a probability of 0.5498), while for the probabilities of ``learn.interpret()`` it is a probability.
    `eyebright.metrics.labels.hamming_loss_metric` declares its input and always gets decisions.

    Args:
        y_pred: probabilities, or logits with ``sigmoid``; images x labels.
        y_true: 1 if the image has the label, else 0; same shape.
        threshold: a label is predicted above it. 0 compares ``y_pred`` itself with ``y_true``, which is rarely useful.
        sigmoid: True to convert logits to probabilities.
    """
    return 1 - _errors(y_pred, y_true, threshold, sigmoid=sigmoid).float().mean()


def zero_one_accuracy(
    y_pred: Float[Tensor, "*n k"],
    y_true: Shaped[Tensor, "*n k"],
    threshold: float = 0.2,
    sigmoid: bool = False,  # noqa: FBT001  # the recipes' signature
) -> Float[Tensor, ""]:
    """The fraction of images whose labels are all correct (exact match); arguments as in `hamming_accuracy`.

    Defects: logits as in `hamming_accuracy`, and the reduction along the *second* axis, as in the recipes. That is
    correct for inputs of shape (images, labels). For stacked batches (batches, images, labels) it is the axis of the
    images, and the score is at least ``1 - labels / images per batch``: the 0.75 in the training column of the recipes.
    `eyebright.metrics.labels.subset_accuracy_metric` is correct.
    """
    any_error = _errors(y_pred, y_true, threshold, sigmoid=sigmoid).any(dim=1)
    return 1 - any_error.float().sum() / (y_true.numel() // y_true.shape[-1])


def get_optimal_threshold(
    metric_function: ThresholdMetric,
    y_pred: Float[Tensor, "n k"],
    y_true: Shaped[Tensor, "n k"],
    thresholds: Iterable[float] | None = None,
) -> float:
    """The lowest of the thresholds with the best score.

    Defects: the lowest of several equal thresholds is the edge of a plateau, where new images are most likely to be
    misclassified; `Learner.tune_thresholds` returns the middle, and a threshold per label if asked. The score on the
    images that chose the threshold is optimistic.

    Args:
        metric_function: the metric, called with ``threshold=``.
        y_pred: probabilities, images x labels.
        y_true: 1 if the image has the label, else 0; same shape.
        thresholds: the thresholds to try; None for 21 from 0 to 1. The score at 0 has no meaning, see
            `hamming_accuracy`.
    """
    candidates = [float(threshold) for threshold in (np.linspace(0, 1, 21) if thresholds is None else thresholds)]
    return max(candidates, key=lambda threshold: float(metric_function(y_pred, y_true, threshold=threshold)))


def plot_thresholds(
    metric_function: ThresholdMetric,
    y_pred: Float[Tensor, "n k"],
    y_true: Shaped[Tensor, "n k"],
    samples: int = 21,
    figsize: tuple[float, float] = (12, 6),
) -> None:
    """Plot a metric over the threshold.

    Args:
        metric_function: the metric, called with ``threshold=``.
        y_pred: probabilities, images x labels.
        y_true: 1 if the image has the label, else 0; same shape.
        samples: number of thresholds from 0 to 1.
        figsize: width and height of the figure in inches.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    thresholds = np.linspace(0, 1, samples).tolist()
    scores = [float(metric_function(y_pred, y_true, threshold=threshold)) for threshold in thresholds]
    name = getattr(metric_function, "__name__", type(metric_function).__name__)
    ax = plot_threshold_curve(thresholds, {name: scores}, figsize=figsize)
    ax.set_title(f"{name} at different thresholds")


def _errors(y_pred: Tensor, y_true: Tensor, threshold: float, *, sigmoid: bool) -> Shaped[Tensor, "*n k"]:
    scores = y_pred.sigmoid() if sigmoid else y_pred
    decisions = (scores > threshold).float() if threshold else scores
    return decisions != y_true
