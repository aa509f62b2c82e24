"""The optimizer of a phase: torch's fused AdamW or SGD, with a learning rate per parameter group as in fastai.

Each parameter group becomes two in torch, one with weight decay and one without (norm layers and biases);
``param_groups`` has one entry for both, as in fastai. Torch's AdamW with betas (momentum, 0.99) and eps 1e-5 *is*
fastai's Adam.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from eyebright._choices import OptimizerName

FUSED_DEVICES = frozenset({"cpu", "cuda", "mps", "xpu"})
"""The types of devices for which torch has fused optimizers."""


class GroupedOptimizer:
    """Torch's optimizer over parameter groups, without weight decay of parameters with one axis (norms, biases).

    Args:
        groups: all parameters including frozen ones, backbone first, head last.
        kind: ``"adamw"`` or ``"sgd"``.
        weight_decay: the weight decay, decoupled from the gradient (arXiv:1711.05101).
    """

    def __init__(
        self, groups: Sequence[Sequence[nn.Parameter]], *, kind: OptimizerName = "adamw", weight_decay: float = 0.01
    ) -> None:
        self._groups = [list(group) for group in groups]
        torch_groups: list[dict[str, Any]] = []
        for group in self._groups:
            torch_groups.append({"params": [p for p in group if p.ndim > 1], "weight_decay": weight_decay})
            torch_groups.append({"params": [p for p in group if p.ndim <= 1], "weight_decay": 0.0})
        self.torch = _make(kind, torch_groups)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of fastai: parameters, learning rate, momentum and weight decay of each."""
        decaying = self.torch.param_groups[::2]
        return [
            {
                "params": group,
                "lr": torch_group["lr"],
                "mom": _momentum(torch_group),
                "weight_decay": torch_group["weight_decay"],
            }
            for group, torch_group in zip(self._groups, decaying, strict=True)
        ]

    def set(self, lrs: Sequence[float], momentum: float) -> None:
        """Sets the learning rate of each group of ``groups``, and the momentum (beta1 of AdamW) of all."""
        for number, torch_group in enumerate(self.torch.param_groups):
            torch_group["lr"] = lrs[number // 2]
            if "betas" in torch_group:
                torch_group["betas"] = (momentum, torch_group["betas"][1])
            else:
                torch_group["momentum"] = momentum

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

    def __init__(self, torch_groups: list[dict[str, Any]], *, momentum: float, fused: bool) -> None:
        self._decay = [torch_group["weight_decay"] for torch_group in torch_groups]
        super().__init__(
            [{**torch_group, "weight_decay": 0.0} for torch_group in torch_groups],
            lr=0.0,
            momentum=momentum,
            fused=fused,
        )
        # The loss scaler then checks the gradients itself, and a skipped update also skips the decay.
        self._step_supports_amp_scaling = False

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update."""
        for torch_group, decay in zip(self.param_groups, self._decay, strict=True):
            for parameter in torch_group["params"] if decay else ():
                if parameter.grad is not None:
                    parameter.mul_(1 - torch_group["lr"] * decay)
        return super().step(closure)


def _make(kind: OptimizerName, torch_groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    fused = all(p.device.type in FUSED_DEVICES for torch_group in torch_groups for p in torch_group["params"])
    if kind == "sgd":
        return DecoupledSGD(torch_groups, momentum=0.9, fused=fused)
    return torch.optim.AdamW(torch_groups, lr=0.0, betas=(0.9, 0.99), eps=1e-5, fused=fused)


def _momentum(torch_group: dict[str, Any]) -> float:
    return torch_group["betas"][0] if "betas" in torch_group else torch_group["momentum"]
