"""Checks whether ``report.json`` of a model folder belongs to its model and decision; torch is not needed.

The report is written after the manifest. If the process is killed between the two, or a person edits the manifest, the
report states scores and thresholds that the model does not have.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from eyebright.inference.folder_format import SCHEMA

_REPORTED = ("target", "decision", "tuning", "evaluation", "out_of_fold")


def reported_hash(manifest: Mapping[str, Any]) -> str:
    """A hash of the entries of a manifest that a report states: the decision, its fit, and the evaluations' hashes.

    Args:
        manifest: the manifest as JSON, of schema `SCHEMA`.
    """
    data = {name: manifest.get(name) for name in _REPORTED}
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def checked_report(content: Any, manifest: Mapping[str, Any]) -> tuple[str, str]:
    """(check, note) of ``report.json``, as in `eyebright.inference.inspect_folder.InspectedFile`.

    Args:
        content: its JSON; reports of older versions do not state their model.
        manifest: the manifest of the model in the folder.
    """
    stated_hash = content.get("manifest") if isinstance(content, dict) else None
    if stated_hash is None or manifest.get("schema") != SCHEMA or stated_hash == reported_hash(manifest):
        return "readable", ""
    return "problem", (
        "belongs to another model or other thresholds, and so may report.html and README.md; `eyebright report` "
        "writes them again"
    )
