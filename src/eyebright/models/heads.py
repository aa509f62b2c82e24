"""The head that turns a backbone's features into answers: the one of the fastai book, layer for layer.

It is a plain ``nn.Sequential``, so that its places are its names in a saved file: with the defaults 2 and 6 are the
batch norms, 4 and 8 the linear layers. Dropout of 0 leaves its layer out and moves the later ones down, as in the book.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eyebright.errors import InputError

Initialiser = Callable[[Tensor], object]
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
"""The layers that count as normalisation, also in the classes derived from them."""


class AdaptiveConcatPool2d(nn.Module):
    """Both poolings of a feature map, concatenated: the maximum first, then the average.

    Args:
        size: height and width of what is left.
    """

    def __init__(self, size: int = 1) -> None:
        super().__init__()
        self.ap = nn.AdaptiveAvgPool2d(size)
        self.mp = nn.AdaptiveMaxPool2d(size)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 s s"]:
        """Twice the channels of ``x``."""
        return torch.cat([self.mp(x), self.ap(x)], dim=1)


def sigmoid_range(x: Float[Tensor, "*shape"], lo: float, hi: float) -> Float[Tensor, "*shape"]:
    """``x`` squeezed into (lo, hi) by a sigmoid; the ends themselves are reached by rounding only."""
    return torch.sigmoid(x) * (hi - lo) + lo


class SigmoidRange(nn.Module):
    """:func:`sigmoid_range` as a layer."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """``x`` between low and high."""
        return sigmoid_range(x, self.low, self.high)

    def extra_repr(self) -> str:
        """What stands between the brackets of the layer's name."""
        return f"low={self.low}, high={self.high}"


def create_head(
    nf: int,
    n_out: int,
    lin_ftrs: Sequence[int] | None = None,
    ps: float | Sequence[float] = 0.5,
    *,
    pool: bool = True,
    concat_pool: bool = True,
    first_bn: bool = True,
    bn_final: bool = False,
    lin_first: bool = False,
    y_range: tuple[float, float] | None = None,
) -> nn.Sequential:
    """The book's head: pool, then blocks of (batch norm, dropout, linear) with ReLU between.

    Args:
        nf: channels of the backbone's features.
        n_out: number of outputs.
        lin_ftrs: widths of the hidden layers; one of 512 by default, ``()`` for none.
        ps: dropout of each block; one number stands for the last block, the earlier ones get half of it.
        pool: the features are maps that must be pooled; False when they are vectors already.
        concat_pool: maximum and average side by side (twice the channels) instead of the average alone.
        first_bn: a batch norm before the first linear layer.
        bn_final: a batch norm over the outputs.
        lin_first: blocks of (linear, ReLU, batch norm, dropout), with one plain linear layer at the end.
        y_range: the outputs lie between these two numbers; None for unbounded logits.

    Raises:
        InputError: the number of dropouts is not the number of linear layers.
    """
    widths = [nf * 2 if pool and concat_pool else nf, *((512,) if lin_ftrs is None else lin_ftrs), n_out]
    dropouts = _dropouts(ps, len(widths) - 1)
    layers: list[nn.Module] = []
    if pool:
        layers += [AdaptiveConcatPool2d() if concat_pool else nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers += (_linear_first if lin_first else _norm_first)(widths, dropouts, first_bn=first_bn)
    if bn_final:
        layers.append(nn.BatchNorm1d(n_out, momentum=0.01))
    if y_range is not None:
        layers.append(SigmoidRange(*y_range))
    return nn.Sequential(*layers)


def initialise(module: nn.Module, init: Initialiser = nn.init.kaiming_normal_) -> None:
    """Draws the weights of every layer of ``module`` that is not a norm layer anew; biases become 0.

    Args:
        module: changed in place.
        init: fills one weight in place, for example ``nn.init.kaiming_normal_`` (the book's).
    """
    for layer in module.modules():
        if isinstance(layer, NORM_LAYERS) or not isinstance(getattr(layer, "weight", None), nn.Parameter):
            continue
        init(layer.weight)  # type: ignore[arg-type]
        if isinstance(layer.bias, nn.Parameter):
            nn.init.zeros_(layer.bias)


def _dropouts(ps: float | Sequence[float], linears: int) -> list[float]:
    every = [float(p) for p in ps] if isinstance(ps, Sequence) else [float(ps)]
    if len(every) == 1:
        return [every[0] / 2] * (linears - 1) + every
    if len(every) != linears:
        raise InputError(f"the head has {linears} linear layers, so ps holds {linears} dropouts or one; got {every}")
    return every


def _norm_first(widths: list[int], dropouts: list[float], *, first_bn: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for place, (n_in, n_out, p) in enumerate(zip(widths[:-1], widths[1:], dropouts, strict=True)):
        norm = first_bn or place > 0
        layers += [
            *_norm(n_in, wanted=norm),
            *_dropout(p),
            nn.Linear(n_in, n_out, bias=not norm),
            nn.ReLU(inplace=True),
        ]
    return layers[:-1]  # no ReLU over the answers


def _linear_first(widths: list[int], dropouts: list[float], *, first_bn: bool) -> list[nn.Module]:
    layers: list[nn.Module] = _dropout(dropouts[0])
    for place, (n_in, n_out, p) in enumerate(zip(widths[:-2], widths[1:-1], dropouts[1:], strict=True)):
        norm = first_bn or place > 0
        layers += [
            nn.Linear(n_in, n_out, bias=not norm),
            nn.ReLU(inplace=True),
            *_norm(n_out, wanted=norm),
            *_dropout(p),
        ]
    return [*layers, nn.Linear(widths[-2], widths[-1])]


def _norm(width: int, *, wanted: bool) -> list[nn.Module]:
    if not wanted:
        return []
    norm = nn.BatchNorm1d(width)
    nn.init.constant_(norm.bias, 1e-3)  # the book's; with the weight at 1
    return [norm]


def _dropout(p: float) -> list[nn.Module]:
    return [nn.Dropout(p)] if p else []
