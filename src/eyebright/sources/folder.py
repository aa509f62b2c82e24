"""`folder_source`: reads a folder of images as a `Source`: a subfolder per class, or a ``.pts`` file per image."""

from collections.abc import Sequence
from pathlib import Path

from eyebright.errors import InputError, listing
from eyebright.io.files import get_image_files
from eyebright.sources.categorical import Categorical
from eyebright.sources.folder_parts import parts_of_folders
from eyebright.sources.forms import Kind, block_name
from eyebright.sources.pts_files import images_with_pts, pts_messages, read_pts_files
from eyebright.sources.source import Source
from eyebright.sources.targets import Targets
from eyebright.sources.text_table import strings
from eyebright.tasks.base import Columns


def folder_source(path: str | Path, kind: Kind | None = None) -> Source:
    """The images of a folder; ``train/``, ``valid/`` and ``test/`` directly inside it are the split.

    Args:
        path: the folder.
        kind: what the targets are and the target block for them; None: points if an image has a ``.pts`` file beside
            it, else classes.

    Raises:
        InputError: there is no image, an image is in no class folder, or the targets of the folder are of another kind.
        TableError: a ``.pts`` file is invalid.
    """
    root = Path(path)
    every = get_image_files(root)
    with_points = images_with_pts(every)
    form: Columns = "points" if with_points else "class"
    if kind is not None and kind.columns != form:
        content = "a .pts file beside each image" if with_points else "a folder for each class"
        raise InputError(
            f"'{root}' holds {content}, which is not `kind='{kind.columns}'`; give a table of labels (CSV)"
        )
    if not with_points:
        _check_all_have_class_folders([file for file in every if file.parent == root])
    files, part, notes = parts_of_folders(root, with_points or every)
    if part is not None and not with_points:
        _check_all_have_class_folders([file for file in files if file.parent.parent == root])
    targets: Targets = read_pts_files(files) if with_points else Categorical.of(file.parent.name for file in files)
    messages = pts_messages(files, len(every) - len(with_points)) if with_points else [_summary(files)]
    return Source(
        kind=block_name(form) if kind is None else kind.block,
        root=root,
        files=strings([file.relative_to(root).as_posix() for file in files]),
        targets=targets,
        part=part,
        messages=(*messages, *notes),
    )


def _check_all_have_class_folders(files: Sequence[Path]) -> None:
    if files:
        raise InputError(
            f"'{files[0]}' lies in no class folder; "
            "put every image into a folder named after its class, or give a table"
        )


def _summary(files: Sequence[Path]) -> str:
    classes = sorted({file.parent.name for file in files})
    folders = "1 folder" if len(classes) == 1 else f"{len(classes)} folders"
    return f"{len(files)} images in {folders}, one for each class: {listing(classes)}"
