"""What learning from one batch means. Change the mathematics by passing another ``step`` to ``train``.

    def mixed(run: Run, batch: Batch) -> float:     # for example: mixup
        return step(run, mixup(batch))

A step of one's own that computes another loss ends with ``learn_from``: accumulation, clipping and averages are there.
"""

import math
from collections.abc import Callable

from torch import Tensor

from eyebright.errors import TrainingError
from eyebright.losses import weighed_loss
from eyebright.train.batchnorm_statistics import drop_broken_statistics
from eyebright.train.run import Batch, Run, Window

Step = Callable[[Run, Batch], float]


class LossNotFiniteError(TrainingError):
    """A loss that is infinite or not a number."""


def step(run: Run, batch: Batch) -> float:
    """The loss on one batch, after learning from it."""
    with run.timer("forward"):
        images, targets = run.device.move(batch)
        with run.device.autocast():
            output = run.forward(images)
        loss, weight = weighed_loss(run.loss, output.float(), targets)
    return learn_from(run, loss, len(images), weight=weight)


def learn_from(run: Run, loss: Tensor, images: int, *, weight: Tensor | int | None = None) -> float:
    """The loss as a number, after its gradient has been added and, when the window is full, become an update.

    Of several processes each gives the loss of its part of the batch; the number is then that of the whole batch.

    Args:
        run: the run whose model gave the loss.
        loss: the mean over the images.
        images: how many there were.
        weight: how much they count beside those of other batches and processes; None: as many as they are.

    Raises:
        LossNotFiniteError: the loss is infinite or not a number; the weights are those from before it.
    """
    shared = run.device.share(loss, images if weight is None else weight)
    window = run.window
    scaled = shared.loss
    if run.plan.accumulate > 1:
        if window.batches == 0:
            window.expected = float(shared.weight) * run.plan.accumulate or 1.0
        scaled = scaled * (float(shared.weight) / window.expected)
    with run.timer("backward"):
        run.device.backward(scaled)
        value, weighs = float(shared.overall), float(shared.weight)
    if not math.isfinite(value):
        run.drop_gradients()
        drop_broken_statistics(run.model)  # the batch has been seen by them
        raise LossNotFiniteError(_what_to_try(run, value))
    window.batches += 1
    window.weight += weighs
    run.weight = weighs
    if window.batches == run.plan.accumulate:
        update(run)
    return value


def update(run: Run) -> None:
    """Makes the gradients that wait into one update: that of all their images together, however many there are."""
    window = run.window
    if window.batches == 0:
        return
    if run.plan.accumulate > 1 and 0 < window.weight != window.expected:
        for gradient in run.live_optimizer.gradients():
            gradient.mul_(window.expected / window.weight)
    with run.timer("optimizer"):
        run.device.update(run.live_optimizer, run.plan.clip)
        run.window = Window()
        if run.average:
            run.average.update()


def _what_to_try(run: Run, value: float) -> str:
    tries = ["a lower learning rate"]
    if run.plan.clip is None:
        tries.append("clip=1.0")
    if run.device.precision == "float16":
        tries.append("precision 'bfloat16' or 'float32'")
    return (
        f"the loss became {value} in epoch {run.done}, step {len(run.learnt)} (step {run.step} in all): the weights are"
        f" those from before that step; try {', '.join(tries)}, and look for targets or images that are not finite"
    )
