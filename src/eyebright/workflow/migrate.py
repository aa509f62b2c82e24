"""Converts a model folder of an older version to the current one, with the same weights, decision and predictions."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eyebright.errors import ArtifactError, InputError, os_reason
from eyebright.inference.change_manifest import locked_folder
from eyebright.inference.folder_format import EVALUATION, SCHEMA
from eyebright.inference.inspect_report import checked_report
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_evaluations, load_model, load_out_of_distribution, manifest_content
from eyebright.inference.save_folder import save_model
from eyebright.inference.training_images import load_training_images
from eyebright.io.atomic import remove_stale
from eyebright.types import Say
from eyebright.workflow.card import CARD, write_card
from eyebright.workflow.report import HISTORY, make_report


def migrate_model(folder: str | Path, *, out: str | Path | None = None, say: Say = lambda _: None) -> Path:
    """Writes a saved model in the current format; returns its folder.

    All files are complete under other names before the first of the old ones is replaced. The preprocessing version is
    kept, so that predictions do not change.

    Args:
        folder: the model folder.
        out: the folder to write, which must be new or empty; None replaces the model in place.
        say: called with sentences on the steps.

    Raises:
        InputError: ``out`` is not empty.
        ArtifactError: the folder contains no complete model, or a file cannot be written; existing files are unchanged.
    """
    folder = Path(folder)
    target = folder if out is None else Path(out)
    if out is not None:
        _check_empty(target)
    content = manifest_content(folder)
    with locked_folder(folder):
        manifest, state = load_model(folder)
        missing = [name for name in (*manifest.to_json(), "id", "weights") if name not in content]
        if content["schema"] == SCHEMA and not missing and out is None:
            remove_stale(folder)
            has_evaluation = manifest.evaluation_hash is not None and (folder / EVALUATION).is_file()
            if _is_described(folder, content, has_evaluation=has_evaluation):
                say(f"'{folder}' already has schema {SCHEMA} and all files of this version; nothing was changed")
                return folder
            say(f"'{folder}' already has schema {SCHEMA}; its report and model card are written")
            _describe(folder, manifest, say, has_evaluation=has_evaluation)
            return folder
        parts = load_evaluations(folder, manifest, may_be_missing=True)
        images = load_training_images(folder, manifest)
        valid, out_of_fold = parts.pop("valid", None), parts.pop("out_of_fold", None)
        save_model(
            target,
            manifest,
            state,
            evaluation=valid,
            held_out=[*parts.values()],
            out_of_fold=out_of_fold,
            out_of_distribution=load_out_of_distribution(folder, manifest),
            training_images=None if images is None else images.to_bytes(target),
        )
        _copy_history(folder, target)
        say(f"'{target}' now has schema {SCHEMA} (before: {content['schema']}); its predictions are the same")
        _describe(target, manifest, say, has_evaluation=valid is not None)
    return target


def _is_described(folder: Path, content: Mapping[str, Any], *, has_evaluation: bool) -> bool:
    """Whether the last file that `_describe` writes is there, and of this model: the report's numbers, or the card."""
    if not (folder / CARD).is_file() or not has_evaluation:
        return (folder / CARD).is_file()
    try:
        numbers = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return checked_report(numbers, content)[0] == "readable"


def _describe(folder: Path, manifest: Manifest, say: Say, *, has_evaluation: bool) -> None:
    """Writes the report of a model with an evaluation and its card, last the report's numbers; otherwise the card."""
    if has_evaluation:
        make_report(folder, say=say)
    else:
        say("the model has no evaluation, so it has no report, and its card has no scores")
        write_card(folder, manifest, None, say=say)


def _check_empty(out: Path) -> None:
    try:
        found = next(iter(sorted(out.iterdir())), None) if out.exists() else None
    except OSError as error:
        raise InputError(f"`out` must be a new or an empty folder, but '{out}' is not: {os_reason(error)}") from None
    if found is not None:
        raise InputError(f"`out` must be a new or an empty folder, but '{out}' contains '{found.name}'")


def _copy_history(folder: Path, target: Path) -> None:
    """Copies the losses by epoch, which the report shows."""
    if target == folder or not (folder / HISTORY).is_file():
        return
    try:
        (target / HISTORY).write_bytes((folder / HISTORY).read_bytes())
    except OSError as error:
        raise ArtifactError(f"cannot write '{target / HISTORY}': {os_reason(error)}") from None
