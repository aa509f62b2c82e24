"""What is saved: a folder that predicts anywhere and runs nothing.

    model.safetensors   the weights, and a copy of the manifest in its header
    manifest.json       schema, architecture, input, preprocessing, target, decision, scores, versions, data
    evaluation.parquet  the model's outputs for the validation images, with their targets

Each file is written under another name, flushed to the disk and renamed, so a full disk or a power cut leaves the old
model as it was. The copy in the header is for the moment between the two renames: the manifest that was saved together
with the weights is the one that counts. A manifest that a person edited afterwards carries the same ``id`` and is used.

Loading reads JSON and tensors. It never unpickles, imports or calls anything that the folder names.
"""

import hashlib
import json
import math
import os
import platform
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from eyebright.errors import ArtifactError, EyebrightError, InputError
from eyebright.evaluation.evaluation import Evaluation, read_parquet
from eyebright.io.atomic import write_atomically
from eyebright.models.build import ModelDescription
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.registry import block_from_json, block_to_json
from eyebright.transforms.draw import Transform
from eyebright.transforms.serialize import preprocessing_from_json, preprocessing_to_json

SCHEMA = 2
WEIGHTS = "model.safetensors"
MANIFEST = "manifest.json"
EVALUATION = "evaluation.parquet"

PIXELS = "legacy-1"
"""How the pixels that a model sees are made; a folder keeps its own for ever."""

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
        decision: from the model's outputs to answers, with the target block and its vocabulary.
        preprocessing: how a new image is brought to the model's size.
        scores: of the validation images, by name.
        training: how it was trained: seed, epochs, rates.
        data: what it was trained on: counts, a fingerprint.
        targets: a summary of the training targets, see `TargetBlock.training_summary`.
        report: what the report says beside the evaluation: title, how the data was read, what was left out.
        evaluation: the hash of the evaluation that is saved beside the model; None where there is none.
        versions: of the libraries that wrote it.
        created: when, UTC.
    """

    model: ModelDescription
    decision: Decision
    preprocessing: tuple[Transform, ...] = ()
    scores: dict[str, float] = field(default_factory=dict[str, float])
    training: dict[str, Any] = field(default_factory=dict[str, Any])
    data: dict[str, Any] = field(default_factory=dict[str, Any])
    targets: dict[str, Any] = field(default_factory=dict[str, Any])
    report: dict[str, Any] = field(default_factory=dict[str, Any])
    evaluation: str | None = None
    versions: dict[str, str] = field(default_factory=_versions)
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def target(self) -> TargetBlock:
        """The target block."""
        return self.decision.target

    def to_json(self) -> dict[str, Any]:
        """The manifest as the file holds it."""
        return {
            "schema": SCHEMA,
            "created": self.created,
            "model": self.model.to_json(),
            "target": block_to_json(self.target),
            "decision": self.decision.to_json(),
            "pixels": PIXELS,
            "preprocessing": preprocessing_to_json(self.preprocessing),
            "scores": _without_nan(self.scores),
            "training": _without_nan(self.training),
            "data": self.data,
            "targets": _without_nan(self.targets),
            "report": self.report,
            "evaluation": self.evaluation,
            "versions": self.versions,
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> "Manifest":
        """The manifest that `to_json` described, of this schema or an older one.

        Raises:
            ArtifactError: the schema is newer than this version, or something is missing or wrong.
        """
        schema = data.get("schema")
        if not isinstance(schema, int) or schema > SCHEMA or schema < 1:
            raise ArtifactError(
                f"this version reads schema {SCHEMA}, and the manifest says {schema!r}; update eyebright"
            )
        try:
            manifest = _read(_from_schema_1(data) if schema == 1 else data)
            _refuse_what_makes_no_sense(manifest)
            return manifest
        except EyebrightError as error:
            raise ArtifactError(f"the manifest cannot be used: {error}") from None
        except KeyError as error:
            raise ArtifactError(f"the manifest lacks {error}") from None
        except (TypeError, AttributeError, ValueError) as error:
            raise ArtifactError(f"the manifest lacks or misspells something: {error}") from None


def save_model(
    folder: str | Path, manifest: Manifest, state: dict[str, Tensor], *, evaluation: Evaluation | None = None
) -> Path:
    """The folder, with the model in it.

    Args:
        folder: is made where it is missing; what else lies in it stays.
        manifest: what the model is.
        state: its weights, by name.
        evaluation: its outputs for the validation images; None saves none, and removes that of an older model.

    Raises:
        ArtifactError: the disk is full, read-only, or the like; a model that was there before still is. Or the outputs
            or thresholds are not as many as the classes, so that it could not be loaded again.
    """
    folder = Path(folder)
    _refuse_what_makes_no_sense(manifest)
    identity = uuid.uuid4().hex
    saved = None
    if evaluation is not None:
        located = replace(evaluation, root=_relative(evaluation.root, folder))
        saved = located.to_parquet({"model": identity, "weights": fingerprint(manifest.model, state)})
        manifest = replace(manifest, evaluation=hashlib.sha256(saved).hexdigest())
    data = {**manifest.to_json(), "id": identity}
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / WEIGHTS, lambda path: save_file(tensors, path, metadata={"manifest": text}))
        if saved is None:
            (folder / EVALUATION).unlink(missing_ok=True)
        else:
            write_atomically(folder / EVALUATION, lambda path: path.write_bytes(saved))
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
    return _load(Path(folder), weights=True)


def load_manifest(folder: str | Path) -> Manifest:
    """The manifest of a saved model, without its weights.

    Raises:
        ArtifactError: there is no model, or its manifest cannot be used.
    """
    return _load(Path(folder), weights=False)[0]


def load_evaluation(folder: str | Path) -> Evaluation:
    """What the saved model said about its validation images.

    Raises:
        ArtifactError: there is no model or no evaluation, it is damaged, or it belongs to another model.
    """
    folder = Path(folder)
    manifest = load_manifest(folder)
    path = folder / EVALUATION
    if manifest.evaluation is None or not path.is_file():
        raise ArtifactError(
            f"'{folder}' holds no {EVALUATION}; models have one since schema 2: train again, or save one with "
            "Learner.save_model"
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"'{path}' cannot be read: {_reason(error)}") from None
    if hashlib.sha256(data).hexdigest() != manifest.evaluation:
        raise ArtifactError(f"'{path}' is damaged, or belongs to another model: its hash is not that of the manifest")
    evaluation = read_parquet(data, manifest.decision, manifest.targets)[0]
    return replace(evaluation, root=Path(os.path.normpath(folder.resolve() / evaluation.root)))


def fingerprint(description: ModelDescription, state: Mapping[str, Tensor]) -> str:
    """A hash of a model's description and of every weight."""
    digest = hashlib.blake2b(json.dumps(description.to_json(), sort_keys=True).encode(), digest_size=16)
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _relative(images: Path, folder: Path) -> Path:
    """The image folder as seen from the model folder: both can be moved together, and no user's folder is named."""
    try:
        return Path(os.path.relpath(images.resolve(), folder.resolve()))
    except ValueError:  # on different drives
        return images.absolute()


