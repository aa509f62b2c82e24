"""Loads a model folder: weights, a JSON manifest and the validation outputs; loading runs no code.

    model.safetensors   the weights (safetensors), and a copy of the manifest in its header
    manifest.json       schema, architecture, input, preprocessing, target, decision, scores, versions, data
    evaluation.parquet  the model's outputs for the validation images, with their targets, and for those of the parts
                        promise and test, if there are any
    out_of_fold.parquet  the same for all labelled images, by heads that were not fitted to them
    out_of_distribution.safetensors  the fitted out-of-distribution detector
    training_images.json  the paths of some training images (`eyebright.inference.training_images`)
    network.onnx        the network as a graph if requested, with its hash in network.onnx.sha256 (`save_onnx`)
    model.onnx          an export with its other files, described in export.json (``eyebright export``)

    manifest.previous.json  the manifest before the last change (`eyebright.inference.change_manifest`), and
    evaluation.previous.parquet  the evaluation before it, if that changed it

`save_model` writes those before ``network.onnx``. All files are first written to temporary names and flushed to the
disk, then renamed one after another, so a full disk leaves an older model unchanged. A crash between two renames can
leave an old manifest with new weights, so the weights file contains a copy of its manifest: ``manifest.json`` is used
if its ``id`` equals that of the copy (it may have been edited by hand), otherwise the copy. Other files are only used
if their hashes are those in the manifest.

Loading reads JSON and tensors. It never unpickles, imports or calls anything that the folder names.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eyebright._choices import EvaluatedPart
from eyebright.errors import ArtifactError, listing, os_reason
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.parquet import read_parquet
from eyebright.inference.folder_format import (
    EVALUATION,
    EXECUTABLE,
    EXPORT_RECORD,
    MANIFEST,
    OUT_OF_DISTRIBUTION,
    OUT_OF_FOLD,
    PREVIOUS,
    WEIGHTS,
    no_folder_text,
)
from eyebright.inference.inspect_folder import parse_json, read_json
from eyebright.inference.inspect_manifest import other_order
from eyebright.inference.manifest import Manifest
from eyebright.inference.out_of_distribution import OutOfDistribution
from eyebright.io.atomic import attempts
from eyebright.io.tensors import non_finite_reason, read_metadata, read_tensors
from eyebright.models.build import ModelDescription


def load_model(folder: str | Path) -> tuple[Manifest, dict[str, Tensor]]:
    """(manifest, weights) of a saved model.

    Raises:
        ArtifactError: the folder contains no model, an incomplete or damaged one, one of a newer version, or one with
            weights that are not finite. A file that can run code (a pickle) is never opened; the message names it if
            the folder has one instead of the weights.
    """
    return _load(Path(folder), weights=True)


def load_manifest(folder: str | Path) -> Manifest:
    """The manifest of a saved model, without its weights.

    Raises:
        ArtifactError: the folder contains no model, or its manifest is damaged or of a newer version.
    """
    return _load(Path(folder), weights=False)[0]


def weights_hash(folder: str | Path) -> str:
    """The hash of a saved model's weights, as `state_hash` returns it; empty for a model of an older version.

    Raises:
        ArtifactError: the folder contains no model, or its manifest is damaged.
    """
    folder = Path(folder)
    _check_model_folder(folder)
    copy = _read_weights_file(folder / WEIGHTS)[1]
    return str(_choose_manifest(folder / MANIFEST, copy).get("weights", ""))


def load_evaluation(folder: str | Path, *, part: EvaluatedPart = "valid") -> Evaluation:
    """A saved evaluation: outputs and targets of the validation images, or of another part.

    Args:
        folder: the model folder.
        part: ``"valid"``; ``"promise"`` or ``"test"``, if the data had such images; or ``"out_of_fold"``: all labelled
            images, each with outputs of a head that was not fitted to it; these heads are not that of the model.

    Raises:
        ArtifactError: the folder contains no model or no evaluation, or the evaluation is damaged or belongs to another
            model, or has no image of this part.
    """
    name = OUT_OF_FOLD if part == "out_of_fold" else EVALUATION
    return part_of(load_manifest_and_evaluations(folder, name)[1], part, folder)


def part_of(evaluations: Mapping[EvaluatedPart, Evaluation], part: EvaluatedPart, folder: str | Path) -> Evaluation:
    """The evaluation of one part.

    Raises:
        ArtifactError: the part has no evaluation; the message names the existing ones.
    """
    if part not in evaluations:
        raise ArtifactError(
            f"the evaluation in '{folder}' has no images of the part '{part}', only of {listing(evaluations)}"
        )
    return evaluations[part]


def load_evaluations(
    folder: Path, manifest: Manifest, *, may_be_missing: bool = False
) -> dict[EvaluatedPart, Evaluation]:
    """The evaluations of a model folder by part.

    Args:
        folder: the model folder.
        manifest: the manifest of the folder.
        may_be_missing: whether files that the manifest names may be missing.

    Raises:
        ArtifactError: a file is missing, damaged, or belongs to another model.
    """
    evaluations: dict[EvaluatedPart, Evaluation] = {}
    for name, digest in ((EVALUATION, manifest.evaluation_hash), (OUT_OF_FOLD, manifest.out_of_fold_hash)):
        if digest is not None and ((folder / name).is_file() or not may_be_missing):
            evaluations |= load_manifest_and_evaluations(folder, name)[1]
    return evaluations


def load_out_of_distribution(folder: str | Path, manifest: Manifest | None = None) -> OutOfDistribution | None:
    """The saved out-of-distribution score; None if it was not saved, or the file was not copied.

    Args:
        folder: the model folder.
        manifest: its manifest; None: it is read.

    Raises:
        ArtifactError: the file is damaged, or belongs to another model.
    """
    path = Path(folder) / OUT_OF_DISTRIBUTION
    manifest = load_manifest(folder) if manifest is None else manifest
    if manifest.out_of_distribution_hash is None:
        return None
    content = read_with_hash(path, manifest.out_of_distribution_hash)
    return None if content is None else OutOfDistribution.from_bytes(content)


def read_with_hash(path: Path, expected: str) -> bytes | None:
    """The content of a file of a model folder; None if there is no such file.

    Between two renames of a writer the file belongs to another model than the manifest. So reading is retried for a
    while before that is an error.

    Args:
        path: the file.
        expected: the SHA-256 hash in the manifest, hexadecimal.

    Raises:
        ArtifactError: the file cannot be read, or has another hash.
    """
    for _ in attempts():
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ArtifactError(f"'{path}' cannot be read: {os_reason(error)}") from None
        if hashlib.sha256(content).hexdigest() == expected:
            return content
    raise ArtifactError(_other_hash(path))


def load_manifest_and_evaluations(
    folder: str | Path, name: str = EVALUATION
) -> tuple[Manifest, dict[EvaluatedPart, Evaluation]]:
    """(manifest, evaluations by part) of one saved model, also while another process replaces it.

    The manifest is also in the header of the weights, but the evaluation is a separate file: between two renames of a
    writer it belongs to another model. So reading is retried for a while before that is an error.

    Args:
        folder: the model folder.
        name: the file of the evaluation.

    Raises:
        ArtifactError: as in `load_evaluation`.
    """
    folder = Path(folder)
    problem = ""
    for _ in attempts():
        manifest = load_manifest(folder)
        digest = {EVALUATION: manifest.evaluation_hash, OUT_OF_FOLD: manifest.out_of_fold_hash}[name]
        problem, data = _evaluation_data(folder / name, digest)
        if data is not None:
            evaluations = read_parquet(data, manifest.decision, manifest.targets)[0]
            here = folder.resolve()
            return manifest, {
                part: replace(evaluation, root=Path(os.path.normpath(here / evaluation.root)))
                for part, evaluation in evaluations.items()
            }
        if digest is None:
            break
    raise ArtifactError(problem)


def _evaluation_data(path: Path, digest: str | None) -> tuple[str, bytes | None]:
    """("", content) of the file with this hash; (the problem, None) without such a file."""
    missing = {
        EVALUATION: "the model was saved without an evaluation: train again, or give one to Learner.save_model",
        OUT_OF_FOLD: "the model was saved without out-of-fold predictions: train again with `folds=5`",
    }[path.name]
    try:
        data = path.read_bytes() if digest is not None and path.is_file() else None
    except FileNotFoundError:
        data = None
    except OSError as error:
        return f"'{path}' cannot be read: {os_reason(error)}", None
    if data is None:
        return f"'{path.parent}' contains no {path.name}, since {missing}; or it is a copy without that file", None
    if hashlib.sha256(data).hexdigest() != digest:
        return _other_hash(path), None
    return "", data


def _other_hash(path: Path) -> str:
    return f"'{path}' is damaged, or belongs to another model: its hash is not that of the manifest"


def model_hash(description: ModelDescription, state: Mapping[str, Tensor]) -> str:
    """A hash of a model's description and its weights, as 32 hexadecimal digits."""
    digest = hashlib.blake2b(json.dumps(description.to_json(), sort_keys=True).encode(), digest_size=16)
    hash_state(digest, state)
    return digest.hexdigest()


