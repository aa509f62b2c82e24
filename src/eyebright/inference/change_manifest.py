"""Changes the manifest of a saved model, its decision or its evaluations, but not its weights; this can be undone."""

import hashlib
import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eyebright.errors import ArtifactError, InputError, listing, os_reason
from eyebright.evaluation.evaluation import Evaluation
from eyebright.inference.folder_format import EVALUATION, MANIFEST, PREVIOUS, PREVIOUS_EVALUATION
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import (
    load_manifest_and_evaluations,
    load_model,
    manifest_content,
    model_hash,
    read_manifest,
)
from eyebright.inference.save_folder import (
    check_fits,
    evaluations_parquet,
    manifest_text,
    write_together,
    writer_of_bytes,
    writer_of_text,
)
from eyebright.io.atomic import exclusive_folder

_MAX_WAIT = 2.0  # seconds for a short change of another process, such as the files of an export


def save_manifest(folder: str | Path, manifest: Manifest) -> None:
    """Replaces the manifest of a saved model, for example by one with another decision; the last one is kept.

    Args:
        folder: the model folder.
        manifest: a manifest of the same model, with another decision or other facts of the report.

    Raises:
        ArtifactError: the folder contains no model, the manifest is of another architecture or target, or a file cannot
            be written; what was there before is unchanged.
    """
    folder = Path(folder)
    manifest.check_consistent()
    content = manifest_content(folder)
    current, target = Manifest.from_json(content), manifest.to_json()["target"]
    same = (
        current.evaluation_hash == manifest.evaluation_hash and current.out_of_fold_hash == manifest.out_of_fold_hash
    )  # else it was replaced
    if not same or (current.model, content["target"]) != (manifest.model, target):
        raise ArtifactError(f"the manifest belongs to another model than the one in '{folder}'")
    kept = {name: content[name] for name in ("id", "weights") if name in content}
    text = manifest_text({**manifest.to_json(), **kept})
    Manifest.from_json(json.loads(text))  # an invalid manifest must not replace a valid one
    writers = {PREVIOUS: writer_of_text(manifest_text(content)), MANIFEST: writer_of_text(text)}
    write_together(folder, {**writers, PREVIOUS_EVALUATION: None})


def save_part(folder: str | Path, evaluation: Evaluation, *, replace: bool = False) -> tuple[str, ...]:
    """Adds the evaluation of more images to a saved model as one of its parts; the previous files are kept for undo.

    If images of the part promise are replaced, promises, prediction sets and risk control computed from them are
    dropped; thresholds are kept. Returns what was dropped, as text.

    Args:
        folder: the model folder.
        evaluation: an evaluation of this model, with its part.
        replace: True to replace an earlier evaluation of the part.

    Raises:
        InputError: the model already has images of this part, and ``replace`` is False.
        ArtifactError: the folder contains no complete model or no evaluation, the evaluation is of another model or not
            finite, or a file cannot be written; what was there before is unchanged.
    """
    folder = Path(folder)
    check_free(folder, evaluation.part, replace=replace)
    evaluations = load_manifest_and_evaluations(folder)[1]
    manifest, state = load_model(folder)
    content = manifest_content(folder)
    metadata = {"model": str(content.get("id", "")), "weights": model_hash(manifest.model, state)}
    check_fits(evaluation, manifest, metadata["weights"])
    new = evaluations_parquet([*(evaluations | {evaluation.part: evaluation}).values()], folder, metadata)
    changed = {**content, "evaluation": hashlib.sha256(new).hexdigest()}
    given_up: dict[str, str] = {}
    if evaluation.part == "promise" and evaluation.part in evaluations:
        given_up = _made_with_part_promise(content.get("tuning", {}))
        changed["tuning"] = {name: value for name, value in content.get("tuning", {}).items() if name not in given_up}
        if "label_sets" in given_up:
            changed["decision"] = {name: value for name, value in content["decision"].items() if name != "label_sets"}
    text = manifest_text(changed)
    try:
        old = (folder / EVALUATION).read_bytes()
    except OSError as error:
        raise ArtifactError(f"'{folder / EVALUATION}' cannot be read: {os_reason(error)}") from None
    writers = {
        PREVIOUS: writer_of_text(manifest_text(content)),
        PREVIOUS_EVALUATION: writer_of_bytes(old),
        EVALUATION: writer_of_bytes(new),
        MANIFEST: writer_of_text(text),
    }
    write_together(folder, writers)
    return tuple(dict.fromkeys(given_up.values()))


def _made_with_part_promise(tuning: Mapping[str, Any]) -> dict[str, str]:
    """The results computed from images of the part promise, as text, by the names of their entries in ``tuning``."""
    found = {name: "the promises" for name in ("promises", "selective", "asking") if name in tuning}
    for name, words in (("risk", "the risk control"), ("label_sets", "the prediction sets")):
        if isinstance(tuning.get(name), Mapping) and tuning[name].get("part") == "promise":
            found[name] = words
    return found


