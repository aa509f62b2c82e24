"""From a model to an ONNX graph: the normalisation, the body and the head, from the bytes of images to the outputs.

torch's exporter is used as it is, and what it made is not believed but compared and timed, here and now. Resizing and
cropping stay outside: they start from the user's file and are the same for every runtime.
"""

import time
import warnings
from statistics import median
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from eyebright._optional import import_optional
from eyebright.errors import ArtifactError
from eyebright.inference.runtimes.base import Pixels, Runtime
from eyebright.inference.runtimes.onnx_runtime import IMAGES, NOTE, OUTPUTS, Note, onnx_runtime
from eyebright.inference.runtimes.torch_runtime import folded_runtime
from eyebright.models.build import ImageModel
from eyebright.types import Size

TOLERANCE = 1e-4  # of the largest output: float32 sums in another order
ROUNDS = 5


def export_onnx(model: ImageModel, size: Size, *, fingerprint: str) -> bytes:
    """The graph of a model for batches of any length; takes about ten seconds.

    Its input ``images`` is uint8, batch x height x width x channels; its output ``outputs`` is what the model gives.

    Args:
        model: in float32, on the CPU.
        size: of the images.
        fingerprint: see `fingerprint`.

    Raises:
        MissingExtraError: the packages of ``eyebright[onnx]`` are not installed.
        ArtifactError: the exporter cannot do this model, or what it made answers something else.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        import_optional(package, extra="onnx", purpose="exporting to ONNX")
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (8, *size, model.description.n_in), dtype=np.uint8)
    program = _program(_FromBytes(model).eval(), torch.from_numpy(pixels[:2]))
    program.model.metadata_props[NOTE] = Note(fingerprint).to_json()
    graph = program.model_proto.SerializeToString()
    runtimes = folded_runtime(model, torch.device("cpu")), onnx_runtime(graph)[0]
    _compare(model, *runtimes, pixels)
    torch_ms, onnx_ms = _milliseconds(runtimes, pixels)
    program.model.metadata_props[NOTE] = Note(fingerprint, torch_ms, onnx_ms).to_json()
    return program.model_proto.SerializeToString()


class _FromBytes(nn.Module):
    """The model for images as they lie in memory."""

    def __init__(self, model: ImageModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: UInt8[Tensor, "b h w c"]) -> Float[Tensor, "b ..."]:
        """The model's outputs."""
        # Contiguous, or some layers are written down as they are computed with channels last.
        return self.model(images.permute(0, 3, 1, 2).contiguous())


def _program(module: nn.Module, images: UInt8[Tensor, "b h w c"]) -> Any:
    """What torch's exporter makes of the module."""
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # torch's own, about itself
            return torch.onnx.export(
                module,
                (images,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                input_names=[IMAGES],
                output_names=[OUTPUTS],
                verbose=False,
            )
    except Exception as error:  # any of a thousand models' own complaints
        raise ArtifactError(f"torch cannot export this model to ONNX: {str(error).strip().splitlines()[0]}") from error


def _compare(model: ImageModel, folded: Runtime, onnx: Runtime, pixels: Pixels) -> None:
    with torch.inference_mode():
        expected = model.eval()(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    for runtime in (folded, onnx):
        difference = (runtime.run(pixels) - expected).abs().max().item()
        if not difference <= TOLERANCE * max(1.0, expected.abs().max().item()):
            raise ArtifactError(
                f"{runtime.name} answers something else than the model: its outputs differ by up to {difference:.2g}"
            )


def _milliseconds(runtimes: tuple[Runtime, Runtime], pixels: Pixels) -> tuple[float, float]:
    """What an image takes in each: the mean of one alone and one in a batch, with the runtimes in turn."""
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for runtime, times in zip(runtimes, spent, strict=True):
            alone, batch = (_seconds(runtime, given) / len(given) for given in (pixels[:1], pixels))
            times.append(500 * (alone + batch))
    first, second = map(median, spent)
    return first, second


def _seconds(runtime: Runtime, pixels: Pixels) -> float:
    started = time.perf_counter()
    runtime.run(pixels)
    return time.perf_counter() - started
