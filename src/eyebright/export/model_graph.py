"""The two graphs of an exported model: a network with nodes before and after it, and their metadata.

`whole_graph` takes uint8 images of any size and gives answers. `fixed_graph` takes float32 pixels of the model's own
size, for runtimes whose resize is not antialiased; `eyebright.export.preprocess` makes these pixels with numpy alone.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from eyebright._optional import import_optional
from eyebright.errors import ArtifactError
from eyebright.export.answers_graph import ImagePlace, Output, add_answers
from eyebright.export.graph import OPSET, Graph, Value
from eyebright.export.heat_map_graph import add_heat_maps
from eyebright.export.matmul_pixels_graph import add_pixels_by_matmul
from eyebright.export.out_of_distribution_graph import add_out_of_distribution
from eyebright.export.pixels_graph import Steps, add_pixels
from eyebright.inference.class_activation import has_pooled_maps
from eyebright.inference.out_of_distribution import OutOfDistribution
from eyebright.inference.runtimes.onnx_export import clear_code_notes, torch_program
from eyebright.inference.runtimes.onnx_runtime import FEATURES, OUTPUTS
from eyebright.io.text import valid_unicode
from eyebright.models.batchnorm.fuse import fuse_conv_bn
from eyebright.models.build import ImageModel
from eyebright.models.split_model import split_at_head
from eyebright.tasks.decision import Decision
from eyebright.types import Size

IMAGES = "images"
"""The input of the whole graph: uint8, batch x height x width x 3, of any height and width."""
PIXELS = "pixels"
"""The input of the fixed graph: float32 in [0, 1], batch x 3 x height x width, of the model's size."""
WHOLE_INPUT = f"{IMAGES}: uint8 RGB of any height and width, batch x height x width x 3, upright (EXIF applied)"
FIXED_INPUT = f"{PIXELS}: float32 in [0, 1], batch x 3 x height x width, from preprocess.py"
"""The inputs in words, for the metadata."""
_MAPS = "maps"  # the output of a network that is its last feature map


def network_graph(model: ImageModel, size: Size) -> Any:
    """A network as an ONNX ``ModelProto``: normalisation, backbone and head, with fused batch norms.

    Its input is `PIXELS`, its outputs are ``outputs``, the pooled ``features`` that they are computed from and, where
    the backbone does not pool itself, its feature ``maps``. What the exporter notes about the code, with paths of this
    machine, is removed.

    Args:
        model: the model in float32, on the CPU.
        size: (height, width) of its images.

    Raises:
        MissingExtraError: the packages of ``eyebright[onnx]`` are not installed.
        ArtifactError: torch cannot export this model.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        import_optional(package, extra="onnx", purpose="exporting to ONNX")
    fused = fused_model(model, size)
    images = torch.rand(2, model.description.n_in, *size, generator=torch.Generator().manual_seed(0))
    names = (OUTPUTS, FEATURES, _MAPS) if has_pooled_maps(fused) else (OUTPUTS, FEATURES)
    program = torch_program(WithFeatures(fused).eval(), images, PIXELS, output_names=names)
    network = program.model_proto
    clear_code_notes(network)
    versions = {opset.version for opset in network.opset_import if opset.domain in ("", "ai.onnx")}
    if versions and max(versions) < OPSET:
        raise ArtifactError(f"torch exported with operators of ONNX {max(versions)}, and {OPSET} is needed")
    return network


def fused_model(model: ImageModel, size: Size) -> ImageModel:
    """A copy of the model with fused batch norms.

    Args:
        model: the model in float32, on the CPU.
        size: (height, width) of its images.
    """
    fused = fuse_conv_bn(model, size, n_in=model.description.n_in)
    assert isinstance(fused, ImageModel)  # it is a copy of it
    return fused


class WithFeatures(torch.nn.Module):
    """The model with its features, for images that are not channels_last, for which some layers have another form."""

    def __init__(self, model: ImageModel) -> None:
        super().__init__()
        extractor, self.head = split_at_head(model)
        self.backbone, self.pooling = extractor.backbone, extractor.pooling
        self._normalize = model.normalize
        self._has_maps = has_pooled_maps(model)

    def forward(self, pixels: Float[Tensor, "b c h w"]) -> tuple[Tensor, ...]:
        """The model's outputs, the pooled features and, where there are any, the feature maps."""
        maps = self.backbone(self._normalize(pixels.contiguous()))
        features = self.pooling(maps)
        return self.head(features), features.flatten(1), *((maps,) if self._has_maps else ())