def _load(folder: Path, *, weights: bool) -> tuple[Manifest, dict[str, Tensor]]:
    _refuse_what_is_no_model(folder)
    try:
        with (folder / WEIGHTS).open("rb"):
            pass  # safetensors reports a file without permission as missing
        with safe_open(folder / WEIGHTS, framework="pt", device="cpu") as file:
            inside = json.loads((file.metadata() or {}).get("manifest", "null"))
            state: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()} if weights else {}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise ArtifactError(f"'{folder / WEIGHTS}' is not a whole model file: {_reason(error)}") from None
    try:
        return Manifest.from_json(_chosen(folder / MANIFEST, inside)), state
    except ArtifactError as error:
        raise ArtifactError(f"cannot use the model in '{folder}': {error}") from None


def _read(data: dict[str, Any]) -> Manifest:
    """The manifest of this schema."""
    if data["pixels"] != PIXELS:
        raise ArtifactError(f"this version knows the pixels '{PIXELS}', and the manifest names {data['pixels']!r}")
    return Manifest(
        model=ModelDescription.from_json(data["model"]),
        decision=Decision.from_json(data["decision"], block_from_json(data["target"])),
        preprocessing=preprocessing_from_json(data["preprocessing"]),
        scores={name: math.nan if score is None else score for name, score in data["scores"].items()},
        training=data["training"],
        data=data["data"],
        targets=data["targets"],
        report=data["report"],
        evaluation=data["evaluation"],
        versions=data["versions"],
        created=data["created"],
    )


def _from_schema_1(data: dict[str, Any]) -> dict[str, Any]:
    """A manifest of schema 1 as one of schema 2: thresholds belong to the decision, "view" is called preprocessing."""
    old = {name: value for name, value in data.items() if name not in ("thresholds", "view")}
    return {
        **old,
        "schema": SCHEMA,
        "decision": {"calibration": {"kind": "none"}, "thresholds": data["thresholds"]},
        "pixels": PIXELS,
        "preprocessing": data["view"],
        "targets": {},
        "report": {},
        "evaluation": None,
    }


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
    try:
        width = manifest.target.width
        manifest.decision.thresholds.per_class(width)
    except InputError as error:
        raise ArtifactError(str(error)) from None
    if manifest.model.classes != width:
        raise ArtifactError(f"the model has {manifest.model.classes} outputs, and its target block {width}")


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
