"""Batch norms that see the whole batch, when several processes hold a part of it each.

Otherwise each part is normalised by its own statistics: the same images, seed and batch size then give another model
for every number of processes, and small parts a worse one. torch's own ``SyncBatchNorm`` runs on GPUs only.

The parts need not be equal, and their mean and variance are put together in double precision from those of each part
(Chan, Golub and LeVeque 1983, equation 2.1), so nothing is lost where the mean is large beside the spread.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eyebright.errors import InputError
from eyebright.models.batchnorm.fuse import rest_of
from eyebright.models.swap_modules import swap_modules

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
Total = Callable[[Tensor], Tensor]
"""The sum of a tensor over all processes: every process calls it, and gets the same."""


def synced(model: nn.Module, total: Total) -> nn.Module:
    """The model with batch norms that use the statistics of the whole batch; its tensors are the model's own.

    Make it when the modules are in the modes that they will be in: batch norms in evaluation mode stay as they are.

    Args:
        model: stays as it is.
        total: adds up over the processes.

    Raises:
        InputError: a batch norm of a kind that nobody here knows.
    """
    norms = {
        name: _SyncedNorm(module, total)
        for name, module in model.named_modules()
        if isinstance(module, BATCH_NORMS) and module.training
    }
    return swap_modules(model, norms) if norms else model


class _SyncedNorm(nn.Module):
    """A batch norm in training mode, over the parts of all processes.

    Args:
        norm: whose parameters and running statistics are used and kept up to date.
        total: adds up over the processes.
    """

    def __init__(self, norm: BatchNorm, total: Total) -> None:
        super().__init__()
        rest = rest_of(norm)
        if rest is None:
            raise InputError(
                f"a {type(norm).__name__} cannot share its statistics between processes; train with one process"
            )
        self.norm: Any = norm
        self.rest = rest
        self._total = total

    def forward(self, x: Float[Tensor, "b c *size"]) -> Float[Tensor, "b c *size"]:
        """The normed maps."""
        norm = self.norm
        count, mean, var = _statistics(x.detach(), self._total)
        if norm.running_mean is not None:
            norm.num_batches_tracked.add_(1)
            factor = 1 / int(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
            norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), factor)
            norm.running_var.lerp_((var * count / (count - 1)).to(norm.running_var.dtype), factor)
        normed = _Normed.apply(x, mean.float(), torch.rsqrt(var + norm.eps).float(), count.float(), self._total)
        weight, bias = (norm.weight, norm.bias) if norm.affine else (torch.ones_like(mean), torch.zeros_like(mean))
        mapped = torch.addcmul(_shaped(bias.float(), x), normed, _shaped(weight.float(), x))
        return self.rest(mapped.to(x.dtype))


def _statistics(x: Float[Tensor, "b c *size"], total: Total) -> tuple[Tensor, Tensor, Tensor]:
    """How many values a channel has in all processes, their mean and their (biased) variance, in double precision."""
    var, mean = (part.double() for part in torch.var_mean(x.float(), _all_but_channels(x), correction=0))
    count = torch.full_like(mean, x.numel() / x.shape[1])
    count, added, squares = total(torch.stack([count, count * mean, count * (var + mean.square())]))
    mean = added / count
    return count, mean, (squares / count - mean.square()).clamp_min(0)


class _Normed(torch.autograd.Function):
    """(x - mean) / deviation, where mean and deviation are those of the parts of all processes.

    The gradient is that of a batch norm (Ioffe and Szegedy 2015, arXiv:1502.03167, section 3) with its two sums taken
    over all processes: what one process does to the statistics changes the losses of the others.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, mean: Tensor, scale: Tensor, count: Tensor, total: Total) -> Tensor:
        """The normed values, float32."""
        normed = (x.float() - _shaped(mean, x)) * _shaped(scale, x)
        ctx.save_for_backward(normed, scale, count)
        ctx.total = total
        return normed

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of x; the statistics are no arguments of their own."""
        [gradient] = grad_outputs
        normed, scale, count = ctx.saved_tensors
        dims = _all_but_channels(normed)
        sums = torch.stack([gradient.sum(dims), (gradient * normed).sum(dims)])
        mean, slope = ctx.total(sums) / count
        own = gradient - _shaped(mean, normed) - normed * _shaped(slope, normed)
        return own * _shaped(scale, normed), None, None, None, None


def _all_but_channels(x: Tensor) -> list[int]:
    return [axis for axis in range(x.ndim) if axis != 1]


def _shaped(channels: Float[Tensor, " c"], x: Tensor) -> Tensor:
    """One number a channel, so that it meets the channels of ``x``."""
    return channels.view(1, -1, *[1] * (x.ndim - 2))
