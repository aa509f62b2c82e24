"""Replaces the manifest of a saved model, whose weights stay: another decision, which can be undone."""

import json
from pathlib import Path

from eyebright.errors import ArtifactError
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import (
    MANIFEST,
    PREVIOUS,
    manifest_content,
    manifest_text,
    read_manifest,
    write_together,
    writer_of_text,
)


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
    if (Manifest.from_json(content).model, content["target"]) != (manifest.model, manifest.to_json()["target"]):
        raise ArtifactError(f"the manifest is of another model than the one in '{folder}'")
    kept = {name: content[name] for name in ("id", "weights") if name in content}
    text = manifest_text({**manifest.to_json(), **kept})
    Manifest.from_json(json.loads(text))  # what could not be loaded does not replace what can
    write_together(folder, {PREVIOUS: writer_of_text(manifest_text(content)), MANIFEST: writer_of_text(text)})


def undo_manifest(folder: str | Path) -> Manifest:
    """Puts the manifest back that the last `save_manifest` replaced; returns it.

    Raises:
        ArtifactError: the folder contains no model, or no earlier manifest of it, or a file cannot be written.
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
    write_together(folder, {MANIFEST: writer_of_text(manifest_text(previous)), PREVIOUS: None})
    return manifest
