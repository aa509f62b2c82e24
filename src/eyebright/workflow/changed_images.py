"""Images that were changed while a model was trained: part of the run has then seen other pixels than the rest."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from eyebright.errors import listing
from eyebright.io.containers import container_of
from eyebright.sources.source import Source


class FileState(NamedTuple):
    """The state of an image file.

    Args:
        name: its name in the label file; of an image in a container, that of the container.
        size: its size in bytes.
        changed: the time of its last change, in nanoseconds.
    """

    name: str
    size: int
    changed: int


def file_states(source: Source) -> dict[str, FileState]:
    """The state of each image file of a source, by its path; of an image in a container, that of the container.

    Files that cannot be read are left out.
    """
    states: dict[str, FileState] = {}
    for file, row in zip(source.files, source, strict=True):
        path = _file_of(str(row.path))
        if path not in states and (state := _state(path, _file_of(str(file)))) is not None:
            states[path] = state
    return states


def changed_message(before: Mapping[str, FileState]) -> str:
    """A sentence on the files that have changed, or are gone; empty if none has.

    Args:
        before: the former state of each file, by its path.
    """
    changed = [state.name for path, state in before.items() if _state(path, state.name) != state]
    if not changed:
        return ""
    were = "1 image file was" if len(changed) == 1 else f"{len(changed):,} image files were"
    return (
        f"warning: {were} changed or removed during the training ({listing(changed, limit=3)}): the check, the "
        "training and the scores may be of different contents; train again"
    )


def _file_of(path: str) -> str:
    """The file that contains an image: the container, or the image itself."""
    member = container_of(path)
    return path if member is None else str(member[0])


def _state(path: str, name: str) -> FileState | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - faster than Path, for a million files
    except (OSError, ValueError):
        return None
    return FileState(name, status.st_size, status.st_mtime_ns)
