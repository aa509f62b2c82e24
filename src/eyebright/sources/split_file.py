"""`with_parts_of`: the parts of images from a table of their own, such as CelebA's ``list_eval_partition.csv``."""

import posixpath
from dataclasses import replace
from pathlib import Path

from eyebright.errors import TableError, listing
from eyebright.sources.categorical import Categorical
from eyebright.sources.column_roles import find_file_column
from eyebright.sources.csv_file import read_csv
from eyebright.sources.file_names import leads_to_image
from eyebright.sources.image_names import ImageNames
from eyebright.sources.parts import part_messages, part_of
from eyebright.sources.source import Source
from eyebright.sources.split_column import find_split_column
from eyebright.sources.text_table import TextTable
from eyebright.types import Part

_CELEBA = "list_eval_partition"
_NUMBERS: dict[str, Part] = {"0": "train", "1": "valid", "2": "test"}  # in CelebA's file


def with_parts_of(source: Source, path: Path) -> Source:
    """The source with the parts that a table gives, in the place of those that it has.

    Args:
        source: the labelled images.
        path: a table with a row for each image: its file, and train, valid or test.

    Raises:
        TableError: the table is invalid, gives an image two parts, or lacks an image.
    """
    table = read_csv(path)
    file_column = find_file_column(table, None, leads_to_image(source.root))
    column = _part_column(table, file_column)
    parts = _parts(table, file_column, column, ImageNames(source.root, path))
    found: list[Part | None] = [parts.get(posixpath.normpath(str(file))) for file in source.files]
    missing = [str(file) for file, part in zip(source.files, found, strict=True) if part is None]
    if missing:
        raise table.error(f"there is no row for '{missing[0]}', one of {len(missing)} images without a part; add them")
    part = Categorical[Part | None].of(found)
    return replace(source, part=part).with_messages(*part_messages(part, origin=f"'{path.name}' gives"))


def _part_column(table: TextTable, file_column: str) -> str:
    column = find_split_column(table)
    others = [name for name in table.columns if name != file_column]
    if column is None and len(others) != 1:
        raise table.error(
            f"no column says which images are for training: there are {listing(others)}; call one 'split'"
        )
    return others[0] if column is None else column


def _parts(table: TextTable, file_column: str, column: str, names: ImageNames) -> dict[str, Part]:
    """The part of each image by its path in the folder of the images."""
    is_celeba = _CELEBA in Path(table.path).name
    parts: dict[str, Part] = {}
    for name, cell, line in zip(table.columns[file_column], table.columns[column], table.lines.tolist(), strict=True):
        part = _NUMBERS.get(cell) if is_celeba else part_of(cell)
        if part is None:
            expected = "0, 1 or 2" if is_celeba else "train, valid or test"
            raise table.error(f"'{cell}' in column '{column}'; {expected} was expected", line=line)
        path = _found(table, names, name, line)
        if parts.setdefault(path, part) != part:
            raise table.error(f"image '{name}' is for {part}, and for {parts[path]} in another row", line=line)
    return parts


def _found(table: TextTable, names: ImageNames, name: str, line: int) -> str:
    try:
        return posixpath.normpath(names.find(name, line=line))
    except TableError as error:
        raise table.error(str(error).split(": ", 1)[-1], line=line) from None