@contextmanager
def locked_folder(folder: Path) -> Generator[None]:
    """Context in which no other process can change the saved model: of two concurrent changes one would be lost.

    Args:
        folder: the model folder.

    Raises:
        ArtifactError: another process keeps changing the model: training, tuning, exporting or reporting it.
    """
    with exclusive_folder(folder, wait=_MAX_WAIT) as is_free:
        if not is_free:
            raise ArtifactError(f"{busy_text(folder)}; wait until it ends")
        yield


def busy_text(folder: Path) -> str:
    """The beginning of the message that a model folder is locked by another process."""
    return f"another process is changing the model in '{folder}', such as a training, tuning or export"


@contextmanager
def restored_on_failure(folder: str | Path, also: Sequence[str] = ()) -> Generator[None]:
    """Context for changes of a saved model; an exception restores the manifest and the evaluations.

    It also restores the files that `undo_manifest` reads.

    Args:
        folder: the model folder.
        also: other files of it, which are generated from the manifest: they are restored too.
    """
    folder = Path(folder)
    names = [
        file for file in (*also, MANIFEST, PREVIOUS, PREVIOUS_EVALUATION, EVALUATION) if not (folder / file).is_dir()
    ]
    before = {name: _bytes_of(folder / name) for name in names}
    try:
        yield
    except BaseException as failure:
        changed = _changed(folder, before)
        try:
            if changed:
                write_together(folder, {name: writer_of_bytes(data) for name, data in changed.items()})
        except ArtifactError as error:  # the disk may still be full
            changed = _changed(folder, changed)
            state = (
                "it is changed, which `eyebright tune` with `undo` reverts"
                if MANIFEST in changed
                else f"it decides as before, but {listing(changed)} is not as it was"
            )
            cause = str(failure) or type(failure).__name__
            raise ArtifactError(
                f"{cause}; and the model in '{folder}' could not be restored: {error}; {state}"
            ) from failure
        raise


def _changed(folder: Path, before: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
    """The files with another content than before, or whose content cannot be read."""
    changed: dict[str, bytes | None] = {}
    for name, content in before.items():
        try:
            is_same = _bytes_of(folder / name) == content
        except OSError:
            is_same = False
        if not is_same:
            changed[name] = content
    return changed


def _bytes_of(path: Path) -> bytes | None:
    """The content of a file; None if there is none."""
    return path.read_bytes() if path.is_file() else None


def check_free(folder: str | Path, part: str, *, replace: bool) -> None:
    """Raises `InputError` if a saved model already has images of this part, unless ``replace`` is True.

    Args:
        folder: the model folder.
        part: the part.
        replace: True to allow replacing them.

    Raises:
        InputError: the model has images of the part.
        ArtifactError: the folder contains no model or no evaluation.
    """
    earlier = {str(name): len(evaluation) for name, evaluation in load_manifest_and_evaluations(folder)[1].items()}
    if part in earlier and not replace:
        raise InputError(
            f"the model has {earlier[part]:,} images of the part '{part}' already; `replace=True` replaces them"
        )


def undo_manifest(folder: str | Path) -> Manifest:
    """Restores the files that the last `save_manifest` or `save_part` replaced; returns the manifest.

    Raises:
        ArtifactError: the folder contains no model or no earlier manifest, or a file cannot be written.
    """
    folder = Path(folder)
    content = manifest_content(folder)
    if not (folder / PREVIOUS).is_file():
        raise ArtifactError(f"there is nothing to undo: '{folder}' contains no {PREVIOUS}")
    previous = read_manifest(folder / PREVIOUS)
    if not isinstance(previous, dict) or previous.get("id") != content.get("id"):
        raise ArtifactError(f"'{folder / PREVIOUS}' belongs to another model than the one in '{folder}'; delete it")
    try:
        manifest = Manifest.from_json(previous)
    except ArtifactError as error:
        raise ArtifactError(f"'{folder / PREVIOUS}' cannot be used: {error}") from None
    evaluation = _previous_evaluation(folder, manifest.evaluation_hash)
    writers = {EVALUATION: writer_of_bytes(evaluation)} if evaluation is not None else {}
    writers |= {MANIFEST: writer_of_text(manifest_text(previous)), PREVIOUS: None, PREVIOUS_EVALUATION: None}
    write_together(folder, writers)
    return manifest


def _previous_evaluation(folder: Path, digest: str | None) -> bytes | None:
    """The evaluation before the last change; None if that did not change it."""
    if not (folder / PREVIOUS_EVALUATION).is_file():
        return None
    try:
        content = (folder / PREVIOUS_EVALUATION).read_bytes()
    except OSError as error:
        raise ArtifactError(f"'{folder / PREVIOUS_EVALUATION}' cannot be read: {os_reason(error)}") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise ArtifactError(f"'{folder / PREVIOUS_EVALUATION}' is damaged, or of another change; delete it")
    return content
