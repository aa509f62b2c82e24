"""Fuses batch norms into convolutions for training: the same gradients with less to compute.

A batch norm in evaluation mode, with fixed running statistics, multiplies and adds one number for each channel,
and the convolution before it can do both with other weights. These weights are recomputed in each step from the
parameters, so the same parameters get the same gradients; only passes over large feature maps are saved.

Depthwise convolutions are trained in float32 on a CPU: their bfloat16 gradients are so slow there that they would
outweigh the gain of bfloat16 in the other layers (`docs/why.md` has the measurement). Without gradients, as in a frozen
backbone, they are as fast in bfloat16.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eyebright.models.batchnorm.fuse import ConvNormPair, find_conv_bn_pairs, fused_weight_and_bias, without_norm
from eyebright.models.swap_modules import swap_modules
from eyebright.types import Size


def fuse_for_training(
    model: nn.Module, size: Size, *, n_in: int = 3, pairs: Sequence[ConvNormPair] | None = None
) -> nn.Module:
    """The module that a training step calls instead of the model; parameters, buffers and other layers are shared.

    Batch norms in evaluation mode are computed by the convolutions before them (see `fused_weight_and_bias`). On a CPU
    depthwise convolutions that have gradients compute in float32, inside autocast too.

    Args:
        model: the model, with its modules in the modes of training; it is not changed, and returned itself if nothing
            can be fused.
        size: the size of images that the model accepts.
        n_in: channels of the images.
        pairs: what `find_conv_bn_pairs` returned for this model; None: it is called.
    """
    pairs = [
        pair
        for pair in (find_conv_bn_pairs(model, size, n_in=n_in) if pairs is None else pairs)
        if not model.get_submodule(pair.norm).training and without_norm(model.get_submodule(pair.norm)) is not None
    ]
    depthwise = [name for name, module in model.named_modules() if _is_slow_in_bfloat16(module)]
    if not pairs and not depthwise:
        return model
    replacements: dict[str, nn.Module] = {}
    for conv, norm in pairs:
        replacements[conv] = _FusedConv(model.get_submodule(conv), model.get_submodule(norm))
        rest = without_norm(model.get_submodule(norm)) or nn.Identity()
        replacements[norm] = nn.Sequential(*map(_not_in_place, rest)) if isinstance(rest, nn.Sequential) else rest
    for name in depthwise:
        replacements[name] = _Float32Gradients(replacements.get(name) or model.get_submodule(name))
    return swap_modules(model, replacements)


class _FusedConv(nn.Module):
    """A convolution and the batch norm that follows it.

    Args:
        conv: an ``nn.Conv2d``, or a subclass such as timm's with same padding.
        norm: the batch norm, in evaluation mode.
    """

    def __init__(self, conv: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.conv: Any = conv
        self.norm: Any = norm
        # A copy of the convolution without parameters, whose weight and bias are set in each step.
        stateless: Any = copy.copy(conv)
        stateless._parameters = {}
        self._stateless = [stateless]  # in a list, so that torch does not register it as a submodule

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """The normalised feature maps."""
        conv, norm, [stateless] = self.conv, self.norm, self._stateless
        stateless.weight, stateless.bias = fused_weight_and_bias(conv, norm)
        normalized = stateless(x)
        del stateless.weight, stateless.bias  # they hold the graph of this step
        return normalized


class _Float32Gradients(nn.Module):
    """A module that computes in float32 while gradients are enabled, inside autocast too.

    Args:
        inner: the module, with its own parameters.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """The output of the module."""
        if not torch.is_grad_enabled() or not torch.is_autocast_enabled(x.device.type):
            return self.inner(x)
        with torch.autocast(x.device.type, enabled=False):
            return self.inner(x.float())


def _is_slow_in_bfloat16(module: nn.Module) -> bool:
    """Whether it is a depthwise convolution on a CPU."""
    if not isinstance(module, nn.Conv2d):
        return False
    return module.groups == module.in_channels > 1 and module.weight.device.type == "cpu"


def _not_in_place(activation: nn.Module) -> nn.Module:
    """The activation without ``inplace=True``: for all but ReLU the gradient needs the input, so it would be copied."""
    if isinstance(activation, nn.ReLU) or not getattr(activation, "inplace", False):
        return activation
    copied: Any = copy.copy(activation)
    copied.inplace = False
    return copied
