"""`with_parts_of`: the parts of images from a table of their own, such as CelebA's ``list_eval_partition.csv``."""

import posixpath
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eyebright._choices import Part
from eyebright.errors import TableError, listing
from eyebright.io.text import valid_unicode
from eyebright.sources.categorical import Categorical
from eyebright.sources.column_roles import find_file_column
from eyebright.sources.csv_file import read_csv
from eyebright.sources.file_names import leads_to_image
from eyebright.sources.image_names import ImageNames
from eyebright.sources.parts import part_messages, part_of
from eyebright.sources.source import Source
from eyebright.sources.split_column import FOLD_REMEDY, find_split_column, fold_parts
from eyebright.sources.text_table import TextTable

_CELEBA = "list_eval_partition"
_NUMBERS: dict[str, Part] = {"0": "train", "1": "valid", "2": "test"}  # in CelebA's file


def with_parts_of(source: Source, path: Path, *, valid_fold: int | None = None) -> Source:
    """The source with the parts that a table gives, instead of its own.

    Args:
        source: the labelled images.
        path: a table with a row for each image: its file, and train, valid, promise or test, or the number of its fold.
        valid_fold: the fold for validation, where it numbers folds.

    Raises:
        TableError: the table is invalid, gives an image two parts, or lacks an image.
    """
    table = read_csv(path)
    file_column = find_file_column(table, None, leads_to_image(source.root))
    column = _part_column(table, file_column)
    files = [posixpath.normpath(file) for file in source.files.tolist()]
    parts = _parts(table, file_column, _meanings(table, column, valid_fold), _Names(files, source.root, path))
    file_parts: list[Part | None] = [parts.get(file) for file in files]
    missing = [file for file, part in zip(files, file_parts, strict=True) if part is None]
    if missing:
        raise table.error(f"there is no row for '{missing[0]}', one of {len(missing)} images without a part; add them")
    part = Categorical[Part | None].of(file_parts)
    others = sorted(set(parts) - set(files))
    unused = (
        [f"rows of '{path.name}' whose images are not in the data: {len(others)} ('{others[0]}')"] if others else []
    )
    return replace(source, part=part).with_messages(*part_messages(part, origin=f"'{path.name}' gives"), *unused)


def _part_column(table: TextTable, file_column: str) -> str:
    column = find_split_column(table)
    others = [name for name in table.columns if name != file_column]
    if column is None and len(others) != 1:
        raise table.error(
            f"no column specifies which images are for training: there are {listing(others)}; call one 'split'"
        )
    return others[0] if column is None else column


def _meanings(table: TextTable, column: str, valid_fold: int | None) -> Categorical[Part]:
    """The part of each row.

    Raises:
        TableError: a cell is not a part, or there are folds and ``valid_fold`` is none of them.
    """
    cells = table.columns[column].categorical
    is_celeba = _CELEBA in Path(table.path).name and valid_fold is None
    of_fold = fold_parts(table, column, valid_fold)

    def part(cell: str) -> Part:
        meaning = _NUMBERS.get(cell) if is_celeba else of_fold(cell) or part_of(cell)
        if meaning is None:
            expected = "0, 1 or 2" if is_celeba else "train, valid or test"
            remedy = FOLD_REMEDY if cell.isdecimal() and not is_celeba else ""
            raise table.error(
                f"'{cell}' in column '{column}'; {expected} was expected{remedy}", line=table.line_of(column, cell)
            )
        return meaning

    return cells.map(part)


def _parts(table: TextTable, file_column: str, meanings: Categorical[Part], names: "_Names") -> dict[str, Part]:
    """The part of each image by its path in the folder of the images."""
    parts: dict[str, Part] = {}
    for name, part, line in zip(table.columns[file_column], meanings, table.lines.tolist(), strict=True):
        path = names.find(table, name, line)
        if parts.setdefault(path, part) != part:
            raise table.error(f"image '{name}' is for {part}, and for {parts[path]} in another row", line=line)
    return parts


class _Names:
    """Finds the images that the rows name: those of the source as they are written there, others by their files.

    Args:
        files: the paths of the images of the source.
        root: the folder that they are relative to.
        path: the table.
    """

    def __init__(self, files: Sequence[str], root: Path, path: Path) -> None:
        # Cells are stripped, and written with escapes for bytes that are not valid Unicode.
        self._files = {valid_unicode(file).strip(): file for file in files} | {file: file for file in files}
        self._names = ImageNames(root, path)

    def find(self, table: TextTable, name: str, line: int) -> str:
        """The path of an image.

        Raises:
            TableError: several may be meant.
        """
        if name in self._files:
            return self._files[name]
        try:
            return posixpath.normpath(self._names.find(name, line=line))
        except TableError as error:
            raise table.error(str(error).split(": ", 1)[-1], line=line) from None
