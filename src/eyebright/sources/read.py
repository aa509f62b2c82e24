"""`read_source`: a label file or a folder on disk as a `Source`."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from eyebright.errors import InputError, checked_keywords
from eyebright.sources.folder import folder_source
from eyebright.sources.forms import form_of
from eyebright.sources.headers import points_in_pixels
from eyebright.sources.source import Source
from eyebright.sources.table import table_source
from eyebright.tasks.mirror import asked_mirror, find_mirror, mirror_message


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

    Args:
        path: the table, or the folder.
        images: the folder that a table's file names start from; None: the table's own.
        files: the table's column with the files of the images; None: found.
        labels: the table's columns with the targets; None: found.
        delimiter: between two labels in a cell; ``""`` where a cell is one class; None: found.
        kind: ``"labels"`` (any number for each image), ``"class"``, ``"ratings"`` (ordered classes), ``"points"`` or
            ``"numbers"``; None: found, and never ratings.
        mirror: pairs of points that exchange their names in a mirrored image, such as ``"left_eye:right_eye"``, several
            separated by commas; ``"none"``: there are none; None: found by left and right in the names.
        unit: of points: ``"pixels"``, or ``"fraction"`` or ``"percent"`` of the image's width and height; None: pixels,
            if the points do not look like something else.

    Raises:
        InputError: there is no such file or folder, or it cannot be understood.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no '{path}'; give a table of labels (CSV) or a folder with a folder for each class")
    columns = (labels,) if isinstance(labels, str) else tuple(labels or ())
    pairs = mirror if mirror is None or isinstance(mirror, str) else ",".join(map(":".join, mirror))
    asked: dict[str, Any] = {"images": images, "files": files, "labels": columns, "delimiter": delimiter}
    form = None if kind is None else form_of(kind)
    if path.is_dir():
        _refuse_table_options(path, asked)
        source = folder_source(path, form)
    else:
        source = table_source(path, images=images, files=files, labels=columns, delimiter=delimiter, kind=form)
    source = _located(source, pairs, unit)
    return replace(source, asked={"path": path, **asked, "kind": kind, "mirror": pairs, "unit": unit})


def _refuse_table_options(path: Path, asked: dict[str, Any]) -> None:
    for name, value in asked.items():
        if value not in (None, ()):
            raise InputError(
                f"'{path}' is a folder for each class, which needs no `{name}`; give a table, or leave `{name}` out"
            )


def _located(source: Source, mirror: str | None, unit: str | None) -> Source:
    """The source with its points in pixels and paired for mirrored images; other targets have neither."""
    if not source.block().is_geometric:
        for name, value in (("mirror", mirror), ("unit", unit)):
            if value is not None:
                raise InputError(f"`{name}` is for points, and these images have none; leave it out")
        return source
    source = points_in_pixels(source, unit)
    assert isinstance(source.targets, np.ndarray)
    names = source.names or tuple(str(i + 1) for i in range(source.targets.shape[1]))
    pairs = find_mirror(names) if mirror is None else asked_mirror(mirror, names)
    return replace(source, mirror=pairs).with_messages(mirror_message(pairs, names))
