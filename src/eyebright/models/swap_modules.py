"""A second way through a network, with other modules in some places and everything else shared."""

import copy
from collections.abc import Mapping
from typing import Any

from torch import nn


def replaced(model: nn.Module, others: Mapping[str, nn.Module]) -> nn.Module:
    """The model with other modules in the places of these names; all tensors and all other modules are the model's own.

    Args:
        model: stays as it is.
        others: for the name of a module what stands in its place.
    """
    view = copy.deepcopy(model, _shared(model, others))
    for name, other in others.items():
        view.set_submodule(name, other)
    return view


def _shared(model: nn.Module, names: Mapping[str, nn.Module]) -> dict[int, Any]:
    """What a deep copy takes as it is: all tensors, and every module that has none of these names in it."""
    copied = {name for long in names for name in _with_parents(long)}
    shared: dict[int, Any] = {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}
    return shared | {id(module): module for name, module in model.named_modules() if name not in copied}


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(len(parts) + 1)]
