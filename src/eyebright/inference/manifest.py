"""What is saved: a folder that predicts anywhere and runs nothing.

    model.safetensors   the weights, and a copy of the manifest in its header
    manifest.json       schema, architecture, input, target, thresholds, view, scores, versions, data

Each file is written under another name, flushed to the disk and renamed, so a full disk or a power cut leaves the old
model as it was. The copy in the header is for the moment between the two renames: the manifest that was saved together
with the weights is the one that counts. A manifest that a person edited afterwards carries the same ``id`` and is used.

Loading reads JSON and tensors. It never unpickles, imports or calls anything that the folder names.
"""

import json
import math
import platform
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from eyebright.errors import ArtifactError, EyebrightError, InputError
from eyebright.io.atomic import write_atomically
from eyebright.models.build import ModelDescription
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.registry import block_from_json, block_to_json
from eyebright.transforms.draw import Transform
from eyebright.transforms.serialize import preprocessing_from_json, preprocessing_to_json
from eyebright.types import Thresholds

SCHEMA = 1
WEIGHTS = "model.safetensors"
MANIFEST = "manifest.json"

_EXECUTABLE = (".pkl", ".pickle", ".pth", ".pt", ".bin", ".ckpt", ".joblib", ".py")
_VERSIONS = ("eyebright", "torch", "torchvision", "timm", "numpy", "pillow", "opencv-python-headless")


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    for name in _VERSIONS:
        try:
            versions.setdefault(name, metadata.version(name))
        except metadata.PackageNotFoundError:
            continue
    return versions


@dataclass(frozen=True)
class Manifest:
    """Everything that a saved model is, except its weights.

    Args:
        model: the architecture, its head and its input.
        target: the target block, with its vocabulary.
        preprocessing: how a new image is brought to the model's size.
        thresholds: from probabilities to decisions.
        scores: of the validation images, by name.
        training: how it was trained: seed, epochs, rates.
        data: what it was trained on: counts, a fingerprint.
        versions: of the libraries that wrote it.
        created: when, UTC.
    """

    model: ModelDescription
    target: TargetBlock
    preprocessing: tuple[Transform, ...] = ()
    thresholds: Thresholds = field(default_factory=Thresholds)
    scores: dict[str, float] = field(default_factory=dict[str, float])
    training: dict[str, Any] = field(default_factory=dict[str, Any])
    data: dict[str, Any] = field(default_factory=dict[str, Any])
    versions: dict[str, str] = field(default_factory=_versions)
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def to_json(self) -> dict[str, Any]:
        """The manifest as it stands in the file."""
        values = self.thresholds.values
        return {
            "schema": SCHEMA,
            "created": self.created,
            "model": self.model.to_json(),
            "target": block_to_json(self.target),
            "thresholds": {
                "values": list(values) if isinstance(values, tuple) else values,
                "metric": self.thresholds.metric,
            },
            "view": preprocessing_to_json(self.preprocessing),
            "scores": _without_nan(self.scores),
            "training": _without_nan(self.training),
            "data": self.data,
            "versions": self.versions,
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> "Manifest":
        """The manifest that `to_json` described.

        Raises:
            ArtifactError: the schema is newer than this version, or something is missing or wrong.
        """
        schema = data.get("schema")
        if not isinstance(schema, int) or schema > SCHEMA or schema < 1:
            raise ArtifactError(
                f"this version reads schema {SCHEMA}, and the manifest says {schema!r}; update eyebright"
            )
        try:
            target = block_from_json(data["target"])
            values = data["thresholds"]["values"]
            manifest = Manifest(
                model=ModelDescription.from_json(data["model"]),
                target=target,
                preprocessing=preprocessing_from_json(data["view"]),
                thresholds=Thresholds(
                    tuple(values) if isinstance(values, list) else values,
                    data["thresholds"]["metric"],
                    names=tuple(target.classes) if target.classes else None,
                ),
                scores={name: math.nan if score is None else score for name, score in data["scores"].items()},
                training=data["training"],
                data=data["data"],
                versions=data["versions"],
                created=data["created"],
            )
            _refuse_what_makes_no_sense(manifest)
            return manifest
        except EyebrightError as error:
            raise ArtifactError(f"the manifest cannot be used: {error}") from None
        except KeyError as error:
            raise ArtifactError(f"the manifest lacks {error}") from None
        except (TypeError, AttributeError, ValueError) as error:
            raise ArtifactError(f"the manifest lacks or misspells something: {error}") from None


def save_model(folder: str | Path, manifest: Manifest, state: dict[str, Tensor]) -> Path:
    """The folder, with the model in it.

    Args:
        folder: is made where it is missing; what else lies in it stays.
        manifest: what the model is.
        state: its weights, by name.

    Raises:
        ArtifactError: the disk is full, read-only, or the like; a model that was there before still is. Or the outputs
            or thresholds are not as many as the classes, so that it could not be loaded again.
    """
    folder = Path(folder)
    _refuse_what_makes_no_sense(manifest)
    data = {**manifest.to_json(), "id": uuid.uuid4().hex}
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / WEIGHTS, lambda path: save_file(tensors, path, metadata={"manifest": text}))
        write_atomically(folder / MANIFEST, lambda path: path.write_text(text + "\n", encoding="utf-8"))
    except (OSError, SafetensorError) as error:
        raise ArtifactError(
            f"cannot save the model in '{folder}': {_reason(error)}; what was there before is unchanged"
        ) from None
    return folder


