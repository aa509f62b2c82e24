"""`Manifest`: the JSON description of a saved model, of this schema and of older ones."""

import math
import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, get_args

import torch

from eyebright._version import __version__
from eyebright.errors import ArtifactError, EyebrightError, listing, short_repr, shortened
from eyebright.image.canonical import CANONICAL, LIBRARY_PIXELS, PixelsVersion
from eyebright.inference.folder_format import SCHEMA
from eyebright.inference.manifest_checks import check_consistent, check_json
from eyebright.models.build import ModelDescription
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.registry import block_from_json, block_to_json
from eyebright.transforms.draw import Transform
from eyebright.transforms.serialize import preprocessing_from_json, preprocessing_to_json

_PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "opencv-python-headless")


def _library_versions() -> dict[str, str]:
    """The versions of Python and of the packages that a model depends on."""
    versions = {"python": platform.python_version(), "eyebright": __version__, "torch": torch.__version__}
    for name in _PACKAGES:
        try:
            versions.setdefault(name, metadata.version(name))
        except metadata.PackageNotFoundError:
            continue
    return versions


@dataclass(frozen=True)
class Manifest:
    """The description of a saved model: everything except its weights.

    Args:
        model: the architecture, its head and its input.
        decision: calibration, thresholds and the fitted target block.
        preprocessing: the transforms of validation images.
        pixels_version: the version of the decoding and resizing that the model was evaluated with, see
            `eyebright.image.canonical`.
        scores: the scores of the validation images, by metric.
        training: the settings of training: seed, epochs, learning rates.
        data: a summary of the data: number of images, fingerprint.
        targets: a summary of the training targets, see `TargetBlock.training_summary`.
        report: the facts of the report that are not in the evaluation, as JSON: title, messages about the data, skipped
            images.
        tuning: the record of the fit of the decision, as JSON: the calibration, the thresholds, the promises.
        evaluation_hash: SHA-256 of ``evaluation.parquet``; None if none is saved.
        out_of_fold_hash: SHA-256 of ``out_of_fold.parquet``; None if none is saved.
        out_of_distribution_hash: SHA-256 of ``out_of_distribution.safetensors``; None if none is saved.
        training_images_hash: SHA-256 of ``training_images.json``; None if none is saved.
        versions: the versions of the libraries that saved the model.
        created: the time of saving, UTC, in ISO format.
    """

    model: ModelDescription
    decision: Decision
    preprocessing: tuple[Transform, ...] = ()
    pixels_version: PixelsVersion = CANONICAL
    scores: dict[str, float] = field(default_factory=dict[str, float])
    training: dict[str, Any] = field(default_factory=dict[str, Any])
    data: dict[str, Any] = field(default_factory=dict[str, Any])
    targets: dict[str, Any] = field(default_factory=dict[str, Any])
    report: dict[str, Any] = field(default_factory=dict[str, Any])
    tuning: dict[str, Any] = field(default_factory=dict[str, Any])
    evaluation_hash: str | None = None
    out_of_fold_hash: str | None = None
    out_of_distribution_hash: str | None = None
    training_images_hash: str | None = None
    versions: dict[str, str] = field(default_factory=_library_versions)
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def target(self) -> TargetBlock:
        """The target block."""
        return self.decision.target

    def check_consistent(self) -> None:
        """Raises `ArtifactError` unless architecture, outputs, thresholds, classes and pixels agree."""
        check_consistent(self.model, self.decision, self.preprocessing, self.pixels_version)

    def to_json(self) -> dict[str, Any]:
        """The manifest as a dictionary for JSON."""
        content = {
            "schema": SCHEMA,
            "created": self.created,
            "model": self.model.to_json(),
            "target": block_to_json(self.target),
            "decision": self.decision.to_json(),
            "pixels": self.pixels_version,
            "preprocessing": preprocessing_to_json(self.preprocessing),
            "scores": self.scores,
            "training": self.training,
            "data": self.data,
            "targets": self.targets,
            "report": self.report,
            "tuning": self.tuning,
            "evaluation": self.evaluation_hash,
            "out_of_fold": self.out_of_fold_hash,
            "out_of_distribution": self.out_of_distribution_hash,
            "training_images": self.training_images_hash,
            "versions": self.versions,
        }
        return _finite_or_none(content)

    @staticmethod
    def from_json(data: dict[str, Any]) -> "Manifest":
        """The manifest from the dictionary that `to_json` returned, in this version or an older one.

        Args:
            data: the parsed content of ``manifest.json``.

        Raises:
            ArtifactError: there is no valid schema number, the schema is newer than this version of Eyebright, or a
                value is missing or invalid.
        """
        schema = data.get("schema")
        if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
            raise ArtifactError(f"the manifest has no valid 'schema' number, got {short_repr(schema)}")
        if schema > SCHEMA:
            raise ArtifactError(
                f"the manifest has schema {schema:.6g}; this version of eyebright reads schemas 1 to {SCHEMA}: update"
                " eyebright"
            )
        try:
            # The first folders of schema 2 lack these fields.
            absent = {"out_of_fold": None, "tuning": {}, "out_of_distribution": None, "training_images": None}
            current = {**absent, **(_from_schema_1(data) if schema == 1 else data)}
            check_json(current)
            manifest = _read(current)
            manifest.check_consistent()
            return manifest
        except EyebrightError as error:
            raise ArtifactError(f"the manifest cannot be used: {shortened(str(error))}") from None
        except KeyError as error:
            raise ArtifactError(f"the manifest has no {shortened(str(error))}") from None
        except (TypeError, AttributeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            raise ArtifactError(f"the manifest has an invalid value: {shortened(str(error))}") from None


def _read(data: dict[str, Any]) -> Manifest:
    """The manifest from JSON of the current schema."""
    pixels_version, known = data["pixels"], get_args(PixelsVersion)
    if pixels_version not in known:
        raise ArtifactError(
            f"the model was evaluated with preprocessing version {short_repr(pixels_version)}, but this version of "
            f"eyebright has only {listing(known)}: update eyebright"
        )
    return Manifest(
        model=ModelDescription.from_json(data["model"]),
        decision=Decision.from_json(data["decision"], block_from_json(data["target"])),
        preprocessing=preprocessing_from_json(data["preprocessing"]),
        pixels_version=pixels_version,
        scores={name: math.nan if score is None else score for name, score in data["scores"].items()},
        training=data["training"],
        data=data["data"],
        targets=data["targets"],
        report=data["report"],
        tuning=data["tuning"],
        evaluation_hash=data["evaluation"],
        out_of_fold_hash=data["out_of_fold"],
        out_of_distribution_hash=data["out_of_distribution"],
        training_images_hash=data["training_images"],
        versions=data["versions"],
        created=data["created"],
    )


def _from_schema_1(data: dict[str, Any]) -> dict[str, Any]:
    """A manifest of schema 1 converted to schema 2: thresholds go to the decision, ``view`` is ``preprocessing``."""
    old = {name: value for name, value in data.items() if name not in ("thresholds", "view")}
    return {
        **old,
        "schema": SCHEMA,
        "decision": {"calibration": {"kind": "none"}, "thresholds": data["thresholds"]},
        "pixels": LIBRARY_PIXELS,
        "preprocessing": data["view"],
        "targets": {},
        "report": {},
        "tuning": {},
        "evaluation": None,
        "out_of_fold": None,
    }


def _finite_or_none(value: Any) -> Any:
    """The value with None in place of NaN and infinities, which JSON does not have."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {name: _finite_or_none(inner) for name, inner in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case list() | tuple():
            return [_finite_or_none(inner) for inner in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value