def state_hash(state: Mapping[str, Tensor]) -> str:
    """A hash of only the weights; an edited manifest still belongs to its weights."""
    digest = hashlib.blake2b(digest_size=16)
    hash_state(digest, state)
    return digest.hexdigest()


def hash_state(digest: hashlib.blake2b, state: Mapping[str, Tensor]) -> None:
    """Adds the names and the values of a state dict to a hash."""
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)


def _load(folder: Path, *, weights: bool) -> tuple[Manifest, dict[str, Tensor]]:
    """(manifest, weights) of a saved model.

    Without ``weights`` only the header of the weights file is read, and the returned weights are empty.
    """
    _check_model_folder(folder)
    path = folder / WEIGHTS
    state, copy = _read_weights_file(path, weights=weights)
    if reason := non_finite_reason(state):
        raise ArtifactError(f"the weights in '{path}' cannot be used: {reason}; train again, or use an older copy")
    try:
        content = _choose_manifest(folder / MANIFEST, copy)
        manifest = Manifest.from_json(content)
    except ArtifactError as error:
        raise ArtifactError(f"cannot use the model in '{folder}': {error}") from None
    if weights and content.get("weights", digest := state_hash(state)) != digest:  # older versions saved no hash
        raise ArtifactError(f"'{path}' is damaged: the hash of its weights differs from the saved one")
    return manifest, state


