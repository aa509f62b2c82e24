"""Exports a model as an ONNX graph: normalisation, backbone and head, from preprocessed pixels to outputs.

The graph from torch's exporter is checked and timed at once: its outputs are compared with the model's, and both
runtimes are measured. Resizing and cropping are not part of the graph, because they are the same for every runtime.
"""

import time
import warnings
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from eyebright._optional import import_optional
from eyebright.errors import ArtifactError, first_line
from eyebright.image.canonical import CANONICAL, PixelsVersion
from eyebright.inference.runtimes.base import ImageBatch, Runtime
from eyebright.inference.runtimes.onnx_runtime import (
    FEATURES,
    IMAGES,
    METADATA_KEY,
    OUTPUTS,
    GraphMetadata,
    load_onnx_runtime,
)
from eyebright.inference.runtimes.torch_runtime import torch_runtime
from eyebright.models.build import ImageModel
from eyebright.models.split_model import split_at_head
from eyebright.types import Size

TOLERANCE = 1e-4  # relative to the largest output; float32 sums in another order differ by less
ROUNDS = 5  # rounds of timing; the median is used


def export_onnx(model: ImageModel, size: Size, *, model_hash: str, pixels_version: PixelsVersion) -> bytes:
    """The serialized graph of a model, for batches of any length; exporting takes about ten seconds.

    Its input ``images`` has the axes batch x height x width x channels, and is float32 in [0, 1] for canonical pixels,
    else uint8; its output ``outputs`` are the model's outputs, and ``features`` the pooled features that they are
    computed from.

    Args:
        model: a model in float32, on the CPU.
        size: (height, width) of the images.
        model_hash: the hash of the model, see `eyebright.inference.model_folder.model_hash`.
        pixels_version: the version of the decoding and resizing that the model is evaluated with.

    Raises:
        MissingExtraError: the packages of ``eyebright[onnx]`` are not installed.
        ArtifactError: torch cannot export this model, or the outputs of the graph differ from the model's.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        import_optional(package, extra="onnx", purpose="exporting to ONNX")
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (8, *size, model.description.n_in), dtype=np.uint8)
    images = images.astype(np.float32) / 255 if pixels_version == CANONICAL else images
    program = torch_program(
        _FromPixels(model).eval(), torch.from_numpy(images[:2]), IMAGES, output_names=(OUTPUTS, FEATURES)
    )
    program.model.metadata_props[METADATA_KEY] = GraphMetadata(model_hash, pixels_version=pixels_version).to_json()
    graph = _serialized(program)
    runtimes = torch_runtime(model, torch.device("cpu")), load_onnx_runtime(graph)[0]
    _compare(model, *runtimes, images)
    torch_ms, onnx_ms = _milliseconds(runtimes, images)
    program.model.metadata_props[METADATA_KEY] = GraphMetadata(model_hash, torch_ms, onnx_ms, pixels_version).to_json()
    return _serialized(program)


def without_code_notes(graph: bytes) -> bytes:
    """A serialized graph without the code notes of torch's exporter, such as paths of the machine.

    Args:
        graph: the bytes of an ONNX file; its metadata of Eyebright are kept.

    Raises:
        MissingExtraError: onnx is not installed.
        ArtifactError: the bytes are not an ONNX file.
    """
    onnx: Any = import_optional("onnx", extra="onnx", purpose="removing paths from a graph")
    try:
        model = onnx.load_from_string(graph)
    except Exception as error:  # protobuf's class depends on its version
        raise ArtifactError(f"the graph is not an ONNX file: {first_line(error)}") from None
    clear_code_notes(model)
    return model.SerializeToString()


def clear_code_notes(model: Any) -> None:
    """Removes the code notes of torch's exporter, such as stack traces with paths, from a ``ModelProto``.

    Args:
        model: the model, which is changed; its metadata of Eyebright are kept.
    """
    kept = [(entry.key, entry.value) for entry in model.metadata_props if entry.key == METADATA_KEY]
    _clear(model)
    for key, value in kept:
        model.metadata_props.add(key=key, value=value)
    for graph in (model.graph, *model.functions):
        _clear_graph(graph)


def _clear_graph(graph: Any) -> None:
    """Removes the notes from a ``GraphProto`` or ``FunctionProto``, and from the graphs of its nodes."""
    _clear(graph)
    for name in ("value_info", "initializer", "input", "output"):
        for part in getattr(graph, name):
            if not isinstance(part, str):  # the inputs of a function are only names
                _clear(part)
    for node in graph.node:
        _clear(node)
        for attribute in node.attribute:
            attribute.ClearField("doc_string")
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                _clear_graph(inner)


def _clear(part: Any) -> None:
    for name in ("doc_string", "metadata_props"):
        if name in part.DESCRIPTOR.fields_by_name:  # older versions of onnx have fewer
            part.ClearField(name)


def _serialized(program: Any) -> bytes:
    """The graph of an ``ONNXProgram`` without notes about the code."""
    model = program.model_proto
    clear_code_notes(model)
    return model.SerializeToString()


class _FromPixels(nn.Module):
    """The model for images of shape (batch, height, width, channels)."""

    def __init__(self, model: ImageModel) -> None:
        super().__init__()
        self.feature_extractor, self.head = split_at_head(model)

    def forward(self, images: Shaped[Tensor, "b h w c"]) -> tuple[Float[Tensor, "b ..."], Float[Tensor, "b d"]]:
        """The model's outputs, and the pooled features."""
        # Without contiguous() some layers are exported in the form that they have for channels_last tensors.
        features = self.feature_extractor(images.permute(0, 3, 1, 2).contiguous())
        return self.head(features), features.flatten(1)


