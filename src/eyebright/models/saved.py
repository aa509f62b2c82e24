"""Builds the model of saved weights, after a check without allocation that both belong together.

A description can name any architecture with any number of outputs. So the network is first built on torch's meta
device, which has shapes but no values, and only as far as it can match the weights; then it takes over the saved
tensors, which also saves the time of random initialisation.
"""

import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from eyebright.errors import InputError, WeightsError
from eyebright.models.build import ImageModel, ModelDescription, build_model

_HEAD = "head."
_MAX_EXTRA_TENSORS = 64  # additional parameters of a backbone before unused layers are removed
_MAX_EXTRA_VALUES = 100_000_000  # of them: the largest classifiers of timm


def build_saved(description: ModelDescription, state: Mapping[str, Tensor]) -> ImageModel:
    """The model of ``description`` with the weights ``state``, in evaluation mode.

    Args:
        description: the description of a saved model.
        state: its state dict; the model gets copies of the tensors.

    Raises:
        InputError: the weights do not match the description, or the backbone is unknown.
    """
    _check_head(description, state)
    with _no_larger_than(state):
        with torch.device("meta"):
            model = build_model(description, init=None)
        _check_shapes(model.state_dict(), state)
        # A few backbones compute tensors that are not saved with their weights, and these have no values yet.
        saved_tensors = {id(tensor) for tensor in model.state_dict(keep_vars=True).values()}
        if any(id(tensor) not in saved_tensors for tensor in _tensors(model.body)):
            model = build_model(description, init=None)
            model.load_state_dict(state)
            return model.eval()
    dtypes = {name: tensor.dtype for name, tensor in model.state_dict().items()}
    own = {name: tensor.to(dtypes[name], copy=True) for name, tensor in state.items()}
    model.load_state_dict(own, assign=True)
    return ImageModel(model.body, model.head, description).eval()


def _check_head(description: ModelDescription, state: Mapping[str, Tensor]) -> None:
    """Raises `InputError` unless the head's linear layers have the outputs of the description."""
    weights = [(name, tensor) for name, tensor in state.items() if name.startswith(_HEAD) and tensor.ndim == 2]
    found = [len(tensor) for _, tensor in sorted(weights, key=lambda pair: (len(pair[0]), pair[0]))]
    hidden = (512,) if description.lin_ftrs is None else description.lin_ftrs
    expected = [*hidden, description.n_out]
    if found != expected:
        raise InputError(f"the head has layers with {found[:8]} outputs, but the manifest has {expected[:8]}")


def _check_shapes(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Raises `InputError` unless the state dicts have the same tensors of the same shapes."""
    for name in chain(expected, state):
        wanted, given = expected.get(name), state.get(name)
        if wanted is None or given is None:
            raise InputError(f"the tensor '{name}' is {'missing' if given is None else 'not part of the model'}")
        if wanted.shape != given.shape:
            raise InputError(f"the tensor '{name}' has the shape {tuple(given.shape)}, not {tuple(wanted.shape)}")


@contextmanager
def _no_larger_than(state: Mapping[str, Tensor]) -> Generator[None]:
    """A context manager that stops building a network, in this thread, at far more parameters than ``state``."""
    thread = threading.get_ident()
    tensors, values = (
        len(state) * 2 + _MAX_EXTRA_TENSORS,
        sum(map(Tensor.numel, state.values())) * 2 + _MAX_EXTRA_VALUES,
    )
    counts = [0, 0]

    def count(module: nn.Module, name: str, parameter: Any) -> None:
        if threading.get_ident() != thread or not isinstance(parameter, Tensor):
            return
        counts[0] += 1
        counts[1] += parameter.numel()
        if counts[0] > tensors or counts[1] > values:
            raise WeightsError("the architecture is much larger than the weights")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    except WeightsError as error:  # not an `InputError`, which would become one of the backbone
        raise InputError(str(error)) from None
    finally:
        hook.remove()


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    """All tensors of a module: parameters, buffers, and those that are plain attributes."""
    for layer in module.modules():
        yield from chain(layer.parameters(recurse=False), layer.buffers(recurse=False))
        yield from (value for value in vars(layer).values() if isinstance(value, Tensor))
