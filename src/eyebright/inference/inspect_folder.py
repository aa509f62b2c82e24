"""Lists the files of a model folder and checks whether they are unchanged; nothing is loaded as a model or run.

Torch is not needed: the manifest is JSON, and the hash of the weights is computed from the bytes of their file.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eyebright.errors import ArtifactError, listing, os_reason, shortened
from eyebright.evaluation.exported_graphs import ExportedGraph
from eyebright.inference.folder_format import (
    EVALUATION,
    EXECUTABLE,
    EXPORT_RECORD,
    GRAPH,
    HASHED,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    MAX_MANIFEST_CONTAINERS,
    OFFLINE_PAGE,
    OUT_OF_DISTRIBUTION,
    OUT_OF_FOLD,
    PREVIOUS,
    PREVIOUS_EVALUATION,
    SCHEMA,
    TRAINING_IMAGES,
    WEIGHTS,
    no_folder_text,
)
from eyebright.inference.inspect_export import checked_export, checked_page, shown_exports
from eyebright.inference.inspect_manifest import (
    edit_remark,
    entry_of,
    kept_results,
    labels_of,
    thresholds_of,
    wrong_manifest,
)
from eyebright.inference.inspect_report import checked_report
from eyebright.io.generated_text import state_of
from eyebright.io.json_keys import unique_keys
from eyebright.io.safetensors_header import Header, read_header
from eyebright.tasks.calibration_hash import has_other_sets

_CHUNK_BYTES = 2**20
_MAX_FILES = 1000  # files that are listed
_KNOWN_FILES = {
    WEIGHTS: "weights",
    MANIFEST: "manifest",
    EVALUATION: "outputs for validation, promise and test images",
    OUT_OF_FOLD: "outputs of heads that were not fitted to their images",
    OUT_OF_DISTRIBUTION: "out-of-distribution detector",
    TRAINING_IMAGES: "names of some training images",
    PREVIOUS: "manifest before the last change",
    PREVIOUS_EVALUATION: "outputs before the last change",
    GRAPH: "network as a graph, for faster prediction",
    f"{GRAPH}.sha256": "hash of the graph",
    EXPORT_RECORD: "record of an export",
    OFFLINE_PAGE: "HTML file that predicts in a browser without a network",
    "preprocess.py": "reference preprocessing of an export; never run here",
    "options.json": "options of the training",
    "history.csv": "losses and scores by epoch",
    "report.html": "report",
    "report.json": "numbers of the report",
    "README.md": "model card",
    "config.json": "configuration for timm",
    "backbone.safetensors": "weights of the backbone, for timm",
}


@dataclass(frozen=True)
class InspectedFile:
    """One file of a folder.

    Args:
        name: the name, relative to the folder.
        bytes: its size; None: it is missing.
        what: its content.
        check: ``"ok"``: compared with a hash in another file; ``"readable"``: read, but it has no hash;
            ``"not checked"``; ``"missing"``, but not needed for a prediction; or ``"problem"``.
        note: the problem, or another remark; may be empty.
    """

    name: str
    bytes: int | None
    what: str
    check: str
    note: str = ""


@dataclass
class Inspection:
    """The content of a model folder.

    Args:
        folder: the folder.
        facts: the facts of the model, as JSON; empty without a readable manifest.
        files: all files, and the missing ones.
        exports: the graphs of an export that matches the model, with the results of their comparison.
    """

    folder: Path
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    files: list[InspectedFile] = field(default_factory=list[InspectedFile])
    exports: list[ExportedGraph] = field(default_factory=list[ExportedGraph])

    @property
    def problems(self) -> list[str]:
        """A sentence for each file with a problem."""
        return [f"{file.name}: {file.note}" for file in self.files if file.check == "problem"]

    def to_json(self) -> dict[str, Any]:
        """The content as JSON."""
        exports, files = [export.to_json() for export in self.exports], [dict(vars(file)) for file in self.files]
        content = {"folder": str(self.folder), **self.facts, "exports": exports}
        return {**content, "files": files, "problems": self.problems}


class _Damaged(Exception):  # noqa: N818 - it never leaves this module
    """The problem of a file."""


def inspect_folder(folder: str | Path) -> Inspection:
    """The content of a model folder; no file is loaded as a model or run.

    Args:
        folder: the model folder; weights and manifest suffice.

    Raises:
        ArtifactError: the folder does not exist or cannot be read.
    """
    folder = Path(folder)
    try:
        sizes = {file.name: file.stat().st_size for file in sorted(folder.iterdir()) if file.is_file()}
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{no_folder_text(folder)}: {os_reason(error)}") from None
    header, copy = _weights_header(folder, sizes)
    manifest, manifest_file = _manifest(folder, sizes, copy)
    checks = _checks(folder, sizes, manifest or {}, header)
    inspection = Inspection(folder, {} if manifest is None else _facts(manifest))
    for name in [*(expected for expected in (WEIGHTS, MANIFEST, *HASHED) if expected not in sizes), *sizes]:
        inspection.files += _inspected(name, sizes, manifest or {}, manifest_file, checks)
        if len(inspection.files) >= _MAX_FILES:
            break
    wrong = {file.name for file in inspection.files if file.check == "problem"}
    is_checked = EXPORT_RECORD in {file.name for file in inspection.files} - wrong  # if there are not too many files
    inspection.exports = [] if not is_checked else shown_exports(_object(folder / EXPORT_RECORD), wrong)
    return inspection


def read_json(path: Path) -> Any:
    """The content of a JSON file of a model folder, of bounded size and depth.

    Raises:
        ValueError: the file is too large, or not JSON; the message is part of a sentence.
        OSError: the file cannot be read.
    """
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise ValueError(f"it is larger than {MAX_MANIFEST_BYTES // 2**20} MiB")
    return parse_json(path.read_text(encoding="utf-8"))


def parse_json(text: str) -> Any:
    """The content of JSON of bounded depth.

    Raises:
        ValueError: the text has too many lists and objects, is not JSON, or has a key twice in an object.
    """
    if text.count("[") + text.count("{") > MAX_MANIFEST_CONTAINERS:
        raise ValueError(f"it has more than {MAX_MANIFEST_CONTAINERS:,} lists and objects")
    try:
        return json.loads(text, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {shortened(str(error))}") from None


# ------------------------------------------------------------------ weights and manifest


def _weights_header(folder: Path, sizes: Mapping[str, int]) -> tuple[Header | _Damaged | None, Any]:
    """(header of the weights or its problem, copy of the manifest in it); None without weights."""
    if WEIGHTS not in sizes:
        return None, None
    try:
        header = read_header(folder / WEIGHTS)
        return header, parse_json(header.metadata.get("manifest", "null"))
    except OSError as error:
        return _Damaged(f"cannot be read: {os_reason(error)}"), None
    except ValueError as error:
        return _Damaged(f"is damaged or not a model file: {error}"), None


def _manifest(folder: Path, sizes: Mapping[str, int], copy: Any) -> tuple[dict[str, Any] | None, InspectedFile]:
    """(the manifest that loading uses, its file): from ``manifest.json``, or the copy in the weights."""
    size = sizes.get(MANIFEST)
    copied = copy if isinstance(copy, dict) else None

    def file(check: str, note: str = "") -> InspectedFile:
        return InspectedFile(MANIFEST, size, _KNOWN_FILES[MANIFEST], check, note)

    if size is None:
        if copied is None:
            return None, file("problem", "is missing, and the weights contain no copy: this is not an Eyebright model")
        return copied, file("readable", "is missing; the copy in the weights is used")
    try:
        content = read_json(folder / MANIFEST)
        if not isinstance(content, dict):
            raise ValueError("it is not a JSON object")
    except (OSError, ValueError) as error:
        return copied, file("problem", f"cannot be read: {os_reason(error)}")
    if copied is not None and copied.get("id") != content.get("id"):
        return copied, file("problem", "belongs to another model than the weights, so the copy in them is used")
    if problem := wrong_manifest(content, copied):
        return content, file("problem", problem)
    if content["schema"] < SCHEMA:
        return content, file("readable", f"has schema {content['schema']}; `eyebright migrate` writes {SCHEMA}")
    return content, file("readable", edit_remark(content))


def _weights_problem(folder: Path, header: Header | _Damaged | None, manifest: Mapping[str, Any]) -> tuple[str, str]:
    """(check, note) of the weights, by their hash of the sorted names and the bytes of the tensors."""
    if isinstance(header, _Damaged):
        return "problem", str(header)
    assert header is not None
    expected = manifest.get("weights")
    if not isinstance(expected, str):
        return "readable", "an older version saved no hash of them"
    digest = hashlib.blake2b(digest_size=16)
    with (folder / WEIGHTS).open("rb") as file:
        for name in sorted(header.tensors):
            first, last = (int(offset) for offset in header.tensors[name]["data_offsets"])
            digest.update(name.encode("utf-8", "surrogatepass"))
            file.seek(header.begin + max(first, 0))
            left = last - first
            while left > 0 and (data := file.read(min(left, _CHUNK_BYTES))):
                digest.update(data)
                left -= len(data)
    if digest.hexdigest() != expected:
        return "problem", "is damaged, or belongs to another model: the hash of its weights differs from the saved one"
    return "ok", ""


# ------------------------------------------------------------------ the files


_Check = Callable[[], tuple[str, str]]


def _checks(
    folder: Path, sizes: Mapping[str, int], manifest: Mapping[str, Any], header: Header | _Damaged | None
) -> dict[str, _Check]:
    """The function that returns (check, note), by the name of the file."""
    previous = _object(folder / PREVIOUS)
    checks: dict[str, _Check] = {
        WEIGHTS: lambda: _weights_problem(folder, header, manifest),
        PREVIOUS: lambda: _checked_model_file(folder / PREVIOUS, manifest),
        PREVIOUS_EVALUATION: lambda: _hashed(folder / PREVIOUS_EVALUATION, previous.get("evaluation")),
        GRAPH: lambda: _hashed(folder / GRAPH, _first_word(folder / f"{GRAPH}.sha256")),
        "README.md": lambda: ("readable", "edited by a person" if state_of(folder / "README.md") == "edited" else ""),
    }
    for name in HASHED:
        checks[name] = lambda name=name: _hashed(folder / name, manifest.get(name.partition(".")[0]))
    checks["report.json"] = lambda: checked_report(read_json(folder / "report.json"), manifest)
    for name in ("options.json", "config.json"):
        checks[name] = lambda name=name: _json(folder / name)
    checks["backbone.safetensors"] = lambda: _safetensors(folder / "backbone.safetensors")
    checks[OFFLINE_PAGE] = lambda: checked_page(folder / OFFLINE_PAGE, manifest)
    record = _object(folder / EXPORT_RECORD)
    checks[EXPORT_RECORD] = lambda: checked_export(read_json(folder / EXPORT_RECORD), sizes, manifest)
    files = record.get("files")
    for name, facts in files.items() if isinstance(files, dict) else ():
        checks[name] = lambda name=name, facts=facts: _hashed(folder / name, _text(facts, "sha256"))
    return checks


def _inspected(
    name: str,
    sizes: Mapping[str, int],
    manifest: Mapping[str, Any],
    manifest_file: InspectedFile,
    checks: Mapping[str, _Check],
) -> Iterator[InspectedFile]:
    """Yields the file with its check; nothing for a missing optional file."""
    what = _KNOWN_FILES.get(name, "")
    if name == MANIFEST:
        yield manifest_file
    elif name not in sizes:
        if name == WEIGHTS:
            others = [other for other in sizes if Path(other).suffix in EXECUTABLE]
            instead = f", and {listing(others, limit=3)} can run code when loaded: not opened" if others else ""
            if EXPORT_RECORD in sizes:
                instead = f", but {EXPORT_RECORD} exists: this is an export, not the folder of its model"
            yield InspectedFile(name, None, what, "problem", f"is missing{instead}")
        elif manifest.get(name.partition(".")[0]) is not None:
            yield InspectedFile(name, None, what, "missing", "left out of this copy; a prediction does not need it")
    else:
        try:
            check, note = checks[name]() if name in checks else ("not checked", _unknown(name))
        except (OSError, ValueError) as error:
            check, note = "problem", f"cannot be read: {os_reason(error)}"
        yield InspectedFile(name, sizes[name], what, check, note)


def _unknown(name: str) -> str:
    if name in _KNOWN_FILES:
        return ""
    if Path(name).suffix in EXECUTABLE:
        return "a type of file that can run code when it is loaded; never opened by Eyebright"
    return "not a file of Eyebright"


def _hashed(path: Path, expected: Any) -> tuple[str, str]:
    """(check, note) of a file with a SHA-256."""
    if not isinstance(expected, str):
        return "problem", "cannot be checked, since no hash of it was saved; it may belong to another model"
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != expected:
            return "problem", "is damaged, or belongs to another model: its hash differs from the saved one"
    return "ok", ""


def _json(path: Path) -> tuple[str, str]:
    read_json(path)
    return "readable", ""


def _safetensors(path: Path) -> tuple[str, str]:
    read_header(path)
    return "readable", ""


def _checked_model_file(path: Path, manifest: Mapping[str, Any]) -> tuple[str, str]:
    content = read_json(path)
    if not isinstance(content, dict) or content.get("id") != manifest.get("id"):
        return "problem", "belongs to another model"
    return "readable", ""


def _object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if the file is missing or damaged, which its own check reports."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _first_word(path: Path) -> str | None:
    try:
        return (path.read_text(encoding="utf-8", errors="replace")[:1000].split() or [None])[0]
    except OSError:
        return None


def _text(value: Any, name: str) -> str | None:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else None


# ------------------------------------------------------------------ the facts


def _facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a model in its manifest, as JSON; invalid entries are left out."""
    model, target, training, decision = (
        entry_of(manifest, name) for name in ("model", "target", "training", "decision")
    )
    tuning = kept_results(manifest)
    kept: Any = tuning.get("promises")
    promises = [record.get("promise") for record in kept if isinstance(record, dict)] if isinstance(kept, list) else []
    if isinstance(tuning.get("selective"), dict):
        promises.append(tuning["selective"].get("promise"))
    calibration = decision.get("calibration")
    return {
        "schema": manifest.get("schema"),
        "id": manifest.get("id"),
        "created": manifest.get("created"),
        "kind": target.get("kind"),
        "labels": labels_of(manifest) or None,
        "outputs": model.get("classes"),
        "arch": model.get("arch"),
        "input": model.get("input"),
        "pixels": manifest.get("pixels"),
        "calibration": calibration.get("kind") if isinstance(calibration, dict) else None,
        "thresholds": thresholds_of(manifest),
        "promises": promises,
        "label_sets": None if has_other_sets(decision) else decision.get("label_sets"),
        "risk": tuning.get("risk"),
        "scores": entry_of(manifest, "scores"),
        "data": entry_of(manifest, "data"),
        "weights_from": training.get("weights"),
        "weights_licence": training.get("weights_licence"),
        "versions": entry_of(manifest, "versions"),
    }
