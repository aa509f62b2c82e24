"""Metrics of the ranking of labels within each image, and ROC areas, as in scikit-learn with unknown cells ignored.

Each is a mean over the images; images without any known cell are ignored. Labels with equal scores count as ranked in
the worst order, as in scikit-learn, so the order of the columns never matters. The formulas are those of Tsoumakas,
Katakis & Vlahavas (2010, Mining multi-label data, section 7.2).
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.metrics.labels import average_precision, check_can_be_ranked, split_targets
from eyebright.metrics.meter import Metric
from eyebright.metrics.roc import roc_auc

_MAX_BLOCK = 1_000_000  # cells that are sorted at once: limits the memory


def coverage_errors(scores: Float[Tensor, "n k"], target: Shaped[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """The depth in the ranking of each image that covers all its labels: 0 without labels, NaN if none is known.

    Args:
        scores: any numbers; the greater, the likelier.
        target: 1 where the image has the label, 0 where not, NaN where unknown.

    Raises:
        InputError: the shapes differ, a score is NaN, or a target is another number.
    """
    return _image_values(scores, target, _coverage)


def ranking_losses(scores: Float[Tensor, "n k"], target: Shaped[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """The share of each image's pairs of a label that it has and one that it has not that are in the wrong order.

    0 for an image with all labels or none; NaN if none is known. Arguments and errors as in `coverage_errors`.
    """
    return _image_values(scores, target, _loss)


def ranking_average_precisions(scores: Float[Tensor, "n k"], target: Shaped[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """The mean over the labels of each image of the share of its labels among those ranked as high or higher.

    1 for an image with all labels or none; NaN if none is known. Arguments and errors as in `coverage_errors`.
    """
    return _image_values(scores, target, _average_precision)


def mean_of_images(
    scores: Float[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    *,
    each: Callable[[Tensor, Tensor], Float[Tensor, " n"]],
) -> float:
    """The mean of a function of each image; images for which it is NaN are ignored.

    Args:
        scores: as in `coverage_errors`.
        target: as in `coverage_errors`.
        each: a function of both with one value for each image.

    Raises:
        InputError: as in `coverage_errors`.
    """
    return float(each(scores, target).nanmean())


def _macro_roc_auc(scores: Tensor, target: Tensor) -> float:
    return float(roc_auc(scores, target).nanmean())


def _micro_roc_auc(scores: Tensor, target: Tensor) -> float:
    return float(roc_auc(scores.reshape(-1, 1), target.reshape(-1, 1)))


def _micro_average_precision(scores: Tensor, target: Tensor) -> float:
    return float(average_precision(scores.reshape(-1, 1), target.reshape(-1, 1)))


def _per_image(name: str, each: Callable[[Tensor, Tensor], Tensor], title: str, *, higher_is_better: bool) -> Metric:
    function = partial(mean_of_images, each=each)
    return Metric(name, function, takes="probabilities", higher_is_better=higher_is_better, title=title)


coverage_error = _per_image("coverage_error", coverage_errors, "coverage error", higher_is_better=False)
label_ranking_loss = _per_image("label_ranking_loss", ranking_losses, "ranking loss", higher_is_better=False)
label_ranking_average_precision = _per_image(
    "label_ranking_average_precision", ranking_average_precisions, "ranking average precision", higher_is_better=True
)
roc_auc_macro = Metric("roc_auc_macro", _macro_roc_auc, takes="probabilities", title="macro ROC AUC")
roc_auc_micro = Metric("roc_auc_micro", _micro_roc_auc, takes="probabilities", title="micro ROC AUC")
average_precision_micro = Metric(
    "average_precision_micro", _micro_average_precision, takes="probabilities", title="micro AP"
)


# ------------------------------------------------------------------------------- private


def _image_values(
    scores: Tensor, target: Tensor, value: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
) -> Float[Tensor, " n"]:
    positive, known = split_targets(target, scores)
    check_can_be_ranked(scores)
    block = max(_MAX_BLOCK // scores.shape[1], 1)
    parts = zip(scores.detach().cpu().double().split(block), positive.split(block), known.split(block), strict=True)
    return torch.from_numpy(np.concatenate([_block(s.numpy(), p.numpy(), k.numpy(), value) for s, p, k in parts]))


def _block(
    scores: np.ndarray,
    positive: np.ndarray,
    known: np.ndarray,
    value: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """The value of each image, a function of four matrices whose columns are the labels in decreasing order of scores.

    They are: which labels the image has, how many of its labels have this score or a greater one, how many known labels
    have, and (one column) how many labels are known.
    """
    order = np.lexsort((-scores, ~known), axis=1)  # the unknown ones last
    ranked, has = (np.take_along_axis(matrix, order, axis=1) for matrix in (scores, positive))
    images, classes = ranked.shape
    n_known = known.sum(axis=1, keepdims=True)
    at = np.arange(classes)
    is_last = np.ones((images, classes), dtype=bool)  # of the known labels with equal scores
    is_last[:, :-1] = (ranked[:, 1:] != ranked[:, :-1]) | (at[1:] == n_known)
    last = np.minimum.accumulate(np.where(is_last, at, classes)[:, ::-1], axis=1)[:, ::-1]
    hits = np.take_along_axis(np.cumsum(has, axis=1), last, axis=1)
    return np.where(n_known[:, 0] > 0, value(has, hits, last + 1, n_known), np.nan)


def _coverage(has: np.ndarray, hits: np.ndarray, ranked: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.where(has, ranked, 0).max(axis=1).astype(np.float64)


def _loss(has: np.ndarray, hits: np.ndarray, ranked: np.ndarray, known: np.ndarray) -> np.ndarray:
    wrong = np.where(has, ranked - hits, 0).sum(axis=1)
    positives = has.sum(axis=1)
    return wrong / np.maximum(positives * (known[:, 0] - positives), 1)


def _average_precision(has: np.ndarray, hits: np.ndarray, ranked: np.ndarray, known: np.ndarray) -> np.ndarray:
    positives = has.sum(axis=1)
    mean = np.where(has, hits / ranked, 0).sum(axis=1) / np.maximum(positives, 1)
    return np.where((positives == 0) | (positives == known[:, 0]), 1.0, mean)
