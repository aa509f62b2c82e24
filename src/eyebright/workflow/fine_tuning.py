"""The training methods of a run: only a fitted head, LP-FT, or the fine-tuning of the fastai book."""

import time
from collections.abc import Sequence
from pathlib import Path

from eyebright._defaults import EPOCHS
from eyebright.errors import InputError, did_you_mean, listing
from eyebright.learner.fine_tuned import FineTuned
from eyebright.learner.learner import Learner
from eyebright.learner.stop_at import StopAt
from eyebright.metrics.meter import Metric
from eyebright.train.events import Event, Observer, PhaseStarted
from eyebright.train.linear_head.fit import LinearHead
from eyebright.train.summary import profile_lines
from eyebright.types import Say
from eyebright.workflow.fine_tuning_options import fine_tuning_of
from eyebright.workflow.goal import parse_goal
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.time_budget import TimeBudget


def fit(
    learner: Learner,
    options: TrainOptions,
    *,
    budget: TimeBudget | None,
    groups: Sequence[int] | None,
    checkpoint: Path,
    resume: bool,
    say: Say,
) -> FineTuned | None:
    """Trains the model by the options, and reports how; returns the comparison of LP-FT, None without one.

    Args:
        learner: the learner whose model is trained.
        options: the training options.
        budget: the time that is left, for ``minutes``; None without it.
        groups: the group of each image, which inner folds do not divide; None without groups.
        checkpoint: the file to which the state is written after each epoch.
        resume: True to continue from this checkpoint.
        say: called with each sentence.
    """
    fine_tuned = None
    if not options.trains_epochs:
        _fit_head(learner, groups, say)
    elif options.has_book_head:
        _fine_tune(learner, options, checkpoint=checkpoint, resume=resume, say=say)
    else:
        fine_tuned = _lp_ft(
            learner, options, budget=budget, groups=groups, checkpoint=checkpoint, resume=resume, say=say
        )
    trained = bool(learner.run.history)
    if trained:
        say(f"trained in {learner.run.device.precision_reason}")
    if fine_tuned is not None:
        _say_notes(fine_tuned.head, say)
        for sentence in filter(None, (str(fine_tuned), fine_tuned.twice_the_time)):
            say(sentence)
    say_cache(learner, say)
    if trained and options.profile:
        for line in profile_lines(learner.run, learner.dls.train.timer, learner.dls.train.workers):
            say(line)
    return fine_tuned


def say_cache(learner: Learner, say: Say) -> None:
    """Reports the content of the cache of the loaders, if there is a cache."""
    cache = learner.dls.cache
    if cache is not None:
        cache.store.measure()  # worker processes have written to it too
        say(f"cache: {cache.summary}")


def _fit_head(learner: Learner, groups: Sequence[int] | None, say: Say) -> None:
    started = time.perf_counter()
    head = learner.fit_head(groups=groups)
    seconds = time.perf_counter() - started
    say(f"a linear head was fitted to {head.weight.shape[1]:,} features of each image, in {seconds:.1f} s")
    _say_notes(head, say)


def _lp_ft(
    learner: Learner,
    options: TrainOptions,
    *,
    budget: TimeBudget | None,
    groups: Sequence[int] | None,
    checkpoint: Path,
    resume: bool,
    say: Say,
) -> FineTuned:
    settings = fine_tuning_of(options)
    return learner.lp_ft(
        options.epochs,
        settings.lr,
        settings.lr_mult,
        minutes=None if budget is None else budget.left_for_training / 60,
        cbs=_observers(learner, options, resume=resume, say=say),
        wise_ft=settings.wise_ft,
        groups=groups,
        checkpoint=checkpoint,
        resume=resume,
    )


def _fine_tune(learner: Learner, options: TrainOptions, *, checkpoint: Path, resume: bool, say: Say) -> None:
    settings = fine_tuning_of(options)
    views, frozen = options.augment_views, settings.freeze_epochs or 0
    if views is not None and views >= frozen:
        say(f"{views} augmented views save no time in a frozen phase of {frozen}; give more `freeze_epochs` than views")
    learner.fine_tune(
        EPOCHS if options.epochs is None else options.epochs,
        settings.lr,
        frozen,
        settings.lr_mult,
        cbs=_observers(learner, options, resume=resume, say=say),
        augment_views=views,
        checkpoint=checkpoint,
        resume=resume,
    )


def _say_notes(head: LinearHead, say: Say) -> None:
    for note in head.notes:
        say(note)


def check_goal(options: TrainOptions, metrics: Sequence[Metric]) -> Metric | None:
    """The metric of ``options.until``; None without a goal.

    Raises:
        InputError: the metric is unknown, or is better in the other direction.
    """
    if options.until is None:
        return None
    goal = parse_goal(options.until)
    names = {name.casefold(): metric for metric in metrics for name in (metric.name, metric.display_name)}
    metric = names.get(goal.metric.casefold())
    if metric is None:
        known = [metric.display_name for metric in metrics]
        raise InputError(
            f"`until`: unknown metric '{goal.metric}'.{did_you_mean(goal.metric, known)} Known: {listing(known)}"
        )
    sign = ">=" if metric.higher_is_better else "<="
    if goal.sign != sign:
        better = "higher" if metric.higher_is_better else "lower"
        raise InputError(f"`until`: {metric.display_name} is better when it is {better}: write {sign}")
    return metric


def _observers(learner: Learner, options: TrainOptions, *, resume: bool, say: Say) -> list[Observer]:
    observers: list[Observer] = [_say_resumed(learner, say)] if resume else []
    metric = check_goal(options, learner.dls.target.metrics())
    if options.until is not None and metric is not None:
        observers.append(StopAt(learner, metric, parse_goal(options.until).value))
    return observers


def _say_resumed(learner: Learner, say: Say) -> Observer:
    """An observer that reports after which epoch training continues."""
    sentences: list[str] = []

    def observe(event: Event) -> None:
        if isinstance(event, PhaseStarted) and not sentences:
            run = learner.run
            sentences.append(f"resumed after {run.epoch} of {sum(plan.epochs for plan in run.plans)} epochs")
            say(sentences[0])

    return observe
