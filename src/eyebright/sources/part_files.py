"""`with_part_files`: one label file per part: those that the user names, or those in the folder of the given one."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from eyebright._choices import Part
from eyebright.errors import InputError, listing
from eyebright.sources.column_roles import plain_name
from eyebright.sources.format import ReadRequest
from eyebright.sources.label_file import LabelFile
from eyebright.sources.part_names import neighbours
from eyebright.sources.parts import REQUIRED_COLUMNS
from eyebright.sources.recognise import Recognised, recognise


class PartFiles(NamedTuple):
    """The label files to read, and how to read them.

    Args:
        found: the format and the files.
        request: the user's request, with the part of each file.
        messages: which files were found, sentences for the user.
    """

    found: Recognised
    request: ReadRequest
    messages: tuple[str, ...] = ()


def with_part_files(
    recognised: Recognised, request: ReadRequest, *, valid: str | Path | None, test: str | Path | None
) -> PartFiles:
    """The label files of all parts.

    If no file is named and the name of the table contains a part (``train.csv``), tables of the other parts in the same
    folder are read too (``valid.csv``, ``test.csv``), if they have the same columns.

    Args:
        recognised: the format of what the user gave.
        request: what was asked for.
        valid: the label file of the validation images; None: detected in the same folder.
        test: the label file of the test images; None: detected in the same folder.

    Raises:
        InputError: ``request.path`` is a folder although a file is named, a file is missing or is named for two parts,
            or the files have different formats.
    """
    if valid is None and test is None:
        return _with_neighbours(recognised, request)
    path = request.path
    if path.is_dir():
        raise InputError(
            f"'{path}' is a folder; with `valid` or `test`, give the file with the labels of the training images "
            "instead"
        )
    parts: dict[Path, Part] = {path: "train"}
    part_paths: Mapping[Part, str | Path | None] = {"valid": valid, "test": test}
    for part, name in part_paths.items():
        if name is None:
            continue
        file = Path(name)
        if not file.is_file():
            raise InputError(f"there is no file '{file}', which `{part}` names")
        if file in parts:
            raise InputError(f"'{file}' is named for two parts; leave one out")
        other = recognise(file, recognised.format if recognised.format.is_general else None).format
        if other is not recognised.format:
            raise InputError(
                f"'{path}' is {recognised.format.title} and '{file}' is {other.title}; give files of one format"
            )
        parts[file] = part
    return PartFiles(Recognised(recognised.format, tuple(parts)), replace(request, path=path.parent, parts=parts))


def _with_neighbours(recognised: Recognised, request: ReadRequest) -> PartFiles:
    path, unsplit = request.path, PartFiles(recognised, request)
    if not recognised.format.has_columns or request.split is not None or not path.is_file():
        return unsplit
    own = _columns(path)
    if not own or any(plain_name(name) in REQUIRED_COLUMNS for name in own):
        return unsplit
    parts = neighbours(path)
    others = {file: _columns(file) == own for file in parts if file != path}
    kept = {file: part for file, part in parts.items() if others.get(file, True)}
    messages = [
        f"'{file.name}' beside '{path.name}' has different columns, and is not read"
        for file, is_same in others.items()
        if not is_same
    ]
    if len(kept) < 2:
        return unsplit._replace(messages=tuple(messages))
    names = listing([file.name for file in kept if file != path])
    messages.append(
        f"'{path.name}' is read together with {names}, for the other parts; `split='none'` reads only '{path.name}'"
    )
    request = replace(request, path=path.parent, parts=kept)
    return PartFiles(Recognised(recognised.format, tuple(kept)), request, tuple(messages))


def _columns(path: Path) -> frozenset[str]:
    """The names of the columns of a table, or the keys of the first object of JSON Lines."""
    file = LabelFile(path)
    return frozenset(file.header if file.json is None else file.json.record())
