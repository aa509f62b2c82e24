"""`read_source`: a label file or a folder on disk as a `Source`."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from eyebright.errors import InputError, checked_keywords
from eyebright.sources.coded import Coded
from eyebright.sources.folder import folder_source
from eyebright.sources.label_table import read_labels
from eyebright.sources.source import Source, strings
from eyebright.types import LabelSet


@checked_keywords
def read_source(
    path: str | Path,
    *,
    images: str | Path | None = None,
    files: str | None = None,
    labels: str | None = None,
    delimiter: str | None = None,
) -> Source:
    """The labelled images of a table, or of a folder for each class.

    Args:
        path: a CSV or TSV file, or a folder.
        images: the folder that a table's file names start from.
        files: the table's column with the images' names.
        labels: the table's column with the labels.
        delimiter: what stands between two labels.

    Raises:
        InputError: there is nothing, or nothing that can be understood.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no '{path}'; give a table of labels (CSV) or a folder with a folder for each class")
    options = {"images": images, "files": files, "labels": labels, "delimiter": delimiter}
    if not path.is_dir():
        source = table_source(path, images=images, files=files, labels=labels, delimiter=delimiter)
        return replace(source, asked={"path": path, **options})
    for_tables = [name for name, value in options.items() if value is not None]
    if for_tables:
        raise InputError(
            f"'{path}' is a folder for each class, which needs no `{for_tables[0]}`; give a table, or leave "
            f"`{for_tables[0]}` out"
        )
    return replace(folder_source(path), asked={"path": path})


def table_source(
    path: str | Path,
    *,
    images: str | Path | None = None,
    files: str | None = None,
    labels: str | None = None,
    delimiter: str | None = None,
) -> Source:
    """The images of a table, with their labels.

    Args:
        path: the table, CSV or TSV.
        images: the folder that its file names start from; None: the table's own.
        files: the column with the images' names.
        labels: the column with the labels.
        delimiter: what stands between two labels.

    Raises:
        InputError: there is no such folder.
        TableError: the table cannot be understood.
    """
    path = Path(path)
    folder = path.parent if images is None else Path(images)
    if not folder.is_dir():
        raise InputError(f"there is no folder of images '{folder}'; name it with `images`")
    table = read_labels(path, files=files, labels=labels, delimiter=delimiter)
    several = table.kind == "multi"
    return Source(
        kind="multicategory" if several else "category",
        root=folder,
        files=strings(table.files),
        targets=Coded.of(map(LabelSet, table.labels)) if several else Coded.of(one for (one,) in table.labels),
        name=path.name,
        part=None if table.valid is None else Coded.of("valid" if valid else "train" for valid in table.valid),
        lines=np.array(table.lines, dtype=np.int64),
        messages=table.said,
    )
