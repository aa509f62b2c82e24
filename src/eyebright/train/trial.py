"""Trial steps: training that is undone at its end, also after an error or Ctrl-C.

Weights, buffers, gradients, training mode, counters and generators are restored.
"""

import copy
import dataclasses
import itertools
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import torch

from eyebright._system.timer import Timer
from eyebright.errors import TrainingError
from eyebright.models.groups import modes_restored
from eyebright.train.plan import Plan
from eyebright.train.run import Accumulation, Batches, PhaseSetup, Run, TrainBatch


@contextmanager
def trial_run(run: Run, setup: PhaseSetup, plan: Plan) -> Generator[Run, None, None]:
    """A run with its own optimizer on the same model, in training mode; the model is restored at the end.

    Args:
        run: the run whose model is trained.
        setup: the model that a step calls.
        plan: the plan of the trial; ``ema`` of its options must be None.
    """
    parameters = list(run.model.parameters())
    tensors = [*parameters, *run.model.buffers()]
    weights = [tensor.detach().clone() for tensor in tensors]
    gradients = [parameter.grad for parameter in parameters]
    scaler = copy.deepcopy(run.device.scaler.state_dict()) if run.device.scaler else None
    trial = dataclasses.replace(run, accumulation=Accumulation(), epoch_results=[], timer=Timer())
    try:
        with modes_restored(setup.model):
            setup.set_training_mode()
            trial.begin(plan)
            trial.start_phase()
            trial.discard_gradients()
            yield trial
    finally:
        with torch.no_grad():
            for tensor, weight in zip(tensors, weights, strict=True):
                tensor.copy_(weight)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        if run.device.scaler and scaler:
            run.device.scaler.load_state_dict(scaler)


def endless_batches(batches: Batches, epoch: int) -> Iterator[TrainBatch]:
    """The batches of an epoch and of those after it.

    Args:
        batches: the batches by epoch.
        epoch: the number of the first epoch.

    Raises:
        TrainingError: an epoch has no batch.
    """
    for number in itertools.count(epoch):
        empty = True
        for batch in batches(number):
            empty = False
            yield batch
        if empty:
            raise TrainingError("no batch to learn from: are there fewer training images than the batch size?")
