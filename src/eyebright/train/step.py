"""What learning from one batch means. Change the mathematics by passing another ``step`` to ``train``.

    def mixed(run: Run, batch: Batch) -> float:     # for example: mixup
        return step(run, mixup(batch))

A step of one's own that computes another loss ends with ``learn_from``: accumulation, clipping and averages are there.
"""

import math
from collections.abc import Callable

from torch import Tensor

from eyebright.errors import TrainingError
from eyebright.train.run import Batch, Run, Window

Step = Callable[[Run, Batch], float]


class LossNotFiniteError(TrainingError):
    """A loss that is infinite or not a number."""


def step(run: Run, batch: Batch) -> float:
    """The loss on one batch, after learning from it."""
    with run.laps("forward"):
        pictures, targets = run.device.move(batch)
        with run.device.autocast():
            output = run.forward(pictures)
        loss = run.loss(output.float(), targets)
    return learn_from(run, loss, len(pictures))


def learn_from(run: Run, loss: Tensor, pictures: int) -> float:
    """The loss as a number, after its gradient has been added and, when the window is full, become an update.

    Args:
        run: the run whose model gave the loss.
        loss: the mean over the pictures.
        pictures: how many there were.

    Raises:
        LossNotFiniteError: the loss is infinite or not a number; the weights are those from before it.
    """
    window = run.window
    if window.batches == 0:
        window.expected = pictures * run.plan.accumulate
    share = pictures / window.expected
    with run.laps("backward"):
        run.device.backward(loss if share == 1.0 else loss * share)
        value = float(loss.detach())
    if not math.isfinite(value):
        run.drop_gradients()
        raise LossNotFiniteError(_what_to_try(run, value))
    window.batches += 1
    window.pictures += pictures
    if window.batches == run.plan.accumulate:
        update(run)
    return value


def update(run: Run) -> None:
    """Makes the gradients that wait into one update: that of all their pictures together, however many there are."""
    window = run.window
    if window.batches == 0:
        return
    if window.pictures != window.expected:
        for gradient in run.live_optimizer.gradients():
            gradient.mul_(window.expected / window.pictures)
    with run.laps("optimizer"):
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
        f" those from before that step; try {', '.join(tries)}, and look for targets or pictures that are not finite"
    )
