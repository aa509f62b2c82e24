"""WiSE-FT: weights on the line between those of the frozen and of the fine-tuned model (Wortsman et al., 2022).

Fine-tuning on few images adds noise to weights that millions of images have determined. On the way back to the frozen
model that noise shrinks faster than what was learnt, so a model between the two is often better than both
(arXiv:2109.01903).
"""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from eyebright._defaults import WISE_FT
from eyebright.errors import InputError

Weights = Mapping[str, Tensor]
"""Weights and buffers by name, as in a ``state_dict``, on the CPU."""


def copied_weights(model: nn.Module) -> Weights:
    """A copy of the weights and buffers of a model."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in model.state_dict().items()}


def possible_shares(share: float | None, *, keeps_statistics: bool) -> Sequence[float]:
    """The shares of the fine-tuned weights to choose from.

    Args:
        share: one share, in (0, 1]; None to choose.
        keeps_statistics: whether batch norms keep their pretrained statistics; others are not averaged.

    Raises:
        InputError: the share is out of range, or would average statistics.
    """
    if share is None:
        return tuple(part / whole for part, whole in WISE_FT) if keeps_statistics else (1.0,)
    if not 0 < share <= 1:
        raise InputError(f"`wise_ft`, the share of the fine-tuned weights, must be above 0, at most 1, got {share}")
    if share < 1 and not keeps_statistics:
        raise InputError(
            f"`wise_ft={share:g}` averages weights, and an average of batch-norm statistics fits neither model: "
            "give `keep_statistics=True`, or `wise_ft=1`"
        )
    return (share,)


def use_best_share(model: nn.Module, start: Weights, shares: Sequence[float], loss: Callable[[], float]) -> float:
    """The share with the lowest loss; the model gets its weights.

    Args:
        model: fine-tuned.
        start: the weights of the frozen model.
        shares: shares of the fine-tuned weights; the first of equal ones is taken.
        loss: the validation loss of the model as it is; it is not called for a single share.
    """
    end = copied_weights(model)
    best = shares[0]
    if len(shares) > 1:
        losses: dict[float, float] = {}
        for share in shares:
            interpolate_weights(model, start, end, share)
            value = loss()
            losses[share] = math.inf if math.isnan(value) else value
        best = min(shares, key=losses.__getitem__)
    interpolate_weights(model, start, end, best)
    return best


def interpolate_weights(model: nn.Module, start: Weights, end: Weights, share: float) -> None:
    """Gives a model the weights ``start + share * (end - start)``; integers, such as numbers of batches, are the end's.

    Args:
        model: changed in place.
        start: weights and buffers.
        end: others of the same shapes.
        share: 0 for those at the start, 1 for those at the end.
    """
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            between = torch.lerp(start[name], end[name], share) if end[name].is_floating_point() else end[name]
            tensor.copy_(between)