def _read_weights_file(path: Path, *, weights: bool = False) -> tuple[dict[str, Tensor], Any]:
    """(weights, copy of the manifest) from the file of the weights; without ``weights`` only its header is read."""
    try:
        state, metadata = read_tensors(path) if weights else ({}, read_metadata(path))
        return state, parse_json(metadata.get("manifest", "null"))
    except OSError as error:
        raise ArtifactError(f"'{path}' cannot be read: {os_reason(error)}") from None
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"'{path}' is damaged or not a model file: {error}") from None


def _check_model_folder(folder: Path) -> None:
    """Raises `ArtifactError` unless the folder contains model weights."""
    if folder.suffix in EXECUTABLE:
        raise ArtifactError(
            f"'{folder}' is a type of file that can run code when it is loaded; a model is a folder with {WEIGHTS}"
        )
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        raise ArtifactError(no_folder_text(folder))
    if (folder / WEIGHTS).is_file():
        return
    try:
        names = sorted(file.name for file in folder.iterdir())
    except OSError as error:  # it was removed in the meantime, or cannot be read
        raise ArtifactError(f"the model folder '{folder}' cannot be read: {os_reason(error)}") from None
    if EXPORT_RECORD in names:
        raise ArtifactError(
            f"'{folder}' is an export, which other programs run ({listing(names)}), and contains no {WEIGHTS}: give the"
            " model folder that was exported"
        )
    executable = [name for name in names if Path(name).suffix in EXECUTABLE]
    if executable:
        raise ArtifactError(
            f"'{folder}' contains {executable[0]}, which can run code when it is loaded, and no {WEIGHTS}"
        )
    raise ArtifactError(f"'{folder}' contains no {WEIGHTS}, but {', '.join(names[:8]) or 'nothing'}")


def _choose_manifest(path: Path, copy: Any) -> dict[str, Any]:
    """The content of ``manifest.json`` if it was saved together with the weights, otherwise the copy in their header.

    Args:
        path: the path of ``manifest.json``; the file need not exist.
        copy: the copy of the manifest; None if the weights have none.

    Raises:
        ArtifactError: there is no manifest, only one that is older than a change, or it is not JSON or cannot be read.
    """
    from_file = read_manifest(path) if path.is_file() else None
    previous = path.with_name(PREVIOUS)
    if from_file is None and previous.is_file():
        raise ArtifactError(
            f"there is no {MANIFEST}, and the copy in {WEIGHTS} is older than the last change of the model; copy the "
            f"file from elsewhere, or copy {previous.name}, the manifest before that change, to {MANIFEST}"
        )
    if isinstance(copy, dict) and not (isinstance(from_file, dict) and from_file.get("id") == copy.get("id")):
        return copy
    if not isinstance(from_file, dict):
        raise ArtifactError(f"there is no {MANIFEST}")
    if problem := other_order(from_file, copy if isinstance(copy, dict) else None):
        raise ArtifactError(f"{MANIFEST} {problem}")
    return from_file


def read_manifest(path: Path) -> Any:
    """The content of a manifest file.

    Raises:
        ArtifactError: the file is too large, not JSON or cannot be read.
    """
    try:
        return read_json(path)
    except OSError as error:
        raise ArtifactError(f"{path.name} cannot be read: {os_reason(error)}") from None
    except ValueError as error:
        raise ArtifactError(f"{path.name} {str(error).removeprefix('it ')}") from None


def manifest_content(folder: Path) -> dict[str, Any]:
    """The JSON of the manifest of a saved model."""
    _check_model_folder(folder)
    return _choose_manifest(folder / MANIFEST, _read_weights_file(folder / WEIGHTS)[1])
