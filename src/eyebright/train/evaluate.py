"""A model's outputs and scores over a whole set, without learning from it."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from eyebright.losses import MeanLoss
from eyebright.metrics.meter import Meter, Metric
from eyebright.models.groups import modes_restored
from eyebright.train.device import Device
from eyebright.train.run import Scores, TrainBatch
from eyebright.types import Thresholds


def outputs(model: nn.Module, batches: Iterable[TrainBatch], device: Device) -> Iterator[tuple[Tensor, Tensor]]:
    """The model's raw outputs (float32) and the targets, in evaluation mode: those of all processes, in their order.

    One process gives them batch by batch, several at once: their numbers of batches differ. The mode that the model was
    in comes back, also when the caller stops early.
    """
    return device.gathered(own_outputs(model, batches, device))


def own_outputs(model: nn.Module, batches: Iterable[TrainBatch], device: Device) -> Iterator[tuple[Tensor, Tensor]]:
    """The same of this process's batches alone, batch by batch."""
    with modes_restored(model):
        model.eval()
        for batch in batches:
            images, targets = device.move(batch)
            with torch.inference_mode(), device.autocast():
                logits = model(images)
            yield logits.float(), targets


def evaluate(
    model: nn.Module,
    batches: Iterable[TrainBatch],
    device: Device,
    *,
    loss: Callable[[Tensor, Tensor], Tensor],
    metrics: Sequence[Metric],
    activate: Callable[[Tensor], Tensor],
    thresholds: Thresholds | None = None,
) -> Scores:
    """``valid_loss`` and every metric by name, exact over all images of ``batches``.

    Args:
        model: on the device.
        batches: images and encoded targets.
        device: where, and in which numbers.
        loss: of raw outputs and targets.
        metrics: what else to compute.
        activate: from raw outputs to probabilities or values.
        thresholds: for metrics of decisions; None: 0.5.
    """
    mean, meter = MeanLoss(loss), Meter(metrics)
    for logits, targets in outputs(model, batches, device):
        mean.add(logits, targets)
        meter.add(logits, targets)
    scores = {"valid_loss": mean.value}
    return scores | meter.result(activate, thresholds) if metrics else scores
