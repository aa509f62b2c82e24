"""An exponential moving average (EMA) of the weights (Polyak and Juditsky, 1992, doi:10.1137/0330046).

The decay after n updates is min(decay, (1 + n) / (10 + n)), so that the initial weights soon lose their influence.
"""

import contextlib
from collections.abc import Generator, Mapping

import torch
from torch import Tensor, nn


class AveragedWeights:
    """An exponential moving average of a model's parameters and buffers.

    Args:
        model: the model that is trained.
        decay: the weight of the past at every update, for example 0.999.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._live = {name: tensor.detach() for name, tensor in model.state_dict().items()}
        self._decay = decay
        self.weights = {name: tensor.clone() for name, tensor in self._live.items()}
        self.updates = 0
        self._model_has_average = False

    @torch.no_grad()
    def update(self) -> None:
        """Adds the current weights to the average."""
        self.updates += 1
        self._model_has_average = False
        decay = min(self._decay, (1 + self.updates) / (10 + self.updates))
        for name, live in self._live.items():
            if live.is_floating_point():
                self.weights[name].lerp_(live, 1 - decay)
            else:
                self.weights[name].copy_(live)

    @torch.no_grad()
    def copy_to_model(self) -> None:
        """Copies the averaged weights into the model, unless it already has them."""
        if not self._model_has_average:
            for name, live in self._live.items():
                live.copy_(self.weights[name])
            self._model_has_average = True

    @contextlib.contextmanager
    def in_model(self, *, keep: bool) -> Generator[None, None, None]:
        """A context manager in which the model has the averaged weights.

        Running statistics that are recomputed inside belong to the averaged weights, and are stored with them.

        Args:
            keep: True: the model keeps the averaged weights, except after an error; False: its own are restored.
        """
        own = {name: live.clone() for name, live in self._live.items()}
        try:
            self.copy_to_model()
            yield
        except BaseException:
            self._copy_to_model(own)
            raise
        with torch.no_grad():
            for name, live in self._live.items():
                self.weights[name].copy_(live)
        if not keep:
            self._copy_to_model(own)

    @torch.no_grad()
    def _copy_to_model(self, own: Mapping[str, Tensor]) -> None:
        self._model_has_average = False
        for name, live in self._live.items():
            live.copy_(own[name])
