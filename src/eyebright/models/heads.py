"""The head, which turns a backbone's features into outputs: the same layers as fastai's ``create_head``.

It is a plain ``nn.Sequential``, so layer indices are part of the parameter names in a saved file: by default 2 and 6
are the batch norms, 4 and 8 the linear layers. With dropout 0 there is no dropout layer, and the layers after it have
lower indices, as in fastai.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eyebright._defaults import DROPOUT
from eyebright.errors import InputError

Initializer = Callable[[Tensor], object]
NORM_LAYERS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)
"""Normalisation layers; their subclasses count as well."""


class AdaptiveConcatPool2d(nn.Module):
    """Max pooling and average pooling of a feature map, concatenated in this order.

    Args:
        size: height and width of the pooled map.
    """

    def __init__(self, size: int = 1) -> None:
        super().__init__()
        self.ap = nn.AdaptiveAvgPool2d(size)
        self.mp = nn.AdaptiveMaxPool2d(size)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 s s"]:
        """The pooled maps, with twice the channels of ``x``."""
        return torch.cat([self.mp(x), self.ap(x)], dim=1)


def sigmoid_range(x: Float[Tensor, "*shape"], lo: float, hi: float) -> Float[Tensor, "*shape"]:
    """``sigmoid(x) * (hi - lo) + lo``: values in (lo, hi), which reach the limits only by rounding."""
    return torch.sigmoid(x) * (hi - lo) + lo


class SigmoidRange(nn.Module):
    """``sigmoid_range`` as a layer.

    Args:
        low: lower limit of the output.
        high: upper limit of the output.
    """

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """``x`` mapped to (low, high)."""
        return sigmoid_range(x, self.low, self.high)

    def extra_repr(self) -> str:
        """The arguments, for the layer's ``repr``."""
        return f"low={self.low}, high={self.high}"


def create_head(
    nf: int,
    n_out: int,
    lin_ftrs: Sequence[int] | None = None,
    ps: float | Sequence[float] = DROPOUT,
    *,
    pool: bool = True,
    pool_size: int = 1,
    concat_pool: bool = True,
    first_bn: bool = True,
    bn_final: bool = False,
    lin_first: bool = False,
    y_range: tuple[float, float] | None = None,
) -> nn.Sequential:
    """The head of fastai: pooling, then blocks of (batch norm, dropout, linear) separated by ReLU.

    Args:
        nf: channels of the backbone's features.
        n_out: number of outputs.
        lin_ftrs: sizes of the hidden layers; by default one of 512, ``()`` for none.
        ps: dropout probability of each block, in [0, 1); a single number is for the last block, and the earlier blocks
            get half of it.
        pool: the features are maps (b, nf, h, w) to be pooled; False for vectors (b, nf).
        pool_size: height and width of the pooled maps; the values of all of their pixels are inputs of the first layer.
        concat_pool: concatenate max and average pooling (2 * nf channels); False uses average pooling alone.
        first_bn: the first block has a batch norm.
        bn_final: end with a batch norm over the outputs.
        lin_first: a dropout, blocks of (linear, ReLU, batch norm, dropout), and a final linear layer.
        y_range: (low, high) range of the outputs; None for unbounded outputs.

    Returns:
        A module from features, (b, nf, h, w) or (b, nf), to outputs (b, n_out).

    Raises:
        InputError: ``ps`` has neither one value nor one per linear layer.
    """
    n_in = nf * pool_size**2 * (2 if concat_pool else 1) if pool else nf
    sizes = [n_in, *((512,) if lin_ftrs is None else lin_ftrs), n_out]
    dropouts = _dropouts(ps, len(sizes) - 1)
    layers: list[nn.Module] = []
    if pool:
        layers += [AdaptiveConcatPool2d(pool_size) if concat_pool else nn.AdaptiveAvgPool2d(pool_size), nn.Flatten()]
    layers += (_linear_first if lin_first else _norm_first)(sizes, dropouts, first_bn=first_bn)
    if bn_final:
        layers.append(nn.BatchNorm1d(n_out, momentum=0.01))
    if y_range is not None:
        layers.append(SigmoidRange(*y_range))
    return nn.Sequential(*layers)


def initialize(
    module: nn.Module, init: Initializer = nn.init.kaiming_normal_, *, zero_last_layer: bool = False
) -> None:
    """Reinitialises the weights of all layers except normalisation layers; biases become 0.

    Args:
        module: changed in place.
        init: initialises one weight tensor in place; fastai's default is ``nn.init.kaiming_normal_``.
        zero_last_layer: the weights of the last linear layer become 0, so that the first outputs are 0 (in the middle
            of a ``y_range``).
    """
    for layer in module.modules():
        if isinstance(layer, NORM_LAYERS) or not isinstance(getattr(layer, "weight", None), nn.Parameter):
            continue
        init(layer.weight)  # type: ignore[arg-type]
        if isinstance(layer.bias, nn.Parameter):
            nn.init.zeros_(layer.bias)
    linears = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    if zero_last_layer and linears:
        nn.init.zeros_(linears[-1].weight)


def _dropouts(ps: float | Sequence[float], linears: int) -> list[float]:
    dropouts = [float(p) for p in ps] if isinstance(ps, Sequence) else [float(ps)]
    if len(dropouts) == 1:
        return [dropouts[0] / 2] * (linears - 1) + dropouts
    if len(dropouts) != linears:
        raise InputError(f"the head has {linears} linear layers: ps needs {linears} values or one, got {dropouts}")
    return dropouts


def _norm_first(sizes: list[int], dropouts: list[float], *, first_bn: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for index, (n_in, n_out, p) in enumerate(zip(sizes[:-1], sizes[1:], dropouts, strict=True)):
        use_norm = first_bn or index > 0
        layers += [
            *(_batch_norm(n_in) if use_norm else []),
            *_dropout(p),
            nn.Linear(n_in, n_out, bias=not use_norm),
            nn.ReLU(inplace=True),
        ]
    return layers[:-1]  # no ReLU after the outputs


def _linear_first(sizes: list[int], dropouts: list[float], *, first_bn: bool) -> list[nn.Module]:
    layers: list[nn.Module] = _dropout(dropouts[0])
    for index, (n_in, n_out, p) in enumerate(zip(sizes[:-2], sizes[1:-1], dropouts[1:], strict=True)):
        use_norm = first_bn or index > 0
        layers += [
            nn.Linear(n_in, n_out, bias=not use_norm),
            nn.ReLU(inplace=True),
            *(_batch_norm(n_out) if use_norm else []),
            *_dropout(p),
        ]
    return [*layers, nn.Linear(sizes[-2], sizes[-1])]


def _batch_norm(num_features: int) -> list[nn.Module]:
    norm = nn.BatchNorm1d(num_features)
    nn.init.constant_(norm.bias, 1e-3)  # as in fastai; the weight stays at 1
    return [norm]


def _dropout(p: float) -> list[nn.Module]:
    return [nn.Dropout(p)] if p else []
