"""The fastai book's multi-label metrics, as functions with its names that return a `Metric`.

fastai averages some of its metrics over batches; these are computed once over the whole set. If ``thresh`` is None, the
decisions are those of the learner: thresholds of 0.5 as in fastai, until they are tuned.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor

from eyebright.errors import InputError, check_choice, checked_keywords
from eyebright.metrics.labels import average_precision, f1, hamming_loss, precision, recall, split_targets
from eyebright.metrics.meter import Metric
from eyebright.metrics.roc import roc_auc
from eyebright.types import refuse_nan

RankingAverage = Literal["macro", "micro", "weighted", "samples"]
"""The average of a ranking score: over the classes, all cells at once, the classes by positives, or the images."""

DecisionAverage = Literal["macro", "micro", "samples"]


@checked_keywords
def F1ScoreMulti(  # noqa: N802 - fastai's name
    thresh: float | None = None,
    sigmoid: bool = True,  # noqa: FBT001 - fastai's signature
    average: DecisionAverage = "macro",
) -> Metric:
    """The F1 score of any number of labels, see `eyebright.metrics.labels.f1`; its name is ``f1_score``.

    Args:
        thresh: a label is predicted when its probability is greater; None: the learner's own thresholds.
        sigmoid: whether the input are logits; False: probabilities. Without effect if ``thresh`` is None.
        average: over the labels, over all decisions at once, or over the images.

    Raises:
        InputError: another average, or a threshold outside of 0 to 1.
    """
    return _decision_metric("f1_score", f1, average, thresh, sigmoid=sigmoid)


@checked_keywords
def PrecisionMulti(  # noqa: N802
    thresh: float | None = None,
    sigmoid: bool = True,  # noqa: FBT001
    average: DecisionAverage = "macro",
) -> Metric:
    """The fraction of the predicted labels that are right; its name is ``precision_score``, the rest as F1ScoreMulti.

    Raises:
        InputError: as in `F1ScoreMulti`.
    """
    return _decision_metric("precision_score", precision, average, thresh, sigmoid=sigmoid)


@checked_keywords
def RecallMulti(  # noqa: N802
    thresh: float | None = None,
    sigmoid: bool = True,  # noqa: FBT001
    average: DecisionAverage = "macro",
) -> Metric:
    """The fraction of the true labels that are predicted; its name is ``recall_score``, the rest as in F1ScoreMulti.

    Raises:
        InputError: as in `F1ScoreMulti`.
    """
    return _decision_metric("recall_score", recall, average, thresh, sigmoid=sigmoid)


@checked_keywords
def HammingLossMulti(  # noqa: N802
    thresh: float | None = None,
    sigmoid: bool = True,  # noqa: FBT001
) -> Metric:
    """The fraction of all known cells that are decided wrongly; its name is ``hamming_loss``.

    Args:
        thresh: as in `F1ScoreMulti`.
        sigmoid: as in `F1ScoreMulti`.

    Raises:
        InputError: a threshold outside of 0 to 1.
    """
    return _with_threshold("hamming_loss", hamming_loss, thresh, sigmoid=sigmoid, higher_is_better=False)


@checked_keywords
def APScoreMulti(  # noqa: N802
    sigmoid: bool = True,  # noqa: FBT001
    average: RankingAverage = "macro",
) -> Metric:
    """The average precision of any number of labels; its name is ``average_precision_score``.

    Labels (or images) without positives have none and are skipped; scikit-learn counts them as 0.

    Args:
        sigmoid: without effect: the order of logits is that of their probabilities.
        average: over the labels, over all cells at once, over the labels by their positives, or over the images.

    Raises:
        InputError: another average.
    """
    return _ranking_metric("average_precision_score", average_precision, average)


@checked_keywords
def RocAucMulti(  # noqa: N802
    sigmoid: bool = True,  # noqa: FBT001
    average: RankingAverage = "macro",
) -> Metric:
    """The area under the ROC curve of any number of labels; its name is ``roc_auc_score``.

    Labels (or images) without positives or without negatives have none and are skipped; NaN where none is left.

    Args:
        sigmoid: without effect: the order of logits is that of their probabilities.
        average: as in `APScoreMulti`.

    Raises:
        InputError: another average.
    """
    return _ranking_metric("roc_auc_score", roc_auc, average)


def _decision_metric(
    name: str, function: Callable[..., float], average: str, thresh: float | None, *, sigmoid: bool
) -> Metric:
    check_choice("`average`", average, get_args(DecisionAverage))
    return _with_threshold(name, partial(function, average=average), thresh, sigmoid=sigmoid)


def _with_threshold(
    name: str, function: Callable[..., float], thresh: float | None, *, sigmoid: bool, higher_is_better: bool = True
) -> Metric:
    if thresh is None:
        return Metric(name, function, takes="decisions", higher_is_better=higher_is_better)
    if not 0 <= thresh <= 1:
        raise InputError(f"`thresh` is compared with probabilities and must be in [0, 1], got {thresh}")

    def score(logits: Tensor, target: Tensor) -> float:
        refuse_nan(logits, "predictions")
        return function((logits.sigmoid() if sigmoid else logits) > thresh, target)

    return Metric(name, score, takes="logits", higher_is_better=higher_is_better)


def _ranking_metric(name: str, each: Callable[[Tensor, Tensor], Tensor], average: str) -> Metric:
    check_choice("`average`", average, get_args(RankingAverage))

    def score(scores: Tensor, target: Tensor) -> float:
        if average == "micro":
            return float(each(scores.reshape(-1, 1), target.reshape(-1, 1)))
        if average == "samples":
            return float(each(scores.T, target.T).nanmean())
        values = each(scores, target)
        if average == "macro":
            return float(values.nanmean())
        weights = split_targets(target, scores)[0].sum(0).double()
        weights = torch.where(values.isnan(), 0.0, weights)
        return float((values.nan_to_num() * weights).sum() / weights.sum())

    return Metric(name, score, takes="logits")
