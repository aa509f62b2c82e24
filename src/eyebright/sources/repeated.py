"""Images that a label file names several times: the rows must agree, and one of them is kept."""

import posixpath
from typing import Any

import numpy as np

from eyebright.errors import TableError
from eyebright.sources.indices import Array
from eyebright.sources.parts import PART_WORDS
from eyebright.sources.source import Row, Source
from eyebright.sources.text_table import Strings


def first_rows(source: Source) -> Array:
    """The rows that name an image for the first time; './a.jpg' is 'a.jpg', and links are not looked into.

    Raises:
        TableError: a row that names it again has another target or another part.
    """
    first: dict[str, Row] = {}
    repeated = np.zeros(len(source), dtype=np.bool_)
    for i in _perhaps_repeated(source.files):
        row = source[i]
        before = first.setdefault(_normal(source.files[i]), row)
        if before is not row:
            repeated[i] = True
            _refuse_disagreement(row, before)
    return np.flatnonzero(~repeated)


def _refuse_disagreement(row: Row, before: Row) -> None:
    file, line = row.source.files[row.index], before.line
    where = f"'{row.source.name}' line {row.line}: image '{file}'"
    if not _same(row.target, before.target):
        block = row.source.block()
        words, words_before = (block.words(block.read(target)) or "no label" for target in (row.target, before.target))
        raise TableError(
            f"{where} has {words}, but on line {line} it has {words_before}; give each image one row with all of its "
            "target"
        )
    if row.part != before.part:
        purposes = " and for ".join(words for part, words in PART_WORDS.items() if part in (row.part, before.part))
        raise TableError(f"{where} is for {purposes} (see line {line}); it can only be for one")


def _same(target: Any, other: Any) -> bool:
    return bool(np.array_equal(target, other, equal_nan=True)) if isinstance(target, np.ndarray) else target == other


def _perhaps_repeated(files: Strings) -> list[int]:
    """The rows whose files have a hash in common with others: nearly always none, so that no name is kept twice."""
    hashes = np.fromiter((hash(_normal(file)) for file in files), dtype=np.int64, count=len(files))
    order = np.argsort(hashes, kind="stable")
    same = hashes[order[1:]] == hashes[order[:-1]]
    return np.unique(np.concatenate([order[1:][same], order[:-1][same]])).tolist()


def _normal(file: str) -> str:
    return posixpath.normpath(file) if "//" in file or "./" in file else file
