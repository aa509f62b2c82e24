"""`recognise`: the format of a file or a folder, detected from its content.

A file has the format whose recogniser accepts it. A folder has a format of folders, or holds files of one. A format
that is more specific (COCO) is taken before a less specific one (class folders); two equally specific ones are an
error.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from eyebright.errors import EyebrightError, InputError, listing
from eyebright.io.containers import CONTAINER_EXTENSIONS
from eyebright.io.files import FolderContent, folder_listing
from eyebright.sources.format import Format
from eyebright.sources.label_file import LabelFile
from eyebright.sources.parts import SPLIT_COLUMNS
from eyebright.sources.registry import CLASS_FOLDERS, FORMATS, TABLE
from eyebright.sources.unread_files import check_readable, is_beside

LABEL_EXTENSIONS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".xml", ".yaml", ".yml", ".parquet", ".tar")
"""Extensions of files that may hold the labels of several images."""

_MAX_LABEL_FILES = 20  # files of one extension in a folder; more are a file for each image, but for tar and Parquet
_MAX_INSPECTED = 200  # unless the user names the format


class Recognised(NamedTuple):
    """A format, and the files that are read with it.

    Args:
        format: the format.
        files: the label files; empty for a folder that has the format as a whole.
        unread: files beside them that look like label files of this format and are not.
        too_many: files that were not looked at, since there are too many in one folder.
    """

    format: Format
    files: tuple[Path, ...] = ()
    unread: tuple[Path, ...] = ()
    too_many: tuple[Path, ...] = ()

    def sentence(self, path: Path) -> str:
        """What was recognised, in words."""
        if not self.files:
            return f"{self.format.title} (`format='{self.format.name}'`)"
        names = listing([_relative(file, path) for file in self.files[:3]])
        return f"{names} as {self.format.title} (`format='{self.format.name}'`)"


def recognise(path: Path, asked: Format | None = None) -> Recognised:
    """The format of a file or a folder.

    Args:
        path: the file or the folder.
        asked: the format that the user names; None: it is found.

    Raises:
        InputError: two formats are equally likely, the folder has no file of the format that was asked for, or a
            label file beside others is empty or damaged.
    """
    if not path.is_dir():
        return Recognised(asked or _format_of_file(path), (path,))
    content = folder_listing(path)
    candidates, too_many = _possible_label_files(content, is_limited=asked is None)
    if asked is None:
        recognised = _format_of_folder(path, content, [file for file in candidates if _may_hold_labels(file)])
    else:
        recognised = _asked_format(path, content, candidates, asked)
    if recognised.format.reads_companions:
        return recognised
    beside = [file for file in candidates if is_beside(file.path, recognised.files)]
    for file in beside:
        check_readable(file, recognised.format.title)
    unread = tuple(file.path for file in beside if _may_hold_labels(file))
    has_file_per_image = recognised.format.recognises_folder is not None and not recognised.format.is_general
    return recognised._replace(unread=unread, too_many=() if has_file_per_image else tuple(too_many))


def _asked_format(path: Path, content: FolderContent, candidates: Sequence[LabelFile], asked: Format) -> Recognised:
    """The files of a folder that have the format that the user names; no more files are read than this takes."""
    if asked.recognises_file is None or _is_folder(asked, path, content):
        return Recognised(asked)
    files = [file.path for file in candidates if _is_readable_file(asked, file)]
    if asked.recognises_folder is not None and not files:
        return Recognised(asked)
    if not files:
        raise InputError(f"'{path}' has no file of `format='{asked.name}'`: {asked.looks_like}; give the file itself")
    return Recognised(asked, tuple(files))


def unknown_format(path: Path) -> InputError:
    """The error for a file whose format is not known: what it looks like, and what is known."""
    folder = folder_listing(path.parent, recurse=False)
    for format_ in FORMATS:
        if format_.recognises_file is None and _is_folder(format_, path.parent, folder) and not format_.is_general:
            return InputError(f"'{path}' belongs to one image of {format_.title}; give its folder, '{path.parent}'")
    known = "; ".join(f"{format_.name} ({format_.looks_like})" for format_ in FORMATS)
    return InputError(f"'{path}' looks like {LabelFile(path).looks_like}, which is not a known format: {known}")


def _format_of_file(path: Path) -> Format:
    file = LabelFile(path)
    formats = [format_ for format_ in FORMATS if _is_file(format_, file)]
    specific = [format_ for format_ in formats if not format_.is_general]
    if len(specific) > 1:
        raise _equally_likely(path, [Recognised(format_, (path,)) for format_ in specific])
    if specific or formats:
        return (specific or formats)[0]
    if file.json is not None or file.xml_root:
        raise unknown_format(path)
    return TABLE


def _format_of_folder(path: Path, content: FolderContent, files: Sequence[LabelFile]) -> Recognised:
    readings = [
        Recognised(format_) for format_ in FORMATS if not format_.is_general and _is_folder(format_, path, content)
    ]
    for format_ in FORMATS:
        if not format_.is_general and (of_it := tuple(file.path for file in files if _is_file(format_, file))):
            readings = (
                [reading for reading in readings if reading.format is not format_]
                if format_.recognises_folder is None
                else readings
            )
            if all(reading.format is not format_ for reading in readings):
                readings.append(Recognised(format_, of_it))
    if not readings:
        readings = _general(path, content, files)
    if len(readings) > 1:
        raise _equally_likely(path, readings)
    return readings[0] if readings else Recognised(CLASS_FOLDERS)


def _general(path: Path, content: FolderContent, files: Sequence[LabelFile]) -> list[Recognised]:
    """Tables and the like, and class folders if there are such too."""
    general = [format_ for format_ in FORMATS if format_.is_general and format_.recognises_file is not None]
    tables = {format_: tuple(file.path for file in files if _is_file(format_, file)) for format_ in general}
    readings = [Recognised(format_, of_it) for format_, of_it in tables.items() if of_it]
    if not readings:
        return []
    return [*readings, Recognised(CLASS_FOLDERS)] if _is_folder(CLASS_FOLDERS, path, content) else readings


def _is_readable_file(format_: Format, file: LabelFile) -> bool:
    """Whether a file has the format; False where it cannot be read, or where it is the table of a split."""
    try:
        return _is_file(format_, file) and _may_hold_labels(file)
    except EyebrightError:
        return False


def _is_file(format_: Format, file: LabelFile) -> bool:
    return format_.recognises_file is not None and format_.recognises_file(file)


def _is_folder(format_: Format, path: Path, content: FolderContent) -> bool:
    return format_.recognises_folder is not None and format_.recognises_folder(path, content)


def _possible_label_files(content: FolderContent, *, is_limited: bool) -> tuple[list[LabelFile], list[Path]]:
    """(files that may hold the labels of several images, those that are too many to look at).

    Files of one image are none of them: those with its name, such as ``cat.json`` for ``cat.jpg``, and, unless a format
    was asked for, ``cat.jpg.json``.

    Args:
        content: the files of the folder.
        is_limited: whether many files in a folder are taken for files of one image each.
    """
    groups: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for file in content.others:
        if file.suffix.lower() in LABEL_EXTENSIONS:
            groups[file.parent, file.suffix.lower()].append(file)
    images = content.images if groups else ()
    of_one_image = {image.with_suffix("") for image in images} | (set(images) if is_limited else set())
    containers = [file for (_, suffix), files in groups.items() if suffix in CONTAINER_EXTENSIONS for file in files]
    tables = {of: files for of, files in groups.items() if of[1] not in CONTAINER_EXTENSIONS}
    few = sorted(
        file
        for files in tables.values()
        if not is_limited or len(files) <= _MAX_LABEL_FILES
        for file in files
        if file.with_suffix("") not in of_one_image
    )
    inspected = few[:_MAX_INSPECTED] if is_limited else few
    names, looked_at = {name.name for name in of_one_image}, {*inspected}
    too_many = [file for files in tables.values() for file in files if file not in looked_at and file.stem not in names]
    return [LabelFile(file) for file in sorted([*inspected, *containers])], sorted(too_many)


def _may_hold_labels(file: LabelFile) -> bool:
    """False for a file that cannot be read, and for the table of a split."""
    try:
        return _first_line(file) != ",".join(SPLIT_COLUMNS)
    except EyebrightError:  # it may be anything; the images may still be readable without it
        return False


def _first_line(file: LabelFile) -> str:
    return file.head.split(b"\n", 1)[0].decode("utf-8-sig", errors="replace").strip()


def _equally_likely(path: Path, candidates: Sequence[Recognised]) -> InputError:
    readings = "; or ".join(reading.sentence(path) for reading in candidates)
    return InputError(f"'{path}' can be read in {len(candidates)} ways: {readings}; name the one that is meant")


def _relative(file: Path, path: Path) -> str:
    return file.relative_to(path).as_posix() if file.is_relative_to(path) and file != path else file.name
