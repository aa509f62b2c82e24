"""A network for training that gives the same gradients with less work.

A batch norm that keeps its statistics is, in every step, one multiplication and one addition for each channel, and the
convolution before it can do both with other weights. These are computed anew in each step from the parameters
themselves, so the same things learn, from the same gradients; only the passes over the large maps are saved.

And depthwise convolutions learn in float32 on a processor: their bfloat16 gradients are so slow there that they would
take back all that bfloat16 gains in the other layers (`docs/why.md` has the measurement). Without gradients, as in a
frozen body, they are as fast in bfloat16.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eyebright.models.batchnorm.fuse import Pair, pairs_of, rest_of
from eyebright.models.swap_modules import swap_modules
from eyebright.types import Size


def fuse_for_training(model: nn.Module, size: Size, *, n_in: int = 3, pairs: Sequence[Pair] | None = None) -> nn.Module:
    """What a training step calls in the place of the model, whose parameters, buffers and dropouts it shares.

    Batch norms in evaluation mode are computed by the convolutions before them, w' = w * gamma / sqrt(var + eps) and
    b' = beta + (b - mean) * gamma / sqrt(var + eps) (Jacob et al. 2018, arXiv:1712.05877, equation 14); on a processor
    depthwise convolutions that have gradients compute in float32 inside autocast too. It is the model itself where
    there is neither. Make it when the modes of the modules are as they will be in training.

    Args:
        model: stays as it is.
        size: of images that it can work with.
        n_in: channels of the images.
        pairs: what `pairs_of` found, where it has been asked before; None: it is asked now.
    """
    pairs = [
        pair
        for pair in (pairs_of(model, size, n_in=n_in) if pairs is None else pairs)
        if not model.get_submodule(pair.norm).training and rest_of(model.get_submodule(pair.norm)) is not None
    ]
    depthwise = [name for name, module in model.named_modules() if _is_slow_in_bfloat16(module)]
    if not pairs and not depthwise:
        return model
    others: dict[str, nn.Module] = {}
    for conv, norm in pairs:
        others[conv] = _NormedConvolution(model.get_submodule(conv), model.get_submodule(norm))
        rest = rest_of(model.get_submodule(norm)) or nn.Identity()
        others[norm] = nn.Sequential(*map(_with_a_copy, rest)) if isinstance(rest, nn.Sequential) else rest
    for name in depthwise:
        others[name] = _LearningInFloat32(others.get(name) or model.get_submodule(name))
    return swap_modules(model, others)


class _NormedConvolution(nn.Module):
    """A convolution and the batch norm behind it in one.

    Args:
        conv: of any kind that uses a ``weight`` and a ``bias``.
        norm: uses its running statistics.
    """

    def __init__(self, conv: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.conv: Any = conv
        self.norm: Any = norm
        # Computes as the convolution does, with weights that are put into it: it has no parameters of its own.
        bare: Any = copy.copy(conv)
        bare._parameters = {}
        self._bare = [bare]  # in a list, so that it is not a part of this module

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """The normed maps."""
        conv, norm, [bare] = self.conv, self.norm, self._bare
        scale = torch.rsqrt(norm.running_var + norm.eps)
        if norm.affine:
            scale = scale * norm.weight
        shift = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
        bare.weight = conv.weight * scale.view(-1, 1, 1, 1)
        bare.bias = shift * scale + norm.bias if norm.affine else shift * scale
        normed = bare(x)
        del bare.weight, bare.bias  # they hold the graph of this step
        return normed


class _LearningInFloat32(nn.Module):
    """A module that computes in float32 where it learns, whatever autocast says around it.

    Args:
        inner: the module, with its own parameters.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """What the module gives."""
        if not torch.is_grad_enabled() or not torch.is_autocast_enabled(x.device.type):
            return self.inner(x)
        with torch.autocast(x.device.type, enabled=False):
            return self.inner(x.float())


def _is_slow_in_bfloat16(module: nn.Module) -> bool:
    """Whether it is a depthwise convolution on a processor."""
    if not isinstance(module, nn.Conv2d):
        return False
    return module.groups == module.in_channels > 1 and module.weight.device.type == "cpu"


def _with_a_copy(activation: nn.Module) -> nn.Module:
    """The activation, not in place: all but ReLU copy what they destroy in place, since the gradient needs it."""
    if isinstance(activation, nn.ReLU) or not getattr(activation, "inplace", False):
        return activation
    twin: Any = copy.copy(activation)
    twin.inplace = False
    return twin
