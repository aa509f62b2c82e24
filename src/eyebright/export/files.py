"""Writes the files of an export with their record, ``export.json``; other files of the same model are kept."""

import hashlib
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eyebright.errors import ArtifactError, InputError
from eyebright.export import preprocess
from eyebright.export.exportable import Exportable
from eyebright.export.parity import Parity
from eyebright.export.precision import Cost
from eyebright.export.record import FIXED, PREPROCESS, RECORD, WHOLE, ExportRecord, read_record
from eyebright.inference.runtimes.graph_file import hash_path
from eyebright.inference.save_folder import write_together
from eyebright.io.atomic import exclusive_folder
from eyebright.io.text import valid_unicode

_MAX_WAIT = 60.0  # seconds; another export writes for less than one, a tuning for some


OPENVINO, OPENVINO_FIXED, TORCH = "model.xml", "model_fixed.xml", "model.pt2"
NARROW = {"float16": "model_float16.onnx", "int8": "model_int8.onnx"}
"""The additional graph of a precision."""
TARGETS: dict[str, tuple[str, ...]] = {
    "onnx": (WHOLE, FIXED, *NARROW.values()),
    "openvino": (OPENVINO, "model.bin", OPENVINO_FIXED, "model_fixed.bin"),
    "torch-export": (TORCH,),
}
"""The files of each target; `PREPROCESS` belongs to all with a graph of the model's size."""


@dataclass(frozen=True)
class Exported:
    """The result of an export: its files, and what they were compared with.

    Args:
        folder: where.
        record: the content of ``export.json``.
        parity: the check of each float32 graph, by its name.
        cost: the measured cost of the graph of a lower precision; None without one.
        sentences: what a user should know: what was compared, and with what result.
    """

    folder: Path
    record: ExportRecord
    parity: dict[str, Parity]
    cost: Cost | None
    sentences: tuple[str, ...]


def check_no_foreign_export(folder: Path, target: str) -> None:
    """Raises `InputError` if the folder has a file of another program under a name that the export writes.

    Args:
        folder: the folder to write, which need not exist.
        target: one of `TARGETS`.

    Raises:
        InputError: the message names the file.
    """
    try:
        known = set(read_record(folder).files)
    except ArtifactError:  # missing or damaged, as a killed export leaves it
        known = set[str]()
    there = [folder / name for name in (*TARGETS[target], PREPROCESS) if name not in known]
    foreign = [path for path in there if path.is_file() and path.stat().st_size and not _is_of_export(path)]
    foreign += [folder / RECORD] if _is_other_json(folder / RECORD) else []
    if foreign:
        raise InputError(
            f"'{foreign[0]}' exists and was not written by an export of Eyebright, which would replace it; give "
            "another `out`, or move this file"
        )


def _is_of_export(path: Path) -> bool:
    """Whether a file is one of an export by its content; the weights of OpenVINO by the graph beside them."""
    if hash_path(path).is_file():  # an older version wrote it beside its graph
        return True
    path = path.with_suffix(".xml") if path.suffix == ".bin" else path
    try:
        return b"eyebright" in path.read_bytes().lower()
    except OSError:
        return False


def _is_other_json(path: Path) -> bool:
    """Whether a file is JSON of another program, and not a record, which may be damaged."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return not (isinstance(content, dict) and {"contract", "files"} & set(map(str, content)))


def write_export(
    folder: Path,
    made: Exportable,
    target: str,
    data: Mapping[str, bytes],
    entries: Mapping[str, Mapping[str, Any]],
) -> tuple[ExportRecord, tuple[str, ...]]:
    """Writes the files of one target, the record last; returns it, with sentences on what is removed.

    Files that other targets were exported to stay if they are of the same model with the same decisions; files of a
    former export that are not are removed, since they may have other thresholds. Files without a record are kept, with
    a message.

    Args:
        folder: where; it is created if necessary.
        made: what is exported.
        target: one of `TARGETS`.
        data: the content of its files by name.
        entries: the entries of the files in the record.

    Raises:
        ArtifactError: a file cannot be written, or another process keeps the folder for itself.
    """
    with suppress(OSError):  # reported when the files are written
        folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        former, kept = _others(folder, target, made.facts)
        new = {name: _described(content, entries.get(name, {})) for name, content in data.items()}
        facts = {**made.facts, "versions": {**(former["versions"] if kept else {}), **made.facts["versions"]}}
        record = ExportRecord({**facts, "files": {**kept, **new}})
        writers: dict[str, Callable[[Path], Any] | None] = {name: _writer(content) for name, content in data.items()}
        leftovers = [name for name in _others_names(target) if name not in kept and (folder / name).is_file()]
        dropped = [name for name in leftovers if name in former.get("files", {})]
        for name in (*TARGETS[target], *dropped):
            writers.setdefault(name, None)
        if dropped and PREPROCESS not in record.files:
            writers[PREPROCESS] = None
        writers[RECORD] = _writer(
            valid_unicode(json.dumps(record.content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
        )
        if target == "onnx":
            writers[hash_path(Path(WHOLE)).name] = None  # of a graph that an older version exported under this name
        write_together(folder, writers, what="the export")
    removed = (
        f"{name} of a former export is removed: it belonged to another model or other thresholds" for name in dropped
    )
    left = (
        f"{name} in this folder is not in {RECORD}: its model is unknown, so do not use it"
        for name in leftovers
        if name not in dropped
    )
    return record, (*removed, *left)


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    """Context in which no other export can replace the record: one of two would lose the files of the other."""
    with exclusive_folder(folder, wait=_MAX_WAIT) as is_free:
        if not is_free:
            raise ArtifactError(
                f"another process has written to '{folder}' for more than {_MAX_WAIT:.0f} seconds; wait for its end, "
                "or export to another folder with `out`"
            )
        yield


def _others(folder: Path, target: str, facts: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the record in the folder, the entries of other targets' files that are of the same model)."""
    try:
        former = read_record(folder).content
    except ArtifactError:  # missing or damaged
        return {}, {}
    if former.get("model") != facts["model"] or not isinstance(former.get("versions"), dict):
        return former, {}
    names = (*_others_names(target), PREPROCESS)
    return former, {
        name: entry for name, entry in former["files"].items() if name in names and (folder / name).is_file()
    }


def _others_names(target: str) -> Sequence[str]:
    return [name for other, names in TARGETS.items() if other != target for name in names]


def _described(content: bytes, entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), **entry}


def preprocess_source() -> bytes:
    """The text of ``preprocess.py``."""
    return Path(preprocess.__file__).read_bytes()


def _writer(data: bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(data)
