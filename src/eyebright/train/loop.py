"""The training loop: a generator of events, one phase at a time.

Watch it with observers (``watch``), change its mathematics with another ``step``, or write the loop around it:

    run.begin(Plan(epochs=5, lr=(1e-3,)))
    setup = PhaseSetup(run.model, batches, steps=len(loader), validate=validate)
    for event in train(run, setup):
        match event:
            case EpochDone(scores=scores) if scores["f1"] > 0.95:
                run.stop("good enough")

All state is in the run: after a ``break`` at the end of an epoch, or after a checkpoint was loaded, ``train`` continues
with the next epoch; after a ``break`` in the middle of an epoch, that epoch starts again.
"""

import contextlib
import time
from collections.abc import Generator, Iterable

from torch import nn

from eyebright.train.events import (
    EpochDone,
    EpochStarted,
    Event,
    Finished,
    Observer,
    PhaseStarted,
    StepDone,
    ValidationStarted,
)
from eyebright.train.run import VALIDATING, WAITING, PhaseSetup, Run, Scores
from eyebright.train.step import Step, step, update

Events = Generator[Event, None, None]


def train(run: Run, setup: PhaseSetup, *, step: Step = step) -> Events:
    """The events of the rest of the run's current phase; after those of the last phase, `Finished`.

    Args:
        run: the model and the state of its training; ``run.begin`` gives it plans.
        setup: the setup of the current phase.
        step: the training step of one batch.

    Raises:
        TrainingError: the run has no plan to train; a loss is not finite; there was no batch.
    """
    run.start_phase()
    setup.set_training_mode()
    model = run.device.data_parallel(setup.model)
    try:
        yield PhaseStarted(run.phase, len(run.plans), run.plan)
        while run.phase_epoch < run.plan.epochs and run.stopped is None:
            yield from _epoch(run, setup, model, step)
        run.end_phase()
        if run.finished:
            yield Finished("done" if run.stopped is None else run.stopped)
    finally:
        run.discard_epoch()


def _epoch(run: Run, setup: PhaseSetup, model: nn.Module, step: Step) -> Events:
    started = time.perf_counter()
    setup.set_training_mode()
    yield EpochStarted(run.phase_epoch, run.plan.epochs, setup.steps)
    for index, batch in enumerate(run.timer.each(WAITING, setup.batches(run.epoch))):
        rates = run.set_rates(index, setup.steps)
        with run.device.fork_rng(run.seed, run.step):
            result = step(run, model, batch)
        run.record(result, rates)
        yield StepDone(index + 1, setup.steps, result.loss, rates)
        if run.stopped is not None:
            break
    update(run)
    yield ValidationStarted(run.phase_epoch)
    scores = {"train_loss": run.train_loss, **_validation_scores(run, setup)}
    run.end_epoch(scores, time.perf_counter() - started)
    yield EpochDone(run.phase_epoch - 1, scores, run.history[-1]["seconds"])


def _validation_scores(run: Run, setup: PhaseSetup) -> Scores:
    if setup.validate is None:
        return {}
    with run.timer(VALIDATING), run.evaluation_weights():
        return setup.validate()


def watch(events: Events, observers: Iterable[Observer]) -> None:
    """Runs through the events and passes each to every observer, in order; always closes the events."""
    observers = list(observers)
    with contextlib.closing(events):
        for event in events:
            for observer in observers:
                observer(event)
