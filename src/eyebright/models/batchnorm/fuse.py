"""A model that answers the same with fewer layers: batch norms that follow a convolution are folded into it.

A batch norm that no longer learns scales and shifts each channel by fixed numbers, and so does a convolution: one of
the two is enough. Which batch norm follows which convolution is not read from the modules' names but seen, by letting
shapes (no numbers) pass through a copy of the model once.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from eyebright.types import Size


def fold_batch_norms(
    model: nn.Module, size: Size, *, n_in: int = 3, pairs: Sequence["Pair"] | None = None
) -> nn.Module:
    """A copy of the model, for prediction only, in which convolutions do the work of the batch norms behind them.

    w' = w * gamma / sqrt(var + eps) and b' = beta + (b - mean) * gamma / sqrt(var + eps) for each output channel (Jacob
    et al. 2018, equation 14). Batch norms that follow something else stay. What is not folded shares its memory with
    the model.

    Args:
        model: its batch norms are used with their running statistics, whatever its mode.
        size: of images that it can work with.
        n_in: channels of the images.
        pairs: what `pairs_of` found, where it has been asked before; None: it is asked now.
    """
    # New tensors over the same memory: moving or casting the copy leaves the model alone.
    shared: dict[int, Any] = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in model.parameters()}
    shared |= {id(buffer): buffer.detach() for buffer in model.buffers()}
    folded = copy.deepcopy(model, shared).eval()
    for pair in pairs_of(model, size, n_in=n_in) if pairs is None else pairs:
        conv, norm = folded.get_submodule(pair.conv), folded.get_submodule(pair.norm)
        if (rest := rest_of(norm)) is not None:
            _fold(conv, norm)
            _replace(folded, pair.norm, rest)
    return folded


class Pair(NamedTuple):
    """The names of a convolution and of the batch norm that alone uses what comes out of it."""

    conv: str
    norm: str


class _Watch(TorchFunctionMode):
    """Keeps what every call of a torch function got and gave."""

    def __init__(self) -> None:
        super().__init__()
        self.convs: list[tuple[Tensor, Tensor]] = []  # output, weight
        self.norms: list[tuple[Tensor, Tensor]] = []  # input, running mean
        self.used: list[Tensor] = []  # every argument of every call, which also keeps their ids from being used again

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not any(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves(result)):
            return result  # only a look at a shape or a type
        self.used += [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if func is torch.conv2d and len(args) > 1:
            self.convs.append((result, args[1]))
        elif func is nn.functional.batch_norm and len(args) > 1 and isinstance(args[1], Tensor):
            self.norms.append((args[0], args[1]))
        return result


def pairs_of(model: nn.Module, size: Size, *, n_in: int = 3) -> list[Pair]:
    """Every convolution with the batch norm behind it, where nothing else uses either.

    Args:
        model: stays as it is.
        size: of images that it can work with.
        n_in: channels of the images.
    """
    image = torch.zeros(1, n_in, *size, device="meta")
    trial = copy.deepcopy(model).to("meta", torch.float32).eval()
    watch = _Watch()
    try:
        with torch.no_grad(), watch:
            trial(image)
    except Exception:  # its way depends on numbers, not on shapes alone: such a model stays as it is
        return []
    convs = _names(trial, "weight", nn.Conv2d)
    norms = _names(trial, "running_mean", nn.BatchNorm2d)
    uses = Counter(map(id, watch.used))
    made_by = {id(output): weight for output, weight in watch.convs}
    found: list[Pair] = []
    for given, mean in watch.norms:
        weight = made_by.get(id(given))
        once = weight is not None and uses[id(weight)] == uses[id(mean)] == uses[id(given)] == 1
        if once and id(weight) in convs and id(mean) in norms:
            found.append(Pair(convs[id(weight)], norms[id(mean)]))
    return found


def _names(model: nn.Module, tensor: str, kind: type[nn.Module]) -> dict[int, str]:
    """The names of the modules of a kind, by the identity of one of their tensors."""
    modules: Iterable[tuple[str, nn.Module]] = model.named_modules()
    return {id(getattr(module, tensor)): name for name, module in modules if isinstance(module, kind)}


def rest_of(norm: nn.Module) -> nn.Module | None:
    """What a norm layer does besides normalising; None where that is not known."""
    if type(norm) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
        return nn.Identity()
    if type(norm).__name__ == "BatchNormAct2d":  # timm's: dropout and activation in the same module
        return nn.Sequential(norm.get_submodule("drop"), norm.get_submodule("act"))
    return None


def _fold(conv: Any, norm: Any) -> None:
    scale = torch.rsqrt(_exact(norm.running_var) + norm.eps)
    if norm.affine:
        scale = scale * _exact(norm.weight)
    shift = -_exact(norm.running_mean) if conv.bias is None else _exact(conv.bias) - _exact(norm.running_mean)
    bias = shift * scale + (_exact(norm.bias) if norm.affine else 0)
    weight = _exact(conv.weight) * scale.view(-1, 1, 1, 1)
    conv.weight, conv.bias = (nn.Parameter(tensor.to(conv.weight), requires_grad=False) for tensor in (weight, bias))


def _exact(tensor: Tensor) -> Tensor:
    """In double precision, which not every device has."""
    return tensor.to("cpu", torch.float64)


def _replace(model: nn.Module, name: str, new: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, new)
