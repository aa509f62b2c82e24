"""The training loop: a generator of events that can be read as it runs.

Watch it with observers (``watch``), change its mathematics with another ``step``, or own it:

    run.begin(Plan(epochs=5, lr=(1e-3,)))
    for event in train(run, batches, steps=len(loader), validate=validate):
        match event:
            case EpochDone(scores=scores) if scores["f1"] > 0.95:
                run.stop("good enough")

All state is in the run: after a ``break`` at the end of an epoch, or after a checkpoint was restored, ``train`` goes on
where the run stands; after one in the middle of an epoch, that epoch begins again.
"""

import contextlib
from collections.abc import Generator, Iterable

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
from eyebright.train.run import Batches, Run, Validate
from eyebright.train.step import Step, step, update

Events = Generator[Event, None, None]


def train(run: Run, batches: Batches, *, steps: int, validate: Validate | None = None, step: Step = step) -> Events:
    """The events of training, from wherever the run stands to the end of its last plan.

    Args:
        run: the model and where its training stands; ``run.begin`` gives it plans.
        batches: the training batches of an epoch, by the epoch's number.
        steps: how many batches an epoch has: the schedules need to know.
        validate: the scores of the model as it is; it puts the model in evaluation mode itself.
        step: learns from one batch.

    Raises:
        TrainingError: a loss that is not finite, or no batch at all.
    """
    try:
        while not run.finished:
            run.enter_phase()
            yield PhaseStarted(run.phase, len(run.plans), run.plan)
            while run.done < run.plan.epochs and run.stopped is None:
                yield from _epoch(run, batches, steps, validate, step)
            run.leave_phase()
        yield Finished("done" if run.stopped is None else run.stopped)
    finally:
        run.drop_gradients()


def _epoch(run: Run, batches: Batches, steps: int, validate: Validate | None, step: Step) -> Events:
    run.start_epoch()
    yield EpochStarted(run.done, run.plan.epochs, steps)
    for index, batch in enumerate(run.timer.each("waiting for images", batches(run.epoch))):
        rates = run.set_rates(index, steps)
        with run.device.randomness(run.seed, run.step):
            loss = step(run, batch)
        run.record(loss, len(batch[0]), rates)
        yield StepDone(index + 1, steps, loss, rates)
        if run.stopped is not None:
            break
    update(run)
    yield ValidationStarted(run.done)
    scores = run.close_epoch(validate)
    yield EpochDone(run.done - 1, scores, run.history[-1]["seconds"])


def watch(events: Events, observers: Iterable[Observer]) -> None:
    """Goes through the events and shows each to every observer, in order; closes the events whatever happens."""
    observers = list(observers)
    with contextlib.closing(events):
        for event in events:
            for observer in observers:
                observer(event)
