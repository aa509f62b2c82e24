"""`read_source`: a label file or a folder on disk as a `Source`."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from eyebright._choices import BlankMeaning, PointUnit, UncertainMeaning
from eyebright._system.collector import collector_paused
from eyebright.errors import InputError, checked_keywords, listing
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.groups import NO_GROUPS, with_groups
from eyebright.sources.headers import points_in_pixels
from eyebright.sources.none_label import with_none_label, with_unknown_hint
from eyebright.sources.part_files import with_part_files
from eyebright.sources.placeholders import with_placeholder_messages
from eyebright.sources.recognise import Recognised, recognise
from eyebright.sources.registry import NAMES, format_named
from eyebright.sources.several import read_several
from eyebright.sources.source import Source
from eyebright.sources.split_column import NO_SPLIT
from eyebright.sources.split_file import with_parts_of
from eyebright.sources.targets import CellOptions
from eyebright.sources.task_types import parse_kind
from eyebright.sources.unread_files import too_many_message, unread_message
from eyebright.tasks.mirror import find_mirror, mirror_message, parse_mirror


@checked_keywords
def read_source(
    path: str | Path,
    *,
    images: str | Path | None = None,
    files: str | None = None,
    labels: str | Sequence[str] | None = None,
    not_labels: str | Sequence[str] | None = None,
    delimiter: str | None = None,
    pattern: str | None = None,
    kind: str | None = None,
    mirror: str | Iterable[tuple[str, str]] | None = None,
    unit: PointUnit | None = None,
    format: str | None = None,  # noqa: A002 - the name of the option
    blank: BlankMeaning | None = None,
    uncertain: UncertainMeaning | None = None,
    none_label: str | None = None,
    group: str | None = None,
    split: str | None = None,
    valid_fold: int | None = None,
    valid: str | Path | None = None,
    test: str | Path | None = None,
) -> Source:
    r"""The labelled images of a label file or of a folder.

    A table (CSV or TSV) names an image in each row, with labels, a class, points or numbers. A folder has a folder for
    each class, a ``.pts`` file with points beside each image, or label files. The formats are listed in
    `eyebright.sources.registry`; which one it is, is detected from the content, and a message names it.

    Images outside of the folder are read, too, and counted in a message: those whose names in a table lead out of it
    (``../`` or absolute), and those that symbolic links in a folder lead to.

    Args:
        path: the label file, or the folder.
        images: the folder that its names of images are relative to; None: the folder of the label file.
        files: the column or key with the image files; None: detected.
        labels: the columns or keys with the targets; None: detected. ``"a,b"`` is two, unless a column has that name.
        not_labels: the columns or keys that are not targets, although they may look so; they stay with the images.
        delimiter: between two labels in a cell; ``""`` if a cell is one class; None: detected from the table.
        pattern: the regular expression that finds the class in the names of the images, in a folder or a list, such as
            ``r"(.+)_\d+.jpg$"``: in its first group, or the one named ``label``; groups named ``split`` and ``group``
            give the part and the group. None: the class is not in the names.
        kind: ``"labels"`` (any number for each image), ``"class"``, ``"ratings"`` (ordered classes), ``"points"`` or
            ``"numbers"``; None: detected from the table or folder, but never ratings.
        mirror: pairs of points that exchange their names in a mirrored image, such as ``"left_eye:right_eye"``, several
            separated by commas; ``"none"``: no points do; None: detected by left and right in the names.
        unit: the unit of points: ``"pixels"``, or ``"fraction"`` or ``"percent"`` of the image's width and height;
            None: pixels; an `InputError` if the points look like fractions or percentages.
        format: the name of the format, such as ``"coco"``; None: detected.
        blank: what a blank cell of a 0/1 column means, ``"unknown"`` or ``"no"``; None: unknown where the table writes
            0 too, else no.
        uncertain: what -1 means in a 0/1 column, ``"unknown"``, ``"yes"`` or ``"no"``; None: unknown where there are
            0 and 1 too, else no.
        none_label: the label that means that an image has no labels, such as ``"No Finding"``, and is not a label
            itself; None: there is none.
        group: the definition of the groups that a split does not divide: a column, a word in their paths such as
            ``"patient"`` before a number, or ``"none"``; None: detected by names such as patient, lesion and session.
        split: the column with the parts, or the path of a table with a row for each image and its part; ``"none"``:
            the parts in the data are not used; None: detected.
        valid_fold: the fold for validation, where ``split`` is a column or a table that numbers folds (``eyebright
            split`` writes one); the others are for training.
        valid: the label file of the validation images; None: a table such as ``train.csv`` is read with ``valid.csv``
            and ``test.csv`` in the same folder, if these have the same columns.
        test: the same for testing.

    Raises:
        InputError: the file or folder does not exist, its format is unknown, or its content is invalid or ambiguous.
    """
    path = Path(path)
    _check_path(path)
    columns, excluded = _names(labels), _names(not_labels)
    pairs = mirror if mirror is None or isinstance(mirror, str) else ",".join(map(":".join, mirror))
    options: dict[str, Any] = {"images": images, "files": files, "labels": columns, "not_labels": excluded}
    options |= {"delimiter": delimiter, "blank": blank, "uncertain": uncertain}
    split_file = None if split is None or not Path(split).is_file() else Path(split)
    _check_valid_fold(valid_fold, split)
    column = NO_SPLIT if split_file is not None else split
    recognised = recognise(path, _format_asked(format, pattern))
    _check_options(path, recognised.format, {**options, "split": None if column == NO_SPLIT else column})
    request = ReadRequest(
        path=path,
        folder=path if path.is_dir() else path.parent,
        images=None if images is None else Path(images),
        files=files,
        labels=columns,
        not_labels=excluded,
        cells=CellOptions(delimiter, blank, uncertain),
        kind=None if kind is None else parse_kind(kind),
        pattern=pattern,
        unit=unit,
        group=group,
        split=column,
        valid_fold=valid_fold if split_file is None else None,
    )
    recognised, request, messages = with_part_files(recognised, request, valid=valid, test=test)
    is_class = request.kind is not None and request.kind.target.is_exclusive
    with collector_paused():
        source = with_unknown_hint(with_none_label(_read(recognised, request), none_label, is_class=is_class))
    source = with_placeholder_messages(source, recognised.format)
    source = _with_points_prepared(source, pairs, unit).with_messages(*messages)
    is_grouped = "group" in recognised.format.options and source.group is not None
    source = source if is_grouped and group != NO_GROUPS else with_groups(source, group)
    if split_file is None:
        source = _without_parts(source, split)
    else:
        source = with_parts_of(source, split_file, valid_fold=valid_fold)
    split = split if split_file is None else str(split_file.resolve())
    asked = {"path": path, **options, "kind": kind, "mirror": pairs, "unit": unit, "format": format}
    asked |= {"none_label": none_label, "pattern": pattern, "group": group, "split": split}
    asked |= {"valid_fold": valid_fold, "valid": valid, "test": test}
    return replace(source, read_options=asked)


def _check_path(path: Path) -> None:
    """Raises `InputError` unless there is a file or a folder."""
    if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for a name that is too long
        raise InputError(f"there is no '{path}'; give a table of labels (CSV) or a folder with a folder for each class")
    if not path.is_dir() and not path.is_file():  # reading a pipe blocks for ever, and /dev/zero has no end
        raise InputError(f"'{path}' is a pipe or a device; give a table of labels (CSV) as a regular file")


def _check_valid_fold(valid_fold: int | None, split: str | Path | None) -> None:
    """Raises `InputError` for a fold without the folds."""
    if valid_fold is not None and split in (None, NO_SPLIT):
        raise InputError(
            "`valid_fold` needs `split`, the column or the table that numbers the folds; give both or none"
        )


def _format_asked(name: str | None, pattern: str | None) -> Format | None:
    """The format that the user names, or whose option is given; None: it is detected."""
    if pattern is not None and name not in (None, NAMES.name):
        raise InputError(f"`pattern` finds the class in the names of images, not in `format='{name}'`; leave one out")
    return NAMES if pattern is not None else None if name is None else format_named(name)


def _names(given: str | Sequence[str] | None) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given or ())


def _read(recognised: Recognised, request: ReadRequest) -> Source:
    """The source, with a message about its format unless it is a table or folders."""
    if len(recognised.files) > 1:
        source = read_several(recognised.files, request, recognised.format)
    else:
        source = recognised.format.read(request.of(recognised.files[0]) if recognised.files else request)
    beside = (
        unread_message(recognised.unread, recognised.format.title),
        too_many_message(recognised.too_many, request.path),
    )
    source = source.with_messages(*filter(None, beside))
    if recognised.format.is_general and len(recognised.files) < 2:
        return source
    what = listing([file.name for file in recognised.files], limit=3) if recognised.files else f"'{request.path}'"
    verb = "are" if len(recognised.files) > 1 else "is"
    return replace(source, messages=(f"{what} {verb} read as {recognised.format.title}", *source.messages))


def _without_parts(source: Source, split: str | None) -> Source:
    """The source without its parts, if the user ignores them; otherwise unchanged."""
    if split != NO_SPLIT or source.part is None:
        return source
    return replace(source, part=None).with_messages("the parts in the data are not used")


def _check_options(path: Path, format_: Format, options: dict[str, Any]) -> None:
    """Raises `InputError` for an option that the format does not take."""
    takes = (
        (*format_.options, "images")
        if format_.recognises_file is not None or "images" in format_.options
        else format_.options
    )
    for name, value in options.items():
        if value in (None, ()) or name in takes:
            continue
        if path.is_dir():
            raise InputError(f"'{path}' is a folder; `{name}` is only for a table. Give a table, or leave `{name}` out")
        raise InputError(f"'{path}' is {format_.title}, which has no use for `{name}`; leave it out")


def _with_points_prepared(source: Source, mirror: str | None, unit: PointUnit | None) -> Source:
    """The source with its points in pixels and their mirrored partners; a source without points is unchanged.

    Raises:
        InputError: ``mirror`` or ``unit`` is given for other targets than points, or is invalid.
    """
    if not source.block().is_geometric:
        for name, value in (("mirror", mirror), ("unit", unit)):
            if value is not None:
                raise InputError(f"`{name}` is for points, and these images have none; leave it out")
        return source
    source = points_in_pixels(source, unit)
    assert isinstance(source.targets, np.ndarray)
    names = source.names or tuple(str(i + 1) for i in range(source.targets.shape[1]))
    pairs = find_mirror(names) if mirror is None else parse_mirror(mirror, names)
    return replace(source, mirror=pairs).with_messages(mirror_message(pairs, names))
