"""Batch norms that use the statistics of the whole batch when it is divided among several processes.

Otherwise each part would be normalised by its own statistics: the same images, seed and batch size would give another
model for every number of processes, and a worse one for small parts. torch's own ``SyncBatchNorm`` runs only on GPUs.

The parts may have different sizes. Mean and variance are combined in float64 from those of the parts (Chan, Golub and
LeVeque, 1983, equation 2.1), which is accurate enough for outputs in float32.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eyebright.errors import InputError
from eyebright.models.batchnorm.fuse import without_norm
from eyebright.models.swap_modules import swap_modules

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
AllReduce = Callable[[Tensor], Tensor]
"""Sums a tensor over all processes: each of them calls it and gets the sum."""


def sync_batch_norms(model: nn.Module, all_reduce: AllReduce) -> nn.Module:
    """A copy of the model with batch norms that use the statistics of the whole batch; its tensors are the model's own.

    Args:
        model: the model, with its modules in the modes of training, since batch norms in evaluation mode are not
            replaced; it is not changed.
        all_reduce: the function that sums over the processes.

    Raises:
        InputError: a batch norm of an unknown kind.
    """
    replacements = {
        name: _SyncBatchNorm(module, all_reduce)
        for name, module in model.named_modules()
        if isinstance(module, BATCH_NORMS) and module.training
    }
    return swap_modules(model, replacements) if replacements else model


class _SyncBatchNorm(nn.Module):
    """A batch norm in training mode, over the parts of all processes.

    Args:
        norm: the batch norm whose parameters and running statistics are used and updated.
        all_reduce: the function that sums over the processes.
    """

    def __init__(self, norm: BatchNorm, all_reduce: AllReduce) -> None:
        super().__init__()
        rest = without_norm(norm)
        if rest is None:
            raise InputError(
                f"a {type(norm).__name__} cannot share its statistics between processes; train with one process"
            )
        self.norm: Any = norm
        self.rest = rest
        self._all_reduce = all_reduce

    def forward(self, x: Float[Tensor, "b c *size"]) -> Float[Tensor, "b c *size"]:
        """The normalised feature maps.

        Raises:
            InputError: all processes together have one value a channel, which has no variance.
        """
        norm = self.norm
        count, mean, var = _statistics(x.detach(), self._all_reduce)
        # The sum is looked at only where it may be one, since the CPU would wait for the GPU.
        if x.numel() < 2 * x.shape[1] and count[0] < 2:
            raise InputError(
                "batch norm needs more than one value a channel to train, and got one: one image in all processes; "
                "give larger batches or images"
            )
        if norm.running_mean is not None:
            norm.num_batches_tracked.add_(1)
            momentum = 1 / int(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
            norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), momentum)
            norm.running_var.lerp_((var * count / (count - 1)).to(norm.running_var.dtype), momentum)
        scale = torch.rsqrt(var + norm.eps).float()
        normalized = _Normalize.apply(x, mean.float(), scale, count.float(), self._all_reduce)
        weight, bias = (norm.weight, norm.bias) if norm.affine else (torch.ones_like(mean), torch.zeros_like(mean))
        y = torch.addcmul(_per_channel(bias.float(), x), normalized, _per_channel(weight.float(), x))
        return self.rest(y.to(x.dtype))


def _statistics(x: Float[Tensor, "b c *size"], all_reduce: AllReduce) -> tuple[Tensor, Tensor, Tensor]:
    """The number of values of a channel in all processes, their mean and their (biased) variance, in float64."""
    var, mean = (part.double() for part in torch.var_mean(x.float(), _axes_but_channels(x), correction=0))
    count = torch.full_like(mean, x.numel() / x.shape[1])
    count, sums, squares = all_reduce(torch.stack([count, count * mean, count * (var + mean.square())]))
    mean = sums / count
    return count, mean, (squares / count - mean.square()).clamp_min(0)


class _Normalize(torch.autograd.Function):
    """(x - mean) / standard deviation, over the parts of all processes.

    The gradient is that of batch norm (Ioffe and Szegedy, 2015, arXiv:1502.03167, section 3) with its two sums taken
    over all processes: through the statistics, the values of one process change the losses of the others.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, mean: Tensor, scale: Tensor, count: Tensor, all_reduce: AllReduce) -> Tensor:
        """The normalised values, float32."""
        normalized = (x.float() - _per_channel(mean, x)) * _per_channel(scale, x)
        ctx.save_for_backward(normalized, scale, count)
        ctx.all_reduce = all_reduce
        return normalized

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of x; mean and scale depend on x, and are not separate inputs."""
        [gradient] = grad_outputs
        normalized, scale, count = ctx.saved_tensors
        axes = _axes_but_channels(normalized)
        sums = torch.stack([gradient.sum(axes), (gradient * normalized).sum(axes)])
        mean, slope = ctx.all_reduce(sums) / count
        centered = gradient - _per_channel(mean, normalized) - normalized * _per_channel(slope, normalized)
        return centered * _per_channel(scale, normalized), None, None, None, None


def _axes_but_channels(x: Tensor) -> list[int]:
    return [axis for axis in range(x.ndim) if axis != 1]


def _per_channel(values: Float[Tensor, " c"], x: Tensor) -> Tensor:
    """One value for each channel, in a shape that broadcasts over ``x``."""
    return values.view(1, -1, *[1] * (x.ndim - 2))
