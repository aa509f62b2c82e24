"""The one seam to devices, number formats and other processes, on Hugging Face accelerate.

Nothing else knows how many processes there are. accelerate's state is made when it is first needed and never reset:
a user's own ``Accelerator`` and this seam see the same processes. Its global mixed-precision switch is left alone:
autocast and loss scaling belong to one ``Device``, so two models of one program may differ.
"""

import contextlib
import hashlib
import os
from collections.abc import Generator, Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from eyebright.errors import InputError, did_you_mean, listing
from eyebright.train.optimizer import GroupedOptimizer

Precision = Literal["float32", "bfloat16", "float16"]

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


class Device:
    """Where a model is trained, and in which numbers.

    Args:
        name: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; None for the best that is there.
        precision: ``"float32"``, ``"bfloat16"``, ``"float16"``, or ``"auto"``: float32 until ``settle`` is called.
    """

    def __init__(self, name: str | None = None, precision: str = "auto") -> None:
        if precision not in PRECISIONS:
            near = did_you_mean(precision, PRECISIONS)
            raise InputError(f"unknown precision '{precision}'.{near} The known: {listing(PRECISIONS)}")
        self.torch_device = _torch_device(name)
        self.processes, self.rank = _processes(self.torch_device)
        self.settled = precision != "auto"
        self.precision, self.why = _possible(precision, self.torch_device, "as asked")
        self.scaler = _scaler(self.precision, self.torch_device)

    def settle(self, precision: str, why: str) -> None:
        """Takes a precision, and why, where ``"auto"`` was asked for and nothing has been chosen yet."""
        if not self.settled:
            self.precision, self.why = _possible(precision, self.torch_device, why)
            self.scaler = _scaler(self.precision, self.torch_device)
            self.settled = True

    def place(self, model: nn.Module) -> nn.Module:
        """The same model, on this device and with its channels last."""
        return model.to(self.torch_device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def move(self, batch: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The batch on this device; pictures (b c h w) with their channels last."""
        return tuple(
            tensor.to(self.torch_device, non_blocking=True, memory_format=torch.channels_last)
            if tensor.ndim == 4
            else tensor.to(self.torch_device, non_blocking=True)
            for tensor in batch
        )

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Inside, what may be computed in the chosen precision is."""
        if self.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.torch_device.type, dtype=getattr(torch, self.precision))

    def backward(self, loss: Tensor) -> None:
        """Adds the gradient of ``loss``, scaled up where float16 needs it."""
        (self.scaler.scale(loss) if self.scaler else loss).backward()

    def update(self, optimizer: GroupedOptimizer, clip: float | None) -> None:
        """One step of the optimizer with gradients no longer than ``clip``, and none left after it."""
        if self.scaler and clip:
            self.scaler.unscale_(optimizer.torch)
        if clip:
            parameters = [p for group in optimizer.torch.param_groups for p in group["params"]]
            nn.utils.clip_grad_norm_(parameters, clip)
        if self.scaler:
            self.scaler.step(optimizer.torch)
            self.scaler.update()
        else:
            optimizer.torch.step()
        optimizer.drop_gradients()

    @contextlib.contextmanager
    def randomness(self, seed: int, step: int) -> Generator[None, None, None]:
        """Random numbers (dropout) that depend on the seed, the step and the process only; global generators rest."""
        counted = hashlib.blake2b(f"{seed} {step} {self.rank}".encode(), digest_size=8)
        generators = _global_generators(self.torch_device)
        states = [generator.get_state() for generator in generators]
        try:
            for generator in generators:
                generator.manual_seed(int.from_bytes(counted.digest()))
            yield
        finally:
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)

    def parallel(self, model: nn.Module) -> nn.Module:
        """The model to call in training: itself, or wrapped so that the processes share their gradients."""
        if self.processes == 1 or not any(p.requires_grad for p in model.parameters()):
            return model
        ids = [self.torch_device.index] if self.torch_device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(model, device_ids=ids)

    def gather(self, tensor: Tensor) -> Tensor:
        """The rows of all processes, process after process, none twice; they may hold different numbers of rows."""
        if self.processes == 1:
            return tensor
        from accelerate.utils import gather, pad_across_processes

        lengths: Any = gather(torch.tensor([len(tensor)], device=self.torch_device))
        padded: Any = gather(pad_across_processes(tensor.to(self.torch_device)))
        return torch.cat([part[:n] for part, n in zip(padded.chunk(self.processes), lengths.tolist(), strict=True)])

    def wait(self) -> None:
        """Returns when every process is here."""
        if self.processes > 1:
            torch.distributed.barrier()

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and talks."""
        return self.rank == 0


def _torch_device(name: str | None) -> torch.device:
    device = _state(cpu=not torch.accelerator.is_available()).device if name is None else name
    try:
        return torch.empty(0, device=device).device  # with its number, where it has one
    except (RuntimeError, AssertionError) as reason:
        best = torch.accelerator.current_accelerator(check_available=True)
        there = listing(["cpu", best] if best else ["cpu"])
        first = str(reason).splitlines()[0]  # torch's own answer can have a hundred lines
        raise InputError(f"cannot use the device '{name}'; there is {there} ({first})") from None


def _global_generators(device: torch.device) -> list[torch.Generator]:
    if device.type not in ("cuda", "xpu"):
        return [torch.default_generator]
    return [torch.default_generator, torch.get_device_module(device).default_generators[device.index]]


def _processes(device: torch.device) -> tuple[int, int]:
    if not torch.distributed.is_initialized() and int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return 1, 0
    state = _state(cpu=device.type == "cpu")
    return state.num_processes, state.process_index


def _state(*, cpu: bool) -> Any:
    from accelerate import PartialState  # imported when needed: it reads the environment and joins the other processes

    return PartialState(cpu=cpu)


def _possible(precision: str, device: torch.device, why: str) -> tuple[Precision, str]:
    if precision == "auto":
        return "float32", "float32: nothing else has been tried for this model yet"
    if precision == "float16" and device.type != "cuda":
        return (
            "bfloat16",
            f"bfloat16: float16 was asked for, but its gradients need a GPU's loss scaling, not '{device}'",
        )
    return cast("Precision", precision), f"{precision}: {why}"


def _scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler | None:
    return torch.amp.GradScaler(device.type) if precision == "float16" else None
