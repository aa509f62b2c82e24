"""Class activation maps: heat maps without a gradient, for networks whose head is linear after its pooling.

A class activation map weights each channel of the last feature map by the weight that a label's output gives to its
average (Zhou et al., 2016, arXiv:1512.04150, equation 2). For such a head it equals Grad-CAM (Selvaraju et al., 2017,
arXiv:1610.02391, section 3.1): the gradient of an output is the same for every image. The gradient of a maximum is the
weight at one position and 0 elsewhere, so its mean over the positions is the weight divided by their number, as for an
average; weights of an average, of a maximum and of each cell of a finer pooling are therefore added.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from eyebright.models.build import ImageModel
from eyebright.models.heads import AdaptiveConcatPool2d

_POOLING = (AdaptiveConcatPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_WITHOUT_EFFECT = (nn.Dropout, nn.Identity, nn.Flatten)  # on the weights, in evaluation


def has_pooled_maps(model: ImageModel) -> bool:
    """Whether the head pools spatial feature maps; otherwise the backbone pools them."""
    return isinstance(model.head, nn.Sequential) and len(model.head) > 0 and isinstance(model.head[0], _POOLING)


def channel_weights(model: ImageModel) -> Float[np.ndarray, "k c"] | None:
    """The sum of the weights from each channel of the last feature map to each output, float32.

    The mean gradient of an output over the positions of the map is this sum divided by the number of positions. None if
    the head is not linear after a pooling, or the backbone pools itself.

    Args:
        model: its batch norms are used with their running statistics, whatever its mode.
    """
    if not has_pooled_maps(model):
        return None
    pooling, *layers = model.head.children()
    weight = _linear_weight(layers)
    if weight is None:
        return None
    n_parts = 1 + isinstance(pooling, AdaptiveConcatPool2d)
    each = weight.unflatten(1, (n_parts, -1, model.description.pool_size**2))
    return each.sum(dim=(1, 3)).float().numpy()


def _linear_weight(layers: list[nn.Module]) -> Float[Tensor, "k d"] | None:
    """The weight of the linear layer that is equivalent to all layers up to constants, float64; None without one."""
    weight: Tensor | None = None
    for layer in reversed(layers):
        if isinstance(layer, nn.Linear):
            own = layer.weight.detach().cpu().double()
            weight = own if weight is None else weight @ own
        elif isinstance(layer, nn.BatchNorm1d) and layer.running_var is not None:
            scale = torch.rsqrt(layer.running_var.detach().cpu().double() + layer.eps)
            scale = scale * layer.weight.detach().cpu().double() if layer.affine else scale
            weight = torch.diag(scale) if weight is None else weight * scale
        elif not isinstance(layer, _WITHOUT_EFFECT):
            return None
    return weight
