"""Loads the predictor of a model folder, and stores the graph that makes it faster."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from eyebright._choices import Precision, RuntimeName
from eyebright._defaults import PREDICTION_PRECISION
from eyebright.errors import ArtifactError, InputError, shortened
from eyebright.inference.folder_format import GRAPH
from eyebright.inference.hub import local_folder
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_model, load_out_of_distribution, model_hash
from eyebright.inference.predictor import Predictor
from eyebright.inference.runtimes.graph_file import write_graph
from eyebright.inference.runtimes.onnx_export import export_onnx
from eyebright.inference.runtimes.select import RuntimeOptions, SavedModel, choose_runtime
from eyebright.models.build import ImageModel
from eyebright.models.saved import build_saved
from eyebright.transforms.draw import output_size


def load_predictor(
    folder: str | Path,
    *,
    device: str | torch.device | None = None,
    runtime: RuntimeName = "auto",
    precision: Precision = PREDICTION_PRECISION,
    threads: int | None = None,
    fast_decode: bool = False,
) -> Predictor:
    """The predictor of a model folder; no code from the folder is run.

    Args:
        folder: the model folder, or ``"hf-hub:owner/name"`` or ``"hf-hub:owner/name@revision"`` for a model on the
            Hugging Face hub, which is downloaded into huggingface_hub's cache.
        device: the device of the model, for example ``"cuda:1"``; None for a CUDA GPU if there is one, otherwise the
            CPU.
        runtime: ``"torch"``; ``"onnx"`` for ONNX Runtime on the CPU, with the same outputs up to rounding (the graph is
            exported first, which takes about ten seconds, unless `save_onnx` has stored one); or ``"auto"`` for ONNX
            Runtime if `save_onnx` has measured that it is faster, otherwise torch.
        precision: dtype in which the backbone computes. ``"bfloat16"`` is faster than ``"float32"`` on some machines
            and costs accuracy: on 200 photographs probabilities changed by 0.006 on average and 0.09 at most, and 5
            predictions changed.
        threads: number of CPU threads that compute a batch (intra-op threads); None for `torch.get_num_threads`.
        fast_decode: let the JPEG decoder downscale large images, and resize them in 8 bits: faster, but not exactly the
            pixels that the model was evaluated with (docs/why.md has the differences). Models of preprocessing version
            ``legacy-1`` are always read this way.

    Raises:
        ArtifactError: the folder contains no complete model, or one that this version cannot read; or the repository
            does not exist, is not a model of Eyebright, or cannot be downloaded.
        InputError: the runtime, precision or device is unknown, or they cannot be combined.
        MissingExtraError: ONNX Runtime was requested and is not installed.
    """
    options = RuntimeOptions(runtime, precision, device, threads)
    folder = local_folder(folder)
    manifest, state = load_model(folder)
    ood = load_out_of_distribution(folder, manifest)

    def build() -> ImageModel:
        return _build(folder, manifest, state)

    saved = SavedModel(
        folder / GRAPH,
        output_size(manifest.preprocessing),
        manifest.pixels_version,
        build,
        lambda: model_hash(manifest.model, state),
        needs_features=ood is not None,
    )
    again = _LoadOptions(folder.absolute(), device, runtime, precision, threads, fast_decode)
    return Predictor(
        manifest,
        build,
        ood=ood,
        runtime=choose_runtime(saved, options),
        fast_decode=fast_decode,
        pickled_as=lambda: (_load_same, (again, _version(manifest, state))),
    )


class _LoadOptions(NamedTuple):
    """The arguments of `load_predictor`."""

    folder: Path
    device: str | torch.device | None
    runtime: RuntimeName
    precision: Precision
    threads: int | None
    fast_decode: bool


def _load_same(options: _LoadOptions, version: str) -> Predictor:
    """The predictor of the same model, loaded again, usually in another process.

    Raises:
        ArtifactError: the folder now contains another model, or none.
    """
    folder, device, runtime, precision, threads, fast_decode = options
    predictor = load_predictor(
        folder, device=device, runtime=runtime, precision=precision, threads=threads, fast_decode=fast_decode
    )
    _, (_, found) = predictor.__reduce__()
    if found != version:
        raise ArtifactError(
            f"'{folder}' contains another model than when this predictor was loaded; load it again with "
            f"`load_predictor`"
        )
    return predictor


def _version(manifest: Manifest, state: dict[str, Tensor]) -> str:
    """A hash of everything that decides the predictions: the weights and the manifest."""
    text = json.dumps(manifest.to_json(), sort_keys=True)
    return f"{model_hash(manifest.model, state)} {hashlib.sha256(text.encode()).hexdigest()}"


def save_onnx(folder: str | Path) -> Path:
    """Exports a saved model's network to ONNX, into its folder, where `load_predictor` finds it; returns the path.

    It makes predictions of Eyebright faster if ONNX Runtime is faster than torch. For a graph that predicts without
    Eyebright use ``eyebright export``.

    Its input ``images`` are images, batch x height x width x 3, resized and cropped to the model's input size but not
    normalised: canonical pixels in [0, 1], float32 (uint8 for models of preprocessing version ``legacy-1``). Its output
    ``outputs`` are the model's outputs before the activation. Any ONNX runtime can use it. Its hash is in
    ``network.onnx.sha256`` in the same folder; a graph that has changed since is not used.

    Args:
        folder: the model folder.

    Raises:
        ArtifactError: the folder contains no complete model, torch cannot export it, or the file cannot be written.
        InputError: the model's preprocessing keeps different image sizes.
        MissingExtraError: the packages of ``eyebright[onnx]`` are not installed.
    """
    folder = Path(folder)
    manifest, state = load_model(folder)
    size = output_size(manifest.preprocessing)
    if size is None:
        raise InputError(
            f"an ONNX graph needs a fixed image size, but the preprocessing of the model in '{folder}' keeps different"
            " sizes"
        )
    graph = export_onnx(
        _build(folder, manifest, state),
        size,
        model_hash=model_hash(manifest.model, state),
        pixels_version=manifest.pixels_version,
    )
    write_graph(folder / GRAPH, graph)
    return folder / GRAPH


def _build(folder: Path, manifest: Manifest, state: dict[str, Tensor]) -> ImageModel:
    """The model with its weights, in evaluation mode."""
    try:
        return build_saved(manifest.model, state)
    except InputError as error:
        raise ArtifactError(f"the weights in '{folder}' do not match its manifest: {shortened(str(error))}") from None
