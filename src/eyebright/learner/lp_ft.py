"""LP-FT, linear probing and then fine-tuning (Kumar et al., 2022, arXiv:2202.10054): `Learner.lp_ft`.

The frozen model with its fitted head is copied, all layers are trained from there, and the better of both is kept.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eyebright.evaluation.compare import Comparison, compare
from eyebright.learner.callbacks import AnyCallback
from eyebright.learner.fine_tuned import FineTuned
from eyebright.learner.model_copy import ModelCopy, check_is_comparable
from eyebright.learner.time_budget import check_no_steps_per_epoch, planned_epochs, resumed_plan
from eyebright.learner.training import Training
from eyebright.learner.wise_ft import possible_shares, use_best_share
from eyebright.models.groups import has_batch_norms
from eyebright.train.events import Observer
from eyebright.train.plan import Plan
from eyebright.train.step import LossNotFiniteError
from eyebright.train.time_plan import StopAfter
from eyebright.train.trainer import Trainer

_MAX_OVERRUN = 0.03  # share of the time by which planned epochs may exceed it before they are stopped


@dataclass(frozen=True)
class LpFt:
    """The settings of a fit.

    Args:
        plan: the plan of the epochs with all layers; with ``minutes`` their number is planned.
        minutes: the time limit of the whole fit; None: as many epochs as the plan has.
        wise_ft: the share of the fine-tuned weights in the final ones; None: the best of several.
        keep_better: whether the frozen model is restored if the fine-tuned one is not better.
        checkpoint: the file to which the state of training is written after each epoch.
        resume: continue from that file.
    """

    plan: Plan
    minutes: float | None
    wise_ft: float | None
    keep_better: bool
    checkpoint: str | Path | None
    resume: bool


def lp_ft(
    training: Training,
    settings: LpFt,
    callbacks: Sequence[AnyCallback],
    *,
    C: float | Sequence[float] | None,
    groups: Sequence[Any] | None,
) -> FineTuned:
    """Fits a linear head to the frozen backbone, then trains all layers from there; returns both models compared.

    Args:
        training: the model in training; it has the weights that are kept.
        settings: the settings of the fit.
        callbacks: observers and callbacks of the fit.
        C: as in `Trainer.fit_head`.
        groups: as in `Trainer.fit_head`.

    Raises:
        InputError: an argument is invalid, or the main metric cannot be computed from the validation images.
        TrainingError: a loss is not finite: the model is the frozen one then; or as in `Trainer.fit`.
    """
    started = time.perf_counter()
    trainer = training.trainer
    shares = _possible_shares(trainer, settings.wise_ft)
    plan, minutes = _plan_and_minutes(settings, training.plan_with_callbacks(settings.plan, callbacks))
    checkpoint, resume = settings.checkpoint, settings.resume
    observers = training.observers(callbacks)
    trainer.check_fit_from_linear_head(plan, C=C, groups=groups, checkpoint=checkpoint, resume=resume)
    head = training.fit_head(C, groups, observers)
    frozen = _copy(training, check=settings.keep_better)
    frozen_seconds = time.perf_counter() - started
    if minutes is not None:
        end, n_validations = started + 60 * minutes, len(shares) + 1
        plan = _planned(training, plan, observers, end, n_validations, checkpoint=checkpoint is not None)
        if plan is None:
            return FineTuned(head, frozen.scores, None, 0.0, keeps_frozen=True, seconds=0.0, plan=None)
    try:
        training.fit([plan], observers, checkpoint, resume=resume)
    except LossNotFiniteError:  # keep the frozen model
        _restore(training, frozen)
        raise
    share, comparison, keeps_frozen = _keep(training, frozen, shares, keep_better=settings.keep_better)
    seconds = math.fsum(row["seconds"] for row in trainer.run.history)
    doublings = None if minutes is None else math.log2((time.perf_counter() - started) / frozen_seconds)
    return FineTuned(head, frozen.scores, comparison, share, keeps_frozen, seconds, plan, doublings)


def _possible_shares(trainer: Trainer, wise_ft: float | None) -> Sequence[float]:
    keeps_statistics = trainer.keep_statistics or not has_batch_norms(trainer.model.body)
    return possible_shares(wise_ft, keeps_statistics=keeps_statistics)


def _plan_and_minutes(settings: LpFt, plan: Plan) -> tuple[Plan, float | None]:
    """The plan and the time limit; a resumed training run has the plan of its checkpoint and no limit."""
    if settings.minutes is None:
        return plan, None
    check_no_steps_per_epoch(plan)
    if settings.resume and settings.checkpoint is not None:
        return resumed_plan(plan, settings.checkpoint), None
    return plan, settings.minutes


def _copy(training: Training, *, check: bool) -> ModelCopy:
    """The model with its evaluation; with ``check`` its main metric must not be NaN."""
    evaluation = training.evaluate(training.trainer.dls.valid)
    if check:
        check_is_comparable(evaluation)
    return ModelCopy.of(training.trainer.model, evaluation, training.scores)


def _planned(
    training: Training, plan: Plan, observers: list[Observer], end: float, n_validations: int, *, checkpoint: bool
) -> Plan | None:
    """The plan with the epochs that fit into the time, and an observer that ends it; None if no step fits."""
    trainer = training.trainer
    planned, event = planned_epochs(
        trainer, plan, training.validate, end=end, n_validations=n_validations, checkpoint=checkpoint
    )
    training.show(event, observers)
    if planned is not None:
        observers.append(StopAfter(trainer.run, event.seconds + _MAX_OVERRUN * (end - time.perf_counter())))
    return planned


def _keep(
    training: Training, frozen: ModelCopy, shares: Sequence[float], *, keep_better: bool
) -> tuple[float, Comparison, bool]:
    """(share of the fine-tuned weights, comparison, whether the frozen model is kept), of what has been trained.

    The model has the weights that are kept.
    """
    model, valid = training.trainer.model, training.trainer.dls.valid
    share = use_best_share(model, frozen.weights, shares, lambda: training.exact_scores(())["valid_loss"])
    comparison = compare(frozen.evaluation, training.evaluate(valid), frozen.metric)
    keeps_frozen = keep_better and not comparison.second_is_better
    if keeps_frozen:
        _restore(training, frozen)
    elif share < 1:  # the scores of the last epoch belong to other weights
        training.scores = training.exact_scores(training.metrics)
    return share, comparison, keeps_frozen


def _restore(training: Training, frozen: ModelCopy) -> None:
    frozen.restore(training.trainer.model)
    training.scores = frozen.scores