def load_model(folder: str | Path) -> tuple[Manifest, dict[str, Tensor]]:
    """(manifest, weights) of a saved model.

    Raises:
        ArtifactError: there is no model, only part of one, one of a newer schema, or something that had to be run.
    """
    folder = Path(folder)
    _refuse_what_is_no_model(folder)
    try:
        with (folder / WEIGHTS).open("rb"):
            pass  # safetensors says of a file without permission that there is none
        with safe_open(folder / WEIGHTS, framework="pt", device="cpu") as file:
            inside = json.loads((file.metadata() or {}).get("manifest", "null"))
            state: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise ArtifactError(f"'{folder / WEIGHTS}' is not a whole model file: {_reason(error)}") from None
    try:
        return Manifest.from_json(_chosen(folder / MANIFEST, inside)), state
    except ArtifactError as error:
        raise ArtifactError(f"cannot use the model in '{folder}': {error}") from None


def _without_nan(value: Any) -> Any:
    """The same with None for numbers that are not finite: JSON has no word for them, and strict readers refuse it."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {name: _without_nan(inner) for name, inner in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case list() | tuple():
            return [_without_nan(inner) for inner in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value


def _refuse_what_makes_no_sense(manifest: Manifest) -> None:
    arch: Any = manifest.model.arch
    if not isinstance(arch, str) or re.fullmatch(r"[\w.\-]+", arch) is None:
        raise ArtifactError(f"the architecture is a plain name, not {arch!r}")
    if manifest.target.classes is not None:
        if manifest.model.classes != manifest.target.width:
            raise ArtifactError(
                f"the model has {manifest.model.classes} outputs, and its target block {manifest.target.width} classes"
            )
        try:
            manifest.thresholds.per_class(manifest.target.width)
        except InputError as error:
            raise ArtifactError(str(error)) from None


def _refuse_what_is_no_model(folder: Path) -> None:
    if folder.suffix in _EXECUTABLE:
        raise ArtifactError(
            f"'{folder}' is a kind of file that can run code when it is loaded; a model is a folder with {WEIGHTS}"
        )
    if not folder.is_dir():
        raise ArtifactError(f"there is no model folder '{folder}'")
    if (folder / WEIGHTS).is_file():
        return
    there = sorted(file.name for file in folder.iterdir())[:8]
    running = [name for name in there if Path(name).suffix in _EXECUTABLE]
    if running:
        raise ArtifactError(f"'{folder}' holds {running[0]}, which can run code when it is loaded, and no {WEIGHTS}")
    raise ArtifactError(f"'{folder}' holds no {WEIGHTS}; there is {', '.join(there) or 'nothing'}")


def _chosen(path: Path, inside: Any) -> dict[str, Any]:
    """The manifest beside the weights where it was saved together with them, else the one inside."""
    beside: Any = None
    if path.is_file():
        try:
            beside = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ArtifactError(f"{MANIFEST} cannot be read: {_reason(error)}") from None
        except (ValueError, RecursionError) as error:
            raise ArtifactError(f"{MANIFEST} is not JSON: {error}") from None
    if isinstance(inside, dict) and not (isinstance(beside, dict) and beside.get("id") == inside.get("id")):
        return inside
    if not isinstance(beside, dict):
        raise ArtifactError(f"there is no {MANIFEST}")
    return beside


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
