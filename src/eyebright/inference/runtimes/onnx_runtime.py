"""ONNX Runtime on the CPU: the same outputs as torch's float32, and often faster; `GraphMetadata` has the times.

A graph is loaded from bytes, so that it cannot refer to other files; it is data and contains no code.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from eyebright._optional import import_optional
from eyebright.errors import ArtifactError, first_line
from eyebright.image.canonical import LIBRARY_PIXELS, PixelsVersion
from eyebright.inference.runtimes.base import ImageBatch, Runtime

IMAGES = "images"  # the input: preprocessed pixels, batch x height x width x channels
OUTPUTS = "outputs"  # before the activation
FEATURES = "features"  # pooled; graphs that older versions exported lack them
METADATA_KEY = "eyebright"  # the graph's metadata property that contains `GraphMetadata` as JSON


@dataclass(frozen=True)
class GraphMetadata:
    """The metadata that an exported graph contains.

    Args:
        model_hash: the hash of the exported model, see `eyebright.inference.model_folder.model_hash`.
        torch_ms: milliseconds per image in torch, with fused batch norms, on the machine that exported the graph; 0 if
            the export did not measure.
        onnx_ms: milliseconds per image in ONNX Runtime.
        pixels_version: the version of the decoding and resizing of the graph's input images: uint8 for
            `LIBRARY_PIXELS`, float32 in [0, 1] for `CANONICAL`; graphs from before canonical pixels have no such entry.
    """

    model_hash: str
    torch_ms: float = 0.0
    onnx_ms: float = 0.0
    pixels_version: PixelsVersion = LIBRARY_PIXELS

    def to_json(self) -> str:
        """The metadata as a JSON text."""
        data = asdict(self)
        data["fingerprint"], data["pixels"] = data.pop("model_hash"), data.pop("pixels_version")
        return json.dumps(data)

    @staticmethod
    def from_json(text: str) -> "GraphMetadata":
        """The metadata that `to_json`, or an older version, has written."""
        data = json.loads(text)
        model_hash, pixels_version = data.pop("fingerprint"), data.pop("pixels", LIBRARY_PIXELS)
        return GraphMetadata(model_hash, pixels_version=pixels_version, **data)

    @property
    def onnx_is_faster(self) -> bool:
        """True if ONNX Runtime was faster than torch."""
        return self.onnx_ms < self.torch_ms

    def __str__(self) -> str:
        times = f"{self.onnx_ms:.3g} ms per image, torch {self.torch_ms:.3g} ms, when the graph was exported"
        return f"ONNX Runtime is {'faster' if self.onnx_is_faster else 'slower'}: {times}"


def load_onnx_runtime(
    graph: bytes, *, name: str = "the graph", threads: int | None = None, why: str = "as requested"
) -> tuple[Runtime, GraphMetadata]:
    """Loads an exported graph: (runtime, metadata).

    Args:
        graph: an ONNX graph from `eyebright.inference.runtimes.onnx_export.export_onnx`.
        name: the name of the graph in error messages.
        threads: number of CPU threads that compute a batch (intra-op threads); None for `torch.get_num_threads`.
        why: the reason why this runtime was chosen.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        ArtifactError: the graph is damaged or was not exported by Eyebright.
    """
    import_optional("onnxruntime", extra="onnx", purpose="predicting with ONNX Runtime")
    try:
        session = create_session(graph, threads)
        metadata = GraphMetadata.from_json(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
    except Exception as error:  # onnxruntime has no common base class for its exceptions
        raise ArtifactError(f"{name} cannot be used: {first_line(error)}") from None

    image_input = session.get_inputs()[0].name  # not `IMAGES` in graphs that older versions exported

    first, *others = (output.name for output in session.get_outputs())

    def run(images: ImageBatch) -> Float[Tensor, "b ..."]:
        return torch.from_numpy(session.run([first], {image_input: images})[0])

    def run_with_features(images: ImageBatch) -> tuple[Float[Tensor, "b ..."], Float[Tensor, "b d"]]:
        outputs, features = session.run([first, FEATURES], {image_input: images})
        return torch.from_numpy(outputs), torch.from_numpy(features)

    has_features = FEATURES in others
    return Runtime("onnx", "float32", why, run, run_with_features if has_features else None), metadata


def create_session(graph: bytes, threads: int | None = None) -> Any:
    """An ``onnxruntime.InferenceSession`` of a graph on the CPU; any exception of ONNX Runtime is passed on.

    Args:
        graph: an ONNX graph.
        threads: number of CPU threads that compute a batch (intra-op threads); None for `torch.get_num_threads`.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    ort: Any = import_optional("onnxruntime", extra="onnx", purpose="computing with ONNX Runtime")
    options = ort.SessionOptions()
    # With its default, ONNX Runtime pins its threads to cores, which other processes may be using; an explicit number
    # is not pinned.
    options.intra_op_num_threads = threads or torch.get_num_threads()
    # Busy-waiting threads would take the CPUs from the threads that read images.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
