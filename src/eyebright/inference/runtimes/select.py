"""Chooses the runtime that computes predictions: the requested one, or the one that is faster for the saved model.

Nothing is measured while a model is loaded, since that would take longer than predicting a few images. The ONNX graph
in the model folder contains the times that both runtimes took when it was exported.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import torch

from eyebright._choices import Precision, RuntimeName
from eyebright._defaults import PREDICTION_PRECISION
from eyebright._system.device import choose_device
from eyebright.errors import ArtifactError, InputError, MissingExtraError, check_choice, check_count
from eyebright.image.canonical import PixelsVersion
from eyebright.inference.runtimes.base import Runtime
from eyebright.inference.runtimes.graph_file import hash_path, read_graph
from eyebright.inference.runtimes.onnx_export import export_onnx
from eyebright.inference.runtimes.onnx_runtime import GraphMetadata, load_onnx_runtime
from eyebright.inference.runtimes.torch_runtime import torch_runtime
from eyebright.models.build import ImageModel
from eyebright.types import Size

_MAX_THREADS = 1024
_FORMER_GRAPH = "model.onnx"  # written by `save_onnx` of older versions; exports now use this name


@dataclass(frozen=True)
class SavedModel:
    """A saved model, whose weights are loaded only when a runtime needs them.

    Args:
        onnx_path: the path of its ONNX graph; the file need not exist.
        size: the size of its preprocessed images; None if they have different sizes.
        pixels_version: the version of their decoding and resizing, ``"legacy-1"`` or ``"canonical-1"``.
        load_model: the function that returns the model with its weights.
        read_model_hash: the function that returns the hash of the model, see
            `eyebright.inference.model_folder.model_hash`.
        needs_features: whether a graph without `Runtime.run_with_features` cannot be used.
    """

    onnx_path: Path
    size: Size | None
    pixels_version: PixelsVersion
    load_model: Callable[[], ImageModel]
    read_model_hash: Callable[[], str]
    needs_features: bool = False


@dataclass(frozen=True)
class RuntimeOptions:
    """The requested runtime, precision, device and number of threads.

    Args:
        name: ``"torch"``, ``"onnx"``, or ``"auto"`` for the faster one.
        precision: dtype in which the backbone computes.
        device: as in `eyebright._system.device.choose_device`; with ``"onnx"`` None is the CPU.
        threads: number of CPU threads that compute a batch (intra-op threads); None for `torch.get_num_threads`.

    Raises:
        InputError: a runtime or precision is unknown, the device does not exist, or ONNX Runtime cannot be used with
            this device or precision.
    """

    name: RuntimeName = "auto"
    precision: Precision = PREDICTION_PRECISION
    device: str | torch.device | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        for option, value, known in (
            ("runtime", self.name, get_args(RuntimeName)),
            ("precision", self.precision, get_args(Precision)),
        ):
            check_choice(f"`{option}`", value, known)
        if self.threads is not None:
            check_count("threads", self.threads, maximum=_MAX_THREADS)
        if self.name == "onnx" and (reason := self.why_not_onnx) is not None:
            raise InputError(f"runtime='onnx' is not possible: {reason}; use runtime='torch'")

    @property
    def torch_device(self) -> torch.device:
        """The device on which the model runs."""
        return choose_device("cpu" if self.device is None and self.name == "onnx" else self.device)

    @property
    def why_not_onnx(self) -> str | None:
        """The reason why ONNX Runtime cannot be used; None if it can."""
        if self.torch_device.type != "cpu":
            return f"ONNX Runtime runs only on the CPU, not on '{self.torch_device}'"
        return None if self.precision == "float32" else f"ONNX Runtime computes in float32, not in {self.precision}"


def choose_runtime(saved: SavedModel, options: RuntimeOptions) -> Runtime:
    """The runtime for a saved model.

    Args:
        saved: the model.
        options: the requested options.

    Raises:
        InputError: ONNX Runtime was requested, but the model's preprocessing keeps different image sizes.
        MissingExtraError: ONNX Runtime was requested and is not installed.
        ArtifactError: ONNX Runtime was requested, and the graph is damaged or torch cannot export one.
    """
    if options.name == "torch":
        return _torch(saved, options, "as requested")
    if options.name == "onnx":
        return _onnx(saved, options)
    reason = options.why_not_onnx
    if reason is None and not saved.onnx_path.is_file():
        reason = _why_no_graph(saved.onnx_path)
    return _faster(saved, options) if reason is None else _torch(saved, options, reason)


def _why_no_graph(path: Path) -> str:
    """The reason why there is no graph: it never existed, or it is one of an older version."""
    former = path.with_name(_FORMER_GRAPH)
    if former.is_file() and hash_path(former).is_file():
        return (
            f"{former.name} is a graph of an older version of eyebright, which is no longer used; save_onnx writes "
            f"{path.name}"
        )
    return f"there is no {path.name} in the model folder"


def _torch(saved: SavedModel, options: RuntimeOptions, why: str) -> Runtime:
    return torch_runtime(
        saved.load_model(), options.torch_device, precision=options.precision, threads=options.threads, why=why
    )


def _onnx(saved: SavedModel, options: RuntimeOptions) -> Runtime:
    """ONNX Runtime with the graph in the folder, or with one that is exported now."""
    if saved.onnx_path.is_file():
        runtime, metadata = _read_graph(saved, options)
        if _fits(metadata, saved) and _has_features(runtime, saved):
            return runtime
    if saved.size is None:
        raise InputError(
            "runtime='onnx' needs a fixed image size, but this model's preprocessing keeps different sizes; use"
            " runtime='torch'"
        )
    graph = export_onnx(saved.load_model(), saved.size, model_hash="", pixels_version=saved.pixels_version)
    why = "as requested; the graph was exported for this run (save_onnx stores it)"
    return load_onnx_runtime(graph, threads=options.threads, why=why)[0]


def _faster(saved: SavedModel, options: RuntimeOptions) -> Runtime:
    """The runtime that was faster when the graph in the folder was exported."""
    try:
        runtime, metadata = _read_graph(saved, options)
    except (MissingExtraError, ArtifactError) as error:
        return _torch(saved, options, str(error))
    if not _fits(metadata, saved):
        other = (
            "from other weights"
            if metadata.pixels_version == saved.pixels_version
            else f"for preprocessing version '{metadata.pixels_version}'"
        )
        why = f"{saved.onnx_path.name} was exported {other}; export it again with save_onnx"
        return _torch(saved, options, why)
    if not _has_features(runtime, saved):
        why = (
            f"{saved.onnx_path.name} was exported by an older version, without features; export it again with save_onnx"
        )
        return _torch(saved, options, why)
    return replace(runtime, why=str(metadata)) if metadata.onnx_is_faster else _torch(saved, options, str(metadata))


def _fits(metadata: GraphMetadata, saved: SavedModel) -> bool:
    """Whether a graph computes what the saved model does."""
    return metadata.pixels_version == saved.pixels_version and metadata.model_hash == saved.read_model_hash()


def _has_features(runtime: Runtime, saved: SavedModel) -> bool:
    return runtime.run_with_features is not None or not saved.needs_features


def _read_graph(saved: SavedModel, options: RuntimeOptions) -> tuple[Runtime, GraphMetadata]:
    return load_onnx_runtime(read_graph(saved.onnx_path), name=f"'{saved.onnx_path}'", threads=options.threads)
