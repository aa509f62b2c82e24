"""One training step; pass another ``step`` to ``train`` to change it.

For example with noise on the images:

    def noisy(run: Run, model: nn.Module, batch: TrainBatch) -> StepResult:
        inputs, targets = batch
        return step(run, model, (inputs + 0.1 * torch.randn_like(inputs), targets))

A custom step that computes another loss ends with `learn_from`, which accumulates and clips gradients and averages
weights.
"""

import math
from collections.abc import Callable

from torch import Tensor, nn

from eyebright.errors import TrainingError
from eyebright.losses import loss_and_weight
from eyebright.train.batchnorm_statistics import reset_broken_statistics
from eyebright.train.run import BACKWARD, FORWARD, OPTIMIZER, Accumulation, Run, StepResult, TrainBatch

Step = Callable[[Run, nn.Module, TrainBatch], StepResult]


class LossNotFiniteError(TrainingError):
    """A loss that is infinite or not a number."""


def step(run: Run, model: nn.Module, batch: TrainBatch) -> StepResult:
    """Trains on one batch and returns its loss.

    Args:
        run: the state of training.
        model: the model to call, see `eyebright.train.run.PhaseSetup`.
        batch: inputs and targets, on the device.

    Raises:
        LossNotFiniteError: the loss is infinite or not a number; the weights are unchanged.
    """
    inputs, targets = batch
    with run.timer(FORWARD):
        with run.device.autocast():
            output = model(inputs)
        loss, weight = loss_and_weight(run.loss, output.float(), targets)
    return learn_from(run, loss, weight)


def learn_from(run: Run, loss: Tensor, weight: Tensor | int) -> StepResult:
    """Adds the gradient of a loss, updates the weights if enough batches are accumulated, and returns the loss.

    With several processes, each passes the loss of its part of the batch, and the result is that of the whole batch.

    Args:
        run: the state of training.
        loss: the mean loss over the images.
        weight: the weight of this mean among those of other batches and processes, usually the number of images.

    Raises:
        LossNotFiniteError: the loss is infinite or not a number; the weights are unchanged.
    """
    scaled = run.device.scale_loss(loss, weight)
    accumulation = run.accumulation
    loss = scaled.loss
    if run.plan.options.accumulate > 1:
        if accumulation.batches == 0:
            accumulation.expected_weight = float(scaled.batch_weight) * run.plan.options.accumulate or 1.0
        loss = loss * (float(scaled.batch_weight) / accumulation.expected_weight)
    with run.timer(BACKWARD):
        run.device.backward(loss)
        result = StepResult(float(scaled.batch_loss), float(scaled.batch_weight))
    if not math.isfinite(result.loss):
        run.discard_gradients()
        reset_broken_statistics(run.model)  # the forward pass has updated them with this batch
        raise LossNotFiniteError(_what_to_try(run, result.loss))
    accumulation.batches += 1
    accumulation.weight += result.weight
    if accumulation.batches == run.plan.options.accumulate:
        update(run)
    return result


def update(run: Run) -> None:
    """Updates the weights with the accumulated gradients, if there are any."""
    accumulation = run.accumulation
    if accumulation.batches == 0:
        return
    if run.plan.options.accumulate > 1 and 0 < accumulation.weight != accumulation.expected_weight:
        for gradient in run.current_optimizer.gradients():
            gradient.mul_(accumulation.expected_weight / accumulation.weight)
    with run.timer(OPTIMIZER):
        run.device.update(run.current_optimizer, run.plan.options.clip)
        run.accumulation = Accumulation()
        if run.ema:
            run.ema.update()


def _what_to_try(run: Run, value: float) -> str:
    tries = ["a lower learning rate"]
    if run.plan.options.clip is None:
        tries.append("clip=1.0")
    if run.device.precision == "float16":
        tries.append("precision 'bfloat16' or 'float32'")
    return (
        f"the loss became {value} in epoch {run.phase_epoch}, step {len(run.epoch_results)} (step {run.step} in all):"
        f" the weights are those from before that step; try {', '.join(tries)}, and look for targets or images that are"
        " not finite"
    )
