"""ONNX Runtime on the processor: the same numbers as torch's float32, in a fraction of its time for most networks.

A model comes as bytes, so that nothing outside of them is read; a graph is data and runs no code of its own.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from eyebright._optional import import_optional
from eyebright.errors import ArtifactError
from eyebright.inference.runtimes.base import Pixels, Runtime

IMAGES = "images"  # the input: uint8, batch x height x width x channels
OUTPUTS = "outputs"  # before the activation
NOTE = "eyebright"  # under this key a graph carries its note


@dataclass(frozen=True)
class Note:
    """What a graph says about itself.

    Args:
        fingerprint: of the model that was exported.
        torch_ms: milliseconds an image took in torch where the graph was made, batch norms folded.
        onnx_ms: milliseconds it took in ONNX Runtime there.
    """

    fingerprint: str
    torch_ms: float = 0.0
    onnx_ms: float = 0.0

    def to_json(self) -> str:
        """The note as it stands in the graph."""
        return json.dumps(asdict(self))

    @property
    def faster(self) -> bool:
        """Whether ONNX Runtime was the faster one."""
        return self.onnx_ms < self.torch_ms

    def __str__(self) -> str:
        times = f"{self.onnx_ms:.3g} ms an image, and torch {self.torch_ms:.3g}, where the graph was made"
        return f"ONNX Runtime is {'faster' if self.faster else 'slower'}: {times}"


def onnx_runtime(
    graph: bytes, *, name: str = "the graph", threads: int | None = None, why: str = "as asked"
) -> tuple[Runtime, Note]:
    """The runtime of a graph, and what the graph says about itself.

    Args:
        graph: what `eyebright.inference.runtimes.onnx_export` gave.
        name: of the graph in an error.
        threads: processors that a batch may use; None: as many as torch uses.
        why: this runtime was chosen.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        ArtifactError: the graph is damaged or another program's.
    """
    ort: Any = import_optional("onnxruntime", extra="onnx", purpose="predicting with ONNX Runtime")
    options = ort.SessionOptions()
    # A number of threads that is said is also not bound to certain processors, which others may be using.
    options.intra_op_num_threads = threads or torch.get_num_threads()
    # Threads that spin while they wait take the processors from those that read images.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        note = Note(**json.loads(session.get_modelmeta().custom_metadata_map[NOTE]))
    except Exception as error:  # onnxruntime has no root of its errors
        raise ArtifactError(f"{name} cannot be used: {str(error).splitlines()[0]}") from None

    image_input = session.get_inputs()[0].name  # graphs of older versions call it otherwise

    def run(pixels: Pixels) -> Float[Tensor, "b ..."]:
        return torch.from_numpy(session.run(None, {image_input: pixels})[0])

    return Runtime("onnx", "float32", why, run), note
