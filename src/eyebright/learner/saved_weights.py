"""The weights of a learner as one safetensors file: `Learner.save` and `Learner.load`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from eyebright.errors import ArtifactError, InputError, os_reason
from eyebright.io.atomic import make_folder, write_atomically
from eyebright.io.tensors import read_tensors
from eyebright.models.build import ImageModel
from eyebright.models.weights import mismatch

_FORMAT = 1


def weights_path(folder: Path, name: str | Path) -> Path:
    """The file of saved weights: in the folder ``models``, with the extension ``.safetensors``.

    Raises:
        InputError: the name is that of a pickle.
    """
    check_no_pickle(name, instead="weights are saved as safetensors: give '{stem}'")
    path = folder / "models" / name
    return path if path.suffix == ".safetensors" else path.with_name(f"{path.name}.safetensors")


def check_no_pickle(name: str | Path, *, instead: str) -> None:
    """Raises `InputError` for the name of a pickle.

    Args:
        name: the name of the file or folder to write.
        instead: the advice for the message; ``{stem}`` is the name without its extension.
    """
    if Path(name).suffix in (".pkl", ".pth", ".pt"):
        raise InputError(
            f"'{name}' is the name of a pickle, which can run code when it is loaded; "
            + instead.format(stem=Path(name).stem)
        )


def save_weights(path: Path, model: ImageModel, *, target: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Writes the weights; an existing file is kept until the new one is complete.

    Args:
        path: the file.
        model: the model.
        target: the target block as JSON; `load_weights` compares it.
        about: more values, as JSON.

    Raises:
        ArtifactError: the file cannot be written.
    """
    tensors = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in model.state_dict().items()}
    header = {"eyebright": json.dumps({"weights": _FORMAT, "target": target, "model": _meaning(model), "about": about})}
    try:
        make_folder(path.parent)
        write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata=header))
    except (OSError, SafetensorError) as reason:
        raise ArtifactError(f"cannot write the weights '{path}': {reason}") from None


def load_weights(path: Path, model: ImageModel, *, target: Mapping[str, Any]) -> dict[str, Any]:
    """Replaces the weights of the model, all or none; returns ``about``.

    Raises:
        ArtifactError: the file does not exist, is damaged, or belongs to another model or target; the model is
            unchanged.
    """
    if not path.is_file():
        raise ArtifactError(f"there are no saved weights '{path}': use learn.save('{path.stem}') first")
    try:
        tensors, metadata = read_tensors(path)
        header: Any = json.loads(metadata.get("eyebright", "{}"))
    except OSError as error:
        raise ArtifactError(f"'{path}' cannot be read: {os_reason(error)}") from None
    except (ValueError, RecursionError) as reason:
        raise ArtifactError(f"'{path}' is an incomplete or damaged file of weights ({reason})") from None
    if not isinstance(header, dict) or header.get("weights") != _FORMAT or not isinstance(header.get("about"), dict):
        raise ArtifactError(f"'{path}' was not written by learn.save of this version of eyebright")
    _check_same_meaning(header, path, model, target)
    expected = model.state_dict()
    if difference := mismatch(expected, tensors):
        raise ArtifactError(f"'{path}' has the weights of another model: {difference}")
    with torch.no_grad():
        for name, value in expected.items():
            value.copy_(tensors[name])
    return header["about"]


def _check_same_meaning(header: Mapping[str, Any], path: Path, model: ImageModel, target: Mapping[str, Any]) -> None:
    """Raises `ArtifactError` if the saved weights predict another target, or something else from the same images."""
    if header.get("target") != json.loads(json.dumps(target)):
        raise ArtifactError(
            f"'{path}' has the weights of another target, {json.dumps(header.get('target'))[:200]}, and this learner"
            f" has {json.dumps(target)[:200]}"
        )
    for name, value in _meaning(model).items():
        saved = header.get("model", {}).get(name, value)  # older files have none
        if saved != value:
            raise ArtifactError(
                f"'{path}' has the weights of a model with another {name}, {saved}, and this learner has {value}: they "
                "would give other predictions"
            )


def _meaning(model: ImageModel) -> dict[str, Any]:
    """The settings that change the predictions of the same weights, as JSON."""
    images = model.description.input
    y_range = model.description.y_range
    return {
        "mean": list(images.mean),
        "std": list(images.std),
        "y_range": None if y_range is None else list(y_range),
    }
