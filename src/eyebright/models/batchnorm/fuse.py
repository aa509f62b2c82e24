"""Fuses batch norms into the convolutions before them, for evaluation.

In evaluation a batch norm scales and shifts each channel by constants, and so can a convolution: one layer is enough.
Which batch norm follows which convolution is not read from the modules' names but traced, by one forward pass of a copy
of the model on the meta device, which computes shapes only.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from eyebright.types import Size


class ConvNormPair(NamedTuple):
    """The names of a convolution and of the batch norm that is the only user of its output."""

    conv: str
    norm: str


def fuse_conv_bn(
    model: nn.Module, size: Size, *, n_in: int = 3, pairs: Sequence[ConvNormPair] | None = None
) -> nn.Module:
    """A copy of the model, in evaluation mode and without gradients, with batch norms fused into convolutions.

    Weights and biases are computed in float64. Batch norms that do not follow a convolution are kept. Layers that are
    not fused share their memory with the model.

    Args:
        model: the model; its batch norms use their running statistics, whatever its mode.
        size: the size of images that the model accepts.
        n_in: channels of the images.
        pairs: the result of `find_conv_bn_pairs` for this model; None: it is called.
    """
    # New tensors over the same memory: moving or casting the copy does not change the model.
    shared: dict[int, Any] = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in model.parameters()}
    shared |= {id(buffer): buffer.detach() for buffer in model.buffers()}
    fused = copy.deepcopy(model, shared).eval()
    for pair in find_conv_bn_pairs(model, size, n_in=n_in) if pairs is None else pairs:
        conv: Any = fused.get_submodule(pair.conv)
        norm = fused.get_submodule(pair.norm)
        if (rest := without_norm(norm)) is not None:
            weight, bias = fused_weight_and_bias(conv, norm, cast=_float64)
            conv.weight = nn.Parameter(weight.to(conv.weight), requires_grad=False)
            conv.bias = nn.Parameter(bias.to(conv.weight), requires_grad=False)
            fused.set_submodule(pair.norm, rest)
    return fused


def find_conv_bn_pairs(model: nn.Module, size: Size, *, n_in: int = 3) -> list[ConvNormPair]:
    """Every convolution with the batch norm that follows it, if nothing else uses either.

    Args:
        model: the model; it is not changed.
        size: the size of images that the model accepts.
        n_in: channels of the images.

    Returns:
        The pairs; empty if the model cannot run on the meta device, because its control flow depends on values.
    """
    image = torch.zeros(1, n_in, *size, device="meta")
    traced = copy.deepcopy(model).to("meta", torch.float32).eval()
    trace = _Trace()
    try:
        with torch.no_grad(), trace:
            traced(image)
    except Exception:  # a model may raise anything here; it is then used as it is
        return []
    convs = _names_by_tensor(traced, "weight", nn.Conv2d)
    norms = _names_by_tensor(traced, "running_mean", nn.BatchNorm2d)
    uses = Counter(map(id, trace.arguments))
    weight_of_output = {id(output): weight for output, weight in trace.convs}
    pairs: list[ConvNormPair] = []
    for norm_input, mean in trace.norms:
        weight = weight_of_output.get(id(norm_input))
        used_once = weight is not None and uses[id(weight)] == uses[id(mean)] == uses[id(norm_input)] == 1
        if used_once and id(weight) in convs and id(mean) in norms:
            pairs.append(ConvNormPair(convs[id(weight)], norms[id(mean)]))
    return pairs


def fused_weight_and_bias(
    conv: Any, norm: Any, *, cast: Callable[[Tensor], Tensor] = lambda tensor: tensor
) -> tuple[Float[Tensor, "c ..."], Float[Tensor, " c"]]:
    """(weight, bias) of the convolution that is equivalent to a convolution and the batch norm after it.

    For each output channel w' = w * gamma / sqrt(var + eps) and b' = beta + (b - mean) * gamma / sqrt(var + eps)
    (Jacob et al., 2018, arXiv:1712.05877, equation 14). Gradients reach the parameters of both.

    Args:
        conv: an ``nn.Conv2d``.
        norm: the batch norm; its running statistics are used, whatever its mode.
        cast: applied to every tensor first, for example to compute in another dtype.
    """
    scale = torch.rsqrt(cast(norm.running_var) + norm.eps)
    if norm.affine:
        scale = scale * cast(norm.weight)
    shift = -cast(norm.running_mean) if conv.bias is None else cast(conv.bias) - cast(norm.running_mean)
    bias = shift * scale + cast(norm.bias) if norm.affine else shift * scale
    return cast(conv.weight) * scale.view(-1, 1, 1, 1), bias


def without_norm(norm: nn.Module) -> nn.Module | None:
    """The other operations of a norm layer, such as its activation; None for an unknown kind of layer."""
    if type(norm) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
        return nn.Identity()
    if type(norm).__name__ == "BatchNormAct2d":  # timm's, with dropout and activation in the same module
        return nn.Sequential(norm.get_submodule("drop"), norm.get_submodule("act"))
    return None


class _Trace(TorchFunctionMode):
    """Records the tensors of every call of a torch function."""

    def __init__(self) -> None:
        super().__init__()
        self.convs: list[tuple[Tensor, Tensor]] = []  # output, weight
        self.norms: list[tuple[Tensor, Tensor]] = []  # input, running mean
        self.arguments: list[Tensor] = []  # of all calls; kept, so that no id is used again

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is nn.functional.batch_norm and len(args) > 1 and isinstance(args[1], Tensor):
            # In evaluation it keeps the shape; its own way to find that on the meta device takes a millisecond.
            result = torch.empty_like(args[0])
            self.norms.append((args[0], args[1]))
        else:
            result = func(*args, **(kwargs or {}))
        if not any(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves(result)):
            return result  # the call only reads a shape or a dtype
        self.arguments += [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if func is torch.conv2d and len(args) > 1:
            self.convs.append((result, args[1]))
        return result


def _names_by_tensor(model: nn.Module, tensor: str, kind: type[nn.Module]) -> dict[int, str]:
    """The names of the modules of a kind, by the id of one of their tensors."""
    modules: Iterable[tuple[str, nn.Module]] = model.named_modules()
    return {id(getattr(module, tensor)): name for name, module in modules if isinstance(module, kind)}


def _float64(tensor: Tensor) -> Tensor:
    """On the CPU, since not every device has float64."""
    return tensor.to("cpu", torch.float64)
