"""Fits a decision to an evaluation: tunes the thresholds on it."""

from eyebright._defaults import THRESHOLD_METRIC
from eyebright.errors import InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.thresholds import tune_thresholds
from eyebright.tasks.decision import Decision


def fit_decision(evaluation: Evaluation, *, metric: str = THRESHOLD_METRIC, per_class: bool = True) -> Decision:
    """The evaluation's decision with tuned thresholds; unchanged if the task has none.

    Args:
        evaluation: an evaluation on images that the model was not trained on.
        metric: the metric to optimise, see `eyebright.evaluation.thresholds.tune_thresholds`.
        per_class: True for one threshold per class; False for one threshold for all.

    Raises:
        InputError: an unknown metric, no image has any label, or an output is NaN or infinite.
    """
    evaluation.check_finite()
    decision = evaluation.decision
    if not decision.target.has_thresholds:
        return decision
    tuned = tune_thresholds(evaluation.activated, evaluation.targets, metric=metric, per_class=per_class)
    return decision.with_thresholds(tuned)


def check_has_thresholds(decision: Decision) -> None:
    """Raises `InputError` unless the target has thresholds, as multi-label targets do."""
    if not decision.target.has_thresholds:
        name = type(decision.target).__name__
        raise InputError(f"thresholds exist only for multi-label targets, and the target is a {name}")
