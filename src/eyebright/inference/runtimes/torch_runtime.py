"""Prediction with torch: batch norms are fused into convolutions, memory is channels_last, gradients are off."""

import contextlib
from collections.abc import Generator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eyebright._choices import Precision
from eyebright._defaults import PREDICTION_PRECISION
from eyebright.inference.runtimes.base import FeatureFunction, ForwardFunction, ImageBatch, Runtime
from eyebright.models.batchnorm.fuse import fuse_conv_bn
from eyebright.models.build import ImageModel
from eyebright.models.split_model import split_at_head


def torch_runtime(
    model: ImageModel,
    device: torch.device,
    *,
    precision: Precision = PREDICTION_PRECISION,
    threads: int | None = None,
    why: str = "as requested",
) -> Runtime:
    """The runtime of a copy of the model, which can only predict.

    Args:
        model: the model; it is not changed.
        device: the device of the copy.
        precision: dtype in which the backbone computes; the head takes little time and computes in float32.
        threads: number of CPU threads that compute a batch (intra-op threads); None for `torch.get_num_threads`.
        why: the reason why this runtime was chosen.
    """
    description = model.description
    fused = fuse_conv_bn(model, description.input.size, n_in=description.n_in)
    if precision != "float32":
        dtype = getattr(torch, precision)
        fused.body = nn.Sequential(_Cast(dtype), fused.get_submodule("body").to(dtype), _Cast(torch.float32))
    placed = fused.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert isinstance(placed, ImageModel)  # a copy of the model
    run = runner(placed, device, threads)
    return Runtime("torch", precision, why, run, runner_with_features(placed, device, threads))


def runner(model: nn.Module, device: torch.device, threads: int | None = None) -> ForwardFunction:
    """The function from images to outputs, for `Runtime.run`.

    Args:
        model: a model in evaluation mode, on the device.
        device: the device.
        threads: number of CPU threads that compute a batch (intra-op threads); None for `torch.get_num_threads`.
    """

    def run(images: ImageBatch) -> Float[Tensor, "b ..."]:
        x = torch.from_numpy(images).permute(0, 3, 1, 2)  # a view in channels_last memory format
        with torch.inference_mode(), _threads(threads):
            return model(x.to(device)).float().cpu()

    return run


def runner_with_features(model: ImageModel, device: torch.device, threads: int | None = None) -> FeatureFunction:
    """The function from images to outputs and pooled features, for `Runtime.run_with_features`; arguments as above."""
    extractor, head = split_at_head(model)

    def run(images: ImageBatch) -> tuple[Float[Tensor, "b ..."], Float[Tensor, "b d"]]:
        x = torch.from_numpy(images).permute(0, 3, 1, 2)
        with torch.inference_mode(), _threads(threads):
            features = extractor(x.to(device))
            return head(features).float().cpu(), features.flatten(1).float().cpu()

    return run


class _Cast(nn.Module):
    """A layer that converts to a dtype."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """``x`` converted to the dtype."""
        return x.to(self.dtype)


@contextlib.contextmanager
def _threads(count: int | None) -> Generator[None, None, None]:
    """A context manager that sets torch's number of threads (of the whole process), and restores it at its end."""
    before = torch.get_num_threads()
    if count is None or count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
