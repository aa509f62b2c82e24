"""A folder for each class, with copies of its images; below a folder for each part where the data have parts."""

import os
import posixpath
import shutil
from pathlib import Path

from eyebright.errors import InputError, listing
from eyebright.image.decode import read_bytes, read_header
from eyebright.io.containers import container_of
from eyebright.io.files import IMAGE_EXTENSIONS
from eyebright.sources.categorical import Categorical
from eyebright.sources.folder import are_class_folders
from eyebright.sources.parts import part_of
from eyebright.sources.source import Source
from eyebright.sources.writer import ReadBack, Writer


def write_folders(source: Source, path: Path) -> ReadBack:
    """Copies the images into folders named after their classes; returns how they are read.

    Raises:
        InputError: a class cannot be the name of a folder, or an image cannot be copied.
        ImageError: an image without an extension cannot be read.
    """
    assert isinstance(source.targets, Categorical)
    _check_classes([str(name) for name in source.targets.categories])
    used: set[str] = set()
    for row in range(len(source)):
        image = source[row]
        folder = str(image.target) if source.part is None else f"{image.part or 'train'}/{image.target}"
        name = _free(folder, _with_extension(str(source.files[row]), image.path), used)
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if container_of(str(image.path)) is None:
                shutil.copyfile(image.path, target)
            else:
                target.write_bytes(read_bytes(str(image.path)))
        except OSError as error:
            raise InputError(f"cannot copy '{image.path}': {error.strerror or error}") from error
    return {}


def _check_classes(names: list[str]) -> None:
    """Raises `InputError` for classes that would be lost or changed when the folders are read."""
    for name in names:
        if name.startswith(".") or not name or part_of(name) or any(character in name for character in "/\\\0"):
            raise InputError(
                f"class '{name}' cannot be the name of a folder of a class, which is not a part such as train, and not"
                " hidden; rename it, or give `to='csv'`"
            )
        try:
            os.fsencode(name)
        except UnicodeEncodeError:
            raise InputError(f"class '{name}' cannot be the name of a folder: it is not valid Unicode") from None
    if not are_class_folders(names):
        raise InputError(
            f"folders called {listing(names)} would not be read as classes: such names are of folders that hold files "
            "of one sort, or images without a label; rename the classes, or give `to='csv'`"
        )


def _with_extension(file: str, path: Path) -> str:
    """The name of an image with an extension by which it is found in a folder: its own, or one for its format.

    Raises:
        ImageError: it has none, and its header cannot be read.
        InputError: it has none, and no extension is that of its format.
    """
    if posixpath.splitext(file)[1].lower() in IMAGE_EXTENSIONS:
        return file
    image_format = read_header(str(path)).format.lower()
    extension = ".jpg" if image_format == "mpo" else f".{image_format}"
    if extension not in IMAGE_EXTENSIONS:
        raise InputError(
            f"'{file}' would not be read from a folder: its name has no extension of an image; rename the file, or "
            "give `to='csv'`"
        )
    return file + extension


def _free(folder: str, file: str, used: set[str]) -> str:
    """A path in the folder that no other image has: the name of the file, with its folders before it if needed."""
    parts = posixpath.normpath(file.replace("::", "/").replace(os.sep, "/")).lstrip("./").split("/")
    for count in range(1, len(parts) + 1):
        name = f"{folder}/{'_'.join(parts[-count:])}"
        if name.lower() not in used:
            used.add(name.lower())
            return name
    raise InputError(f"two images of '{folder}' would have the name of '{file}'; rename one of them")


FOLDERS = Writer("folders", "A folder for each class", frozenset({"classes"}), write_folders, holds_parts=True)
