"""The one seam to devices, number formats and other processes, on Hugging Face accelerate.

Nothing else knows how many processes there are. accelerate's state is made when it is first needed and never reset:
a user's own ``Accelerator`` and this seam see the same processes. Its global mixed-precision switch is left alone:
autocast and loss scaling belong to one ``Device``, so two models of one program may differ.
"""

import contextlib
import hashlib
import inspect
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn

from eyebright._system.device import choose_device
from eyebright.errors import EyebrightError, InputError, did_you_mean, listing
from eyebright.models.batchnorm.sync import synced
from eyebright.train.optimizer import GroupedOptimizer

Thing = TypeVar("Thing")
Precision = Literal["float32", "bfloat16", "float16"]

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


class Device:
    """Where a model is trained, and in which numbers.

    Args:
        name: as `eyebright._system.device.choose_device` takes it.
        precision: ``"float32"``, ``"bfloat16"``, ``"float16"``, or ``"auto"``: float32 until ``settle`` is called.
    """

    def __init__(self, name: str | torch.device | None = None, precision: str = "auto") -> None:
        if precision not in PRECISIONS:
            near = did_you_mean(precision, PRECISIONS)
            raise InputError(f"unknown precision '{precision}'.{near} The known: {listing(PRECISIONS)}")
        self.torch_device = choose_device(name)
        self.processes, self.rank = _processes(self.torch_device)
        self.precision_is_set = precision != "auto"
        self.precision, self.why = _possible(precision, self.torch_device, "as asked")
        self.scaler = _scaler(self.precision, self.torch_device)

    def set_precision(self, precision: str, why: str) -> None:
        """Takes a precision, and why, where ``"auto"`` was asked for and nothing has been chosen yet."""
        if not self.precision_is_set:
            self.precision, self.why = _possible(precision, self.torch_device, why)
            self.scaler = _scaler(self.precision, self.torch_device)
            self.precision_is_set = True

    def place(self, model: nn.Module) -> nn.Module:
        """The same model, on this device and with its channels last."""
        return model.to(self.torch_device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def move(self, batch: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The batch on this device; images (b c h w) with their channels last."""
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
        optimizer.zero_grad()

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
        """The model to call in training: itself, or wrapped so that the processes share gradients and statistics.

        Make it when every module is in the mode that it will be in.
        """
        if self.processes == 1 or not any(p.requires_grad for p in model.parameters()):
            return self.synced(model)
        ids = [self.torch_device.index] if self.torch_device.type == "cuda" else None
        # Every process counts the same statistics: buffers need not be sent. Newer torch has another word for it.
        known = inspect.signature(nn.parallel.DistributedDataParallel).parameters
        quietly: dict[str, Any] = {
            "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers": False
        }
        return nn.parallel.DistributedDataParallel(self.synced(model), device_ids=ids, **quietly)

    def synced(self, model: nn.Module) -> nn.Module:
        """The model, with batch norms in training mode that see what all processes have."""
        return model if self.processes == 1 else synced(model, self.total)

    def share(self, loss: Tensor, weight: Tensor | int) -> "Shared":
        """This process's loss, scaled so that all processes' gradients together are those of the whole batch's loss.

        Args:
            loss: the mean over this process's shard of the batch.
            weight: how much this shard counts beside others.
        """
        if self.processes == 1:
            return Shared(loss, loss.detach(), weight)
        own = loss.new_tensor([float(weight), 0], dtype=torch.float64)
        own[1] = loss.detach() * own[0]
        weights, added = self.total(own)
        divisor = torch.where(weights > 0, weights, 1.0)  # nothing in the batch counts: then the loss is 0
        scale = own[0] * self.processes / divisor  # the mean over the processes is taken with the gradients
        return Shared(loss * scale.to(loss.dtype), added / divisor, weights)

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.processes == 1:
            return tensor
        summed = tensor.clone()
        torch.distributed.all_reduce(summed)
        return summed

    def gather(self, tensor: Tensor) -> Tensor:
        """The rows of all processes, process after process, none twice; they may hold different numbers of rows."""
        if self.processes == 1:
            return tensor
        from accelerate.utils import gather, pad_across_processes

        lengths: Any = gather(torch.tensor([len(tensor)], device=self.torch_device))
        padded: Any = gather(pad_across_processes(tensor.to(self.torch_device)))
        return torch.cat([shard[:n] for shard, n in zip(padded.chunk(self.processes), lengths.tolist(), strict=True)])

    def gathered(self, rows: Iterable[tuple[Tensor, ...]]) -> Iterator[tuple[Tensor, ...]]:
        """The rows of all processes: batch by batch where there is one process, else at once when all have theirs.

        Args:
            rows: of this process, batch by batch; it may have none.
        """
        if self.processes == 1:
            yield from rows
            return
        own = [torch.cat(column) for column in zip(*rows, strict=True)]
        kinds = self._everyone_says([(column.shape[1:], column.dtype) for column in own])
        kind: list[tuple[torch.Size, torch.dtype]] = next(filter(None, kinds), [])
        own = own or [torch.empty(0, *shape, dtype=dtype) for shape, dtype in kind]
        if own:
            yield tuple(map(self.gather, own))

    def merge(self, known: dict[str, str]) -> None:
        """Adds to ``known`` what the other processes know."""
        for others in self._everyone_says(known):
            known |= others

    def once(self, write: Callable[[], object]) -> None:
        """Lets the main process write, while the others wait; an error of its own becomes everyone's.

        Raises:
            EyebrightError: what ``write`` raised.
        """
        error: EyebrightError | None = None
        if self.is_main:
            try:
                write()
            except EyebrightError as raised:
                error = raised
        error = self._everyone_says(error)[0]
        if error is not None:
            raise error

    def check_batch_size(self, batch: int) -> None:
        """Refuses a batch of which a process would get no image.

        Args:
            batch: images in a batch of all processes.

        Raises:
            InputError: there are fewer images than processes.
        """
        if batch < self.processes:
            raise InputError(
                f"a batch of {batch} cannot be divided among {self.processes} processes; give `bs={self.processes}` or"
                " more, and `drop_last=True` where fewer are left over, or train with fewer processes"
            )

    @property
    def shard(self) -> tuple[int, int]:
        """Which of how many parts of the work is this process's."""
        return self.rank, self.processes

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.rank == 0

    def _everyone_says(self, value: Thing) -> list[Thing]:
        """What each process says, in their order."""
        said: list[Any] = [value] * self.processes
        if self.processes > 1:
            torch.distributed.all_gather_object(said, value)
        return said


class Shared(NamedTuple):
    """What one process knows of a batch that several hold.

    Args:
        loss: to differentiate.
        overall: the loss of the whole batch.
        weight: how much the whole batch counts beside others.
    """

    loss: Tensor
    overall: Tensor
    weight: Tensor | int


def is_main_process() -> bool:
    """Whether this is the process that people listen to, also before there is a `Device`."""
    return int(os.environ.get("RANK", "0")) == 0


def _global_generators(device: torch.device) -> list[torch.Generator]:
    if device.type not in ("cuda", "xpu"):
        return [torch.default_generator]
    return [torch.default_generator, torch.get_device_module(device).default_generators[device.index]]


def _processes(device: torch.device) -> tuple[int, int]:
    """The number of processes, and the rank of this one."""
    if not torch.distributed.is_initialized() and int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return 1, 0
    from accelerate import PartialState  # imported when needed: it reads the environment and joins the other processes

    state = PartialState(cpu=device.type == "cpu")
    return state.num_processes, state.process_index


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
