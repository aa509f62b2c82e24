"""Any timm model as a backbone.

Features are maps (b, c, h, w) or, for token models such as ViT, vectors (b, c) pooled by timm's own ``forward_head``,
which handles class tokens. Layout and number of channels are found by a trial forward pass when the backbone is built,
so that no list of models has to be maintained.
"""

import copy
from collections.abc import Hashable
from enum import Enum
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eyebright.errors import InputError, WeightsError
from eyebright.models.weights import Weights, mismatch
from eyebright.types import Size


class FeatureLayout(Enum):
    """Layout of the features that a timm model's ``forward_features`` returns."""

    MAPS = "feature maps (b, c, h, w)"
    MAPS_CHANNELS_LAST = "feature maps (b, h, w, c)"
    TOKENS = "any other, pooled to (b, c) by the model's forward_head"


class _Inspection(NamedTuple):
    """What a trial pass of an architecture found: the features, and the names of layers that they do not depend on."""

    layout: FeatureLayout
    num_features: int
    unused: tuple[str, ...]


_INSPECTION_CACHE: dict[Hashable, _Inspection] = {}
"""What was found of the last architectures, by name, input and the shapes of their tensors: a function of these."""
_MAX_CACHED = 16


class TimmBackbone(nn.Module):
    """A timm model without its classifier; the keys of its state dict are timm's with the prefix ``model.``.

    Args:
        model: a timm model without its classifier.
        layout: layout of its ``forward_features``.
        num_features: channels of its features.
        fixed_size: the only image size (h, w) that it accepts; None for any size.
    """

    def __init__(self, model: nn.Module, *, layout: FeatureLayout, num_features: int, fixed_size: Size | None) -> None:
        super().__init__()
        self.model = model
        self.layout = layout
        self.num_features = num_features
        self.fixed_size = fixed_size

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b *features"]:
        """The features of ``x``: maps (b, c, h, w) or vectors (b, c).

        Raises:
            InputError: the images do not have the model's fixed size.
        """
        if self.fixed_size is not None and tuple(x.shape[-2:]) != self.fixed_size:
            raise InputError(
                f"this model was built for images of {self.fixed_size} and got {x.shape[-2]}x{x.shape[-1]};"
                " resize the images, or build the model for their size"
            )
        model: Any = self.model
        return _to_maps_or_vectors(model, model.forward_features(x), self.layout)


def create_timm_backbone(name: str, *, n_in: int, size: Size, weights: Weights | None) -> TimmBackbone:
    """The timm model ``name`` without its classifier.

    Args:
        name: a timm name.
        n_in: number of image channels; timm adapts the first layer of pretrained weights.
        size: image size (h, w) in pixels; only models with a fixed input size depend on it.
        weights: pretrained weights with timm's parameter names; None for random initialisation.

    Raises:
        InputError: the model cannot process images of this size and number of channels.
        WeightsError: the weights do not fit the model; the message lists the differing tensors.
    """
    import timm

    config: Any = timm.get_pretrained_cfg(name)
    fixed_size = size if config.fixed_input_size else None
    try:
        model = _create_model(name, n_in, fixed_size, weights)
        model.reset_classifier(0)
        layout, num_features, unused = _inspection(name, model, n_in, size)
    except WeightsError:
        raise
    except Exception as error:  # timm's models raise exceptions of many types for input that they cannot process
        images = f"images of {size} with {n_in} channel{'s' if n_in > 1 else ''}"
        raise InputError(f"the backbone '{name}' cannot process {images}: {error}") from error
    for child in unused:
        setattr(model, child, nn.Identity())
    model.pretrained_cfg = model.default_cfg = {}  # they hold a second copy of the pretrained tensors
    return TimmBackbone(model, layout=layout, num_features=num_features, fixed_size=fixed_size)


