"""Files of other programs in a folder that is to become a model folder: training must not replace them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eyebright.errors import InputError
from eyebright.inference.folder_format import MANIFEST, PREVIOUS, WEIGHTS
from eyebright.io.files import check_replaceable
from eyebright.io.safetensors_header import read_header
from eyebright.report.report_json import check_numbers_file
from eyebright.web.page import check_page_file
from eyebright.workflow.report import HISTORY, NUMBERS, REPORT
from eyebright.workflow.saved_options import OPTIONS_FILE

_REMEDY = "training would replace it; give another `out`, or move this file"
_MAX_BYTES = 64 * 2**20  # of a file of JSON that is looked at


def check_no_foreign_files(folder: Path) -> None:
    """Raises `InputError` if the folder has a file of another program with the name of one that training writes.

    In the folder of an earlier model, weights and manifest may be damaged, also both, if the manifest before the last
    change or the options of the training show whose folder it is; elsewhere `manifest.json` may be that of a
    web page, and `model.safetensors` the weights of another library.

    Args:
        folder: the folder to write, which need not exist.

    Raises:
        InputError: the message names the file.
    """
    checks: Mapping[str, Callable[[Path], bool]] = {MANIFEST: _is_manifest, WEIGHTS: _is_model}
    there = [name for name in checks if (folder / name).is_file() and (folder / name).stat().st_size]
    are_broken = bool(there) and all(_is_broken(folder / name) for name in there)
    is_model = any(checks[name](folder / name) for name in there) or (are_broken and _has_more_of_a_model(folder))
    if there and not is_model:
        is_broken = _is_broken(folder / there[0])
        problem = "is damaged, unreadable, or of another program" if is_broken else "belongs to no model of Eyebright"
        raise InputError(f"'{folder / there[0]}' exists and {problem}; {_REMEDY}")
    check_page_file(folder / REPORT, remedy=_REMEDY)
    check_numbers_file(folder / NUMBERS, remedy=_REMEDY)
    if is_model:
        return
    check_replaceable(folder / HISTORY, ["epoch"], "history of a training", remedy=_REMEDY)
    options = folder / OPTIONS_FILE
    if options.is_file() and options.stat().st_size and not _is_options(options):
        raise InputError(f"'{options}' exists and holds no options of a training; {_REMEDY}")


def _has_more_of_a_model(folder: Path) -> bool:
    """Whether files beside damaged weights and a damaged manifest show that the folder is one of a model."""
    return _is_manifest(folder / PREVIOUS) or _is_options(folder / OPTIONS_FILE)


def _is_broken(path: Path) -> bool:
    """Whether a file is not of the type that its name states."""
    return not (_keys(path) if path.suffix == ".json" else _is_safetensors(path))


def _is_options(path: Path) -> bool:
    return {"schema", "training"} <= _keys(path)


def _is_manifest(path: Path) -> bool:
    """Whether a file of JSON has what manifests of every schema have."""
    return {"schema", "model", "versions"} <= _keys(path)


def _is_model(path: Path) -> bool:
    """Whether weights have a copy of a manifest."""
    try:
        return "manifest" in read_header(path).metadata
    except (OSError, ValueError):
        return False


def _is_safetensors(path: Path) -> bool:
    try:
        return bool(read_header(path))
    except (OSError, ValueError):
        return False


def _keys(path: Path) -> set[str]:
    """The keys of the object in a file of JSON; empty if it holds none."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8")) if path.stat().st_size < _MAX_BYTES else None
    except (OSError, ValueError, RecursionError):
        return set()
    return set(map(str, content)) if isinstance(content, dict) else set()
