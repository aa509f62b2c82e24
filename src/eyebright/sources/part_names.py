"""The parts in the names of several label files or of their folders."""

import glob
import re
from collections.abc import Sequence
from pathlib import Path

from eyebright._choices import Part
from eyebright.errors import InputError, listing
from eyebright.sources.format import ReadRequest
from eyebright.sources.parts import part_of

_HASH = re.compile(r"(-of-\d+)-[0-9a-f]{16}$")  # of a Parquet file of the package `datasets`


def parts_of_files(files: Sequence[Path], request: ReadRequest) -> list[Part | None]:
    """The part of each file by the user, its name, or its folders; None for all files if there are no parts.

    Raises:
        InputError: the files have different names but for the parts, or only some of them name a part.
    """
    if request.parts:
        return [request.parts[file] for file in files]
    folder = request.path
    named = [_part_and_rest(file.relative_to(folder)) for file in files]
    families = sorted({rest for _, rest in named})
    names = [name_of_file(file, folder) for file in files]
    if len(families) > 1:
        raise InputError(f"'{folder}' has several label files, {listing(names)}; give the one that is meant")
    parts: list[Part | None] = [part for part, _ in named]
    if None in parts and any(parts):
        raise InputError(
            f"'{folder}' has label files of which only some are named after a part (train, valid, test): "
            f"{listing(names)}; give the one that is meant"
        )
    return parts


def name_of_file(file: Path, folder: Path) -> str:
    """The path of a file below a folder, for messages; the whole of it if it is elsewhere."""
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else str(file)


def neighbours(file: Path) -> dict[Path, Part]:
    """The files for other parts in the folder of a file whose name contains a part, with their parts.

    The file itself is included; empty if its name contains no part, or there is no other file.
    """
    part, rest = _part_and_rest(Path(file.name))
    if part is None:
        return {}
    part_of_file: dict[Path, Part] = {file: part}
    for other in sorted(file.parent.glob(f"*{glob.escape(file.suffix)}")):
        other_part, other_rest = _part_and_rest(Path(other.name))
        if other_rest == rest and other_part is not None and other_part not in part_of_file.values():
            part_of_file[other] = other_part
    return part_of_file if len(part_of_file) > 1 else {}


def _part_and_rest(file: Path) -> tuple[Part | None, str]:
    """The part that a file's name, or else one of its folders names, and the name without it and without numbers."""
    stem = _HASH.sub(r"\1", file.stem)
    words = [word for word in re.split(r"[^A-Za-z]+", stem) if word]
    parts: set[Part] = {part for word in words if (part := part_of(word)) is not None}
    rest = " ".join(word for word in words if part_of(word) is None and word != "of").lower() + file.suffix.lower()
    if len(parts) == 1:
        return parts.pop(), rest
    folders: set[Part] = {
        part for folder in file.parts[:-1] if (part := part_of(re.sub(r"\d+$", "", folder))) is not None
    }
    return (folders.pop() if len(folders) == 1 else None), rest
