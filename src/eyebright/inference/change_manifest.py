"""Changes the manifest of a saved model, whose weights stay: its decision or its evaluations; this can be undone."""

import hashlib
import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eyebright.errors import ArtifactError, InputError, os_reason
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


def save_manifest(folder: str | Path, manifest: Manifest) -> None:
    """Replaces the manifest of a saved model, for example by one with another decision; the last one is kept.

    Args:
        folder: the model folder.
        manifest: of the same model: what is changed is how it decides, and what the report says.

    Raises:
        ArtifactError: the folder contains no model, the manifest is of another architecture or target, or a file cannot
            be written; what was there before is unchanged.
    """
    folder = Path(folder)
    manifest.check_consistent()
    content = manifest_content(folder)
    there, target = Manifest.from_json(content), manifest.to_json()["target"]
    same = there.evaluation == manifest.evaluation and there.out_of_fold == manifest.out_of_fold  # else it was replaced
    if not same or (there.model, content["target"]) != (manifest.model, target):
        raise ArtifactError(f"the manifest is of another model than the one in '{folder}'")
    kept = {name: content[name] for name in ("id", "weights") if name in content}
    text = manifest_text({**manifest.to_json(), **kept})
    Manifest.from_json(json.loads(text))  # what could not be loaded does not replace what can
    writers = {PREVIOUS: writer_of_text(manifest_text(content)), MANIFEST: writer_of_text(text)}
    write_together(folder, {**writers, PREVIOUS_EVALUATION: None})


def save_part(folder: str | Path, evaluation: Evaluation, *, replace: bool = False) -> tuple[str, ...]:
    """Adds the evaluation of further images to a saved model, as those of a part; what was there before is kept.

    If images of the part promise are replaced, what was made with them is given up: promises, label sets, risk control;
    thresholds stay. Returns what was given up, in words.

    Args:
        folder: the model folder.
        evaluation: of this model, with its part.
        replace: True to replace an earlier evaluation of the part.

    Raises:
        InputError: the model has images of this part already, and they are not to be replaced.
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
        changed["tuning"] = {name: one for name, one in content.get("tuning", {}).items() if name not in given_up}
        if "label_sets" in given_up:
            changed["decision"] = {name: one for name, one in content["decision"].items() if name != "label_sets"}
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
    """What was made with the images of the part promise, in words, by the names of its entries of ``tuning``."""
    found = {name: "the promises" for name in ("promises", "selective", "asking") if name in tuning}
    for name, words in (("risk", "the risk control"), ("label_sets", "the label sets")):
        if isinstance(tuning.get(name), Mapping) and tuning[name].get("part") == "promise":
            found[name] = words
    return found


@contextmanager
def locked_folder(folder: Path) -> Generator[None]:
    """Within it no other process changes the saved model: of two changes at once, one would be lost.

    Args:
        folder: the model folder.

    Raises:
        ArtifactError: another process trains or tunes it, or writes its report.
    """
    with exclusive_folder(folder) as is_free:
        if not is_free:
            raise ArtifactError(
                f"another process trains or tunes the model in '{folder}' or writes its report; wait for its end"
            )
        yield


@contextmanager
def restored_on_failure(folder: str | Path, also: Sequence[str] = ()) -> Generator[None]:
    """Within it a saved model may be changed; what ends it early puts the manifest and the evaluations back.

    What `undo_manifest` could take back before can be taken back again.

    Args:
        folder: the model folder.
        also: further files of it, which are made from the manifest: they are put back too.
    """
    folder = Path(folder)
    names = [one for one in (*also, MANIFEST, PREVIOUS, PREVIOUS_EVALUATION, EVALUATION) if not (folder / one).is_dir()]
    before = {name: (folder / name).read_bytes() if (folder / name).is_file() else None for name in names}
    try:
        yield
    except BaseException as failure:
        try:
            writers = {name: None if one is None else writer_of_bytes(one) for name, one in before.items()}
            write_together(folder, writers)
        except ArtifactError as error:  # the disk may be full still
            raise ArtifactError(
                f"{failure}; and the model in '{folder}' could not be put back: {error}; it is changed, which "
                "`eyebright tune` with `undo` takes back"
            ) from failure
        raise


def check_free(folder: str | Path, part: str, *, replace: bool) -> None:
    """Raises `InputError` if a saved model has images of this part already, and they are not to be replaced.

    Args:
        folder: the model folder.
        part: the part.
        replace: True if they are to be replaced.

    Raises:
        InputError: see above.
        ArtifactError: the folder contains no model or no evaluation.
    """
    earlier = {str(name): len(one) for name, one in load_manifest_and_evaluations(folder)[1].items()}
    if part in earlier and not replace:
        raise InputError(
            f"the model has {earlier[part]:,} images of the part '{part}' already; `replace=True` puts these in their "
            "place"
        )


def undo_manifest(folder: str | Path) -> Manifest:
    """Puts back what the last `save_manifest` or `save_part` replaced; returns the manifest.

    Raises:
        ArtifactError: the folder contains no model, or nothing earlier of it, or a file cannot be written.
    """
    folder = Path(folder)
    content = manifest_content(folder)
    if not (folder / PREVIOUS).is_file():
        raise ArtifactError(f"there is nothing to undo: '{folder}' contains no {PREVIOUS}")
    previous = read_manifest(folder / PREVIOUS)
    if not isinstance(previous, dict) or previous.get("id") != content.get("id"):
        raise ArtifactError(f"'{folder / PREVIOUS}' is of another model than the one in '{folder}'; delete it")
    try:
        manifest = Manifest.from_json(previous)
    except ArtifactError as error:
        raise ArtifactError(f"'{folder / PREVIOUS}' cannot be used: {error}") from None
    evaluation = _previous_evaluation(folder, manifest.evaluation)
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
