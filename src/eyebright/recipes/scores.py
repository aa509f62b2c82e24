"""The scores of the recipes for any number of labels, and the search for one threshold.

They give the values that the recipes document, their defects included, which each function names. The scores of
`eyebright.metrics.labels` and `Learner.tune_thresholds` have none of them.
"""

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright._optional import import_optional
from eyebright.plot import plot_threshold_curve

ThresholdMetric = Callable[..., Tensor]
"""A function of (y_pred, y_true, threshold=...)."""


def hamming_accuracy(
    y_pred: Float[Tensor, "*n k"],
    y_true: Shaped[Tensor, "*n k"],
    threshold: float = 0.2,
    sigmoid: bool = False,  # noqa: FBT001  # the recipes' signature
) -> Float[Tensor, ""]:
    """The share of right decisions, over all images and labels.

    As a metric of a fit it is given *logits*, as in the recipes: their 0.2 is then the probability 0.5498, while
    the same 0.2 means 0.2 on the probabilities of ``learn.interpret()``. `eyebright.metrics.labels.hamming` says what
    it takes and cannot be misread.

    Args:
        y_pred: probabilities, or logits with ``sigmoid``.
        y_true: 1 where the image has the label, else 0.
        threshold: a label is given above it; 0 compares the numbers themselves, which is hardly ever meant.
        sigmoid: turn logits into probabilities first.
    """
    return 1 - _wrong(y_pred, y_true, threshold, sigmoid=sigmoid).float().mean()


def zero_one_accuracy(
    y_pred: Float[Tensor, "*n k"],
    y_true: Shaped[Tensor, "*n k"],
    threshold: float = 0.2,
    sigmoid: bool = False,  # noqa: FBT001  # the recipes' signature
) -> Float[Tensor, ""]:
    """The share of images all of whose labels are right; arguments and the trap of logits as in `hamming_accuracy`.

    It adds up along the *second* axis, as in the recipes. On a table (images, labels) that is right; on stacked
    batches (batches, images, labels) it is the axis of the images, and the score cannot fall below
    ``1 - labels / images of a batch``: the 0.75 of the recipes' training column. Right by default is
    `eyebright.metrics.labels.subset`.
    """
    some_wrong = _wrong(y_pred, y_true, threshold, sigmoid=sigmoid).any(dim=1)
    return 1 - some_wrong.float().sum() / (y_true.numel() // y_true.shape[-1])


def get_optimal_threshold(
    metric_function: ThresholdMetric,
    y_pred: Float[Tensor, "n k"],
    y_true: Shaped[Tensor, "n k"],
    thresholds: Iterable[float] | None = None,
) -> float:
    """The first of the thresholds with the best score.

    The *first* of a plateau is its very edge, where a new image is most likely to fall on the wrong side; the middle
    is what `Learner.tune_thresholds` gives, for each label too. And a score on the images that chose the threshold
    flatters.

    Args:
        metric_function: called with ``threshold=``.
        y_pred: probabilities.
        y_true: 1 where the image has the label, else 0.
        thresholds: that are tried; None: 21 of them, from 0 to 1. The score at 0 means nothing, see `hamming_accuracy`.
    """
    tried = [float(threshold) for threshold in (np.linspace(0, 1, 21) if thresholds is None else thresholds)]
    return max(tried, key=lambda threshold: float(metric_function(y_pred, y_true, threshold=threshold)))


def plot_thresholds(
    metric_function: ThresholdMetric,
    y_pred: Float[Tensor, "n k"],
    y_true: Shaped[Tensor, "n k"],
    samples: int = 21,
    figsize: tuple[float, float] = (12, 6),
) -> None:
    """Draw the score at each threshold.

    Args:
        metric_function: called with ``threshold=``.
        y_pred: probabilities.
        y_true: 1 where the image has the label, else 0.
        samples: how many thresholds, from 0 to 1.
        figsize: width and height in inches.
    """
    thresholds = np.linspace(0, 1, samples).tolist()
    scores = [float(metric_function(y_pred, y_true, threshold=threshold)) for threshold in thresholds]
    name = getattr(metric_function, "__name__", type(metric_function).__name__)
    ax = import_optional("matplotlib.pyplot", extra="report", purpose="drawing a figure").subplots(figsize=figsize)[1]
    plot_threshold_curve(thresholds, {name: scores}, ax=ax)
    ax.set_title(f"{name} at different thresholds")


def _wrong(y_pred: Tensor, y_true: Tensor, threshold: float, *, sigmoid: bool) -> Shaped[Tensor, "*n k"]:
    scores = y_pred.sigmoid() if sigmoid else y_pred
    decided = (scores > threshold).float() if threshold else scores
    return decided != y_true