def torch_program(
    module: nn.Module,
    images: Shaped[Tensor, "b ..."],
    input_name: str,
    *,
    output_names: Sequence[str] = (OUTPUTS,),
) -> Any:
    """The module exported by torch, an ``ONNXProgram`` for batches of any length.

    Args:
        module: the module, in evaluation mode, on the CPU.
        images: a batch of two.
        input_name: the name of its input.
        output_names: the names of its outputs.

    Raises:
        ArtifactError: torch cannot export this module.
    """
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # warnings of torch about its own code
            return torch.onnx.export(
                module,
                (images,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                input_names=[input_name],
                output_names=list(output_names),
                verbose=False,
            )
    except Exception as error:  # the exporter passes on any exception of the model's code
        raise ArtifactError(f"torch cannot export this model to ONNX: {first_line(error)}") from error


def _compare(model: ImageModel, fused: Runtime, onnx: Runtime, images: ImageBatch) -> None:
    """Raises `ArtifactError` unless both runtimes give the outputs of the model."""
    with torch.inference_mode():
        expected = model.eval()(torch.from_numpy(images).permute(0, 3, 1, 2))
    for runtime in (fused, onnx):
        difference = (runtime.run(images) - expected).abs().max().item()
        if not difference <= TOLERANCE * max(1.0, expected.abs().max().item()):
            raise ArtifactError(
                f"the outputs of {runtime.name} differ from those of the model by up to {difference:.2g}"
            )


def _milliseconds(runtimes: tuple[Runtime, Runtime], images: ImageBatch) -> tuple[float, float]:
    """Milliseconds per image in each runtime: the mean for batches of one and of several images."""
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for runtime, times in zip(runtimes, spent, strict=True):
            single, in_batch = (_seconds(runtime, batch) / len(batch) for batch in (images[:1], images))
            times.append(1000 * (single + in_batch) / 2)
    first, second = map(median, spent)
    return first, second


def _seconds(runtime: Runtime, images: ImageBatch) -> float:
    started = time.perf_counter()
    runtime.run(images)
    return time.perf_counter() - started
