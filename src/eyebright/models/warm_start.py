"""`warm_start`: gives a model the backbone, the normalisation and the shared outputs of a saved one."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from eyebright.errors import InputError
from eyebright.models.build import ImageModel
from eyebright.models.weights import mismatch


def warm_start(
    model: ImageModel,
    saved: ImageModel,
    rows: Sequence[int | None],
    *,
    init: Callable[[Tensor], Any] | None = nn.init.kaiming_normal_,
) -> None:
    """Gives a model the backbone, the normalisation and the head of a saved one; its image size stays.

    Args:
        model: changed in place, with its description.
        saved: the saved weights, of the same architecture; unchanged.
        rows: for each output of the model, the index of the saved output whose weights it starts from; None: new.
        init: initialises a weight matrix in place, for new outputs; their bias is 0. None: weights of 0.

    Raises:
        InputError: the backbones differ, for example because it takes images of one size only.
    """
    if difference := mismatch(model.body.state_dict(), saved.body.state_dict()):
        mine, other = model.description, saved.description
        raise InputError(
            f"the weights of {other.arch} for images of {other.input.size} do not fit {mine.arch} for images of "
            f"{mine.input.size}: {difference}"
        )
    parameter = next(model.head.parameters())
    model.body.load_state_dict(saved.body.state_dict())
    model.head = _head_with_outputs(saved.head, rows, init).to(device=parameter.device, dtype=parameter.dtype)
    with torch.no_grad():
        model.mean.copy_(saved.mean)
        model.std.copy_(saved.std)
    own, saved_description = model.description, saved.description
    images = replace(saved_description.input, size=own.input.size)
    model.description = replace(saved_description, n_out=len(rows), output_shape=own.output_shape, input=images)
    model.backbone_was_trained = saved.backbone_was_trained


def _head_with_outputs(
    saved: nn.Module, rows: Sequence[int | None], init: Callable[[Tensor], Any] | None
) -> nn.Sequential:
    """A copy of a saved head with other outputs, by its last linear layer and the batch norm behind it."""
    layers = list(copy.deepcopy(saved).children())
    last = max(index for index, layer in enumerate(layers) if isinstance(layer, nn.Linear))
    for index in range(last, len(layers)):
        layer = layers[index]
        if isinstance(layer, nn.Linear):
            layers[index] = _linear_with_outputs(layer, rows, init)
        elif isinstance(layer, nn.BatchNorm1d):
            layers[index] = _with_rows(layer, nn.BatchNorm1d(len(rows), layer.eps, layer.momentum), rows)
    return nn.Sequential(*layers)


def _linear_with_outputs(
    layer: nn.Linear, rows: Sequence[int | None], init: Callable[[Tensor], Any] | None
) -> nn.Module:
    new = nn.Linear(layer.in_features, len(rows), bias="bias" in layer.state_dict())
    with torch.no_grad():
        for parameter in new.parameters():
            parameter.zero_()
    if init is not None:
        init(new.weight)
    return _with_rows(layer, new, rows)


def _with_rows(layer: nn.Module, new: nn.Module, rows: Sequence[int | None]) -> nn.Module:
    """The new layer with the values of the saved one for the outputs that both have."""
    kept = [index for index, row in enumerate(rows) if row is not None]
    origin = [row for row in rows if row is not None]
    values = layer.state_dict()
    with torch.no_grad():
        for name, tensor in new.state_dict().items():
            if tensor.ndim:
                tensor[kept] = values[name][origin].to(tensor)
            else:
                tensor.copy_(values[name])
    return new
