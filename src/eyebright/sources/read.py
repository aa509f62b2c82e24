"""`read_source`: a label file or a folder on disk as a `Source`."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from eyebright.errors import InputError, checked_keywords
from eyebright.sources.folder import folder_source
from eyebright.sources.forms import parse_kind
from eyebright.sources.headers import points_in_pixels
from eyebright.sources.source import Source
from eyebright.sources.table import table_source
from eyebright.tasks.mirror import find_mirror, mirror_message, parse_mirror


@checked_keywords
def read_source(
    path: str | Path,
    *,
    images: str | Path | None = None,
    files: str | None = None,
    labels: str | Sequence[str] | None = None,
    delimiter: str | None = None,
    kind: str | None = None,
    mirror: str | Iterable[tuple[str, str]] | None = None,
    unit: str | None = None,
) -> Source:
    """The labelled images of a table or of a folder.

    A table (CSV or TSV) names an image in each row, with labels, a class, points or numbers. A folder has a folder for
    each class, or a ``.pts`` file with points beside each image.

    Images outside of the folder are read, too, and counted in a message: those whose names in a table lead out of it
    (``../`` or absolute), and those that symbolic links in a folder lead to.

    Args:
        path: the table, or the folder.
        images: the folder that a table's file names are relative to; None: the folder of the table.
        files: the table's column with the image files; None: detected from the table.
        labels: the table's columns with the targets; None: detected from the table.
        delimiter: between two labels in a cell; ``""`` if a cell is one class; None: detected from the table.
        kind: ``"labels"`` (any number for each image), ``"class"``, ``"ratings"`` (ordered classes), ``"points"`` or
            ``"numbers"``; None: detected from the table or folder, but never ratings.
        mirror: pairs of points that exchange their names in a mirrored image, such as ``"left_eye:right_eye"``, several
            separated by commas; ``"none"``: no points do; None: detected by left and right in the names.
        unit: of points: ``"pixels"``, or ``"fraction"`` or ``"percent"`` of the image's width and height; None: pixels;
            an `InputError` if the points look like fractions or percentages.

    Raises:
        InputError: there is no such file or folder, or its content is invalid or ambiguous.
    """
    path = Path(path)
    if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for a name that is too long
        raise InputError(f"there is no '{path}'; give a table of labels (CSV) or a folder with a folder for each class")
    if not path.is_dir() and not path.is_file():  # reading a pipe waits for ever, and /dev/zero has no end
        raise InputError(f"'{path}' is a pipe or a device; give a table of labels (CSV) as a regular file")
    columns = (labels,) if isinstance(labels, str) else tuple(labels or ())
    pairs = mirror if mirror is None or isinstance(mirror, str) else ",".join(map(":".join, mirror))
    table_options: dict[str, Any] = {"images": images, "files": files, "labels": columns, "delimiter": delimiter}
    parsed = None if kind is None else parse_kind(kind)
    if path.is_dir():
        _check_no_table_options(path, table_options)
        source = folder_source(path, parsed)
    else:
        source = table_source(path, images=images, files=files, labels=columns, delimiter=delimiter, kind=parsed)
    source = _with_points_prepared(source, pairs, unit)
    return replace(source, read_options={"path": path, **table_options, "kind": kind, "mirror": pairs, "unit": unit})


def _check_no_table_options(path: Path, table_options: dict[str, Any]) -> None:
    for name, value in table_options.items():
        if value not in (None, ()):
            raise InputError(f"'{path}' is a folder; `{name}` is only for a table. Give a table, or leave `{name}` out")


def _with_points_prepared(source: Source, mirror: str | None, unit: str | None) -> Source:
    """The source with its points in pixels and their mirrored partners; a source without points as it is.

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
