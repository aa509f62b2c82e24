"""Fits how outputs become answers, to an evaluation: the thresholds that do best on it."""

from eyebright._defaults import THRESHOLD_METRIC
from eyebright.errors import InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.thresholds import tune_thresholds
from eyebright.tasks.decision import Decision


def fit_decision(evaluation: Evaluation, *, metric: str = THRESHOLD_METRIC, per_class: bool = True) -> Decision:
    """The evaluation's decision, with thresholds tuned on it; the same one where the task has no thresholds.

    Args:
        evaluation: of images that the model was not trained on.
        metric: what the thresholds should make best, see `eyebright.evaluation.thresholds.tune_thresholds`.
        per_class: one threshold for each class; False: one for all.

    Raises:
        InputError: an unknown metric, or no image has any label.
    """
    decision = evaluation.decision
    if not decision.target.has_thresholds:
        return decision
    tuned = tune_thresholds(evaluation.scores, evaluation.targets, metric=metric, per_class=per_class)
    return decision.with_thresholds(tuned)


def check_has_thresholds(decision: Decision) -> None:
    """Nothing, where the task's probabilities become decisions by thresholds.

    Raises:
        InputError: they do not.
    """
    if not decision.target.has_thresholds:
        raise InputError(f"thresholds decide which labels are given; a {type(decision.target).__name__} has none")
