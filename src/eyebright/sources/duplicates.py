"""Duplicate rows of a label file: rows with the same image must agree, and the first is kept."""

import posixpath
from typing import Any

import numpy as np

from eyebright.errors import TableError
from eyebright.sources.indices import IndexArray
from eyebright.sources.parts import PART_WORDS
from eyebright.sources.source import Row, Source
from eyebright.sources.text_table import Strings


def first_row_of_each_image(source: Source) -> IndexArray:
    """The index of the first row of each image, ascending; './a.jpg' is 'a.jpg', and symbolic links are not resolved.

    Raises:
        TableError: a later row of an image has another target or another part than its first row.
    """
    first: dict[str, Row] = {}
    is_duplicate = np.zeros(len(source), dtype=np.bool_)
    for i in _possible_duplicates(source.files):
        row = source[i]
        before = first.setdefault(_normalize(source.files[i]), row)
        if before is not row:
            is_duplicate[i] = True
            _check_same_target_and_part(row, before)
    return np.flatnonzero(~is_duplicate)


def _check_same_target_and_part(row: Row, before: Row) -> None:
    file, line = row.source.files[row.index], before.line
    subject = f"'{row.source.name}' line {row.line}: image '{file}'"
    if not _are_equal(row.target, before.target):
        block = row.source.block()
        text, text_before = (block.text(block.read(target)) or "no label" for target in (row.target, before.target))
        raise TableError(
            f"{subject} has {text}, but on line {line} it has {text_before}; give each image one row with all of its "
            "target"
        )
    if row.part != before.part:
        purposes = " and for ".join(words for part, words in PART_WORDS.items() if part in (row.part, before.part))
        raise TableError(f"{subject} is for {purposes} (see line {line}); it can only be for one")


def _are_equal(target: Any, other: Any) -> bool:
    return bool(np.array_equal(target, other, equal_nan=True)) if isinstance(target, np.ndarray) else target == other


def _possible_duplicates(files: Strings) -> list[int]:
    """The rows whose file name has the same hash as that of another row, ascending.

    There are usually none; hashes are compared first so that no second copy of all file names is kept in memory.
    """
    hashes = np.fromiter((hash(_normalize(file)) for file in files), dtype=np.int64, count=len(files))
    order = np.argsort(hashes, kind="stable")
    same = hashes[order[1:]] == hashes[order[:-1]]
    return np.unique(np.concatenate([order[1:][same], order[:-1][same]])).tolist()


def _normalize(file: str) -> str:
    return posixpath.normpath(file) if "//" in file or "./" in file else file
