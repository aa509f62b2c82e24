"""A copy of a network with some modules replaced; parameters and all other modules are shared with the original."""

import copy
from collections.abc import Mapping
from typing import Any

from torch import nn


def swap_modules(model: nn.Module, replacements: Mapping[str, nn.Module]) -> nn.Module:
    """A copy of ``model`` with some submodules replaced; its tensors and other submodules are shared with ``model``.

    Args:
        model: stays unchanged.
        replacements: the new module for each submodule name, as in ``model.named_modules()``.
    """
    swapped = copy.deepcopy(model, _shared_objects(model, replacements))
    for name, module in replacements.items():
        swapped.set_submodule(name, module)
    return swapped


def _shared_objects(model: nn.Module, replacements: Mapping[str, nn.Module]) -> dict[int, Any]:
    """The ``memo`` of the deep copy: all tensors, and all modules that neither are nor contain a replaced one."""
    copied = {ancestor for name in replacements for ancestor in _with_ancestors(name)}
    shared: dict[int, Any] = {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}
    return shared | {id(module): module for name, module in model.named_modules() if name not in copied}


def _with_ancestors(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(len(parts) + 1)]
