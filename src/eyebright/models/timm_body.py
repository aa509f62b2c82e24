"""timm's models as bodies: any of them, whatever shape its features have.

What comes out is one of two: maps (b, c, h, w), or, for models of tokens (ViT and kin) whose own pooling knows about
their class tokens, vectors (b, c). Which one it is, and how wide, is tried out when the body is made, so no list of
models has to be kept.
"""

import copy
from enum import Enum
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eyebright.errors import InputError, WeightsError
from eyebright.models.weights import Weights, mismatch
from eyebright.types import Size


class Form(Enum):
    """What a timm model's ``forward_features`` gives."""

    MAPS = "maps (b, c, h, w)"
    MAPS_CHANNELS_LAST = "maps (b, h, w, c)"
    TOKENS = "anything that the model's own forward_head pools to (b, c)"


class TimmBody(nn.Module):
    """A timm model up to its features; the names in its state dict are timm's behind ``model.``.

    Args:
        model: a timm model without its classifier.
        form: what its ``forward_features`` gives.
        width: channels of its features.
        fixed_size: the only image size that it can work with; None when it does not matter.
    """

    def __init__(self, model: nn.Module, *, form: Form, width: int, fixed_size: Size | None) -> None:
        super().__init__()
        self.model = model
        self.form = form
        self.width = width
        self.fixed_size = fixed_size

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b *features"]:
        """The features of ``x``, maps or vectors."""
        if self.fixed_size is not None and tuple(x.shape[-2:]) != self.fixed_size:
            raise InputError(
                f"this model was made for images of {self.fixed_size} and got {x.shape[-2]}x{x.shape[-1]};"
                " resize the images, or make the model with the size that they have"
            )
        return _features(self.model, x, self.form)


def create_timm_body(name: str, *, n_in: int, size: Size, weights: Weights | None) -> TimmBody:
    """The timm model ``name`` without its classifier.

    Args:
        name: a timm name.
        n_in: channels of the images; timm adapts the first layer of pretrained weights itself.
        size: of the images; matters for models that are made for one size.
        weights: by timm's names; None for random ones.

    Raises:
        InputError: the model cannot work with such images.
        WeightsError: the weights do not fit; the message names what differs.
    """
    import timm

    known: Any = timm.get_pretrained_cfg(name)
    fixed = size if known.fixed_input_size else None
    try:
        model = _create(name, n_in, fixed) if weights is None else _create_pretrained(name, n_in, fixed, weights)
        model.reset_classifier(0)
        form, width = _settle(model, n_in, size)
    except WeightsError:
        raise
    except Exception as error:  # any of a thousand models' own complaints
        images = f"images of {size} with {n_in} channel{'s' if n_in > 1 else ''}"
        raise InputError(f"the backbone '{name}' cannot work with {images}: {error}") from error
    return TimmBody(model, form=form, width=width, fixed_size=fixed)


def _create(name: str, n_in: int, fixed: Size | None, weights: Weights | None = None) -> Any:
    import timm

    return timm.create_model(
        name,
        pretrained=weights is not None,
        pretrained_cfg_overlay=None if weights is None else {"state_dict": dict(weights.state)},
        in_chans=n_in,
        img_size=None if fixed is None else tuple(fixed),
    )


def _create_pretrained(name: str, n_in: int, fixed: Size | None, weights: Weights) -> Any:
    """The model with ``weights`` in it; timm itself converts old layouts, other image sizes and other channels.

    timm loads strictly when the classifier is complete. A file of the user's own may have another classifier or none:
    the second try puts one of the right shape in its place, since it is cut off afterwards.
    """
    try:
        return _create(name, n_in, fixed, weights)
    except RuntimeError:
        fresh = _create(name, 3, None)
    expected: dict[str, Tensor] = fresh.state_dict()
    classifier = _classifier_names(fresh)
    state = {key: value for key, value in weights.state.items() if not key.startswith(classifier)}
    state |= {key: value for key, value in expected.items() if key.startswith(classifier)}
    try:
        return _create(name, n_in, fixed, Weights(state, weights.origin))
    except RuntimeError as error:
        difference = mismatch(expected, state) or f"is refused: {error}"
        raise WeightsError(f"{weights.origin} does not fit the backbone '{name}': it {difference}") from None


def _classifier_names(model: Any) -> tuple[str, ...]:
    names = model.pretrained_cfg.get("classifier") or ()
    return tuple(f"{name}." for name in ([names] if isinstance(names, str) else names))


def _settle(model: Any, n_in: int, size: Size) -> tuple[Form, int]:
    """Finds out what the features look like and drops the parts behind them; gives the form and the width.

    Tried on a copy on torch's meta device, which computes shapes only. Parts that get no gradient (the layers of the
    old head) would weigh down files and the optimizer, and stop distributed training.
    """
    trial = copy.deepcopy(model).to("meta").eval()
    image = torch.zeros(1, n_in, *size, device="meta")
    with torch.enable_grad():
        given = trial.forward_features(image)
        form = _form(given, trial.num_features)
        features = _arranged(trial, given, form)
        features.sum().backward()
    if features.ndim != (2 if form is Form.TOKENS else 4):
        raise InputError(f"its features have the shape {tuple(features.shape)}, neither maps nor vectors")
    for name, part in trial.named_children():
        parameters = list(part.parameters())
        if parameters and all(parameter.grad is None for parameter in parameters):
            setattr(model, name, nn.Identity())
    model.pretrained_cfg = model.default_cfg = {}  # they hold the pretrained tensors once more
    return form, features.shape[1]


def _form(features: Any, width: int) -> Form:
    if not isinstance(features, Tensor) or features.ndim != 4:
        return Form.TOKENS
    if features.shape[1] == width:
        return Form.MAPS
    return Form.MAPS_CHANNELS_LAST if features.shape[3] == width else Form.TOKENS


def _features(model: Any, x: Float[Tensor, "b c h w"], form: Form) -> Float[Tensor, "b *features"]:
    return _arranged(model, model.forward_features(x), form)


def _arranged(model: Any, features: Any, form: Form) -> Float[Tensor, "b *features"]:
    """What ``forward_features`` gave, as maps (b, c, h, w) or vectors (b, c)."""
    if form is Form.TOKENS:
        return model.forward_head(features, pre_logits=True)
    return features.permute(0, 3, 1, 2) if form is Form.MAPS_CHANNELS_LAST else features
