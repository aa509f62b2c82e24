"""Finds the files of images that a label file names without extension, or outside of the folder of images."""

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np

from eyebright.errors import TableError
from eyebright.io.containers import SEPARATOR, container_of
from eyebright.io.files import IMAGE_EXTENSIONS
from eyebright.sources.image_names import ImageNames
from eyebright.sources.indices import IndexArray
from eyebright.sources.text_table import Strings, TextTable

_N_SAMPLED_NAMES = 1000  # names of a table whose files are searched; if these exist, so do the others


def with_extensions(table: TextTable, folder: Path, names: Strings) -> Strings:
    """The names, with the extension added if only one image has this name before its extension.

    A name without a file is not changed: reading the images reports it.

    Args:
        table: the label file, for messages.
        folder: that the names are relative to.
        names: the names of the images, with forward slashes.

    Raises:
        TableError: two images have the name, such as ``a.jpg`` and ``a.png``; the message names the line.
    """
    without = _without_extension(names)
    if not len(without):
        return names
    full_names = names.copy()
    folders: dict[PurePosixPath, dict[str, list[str]]] = {}
    for row in without.tolist():
        name = PurePosixPath(str(names[row]))
        if name.parent not in folders:
            folders[name.parent] = _images_by_stem(folder / name.parent)
        files = folders[name.parent].get(name.name, [])
        if not files or (folder / name).is_file():
            continue
        if len(files) > 1:
            raise table.error(
                f"'{name}' may be '{files[0]}' or '{files[1]}' in '{folder / name.parent}'; write the extension too",
                line=int(table.lines[row]),
            )
        full_names[row] = str(name.parent / files[0])
    return full_names


def _without_extension(names: Strings) -> IndexArray:
    """The rows whose name does not end as an image does."""
    rows = np.arange(len(names))
    first = names[0].lower() if len(names) else ""
    # Most names end as the first one.
    for extension in sorted(IMAGE_EXTENSIONS, key=lambda ending: not first.endswith(ending)):
        rows = rows[~np.strings.endswith(np.strings.lower(names[rows]), extension)]
    return rows


def with_folders(table: TextTable, folder: Path, names: Strings) -> tuple[Strings, list[str]]:
    """(names, messages): where some images are not where their names point, they are searched in the folders inside.

    Args:
        table: the label file, for messages.
        folder: that the names are relative to.
        names: the names of the images, with forward slashes.

    Raises:
        TableError: several images may be meant; the message names the line.
    """
    step = max(len(names) // _N_SAMPLED_NAMES, 1)
    sample = [row for row in range(0, len(names), step) if not _is_file(folder, names[row])]
    finder = ImageNames(folder, folder / "labels")
    if not any(_is_file(folder, _found(table, finder, names[row], row)) for row in sample):
        return names, []  # all exist, or none: reading the images reports the missing ones
    full_names = names.copy()
    for row, name in enumerate(names.tolist()):
        if not _is_file(folder, name) and _is_file(folder, path := _found(table, finder, name, row)):
            full_names[row] = path
    moved = np.flatnonzero(full_names != names)
    first = int(moved[0])
    example = f"'{names[first]}' is '{full_names[first]}'"
    pairs = zip(names[moved].tolist(), full_names[moved].tolist(), strict=True)
    are_spelled_alike = all(PurePosixPath(path).name.startswith(PurePosixPath(name).name) for name, path in pairs)
    how = "in another folder" if are_spelled_alike else "in another folder, or by another spelling of the name,"
    return full_names, [f"images found {how} than the table states: {len(moved)} ({example})"]


def leads_to_image(folder: Path) -> Callable[[str], bool]:
    """The function that is True for a name, with or without an extension, of an image in the folder or below it."""
    finder = ImageNames(folder, folder / "labels")

    def is_image(name: str) -> bool:
        try:
            path = finder.find(name)
        except TableError:  # there are several, which reading reports
            return True
        return path.lower().endswith(IMAGE_EXTENSIONS) and _is_file(folder, path)

    return is_image


def outside_message(folder: Path, names: Strings, table: TextTable) -> list[str]:
    """A sentence about names that lead out of the folder of images, by ``..`` or as absolute paths; none without any.

    They are read like any others, since the user's own images may be anywhere; but a label file from somebody else can
    name any file. Symbolic links are not checked: they belong to the folder, not to the label file.

    Args:
        folder: that the names are relative to.
        names: the names of the images, with forward slashes.
        table: the label file.
    """
    inside = os.path.join(os.path.abspath(folder), "")  # noqa: PTH100, PTH118 - `Path.absolute` keeps ..
    maybe = (np.strings.find(names, "..") >= 0) | np.strings.startswith(names, "/") | (np.strings.find(names, ":") == 1)
    rows = [
        row
        for row in np.flatnonzero(maybe).tolist()
        if not os.path.normpath(os.path.join(inside, names[row])).startswith(inside)  # noqa: PTH118 - a million names
    ]
    if not rows:
        return []
    line = int(table.lines[rows[0]])
    where = table.place(line) if table.files else f"line {line}"
    example = f"'{names[rows[0]]}' in {where}"
    return [f"images outside of the folder '{folder}', which are read as well: {len(rows)} of {len(names)} ({example})"]


def _found(table: TextTable, finder: ImageNames, name: str, row: int) -> str:
    try:
        return finder.find(name)
    except TableError as error:
        raise table.error(str(error).split(": ", 1)[1], line=int(table.lines[row])) from None


def _is_file(folder: Path, name: str) -> bool:
    if SEPARATOR in name and container_of(f"{folder}/{name}") is not None:
        return True  # reading reports images that are missing in a container
    try:
        return os.path.isfile(folder / name)  # noqa: PTH113 - Path.is_file raises for some names
    except ValueError:
        return False


def _images_by_stem(folder: Path) -> dict[str, list[str]]:
    """The images in a folder by their names without the extension; empty if the folder does not exist."""
    images: dict[str, list[str]] = {}
    try:
        names = sorted(entry.name for entry in os.scandir(folder))
    except (OSError, ValueError):
        return images
    for name in names:
        stem, extension = os.path.splitext(name)  # noqa: PTH122 - much faster than Path for a million names
        if extension.lower() in IMAGE_EXTENSIONS:
            images.setdefault(stem, []).append(name)
    return images