def whole_graph(
    network: Any,
    steps: Steps,
    decision: Decision,
    metadata: Mapping[str, str],
    *,
    ood: OutOfDistribution | None = None,
    heat_map_weights: Float[np.ndarray, "k c"] | None = None,
    by_matmul: bool = False,
) -> bytes:
    """The graph from uint8 images of any size to answers.

    Args:
        network: the result of `network_graph`, perhaps of another precision.
        steps: the preprocessing of the model.
        decision: the model's.
        metadata: texts by name.
        ood: computes the out-of-distribution score, in float32; None: there are no outputs for it.
        heat_map_weights: the result of `eyebright.inference.class_activation.channel_weights`; None: there are no heat
            maps.
        by_matmul: the pixels are computed for runtimes without an antialiased ``Resize`` and without float64, see
            `eyebright.export.matmul_pixels_graph`.
    """
    graph = Graph()
    nodes = (add_pixels_by_matmul if by_matmul else add_pixels)(graph, IMAGES, steps)
    graph.op("Transpose", nodes.pixels, perm=[0, 3, 1, 2], name=PIXELS)
    images = (IMAGES, np.uint8, ("batch", "height", "width", 3))
    place = ImagePlace(steps.output, nodes.rows, nodes.columns)
    behind, outputs = _behind(decision, place, ood)
    if heat_map_weights is not None:
        outputs += add_heat_maps(behind, _MAPS, heat_map_weights, place)
    return _joined(network, (graph, images), (behind, outputs), metadata)


def fixed_graph(
    network: Any,
    steps: Steps,
    decision: Decision,
    metadata: Mapping[str, str],
    *,
    ood: OutOfDistribution | None = None,
) -> bytes:
    """The graph from float32 pixels of the model's size to answers; points are in pixels of that size.

    Args:
        network: the result of `network_graph`.
        steps: the preprocessing of the model.
        decision: the model's.
        metadata: texts by name.
        ood: as in `whole_graph`.
    """
    pixels = (PIXELS, np.float32, ("batch", 3, *steps.output))
    return _joined(network, (Graph(), pixels), _behind(decision, ImagePlace(steps.output), ood), metadata)


def _behind(decision: Decision, place: ImagePlace, ood: OutOfDistribution | None) -> tuple[Graph, list[Output]]:
    """(the nodes behind a network, what they give)."""
    graph = Graph(prefix="eyebright_behind")
    outputs = graph.op("Reshape", OUTPUTS, graph.constant([-1, decision.target.n_out]))
    found = add_answers(graph, outputs, decision, place)
    if ood is not None:
        found += add_out_of_distribution(graph, FEATURES, outputs, ood)
    return graph, found


def _joined(
    network: Any,
    before: tuple[Graph, tuple[str, Any, Sequence[int | str]]],
    behind: tuple[Graph, list[Output]],
    metadata: Mapping[str, str],
) -> bytes:
    """The nodes before a network with their input, the network, and the nodes behind it, as one serialized model."""
    onnx: Any = import_optional("onnx", extra="onnx", purpose="exporting to ONNX")
    (nodes_before, inputs), (nodes_behind, outputs) = before, behind
    for output in outputs:
        nodes_behind.op("Identity", output.value, name=output.name)
    made = onnx.helper.make_graph(
        [*nodes_before.nodes, *network.graph.node, *nodes_behind.nodes],
        "eyebright",
        [_info(onnx, *inputs)],
        [_output_info(onnx, output) for output in outputs],
        [*network.graph.initializer, *nodes_before.constants, *nodes_behind.constants],
    )
    model = onnx.helper.make_model(made, opset_imports=network.opset_import, ir_version=network.ir_version)
    model.functions.extend(network.functions)
    model.producer_name = "eyebright"
    onnx.helper.set_model_props(model, dict(metadata))
    return model.SerializeToString()


def _output_info(onnx: Any, output: Output) -> Any:
    return _info(onnx, output.name, output.dtype, ("batch", *output.shape))


def _info(onnx: Any, name: Value, dtype: Any, shape: Sequence[int | str]) -> Any:
    return onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), list(shape))


def as_text(value: Any) -> str:
    """A value of the metadata: JSON on one line."""
    return valid_unicode(json.dumps(value, ensure_ascii=False, sort_keys=True))
