"""torch, without what only training needs: batch norms folded, channels last, no graph."""

import contextlib
from collections.abc import Generator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eyebright._defaults import PREDICTION_PRECISION
from eyebright.inference.runtimes.base import Pixels, Precision, Run, Runtime
from eyebright.models.batchnorm.fuse import fuse_conv_bn
from eyebright.models.build import ImageModel


def folded_runtime(
    model: ImageModel,
    device: torch.device,
    *,
    precision: Precision = PREDICTION_PRECISION,
    threads: int | None = None,
    why: str = "as asked",
) -> Runtime:
    """A copy of the model that only predicts.

    Args:
        model: stays as it is.
        device: where the copy goes.
        precision: of the body; the head, which is cheap and decides, stays in float32.
        threads: processors that a batch may use; None: what torch is set to.
        why: this runtime was chosen.
    """
    description = model.description
    folded = fuse_conv_bn(model, description.input.size, n_in=description.n_in)
    if precision != "float32":
        dtype = getattr(torch, precision)
        folded.body = nn.Sequential(_Cast(dtype), folded.get_submodule("body").to(dtype), _Cast(torch.float32))
    placed = folded.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Runtime("torch", precision, why, runner(placed, device, threads))


def runner(model: nn.Module, device: torch.device, threads: int | None = None) -> Run:
    """The function from pixels to outputs of a model that is on the device already."""

    def run(pixels: Pixels) -> Float[Tensor, "b ..."]:
        # In memory channels come last anyway.
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        with torch.inference_mode(), _threads(threads):
            return model(x.to(device)).float().cpu()

    return run


class _Cast(nn.Module):
    """Numbers in another format."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """``x`` in the format."""
        return x.to(self.dtype)


@contextlib.contextmanager
def _threads(count: int | None) -> Generator[None, None, None]:
    """Torch knows one number of threads for the whole process, so it is put back."""
    before = torch.get_num_threads()
    if count is None or count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
