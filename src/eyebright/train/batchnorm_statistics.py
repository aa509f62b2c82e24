"""Recomputes the running statistics of batch norms for the current weights.

In training a batch norm uses the statistics of its batch; in evaluation it uses a running average over some ten to
twenty steps. When an epoch is shorter than that, the average belongs to old weights, or to the initial statistics: the
training loss falls while validation shows noise. Recomputing the statistics over some batches repairs this and changes
no weight ("precise batch norm": Wu and Johnson, 2021, arXiv:2105.07576, section 3).
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from eyebright.models.groups import modes_restored
from eyebright.train.device import Device
from eyebright.train.run import TrainBatch

SHORT_EPOCH = 32
"""Epochs with fewer steps are too short for the running statistics of batch norms."""

N_BATCHES = 8
"""The number of batches from which the statistics are recomputed: some hundred images."""


def reset_broken_statistics(model: nn.Module) -> None:
    """Resets running statistics that are not finite: a running average would keep a NaN for ever."""
    for module in model.modules():
        statistics = [getattr(module, name, None) for name in ("running_mean", "running_var")]
        if any(isinstance(tensor, Tensor) and not bool(tensor.isfinite().all()) for tensor in statistics):
            module.reset_running_stats()  # type: ignore[operator]


def recompute_statistics(model: nn.Module, batches: Iterable[TrainBatch], device: Device) -> None:
    """Recomputes the statistics of every batch norm in training mode over these batches, without dropout.

    Args:
        model: the model, on the device; its modes are restored.
        batches: the batches of training, on the device.
        device: the device of the model, and its precision.
    """
    norms = [m for m in model.modules() if m.training and getattr(m, "running_mean", None) is not None]
    momenta = [norm.momentum for norm in norms]
    with modes_restored(model):
        model.eval()
        try:
            for norm in norms:
                norm.reset_running_stats()  # type: ignore[operator]
                norm.momentum = None  # type: ignore[assignment]  # the plain mean over the batches
                norm.train()
            model_for_all = device.sync_batch_norms(model)
            with torch.no_grad(), device.autocast():
                for inputs, _ in batches if norms else ():
                    model_for_all(inputs)
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
