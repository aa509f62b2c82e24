"""`Device`: the device of a training run, its precision, and the other processes, based on Hugging Face accelerate.

No other module depends on the number of processes. The state of accelerate is created when it is first needed and never
reset, so a user's own ``Accelerator`` sees the same processes. Its global mixed-precision setting is not used: autocast
and loss scaling belong to a `Device`, so two models in one program can have different precisions.
"""

import contextlib
import hashlib
import inspect
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar, cast, get_args

import torch
from torch import Tensor, nn

from eyebright._choices import Precision, TrainingPrecision
from eyebright._defaults import TRAINING_PRECISION
from eyebright._system.device import choose_device
from eyebright.errors import EyebrightError, InputError, check_choice
from eyebright.models.batchnorm.sync import sync_batch_norms
from eyebright.train.optimizer import GroupedOptimizer

T = TypeVar("T")


class Device:
    """The device of the model, its precision, and all training processes, like an ``Accelerator`` of accelerate.

    Args:
        name: the name of the device, as for `eyebright._system.device.choose_device`.
        precision: ``"float32"``, ``"bfloat16"``, ``"float16"``, or ``"auto"``: float32 until `set_precision` is called.

    Attributes:
        torch_device: the device.
        world_size: number of processes.
        rank: the rank of this process, from 0.
        precision: the precision of autocast; weights stay float32.
        precision_reason: the reason for the choice, as a sentence.
        precision_is_set: False for ``"auto"`` until a precision is chosen.
        scaler: the gradient scaler for float16; otherwise None.

    Raises:
        InputError: the device or the precision is unknown.
    """

    def __init__(self, name: str | torch.device | None = None, precision: str = TRAINING_PRECISION) -> None:
        check_choice("`precision`", precision, get_args(TrainingPrecision))
        self.torch_device = choose_device(name)
        self.world_size, self.rank = _world(self.torch_device)
        self.precision_is_set = precision != "auto"
        self.precision, self.precision_reason = _supported(precision, self.torch_device, "as asked")
        self.scaler = _scaler(self.precision, self.torch_device)

    def set_precision(self, precision: str, reason: str) -> None:
        """Sets the precision if it is ``"auto"`` and has not been chosen yet."""
        if not self.precision_is_set:
            self.precision, self.precision_reason = _supported(precision, self.torch_device, reason)
            self.scaler = _scaler(self.precision, self.torch_device)
            self.precision_is_set = True

    def to_device(self, model: nn.Module) -> nn.Module:
        """The same model, on this device and in channels_last order."""
        return model.to(self.torch_device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """A context with autocast to the precision of the device."""
        if self.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.torch_device.type, dtype=getattr(torch, self.precision))

    def backward(self, loss: Tensor) -> None:
        """Adds the gradient of ``loss``, scaled for float16."""
        (self.scaler.scale(loss) if self.scaler else loss).backward()

    def update(self, optimizer: GroupedOptimizer, clip: float | None) -> None:
        """Takes a step of the optimizer, the norm of the gradient clipped to ``clip``; then resets the gradients."""
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
        optimizer.zero_grad()

    @contextlib.contextmanager
    def fork_rng(self, seed: int, step: int) -> Generator[None, None, None]:
        """A context in which torch's random numbers depend only on seed, step and rank; generators are restored.

        Args:
            seed: the seed of the run.
            step: the number of the step.
        """
        counters = hashlib.blake2b(f"{seed} {step} {self.rank}".encode(), digest_size=8)
        generators = _global_generators(self.torch_device)
        states = [generator.get_state() for generator in generators]
        try:
            for generator in generators:
                generator.manual_seed(int.from_bytes(counters.digest()))
            yield
        finally:
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)

    def data_parallel(self, model: nn.Module) -> nn.Module:
        """The model to call in training: itself, or a wrapper that shares gradients and statistics among processes.

        Args:
            model: the model, with its modules in the modes of training.
        """
        if self.world_size == 1 or not any(p.requires_grad for p in model.parameters()):
            return self.sync_batch_norms(model)
        ids = [self.torch_device.index] if self.torch_device.type == "cuda" else None
        # Every process computes the same statistics: buffers need not be sent. Newer torch renamed the argument.
        known = inspect.signature(nn.parallel.DistributedDataParallel).parameters
        no_buffers: dict[str, Any] = {
            "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers": False
        }
        return nn.parallel.DistributedDataParallel(self.sync_batch_norms(model), device_ids=ids, **no_buffers)

    def sync_batch_norms(self, model: nn.Module) -> nn.Module:
        """The model with batch norms that, in training mode, use the statistics of the batches of all processes."""
        return model if self.world_size == 1 else sync_batch_norms(model, self.all_reduce)

    def scale_loss(self, loss: Tensor, weight: Tensor | int) -> "ScaledLoss":
        """This process's loss, scaled so that the mean gradient of all processes is that of the whole batch's loss.

        Args:
            loss: the mean loss over this process's part of the batch.
            weight: the weight of this part, usually its number of images.
        """
        if self.world_size == 1:
            return ScaledLoss(loss, loss.detach(), weight)
        own = loss.new_tensor([float(weight), 0], dtype=torch.float64)
        own[1] = loss.detach() * own[0]
        total_weight, weighted_sum = self.all_reduce(own)
        divisor = torch.where(total_weight > 0, total_weight, 1.0)  # the loss is 0 if all targets are unknown
        scale = own[0] * self.world_size / divisor  # DistributedDataParallel takes the mean over the processes
        return ScaledLoss(loss * scale.to(loss.dtype), weighted_sum / divisor, total_weight)

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.world_size == 1:
            return tensor
        summed = tensor.clone()
        torch.distributed.all_reduce(summed)
        return summed

    def gather(self, tensor: Tensor) -> Tensor:
        """The rows of all processes in the order of their ranks; their numbers of rows can differ."""
        if self.world_size == 1:
            return tensor
        from accelerate.utils import gather, pad_across_processes

        lengths: Any = gather(torch.tensor([len(tensor)], device=self.torch_device))
        padded: Any = gather(pad_across_processes(tensor.to(self.torch_device)))
        return torch.cat([shard[:n] for shard, n in zip(padded.chunk(self.world_size), lengths.tolist(), strict=True)])

    def gather_batches(self, batches: Iterable[tuple[Tensor, ...]]) -> Iterator[tuple[Tensor, ...]]:
        """Yields the rows of all processes: batch by batch for one process, otherwise as one batch.

        Args:
            batches: the batches of this process, tensors with one row per image; can be empty.
        """
        if self.world_size == 1:
            yield from batches
            return
        own = [torch.cat(column) for column in zip(*batches, strict=True)]
        layouts = self._all_gather([(column.shape[1:], column.dtype) for column in own])
        layout: list[tuple[torch.Size, torch.dtype]] = next(filter(None, layouts), [])
        own = own or [torch.empty(0, *shape, dtype=dtype) for shape, dtype in layout]
        if own:
            yield tuple(map(self.gather, own))

    def from_main(self, value: T) -> T:
        """The value of the main process, in all processes."""
        return self._all_gather(value)[0]

    def merge_dict(self, values: dict[str, str]) -> None:
        """Adds the items of all other processes to ``values``."""
        for others in self._all_gather(values):
            values |= others

    def on_main(self, function: Callable[[], object]) -> None:
        """Calls a function only in the main process; the others wait, and raise the same error.

        Args:
            function: a function, for example one that writes a file.

        Raises:
            EyebrightError: the error that ``function`` raised.
        """
        error: EyebrightError | None = None
        if self.is_main:
            try:
                function()
            except EyebrightError as raised:
                error = raised
        error = self._all_gather(error)[0]
        if error is not None:
            raise error

    def check_batch_size(self, batch: int) -> None:
        """Raises `InputError` if a batch has fewer images than there are processes.

        Args:
            batch: number of images in a batch of all processes.
        """
        if batch < self.world_size:
            raise InputError(
                f"a batch of {batch} cannot be divided among {self.world_size} processes; give `bs={self.world_size}`"
                " or more, and `drop_last=True` if fewer are left over, or train with fewer processes"
            )

    @property
    def shard(self) -> tuple[int, int]:
        """The index of this process's shard of the data, and the number of shards."""
        return self.rank, self.world_size

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and shows progress."""
        return self.rank == 0

    def _all_gather(self, value: T) -> list[T]:
        """The values of all processes, in the order of their ranks."""
        values: list[Any] = [value] * self.world_size
        if self.world_size > 1:
            torch.distributed.all_gather_object(values, value)
        return values


class ScaledLoss(NamedTuple):
    """The loss of a batch that is divided among processes.

    Args:
        loss: the scaled loss of the part of this process, to be differentiated.
        batch_loss: the loss of the whole batch.
        batch_weight: the weight of the whole batch among others.
    """

    loss: Tensor
    batch_loss: Tensor
    batch_weight: Tensor | int


def is_main_process() -> bool:
    """Whether this process has rank 0; does not need a `Device`."""
    return int(os.environ.get("RANK", "0")) == 0


def _global_generators(device: torch.device) -> list[torch.Generator]:
    if device.type not in ("cuda", "xpu"):
        return [torch.default_generator]
    return [torch.default_generator, torch.get_device_module(device).default_generators[device.index]]


def _world(device: torch.device) -> tuple[int, int]:
    """The number of processes, and the rank of this one."""
    if not torch.distributed.is_initialized() and int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return 1, 0
    from accelerate import PartialState  # imported when needed: it reads the environment and joins the other processes

    state = PartialState(cpu=device.type == "cpu")
    return state.num_processes, state.process_index


def _supported(precision: str, device: torch.device, reason: str) -> tuple[Precision, str]:
    """(precision, reason): the precision, or the nearest one that the device supports for training."""
    if precision == "auto":
        return "float32", "float32: no other precision has been measured for this model yet"
    if precision == "float16" and device.type != "cuda":
        return (
            "bfloat16",
            f"bfloat16: float16 was requested, but its gradients need a GPU's loss scaling, not '{device}'",
        )
    return cast("Precision", precision), f"{precision}: {reason}"


def _scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler | None:
    return torch.amp.GradScaler(device.type) if precision == "float16" else None
