"""The optimizer of a phase: torch's fused AdamW or SGD, with a learning rate per parameter group as in fastai.

Each parameter group becomes two in torch, because norm layers and biases get no weight decay; ``param_groups`` shows
the groups of fastai. Torch's AdamW with betas (momentum, 0.99) and eps 1e-5 *is* fastai's Adam.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from eyebright._choices import OptimizerName

FUSED = frozenset({"cpu", "cuda", "mps", "xpu"})


class GroupedOptimizer:
    """Torch's optimizer over parameter groups, without weight decay of norm layers and biases (all with one axis).

    Args:
        groups: all parameters including frozen ones, backbone first, head last.
        kind: ``"adamw"`` or ``"sgd"``.
        weight_decay: decoupled from the gradient (arXiv:1711.05101).
    """

    def __init__(
        self, groups: Sequence[Sequence[nn.Parameter]], *, kind: OptimizerName = "adamw", weight_decay: float = 0.01
    ) -> None:
        self._groups = [list(group) for group in groups]
        halves: list[dict[str, Any]] = []
        for group in self._groups:
            halves.append({"params": [p for p in group if p.ndim > 1], "weight_decay": weight_decay})
            halves.append({"params": [p for p in group if p.ndim <= 1], "weight_decay": 0.0})
        self.torch = _make(kind, halves)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of fastai: parameters, learning rate, momentum and weight decay of each."""
        decaying = self.torch.param_groups[::2]
        return [
            {"params": group, "lr": half["lr"], "mom": _momentum(half), "weight_decay": half["weight_decay"]}
            for group, half in zip(self._groups, decaying, strict=True)
        ]

    def set(self, lrs: Sequence[float], momentum: float) -> None:
        """Sets the learning rate of each group, and the momentum of all."""
        for number, half in enumerate(self.torch.param_groups):
            half["lr"] = lrs[number // 2]
            if "betas" in half:
                half["betas"] = (momentum, half["betas"][1])
            else:
                half["momentum"] = momentum

    def gradients(self) -> list[Tensor]:
        """The gradients of all parameters that have one."""
        return [p.grad for group in self._groups for p in group if p.grad is not None]

    def zero_grad(self) -> None:
        """Sets the gradients to None."""
        for group in self._groups:
            for parameter in group:
                parameter.grad = None


class DecoupledSGD(torch.optim.SGD):
    """SGD with decoupled weight decay, which does not enter the momentum (arXiv:1711.05101, algorithm 1)."""

    def __init__(self, halves: list[dict[str, Any]], *, momentum: float, fused: bool) -> None:
        self._decay = [half["weight_decay"] for half in halves]
        super().__init__([{**half, "weight_decay": 0.0} for half in halves], lr=0.0, momentum=momentum, fused=fused)
        # The loss scaler then checks the gradients itself, and a skipped update also skips the decay.
        self._step_supports_amp_scaling = False

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update."""
        for half, decay in zip(self.param_groups, self._decay, strict=True):
            for parameter in half["params"] if decay else ():
                if parameter.grad is not None:
                    parameter.mul_(1 - half["lr"] * decay)
        return super().step(closure)


def _make(kind: OptimizerName, halves: list[dict[str, Any]]) -> torch.optim.Optimizer:
    fused = all(p.device.type in FUSED for half in halves for p in half["params"])
    if kind == "sgd":
        return DecoupledSGD(halves, momentum=0.9, fused=fused)
    return torch.optim.AdamW(halves, lr=0.0, betas=(0.9, 0.99), eps=1e-5, fused=fused)


def _momentum(half: dict[str, Any]) -> float:
    return half["betas"][0] if "betas" in half else half["momentum"]