def _create_model(name: str, n_in: int, fixed_size: Size | None, weights: Weights | None) -> Any:
    """The timm model; timm converts weights of old versions, other image sizes and other numbers of channels.

    timm loads weights strictly, classifier included. A user's own file may have another classifier or none: then the
    second attempt takes the classifier from a new model, since it is removed afterwards.
    """
    if weights is None:
        return _timm_create_model(name, n_in, fixed_size)
    try:
        return _timm_create_model(name, n_in, fixed_size, weights)
    except RuntimeError:
        new = _timm_create_model(name, 3, None)
    expected: dict[str, Tensor] = new.state_dict()
    classifier = _classifier_prefixes(new)
    state = {key: value for key, value in weights.state.items() if not key.startswith(classifier)}
    state |= {key: value for key, value in expected.items() if key.startswith(classifier)}
    try:
        return _timm_create_model(name, n_in, fixed_size, Weights(state, weights.origin))
    except RuntimeError as error:
        difference = mismatch(expected, state) or str(error)
        raise WeightsError(
            f"the weights from {weights.origin} do not fit the backbone '{name}': {difference}"
        ) from None


def _timm_create_model(name: str, n_in: int, fixed_size: Size | None, weights: Weights | None = None) -> Any:
    import timm

    return timm.create_model(
        name,
        pretrained=weights is not None,
        pretrained_cfg_overlay=None if weights is None else {"state_dict": dict(weights.state)},
        in_chans=n_in,
        img_size=None if fixed_size is None else tuple(fixed_size),
    )


def _classifier_prefixes(model: Any) -> tuple[str, ...]:
    names = model.pretrained_cfg.get("classifier") or ()
    return tuple(f"{name}." for name in ([names] if isinstance(names, str) else names))


def _inspection(name: str, model: Any, n_in: int, size: Size) -> _Inspection:
    """What `_inspect` finds; once for each architecture, since it takes longer than making a small model."""
    shapes = tuple((key, tuple(tensor.shape)) for key, tensor in model.state_dict().items())
    known = (name, n_in, size, shapes)
    found = _INSPECTION_CACHE.get(known)
    if found is None:
        found = _inspect(model, n_in, size)
        if len(_INSPECTION_CACHE) >= _MAX_CACHED:
            _INSPECTION_CACHE.clear()
        _INSPECTION_CACHE[known] = found
    return found


def _inspect(model: Any, n_in: int, size: Size) -> _Inspection:
    """The layout and number of channels of the features, and the layers that the features do not depend on.

    Found by a forward and backward pass of a copy on torch's meta device, which computes shapes only. Layers without a
    gradient (the rest of timm's head) would enlarge files and optimizer state and make distributed training fail.
    """
    with torch.inference_mode(mode=False), torch.enable_grad():  # also where the caller has switched gradients off
        trial = copy.deepcopy(model).to("meta").eval()
        image = torch.zeros(1, n_in, *size, device="meta")
        raw = trial.forward_features(image)
        layout = _layout(raw, trial.num_features)
        features = _to_maps_or_vectors(trial, raw, layout)
        features.sum().backward()
    if features.ndim != (2 if layout is FeatureLayout.TOKENS else 4):
        raise InputError(f"its features have the shape {tuple(features.shape)}, neither maps nor vectors")
    children = {name: list(child.parameters()) for name, child in trial.named_children()}
    unused = [
        name
        for name, parameters in children.items()
        if parameters and all(parameter.grad is None for parameter in parameters)
    ]
    return _Inspection(layout, features.shape[1], tuple(unused))


def _layout(features: Any, num_features: int) -> FeatureLayout:
    if not isinstance(features, Tensor) or features.ndim != 4:
        return FeatureLayout.TOKENS
    if features.shape[1] == num_features:
        return FeatureLayout.MAPS
    return FeatureLayout.MAPS_CHANNELS_LAST if features.shape[3] == num_features else FeatureLayout.TOKENS


def _to_maps_or_vectors(model: Any, features: Any, layout: FeatureLayout) -> Float[Tensor, "b *features"]:
    """The output of ``forward_features`` as maps (b, c, h, w) or vectors (b, c)."""
    if layout is FeatureLayout.TOKENS:
        return model.forward_head(features, pre_logits=True)
    return features.permute(0, 3, 1, 2) if layout is FeatureLayout.MAPS_CHANNELS_LAST else features
