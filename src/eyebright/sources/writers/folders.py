"""A folder for each class, with copies of its images; below a folder for each part where the data have parts."""

import os
import posixpath
import shutil
from pathlib import Path

from eyebright.errors import InputError
from eyebright.image.decode import read_bytes
from eyebright.io.containers import container_of
from eyebright.sources.categorical import Categorical
from eyebright.sources.parts import part_of
from eyebright.sources.source import Source
from eyebright.sources.writer import ReadBack, Writer


def write_folders(source: Source, path: Path) -> ReadBack:
    """Copies the images into folders named after their classes; returns how they are read.

    Raises:
        InputError: a class cannot be the name of a folder, or an image cannot be copied.
    """
    assert isinstance(source.targets, Categorical)
    for name in map(str, source.targets.categories):
        if name.startswith(".") or not name or part_of(name) or any(character in name for character in "/\\\0"):
            raise InputError(
                f"class '{name}' cannot be the name of a folder of a class, which is not a part such as train, and not"
                " hidden; rename it, or give `to='csv'`"
            )
    used: set[str] = set()
    for row in range(len(source)):
        one = source[row]
        folder = str(one.target) if source.part is None else f"{one.part or 'train'}/{one.target}"
        name = _free(folder, str(source.files[row]), used)
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if container_of(str(one.path)) is None:
                shutil.copyfile(one.path, target)
            else:
                target.write_bytes(read_bytes(str(one.path)))
        except OSError as error:
            raise InputError(f"cannot copy '{one.path}': {error.strerror or error}") from error
    return {}


def _free(folder: str, file: str, used: set[str]) -> str:
    """A path in the folder that no other image has: the name of the file, with its folders before it if needed."""
    parts = posixpath.normpath(file.replace("::", "/").replace(os.sep, "/")).lstrip("./").split("/")
    for count in range(1, len(parts) + 1):
        name = f"{folder}/{'_'.join(parts[-count:])}"
        if name.lower() not in used:
            used.add(name.lower())
            return name
    raise InputError(f"two images of '{folder}' would have the name of '{file}'; rename one of them")


FOLDERS = Writer("folders", "A folder for each class", frozenset({"class"}), write_folders, holds_parts=True)
