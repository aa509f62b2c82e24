"""``export.json``: what was exported, from which model, with the hash of each file and the result of its check."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eyebright.errors import ArtifactError, listing, os_reason, short_repr
from eyebright.inference import inspect_export
from eyebright.inference.folder_format import EXPORT_RECORD, MANIFEST, MAX_MANIFEST_BYTES, WEIGHTS, no_folder_text
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_manifest, manifest_content
from eyebright.io.atomic import attempts
from eyebright.tasks.registry import block_to_json
from eyebright.transforms.serialize import preprocessing_to_json

CONTRACT = 2
"""The version of what an exported graph takes and gives; graphs of version 1 took pixels and gave raw outputs."""
RECORD = EXPORT_RECORD
WHOLE = "model.onnx"
FIXED = "model_fixed.onnx"
PREPROCESS = "preprocess.py"
_ATTRIBUTES = ("contract", "model", "files")

_AGAIN = "export the model again with `eyebright export`"


@dataclass(frozen=True)
class ExportRecord:
    """The content of ``export.json``.

    Args:
        content: the record as JSON; ``"files"`` has the SHA-256, the size and the check of each file, by name.
    """

    content: dict[str, Any]

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        """The entry of each file, by its name."""
        return self.content["files"]

    @property
    def preprocessing(self) -> dict[str, Any]:
        """The steps that `eyebright.export.preprocess` does."""
        return self.content["preprocessing"]


def decision_hash(manifest: Manifest) -> str:
    """A hash of what a graph has of a manifest beside the network: target, calibration, thresholds, preprocessing."""
    data = {
        "target": block_to_json(manifest.target),
        "decision": manifest.decision.to_json(),
        "preprocessing": preprocessing_to_json(manifest.preprocessing),
        "pixels": manifest.pixels_version,
    }
    return inspect_export.decision_hash(data)


def read_record(folder: str | Path) -> ExportRecord:
    """The record of an export.

    Args:
        folder: where it was exported to.

    Raises:
        ArtifactError: the record is missing, unreadable, damaged, or of a newer version of Eyebright.
    """
    path = Path(folder) / RECORD
    if not Path(folder).is_dir():
        raise ArtifactError(no_folder_text(Path(folder), "folder with an export"))
    if not path.is_file():
        raise ArtifactError(f"'{folder}' contains no {RECORD}, which an export writes; {_AGAIN}")
    content = _read_json(path)
    _check_content(content, path)
    return ExportRecord(content)


def _read_json(path: Path) -> Any:
    """The content of a record.

    Raises:
        ArtifactError: it is unreadable, too large, or not JSON.
    """
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise ArtifactError(f"'{path}' is larger than {MAX_MANIFEST_BYTES // 2**20} MiB; {_AGAIN}")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArtifactError(f"'{path}' cannot be read: {os_reason(error)}") from None
    except (ValueError, RecursionError):
        raise ArtifactError(f"'{path}' is damaged: it is not JSON; {_AGAIN}") from None


def _check_content(content: Any, path: Path) -> None:
    """Raises `ArtifactError` for the content of a record that is damaged, or of another version of Eyebright."""
    if not isinstance(content, dict) or not isinstance(content.get("files"), dict):
        raise ArtifactError(f"'{path}' is damaged: it has no list of files; {_AGAIN}")
    if content.get("contract") != CONTRACT:
        raise ArtifactError(
            f"'{path}' is of version {short_repr(content.get('contract'))} of exported graphs, and this version of "
            f"eyebright reads {CONTRACT}: {_AGAIN}, or update eyebright"
        )
    if outside := next((name for name in content["files"] if Path(name).name != name or name == ".."), None):
        raise ArtifactError(
            f"'{path}' is damaged: it names a file outside of the folder, {short_repr(outside)}; {_AGAIN}"
        )
    if not all(isinstance(file, dict) and isinstance(file.get("sha256"), str) for file in content["files"].values()):
        raise ArtifactError(f"'{path}' is damaged: a file has no hash; {_AGAIN}")


def read_export(folder: str | Path, name: str = WHOLE) -> bytes:
    """The bytes of an exported file, checked to be what was exported, and from the model that is in the folder.

    Args:
        folder: where it was exported to; it need not contain the model.
        name: ``"model.onnx"``, ``"model_fixed.onnx"``, ...

    Raises:
        ArtifactError: the file is missing, damaged or from somewhere else; or the model in the folder has been trained
            or tuned since.
    """
    problem: ArtifactError | None = None
    for _ in attempts():  # another process may be replacing one file after another
        try:
            return _read(Path(folder), name)
        except ArtifactError as error:
            problem = error
    assert problem is not None  # the loop tries once at least
    raise problem


def check_export(folder: str | Path, model: str | Path | None = None) -> ExportRecord:
    """The record of an export all of whose files are as they were exported.

    Args:
        folder: where it was exported to.
        model: the folder of the model that it is of; None: only a model in ``folder`` itself is compared.

    Raises:
        ArtifactError: as in `read_export`, for any of its files; or the export belongs to another model or other
            thresholds.
    """
    record = read_record(folder)
    for name in record.files:
        read_export(folder, name)
    if model is not None:
        _check_model(Path(model), record)
    return record


def _read(folder: Path, name: str) -> bytes:
    record = read_record(folder)
    if name not in record.files:
        raise ArtifactError(f"{RECORD} in '{folder}' knows no {name}, only {listing(record.files)}; export it")
    path = folder / name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"'{path}' cannot be read: {os_reason(error)}") from None
    if hashlib.sha256(data).hexdigest() != record.files[name]["sha256"]:
        raise ArtifactError(
            f"'{path}' is damaged, or is not a file of this export: its hash is not that in {RECORD}; export it again"
        )
    _check_model(folder, record)
    return data


def _check_model(folder: Path, record: ExportRecord) -> None:
    """Raises `ArtifactError` if the folder contains a model that the export is not of, or that decides otherwise."""
    if not (folder / WEIGHTS).is_file():
        return
    model = record.content.get("model", {})
    if manifest_content(folder).get("id") != model.get("id"):
        raise ArtifactError(f"the export is of another model than the one in '{folder}'; export it again")
    if decision_hash(load_manifest(folder)) != model.get("decision"):
        raise ArtifactError(
            f"the export has other thresholds or another calibration than {MANIFEST} in '{folder}', which was changed "
            "since; export it again"
        )
