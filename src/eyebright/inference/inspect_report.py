"""Whether ``report.json`` of a model folder is of the model and the decision beside it; torch is not needed.

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
    """A hash of what a report states of a manifest: the decision, how it was fitted, and the hashes of the evaluations.

    Args:
        manifest: as JSON, of schema `SCHEMA`.
    """
    data = {name: manifest.get(name) for name in _REPORTED}
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def checked_report(content: Any, manifest: Mapping[str, Any]) -> tuple[str, str]:
    """(check, note) of ``report.json``, as in `eyebright.inference.inspect_folder.InspectedFile`.

    Args:
        content: its JSON; one of an older version does not say what it is of.
        manifest: of the model in the folder.
    """
    of = content.get("manifest") if isinstance(content, dict) else None
    if of is None or manifest.get("schema") != SCHEMA or of == reported_hash(manifest):
        return "readable", ""
    return "problem", (
        "is of another model, or of this one with other thresholds, as report.html and README.md may be; `eyebright "
        "report` writes them again"
    )
