"""What timm needs to load the backbone of a saved model by ``timm.create_model("hf-hub:...", pretrained=True)``.

timm reads ``config.json`` and the file of weights that it names, strictly: every tensor must belong to timm's model. In
``model.safetensors`` the names have a prefix, and there are tensors of the head. So the backbone's weights are in a
separate file, with timm's names.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from eyebright.models.build import ModelDescription

CONFIG = "config.json"
BACKBONE = "backbone.safetensors"
_PREFIXES = ("body.model.", "body.")


class TimmFiles(NamedTuple):
    """The configuration and the weights of a backbone, for timm.

    Args:
        config: the content of ``config.json``.
        state: the weights by timm's names.
        unused: names of layers that the model never used, with the values of a new network.
    """

    config: dict[str, Any]
    state: dict[str, Tensor]
    unused: tuple[str, ...]


def timm_files(description: ModelDescription, state: Mapping[str, Tensor]) -> TimmFiles | None:
    """The backbone of a saved model as timm loads it; None if timm has no such architecture, or other tensors for it.

    Args:
        description: the description of the model.
        state: its weights.
    """
    import timm

    arch = description.arch
    if not timm.is_model(arch.split(".")[0]):
        return None
    prefix = next(candidate for candidate in _PREFIXES if any(name.startswith(candidate) for name in state))
    own = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    known: Any = timm.get_pretrained_cfg(arch.split(".")[0])
    size = tuple(description.input.size)
    arguments: dict[str, Any] = {"num_classes": 0, "in_chans": description.n_in}
    if known.fixed_input_size:
        arguments["img_size"] = list(size)
    with torch.random.fork_rng():
        new: Any = timm.create_model(arch, pretrained=False, **arguments)
    expected: dict[str, Tensor] = new.state_dict()
    if any(name not in expected or expected[name].shape != tensor.shape for name, tensor in own.items()):
        return None
    unused = tuple(name for name in expected if name not in own)
    config = {
        "architecture": arch.split(".")[0],
        "num_classes": 0,
        "num_features": int(new.num_features),
        "pretrained_cfg": {
            "tag": "eyebright",
            "input_size": [description.n_in, *size],
            "fixed_input_size": bool(known.fixed_input_size),
            "interpolation": "bilinear",  # as canonical pixels are resized
            "mean": list(description.input.mean),
            "std": list(description.input.std),
            "num_classes": 0,
            "first_conv": known.first_conv,
            "classifier": known.classifier,
            "hf_hub_filename": BACKBONE,
        },
        "model_args": arguments,
    }
    return TimmFiles(config, {name: own.get(name, expected[name]) for name in expected}, unused)
