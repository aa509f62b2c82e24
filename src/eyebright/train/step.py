"""One training step. Change the mathematics by passing another ``step`` to ``train``.

For example with noise on the images:

    def noisy(run: Run, model: nn.Module, batch: TrainBatch) -> StepResult:
        inputs, targets = batch
        return step(run, model, (inputs + 0.1 * torch.randn_like(inputs), targets))

A step of your own that computes another loss ends with ``learn_from``, which accumulates, clips and averages.
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
    """The loss on one batch, after learning from it.

    Args:
        run: the state of training.
        model: what is called: see `eyebright.train.run.PhaseSetup`.
        batch: on the device.

    Raises:
        LossNotFiniteError: the loss is infinite or not a number; the weights are those from before the step.
    """
    inputs, targets = batch
    with run.timer(FORWARD):
        with run.device.autocast():
            output = model(inputs)
        loss, weight = loss_and_weight(run.loss, output.float(), targets)
    return learn_from(run, loss, weight)


def learn_from(run: Run, loss: Tensor, weight: Tensor | int) -> StepResult:
    """The loss of a batch, after its gradient was added and, where enough batches were accumulated, became an update.

    Of several processes each gives the loss of its part of the batch; the result is that of the whole batch.

    Args:
        run: whose model gave the loss.
        loss: the mean over the images.
        weight: how much this mean counts beside those of other batches and processes: usually the number of images.

    Raises:
        LossNotFiniteError: the loss is infinite or not a number; the weights are those from before the step.
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
        reset_broken_statistics(run.model)  # the forward pass has put the batch into them
        raise LossNotFiniteError(_what_to_try(run, result.loss))
    accumulation.batches += 1
    accumulation.weight += result.weight
    if accumulation.batches == run.plan.options.accumulate:
        update(run)
    return result


def update(run: Run) -> None:
    """Makes one update of the accumulated gradients, if any: that of all their images together."""
    accumulation = run.accumulation
    if accumulation.batches == 0:
        return
    if run.plan.options.accumulate > 1 and 0 < accumulation.weight != accumulation.expected_weight:
        for gradient in run.current_optimizer.gradients():
            gradient.mul_(accumulation.expected_weight / accumulation.weight)
    with run.timer(OPTIMIZER):
        run.device.update(run.current_optimizer, run.plan.options.clip)
        run.accumulation = Accumulation()
        if run.average:
            run.average.update()


def _what_to_try(run: Run, value: float) -> str:
    tries = ["a lower learning rate"]
    if run.plan.options.clip is None:
        tries.append("clip=1.0")
    if run.device.precision == "float16":
        tries.append("precision 'bfloat16' or 'float32'")
    return (
        f"the loss became {value} in epoch {run.done}, step {len(run.epoch_results)} (step {run.step} in all): the"
        f" weights are those from before that step; try {', '.join(tries)}, and look for targets or images that are not"
        " finite"
    )
