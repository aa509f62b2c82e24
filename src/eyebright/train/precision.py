"""Measures which precision trains a model fastest on this machine, which cannot be predicted.

bfloat16 makes ResNets two to three times faster on processors with bfloat16 matrix units (AMX, tensor cores), but other
networks hardly faster. Weights stay float32 in both, so both are safe.

On a CPU, the CPU time of one thread is measured, which other programs do not influence. The result is cached
(`eyebright.train.autotune_cache`): the same model gets the same precision the next time, without a measurement.
"""

import contextlib
import copy
import math
import time
from collections.abc import Callable, Generator

import torch
from torch import Tensor, nn

from eyebright._choices import Precision
from eyebright.train.autotune_cache import measurement_key, read_measurement, store_measurement
from eyebright.train.device import Device
from eyebright.train.run import TrainBatch

IMAGES = 8
MAX_SECONDS = 4.0
ROUNDS = 3
# bfloat16 is chosen if it is faster by more than this in one thread: several threads make float32 faster by more than
# they make bfloat16 (1.85 and 1.5 times on two cores).
MIN_SPEEDUP = 1.25

Loss = Callable[[Tensor, Tensor], Tensor]


def choose_precision(model: nn.Module, batch: TrainBatch, loss: Loss, device: Device) -> tuple[Precision, str]:
    """(precision, reason): the faster of float32 and bfloat16 for training, and a sentence with the measurement.

    Both are timed in turn on a copy of the model, for about four seconds at most, unless the result is cached; the
    model, its gradients and the global generators are unchanged.

    Args:
        model: the model with the frozen layers and the modes of training.
        batch: a training batch, on the device; on a CPU only eight of its images are used.
        loss: the training loss.
        device: the device of the model, its precision, and the processes that train with it.
    """
    if not _multiplies_bfloat16(device.torch_device):
        return "float32", f"this {device.torch_device.type} has no fast bfloat16"
    few = slice(IMAGES if device.torch_device.type == "cpu" else None)
    images, targets = batch[0][few], batch[1][few]
    key = measurement_key("seconds in float32 and bfloat16", model, tuple(images.shape))
    cached = _cached(key, device)
    float32_s, bfloat16_s = cached or _measured(model, (images, targets), loss, device)
    if cached is None and device.is_main:
        store_measurement(key, [float32_s, bfloat16_s])
    here = "here for this model" + (", as measured before" if cached else "")
    if float32_s > MIN_SPEEDUP * bfloat16_s:
        return "bfloat16", f"{float32_s / bfloat16_s:.1f} times faster than float32 {here}"
    if float32_s > bfloat16_s:
        return "float32", f"bfloat16 is only {float32_s / bfloat16_s:.1f} times faster {here}"
    return "float32", f"bfloat16 would take {bfloat16_s / float32_s:.1f} times as long {here}"


def _cached(key: str, device: Device) -> tuple[float, float] | None:
    """The cached result, if it is the same in all processes."""
    try:
        float32_s, bfloat16_s = map(float, read_measurement(key))
    except (TypeError, ValueError, OverflowError):
        float32_s, bfloat16_s = 0.0, 0.0
    known = device.gather(torch.tensor([[float32_s, bfloat16_s]], dtype=torch.float64))
    same = bool((known == known[0]).all()) and 0 < float32_s < math.inf and 0 < bfloat16_s < math.inf
    return (float32_s, bfloat16_s) if same else None


def _measured(model: nn.Module, batch: TrainBatch, loss: Loss, device: Device) -> tuple[float, float]:
    """(float32, bfloat16) seconds of a step, summed over the processes, so that all make the same choice."""
    trial = copy.deepcopy(model)
    spent: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    with device.fork_rng(0, 0), _one_thread():
        started = time.perf_counter()
        for _ in range(ROUNDS):
            for dtype, seconds in spent.items():
                seconds.append(_seconds(trial, batch, loss, dtype))
            if time.perf_counter() - started > MAX_SECONDS / 2:  # the next round may take as long
                break
    least = [min(seconds) for seconds in spent.values()]
    float32_s, bfloat16_s = device.gather(torch.tensor([least], dtype=torch.float64)).sum(0).tolist()
    return float32_s, bfloat16_s


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    return False


@contextlib.contextmanager
def _one_thread() -> Generator[None, None, None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _seconds(model: nn.Module, batch: TrainBatch, loss: Loss, dtype: torch.dtype) -> float:
    """Seconds of one forward and backward pass."""
    images, targets = batch
    started = _now(images.device)
    with torch.autocast(images.device.type, dtype=dtype, enabled=dtype != torch.float32):
        output = model(images)
    loss(output.float(), targets).backward()
    return _now(images.device) - started


def _now(device: torch.device) -> float:
    if device.type == "cpu":
        return time.thread_time()
    torch.accelerator.synchronize(device)
    return time.perf_counter()
