"""The last spatial feature map of a model, and the gradient of a score with respect to it.

For a convolutional backbone this is its output. A vision transformer pools inside: its last tokens may be those after
the final norm (average pooling, attention pooling), but if only a class token is read, the patch tokens of its last
layers have no gradient, and the last ones with a gradient are the input of the last attention. So the outputs of all
layers are recorded, and the last with a gradient at the patches is used: no layer need be specified.
"""

import math
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eyebright.errors import InputError
from eyebright.models.build import ImageModel
from eyebright.models.timm_backbone import FeatureLayout, TimmBackbone

_MAX_PREFIX_TOKENS = 16  # most class and register tokens before those of the patches
_RATIO = 1.5  # largest factor between the aspect ratios of the tokens and of the image


@dataclass(frozen=True, eq=False)
class RecordedFeatures:
    """A forward pass with its feature maps.

    Args:
        outputs: the model's outputs.
        maps: the output of each layer with spatial positions, in order.
        is_tokens: whether the maps are tokens (b, n, c) and not maps (b, c, h, w).
        size: (height, width) of the images.
        prefix: number of tokens before those of the patches, as declared by the backbone.
    """

    outputs: Float[Tensor, "b ..."]
    maps: tuple[Tensor, ...]
    is_tokens: bool
    size: tuple[int, int]
    prefix: int

    def with_gradient(self, score: Float[Tensor, " b"]) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b c h w"]]:
        """(the last spatial map that the score depends on, the gradient of the score), without a graph.

        Args:
            score: one number for each image, computed from `outputs`.

        Raises:
            InputError: there is no such map.
        """
        found_gradients = torch.autograd.grad(score.sum(), self.maps, retain_graph=True, allow_unused=True)
        gradients = cast("tuple[Tensor | None, ...]", found_gradients)  # None: the score does not depend on it
        for values, gradient in zip(reversed(self.maps), reversed(gradients), strict=True):
            found = None if gradient is None else (self._as_maps(values), self._as_maps(gradient))
            if found is not None and (not self.is_tokens or bool(found[1].any())):
                return found[0].detach().float(), found[1].float()
        if not self.maps:
            raise InputError("this backbone has no spatial feature map, so it has no heat maps")
        return self._as_maps(self.maps[-1]).detach().float(), torch.zeros_like(self._as_maps(self.maps[-1])).float()

    def _as_maps(self, values: Tensor) -> Float[Tensor, "b c h w"]:
        if not self.is_tokens:
            return values
        prefix, height, width = _grid(values.shape[1], self.size, self.prefix) or (0, 1, values.shape[1])
        return values[:, prefix:].transpose(1, 2).unflatten(2, (height, width))


def record_features(model: ImageModel, images: Float[Tensor, "b c h w"]) -> RecordedFeatures:
    """A forward pass that keeps the feature maps.

    Args:
        model: the model, in evaluation mode.
        images: the images, in [0, 1], on the model's device.
    """
    body = model.body
    backbone = body.model if isinstance(body, TimmBackbone) and body.layout is FeatureLayout.TOKENS else None
    is_tokens = backbone is not None
    prefix, channels = (int(getattr(backbone, name, 0)) for name in ("num_prefix_tokens", "num_features"))
    size = images.shape[-2], images.shape[-1]
    with torch.inference_mode(mode=False), torch.enable_grad():
        inputs = images.clone().requires_grad_()
        with _recorded(list(body.modules()) if is_tokens else [body]) as kept:
            outputs = model(inputs)
        if is_tokens:  # others have the queries, keys and values of an attention
            maps = [
                activation
                for activation in kept
                if activation.ndim == 3 and activation.shape[2] == channels and _grid(activation.shape[1], size, prefix)
            ]
        else:
            maps = [activation for activation in kept if activation.ndim == 4]
    return RecordedFeatures(outputs, tuple(maps), is_tokens, size, prefix)


@contextmanager
def _recorded(layers: list[nn.Module]) -> Generator[list[Tensor]]:
    """A context manager whose list gets the outputs of the layers that are tensors with a gradient."""
    kept: list[Tensor] = []

    def keep(_layer: nn.Module, _given: Any, output: Any) -> None:
        if (
            isinstance(output, Tensor)
            and output.requires_grad
            and not any(output is activation for activation in kept[-4:])
        ):
            kept.append(output)

    with ExitStack() as hooks:
        for layer in layers:
            hooks.callback(layer.register_forward_hook(keep).remove)
        yield kept


def _grid(n_tokens: int, size: tuple[int, int], prefix: int) -> tuple[int, int, int] | None:
    """(tokens before the patches, rows, columns) of tokens whose rows and columns have the ratio of the image."""
    for before in (prefix, *range(_MAX_PREFIX_TOKENS)):
        n = n_tokens - before
        if n < 4:
            continue
        wanted = math.log(size[0] / size[1])
        rows = min((r for r in range(1, n + 1) if n % r == 0), key=lambda r: abs(math.log(r * r / n) - wanted))
        if abs(math.log(rows * rows / n) - wanted) < math.log(_RATIO):
            return before, rows, n // rows
    return None
