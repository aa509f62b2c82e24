"""Fits a decision to an evaluation: calibrates it, then tunes the thresholds in calibrated probabilities."""

from collections.abc import Sequence
from typing import Any

from eyebright._choices import CalibrationChoice
from eyebright._defaults import THRESHOLD_METRIC
from eyebright.errors import InputError
from eyebright.evaluation.calibrate import fit_calibration
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.thresholds import tune_thresholds
from eyebright.tasks.decision import Decision


def fit_decision(
    evaluation: Evaluation,
    *,
    metric: str = THRESHOLD_METRIC,
    per_class: bool = True,
    calibration: CalibrationChoice | None = None,
    groups: Sequence[Any] | None = None,
) -> Decision:
    """The evaluation's decision, calibrated if asked for and with tuned thresholds; unchanged if the task has none.

    Args:
        evaluation: an evaluation on images that the model was not trained on.
        metric: the metric to optimise, see `eyebright.evaluation.thresholds.tune_thresholds`.
        per_class: True for one threshold per class; False for one threshold for all.
        calibration: the calibration to fit first, as in `eyebright.evaluation.calibrate.fit_calibration`; None: the
            decision keeps its calibration.
        groups: the group of each image; a group is never divided when calibrations are compared. None: the
            groups of the evaluation.

    Raises:
        InputError: an unknown metric, no image has any label, an output is NaN or infinite, or the target does not
            support the calibration.
    """
    evaluation.check_finite()
    if calibration is not None:
        fitted = fit_calibration(evaluation, kind=calibration, groups=groups)
        evaluation = evaluation.with_decision(evaluation.decision.with_calibration(fitted.calibration))
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
