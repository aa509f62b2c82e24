"""Checks ``export.json`` of a model folder against its manifest; torch is not needed."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from eyebright.errors import DataError, listing
from eyebright.evaluation.exported_graphs import ExportedGraph, exported_graphs
from eyebright.inference.folder_format import SCHEMA
from eyebright.io.json_numbers import with_floats
from eyebright.tasks.threshold_hash import HASH, are_edited

_STAMP = re.compile(rb'<meta name="eyebright-model" content="([0-9a-z]+) ([0-9a-f]+)">')
_MAX_HEAD_BYTES = 10_000  # the stamp stands before styles and scripts
_COMPARED_FIELDS = ("target", "decision", "preprocessing", "pixels")


def checked_export(content: Any, names: Collection[str], manifest: Mapping[str, Any]) -> tuple[str, str]:
    """(check, note) of ``export.json``, as in `eyebright.inference.inspect_folder.InspectedFile`.

    Args:
        content: its JSON.
        names: the names of the files in the folder.
        manifest: the manifest of the model in the folder.
    """
    if not isinstance(content, dict) or not isinstance(content.get("files"), dict):
        return "problem", "is damaged: it has no list of files"
    if missing := [name for name in content["files"] if Path(name).name not in names]:
        return "problem", f"names missing files: {listing(missing)}"
    if _text(content, "id") != manifest.get("id"):
        return "problem", "belongs to another model; export it again"
    if manifest.get("schema") != SCHEMA:  # the hash of an older manifest is that of what it is read as
        return "readable", "`eyebright export` with `check` compares it with the current thresholds"
    if _text(content, "decision") != manifest_hash(manifest):
        return "problem", "has other thresholds or another calibration than the manifest; export it again"
    try:
        exported_graphs(content["files"])
    except DataError as error:
        return "problem", f"is damaged: {error}"
    return "readable", ""


def page_stamp(model_id: Any, decision: str) -> str:
    """The text by which an offline page names its model and decision.

    Args:
        model_id: the identifier of the model; None: it has none.
        decision: `decision_hash` of what it decides by.
    """
    return f"{model_id or 'unknown'} {decision}"


def checked_page(path: Path, manifest: Mapping[str, Any]) -> tuple[str, str]:
    """(check, note) of an offline page, as in `eyebright.inference.inspect_folder.InspectedFile`.

    Args:
        path: the page.
        manifest: the manifest of the model in its folder.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        found = _STAMP.search(file.read(_MAX_HEAD_BYTES))
    if found is None:
        return "not checked", "does not name its model: another program or an older version wrote it"
    model_id, decision = (part.decode() for part in found.groups())
    if model_id != str(manifest.get("id") or "unknown"):
        return "problem", "belongs to another model; export it again"
    if manifest.get("schema") == SCHEMA and decision != manifest_hash(manifest):
        return "problem", "has other thresholds or another calibration than the manifest; export it again"
    return "readable", ""


def manifest_hash(manifest: Mapping[str, Any]) -> str:
    """`decision_hash` of the JSON of a manifest."""
    return decision_hash({name: manifest.get(name) for name in _COMPARED_FIELDS})


def decision_hash(data: Mapping[str, Any]) -> str:
    """A hash of the entries of a manifest that a graph contains in addition to the network.

    Args:
        data: the entries ``target``, ``decision``, ``preprocessing`` and ``pixels``.
    """
    decision = data["decision"]
    if isinstance(decision, Mapping):
        data = {**data, "decision": _in_graphs(decision)}
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _in_graphs(decision: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a decision that a graph has, as `Decision.from_json` reads them.

    Numbers are floats, and edited thresholds have no metric. Graphs have no prediction sets. The hash of the thresholds
    is no part of them, so that exports of older versions, whose manifests have none, still fit.
    """
    kept = {name: value for name, value in decision.items() if name != "label_sets"}
    if "calibration" in kept:
        kept["calibration"] = with_floats(kept["calibration"])
    thresholds = decision.get("thresholds")
    if isinstance(thresholds, Mapping):
        metric = None if are_edited(decision) else thresholds.get("metric")
        values = {name: with_floats(thresholds[name]) for name in ("values", "lower") if name in thresholds}
        rest = {name: value for name, value in thresholds.items() if name != HASH}
        kept["thresholds"] = rest | values | {"metric": metric}
    return kept


def shown_exports(content: Mapping[str, Any], problems: Collection[str]) -> list[ExportedGraph]:
    """The graphs of an export, with the results of their comparison; empty if one of its files has a problem.

    Args:
        content: the JSON of ``export.json``; empty if there is no export.
        problems: the names of the files with a problem.
    """
    files = content.get("files")
    if not isinstance(files, dict) or any(name in problems for name in files):
        return []
    return exported_graphs(files)


def _text(content: Mapping[str, Any], name: str) -> str | None:
    model = content.get("model")
    found = model.get(name) if isinstance(model, dict) else None
    return found if isinstance(found, str) else None
