"""Images that a label file or a folder contains twice: their targets and parts must agree, and the first is kept.

Two names are the same image if they are the same path ('./a.jpg' is 'a.jpg'), or if they are, for the file system,
the same file, as with absolute paths and links.
"""

import os
import posixpath
from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np

from eyebright.errors import InputError, TableError
from eyebright.sources.indices import IndexArray
from eyebright.sources.parts import PART_WORDS
from eyebright.sources.source import Row, Source

_MERGES = "; `kind='labels'` merges the labels of all rows of an image in one column"


def first_row_of_each_image(source: Source) -> IndexArray:
    """The index of the first row of each image, ascending.

    Raises:
        TableError: a later row of an image has another target or another part than its first row.
        InputError: the same in a folder, for an image that links lead to in two places.
    """
    first: dict[Hashable, Row] = {}
    is_duplicate = np.zeros(len(source), dtype=np.bool_)
    folder = f"{source.root}/"
    for i in _possible_duplicates(source):
        row = source[i]
        before = first.setdefault(_identity(folder, source.files[i]), row)
        if before is not row:
            is_duplicate[i] = True
            _check_same_target_and_part(row, before)
    return np.flatnonzero(~is_duplicate)


def _check_same_target_and_part(row: Row, before: Row) -> None:
    file, first = (mention.source.files[mention.index] for mention in (row, before))
    image = f"image '{file}'" + ("" if file == first else f" (the same file as '{first}')")
    if not _are_equal(row.target, before.target):
        block = row.source.block()
        text, text_before = (block.text(block.read(target)) or "no label" for target in (row.target, before.target))
        if row.line is None:
            raise InputError(f"'{row.source.root}': {image} is {text} here and {text_before} there; remove one of them")
        merges = _MERGES if block.has_vocab else ""
        raise TableError(
            f"'{row.source.name}' line {row.line}: {image} has {text}, but on line {before.line} it has {text_before}; "
            f"give each image one row with all of its target{merges}"
        )
    if row.part != before.part:
        purposes = " and for ".join(words for part, words in PART_WORDS.items() if part in (row.part, before.part))
        if row.line is None:
            raise InputError(f"'{row.source.root}': {image} is for {purposes}; remove one of them")
        raise TableError(
            f"'{row.source.name}' line {row.line}: {image} is for {purposes} (see line {before.line}); it can only be "
            "for one"
        )


def _are_equal(target: Any, other: Any) -> bool:
    return bool(np.array_equal(target, other, equal_nan=True)) if isinstance(target, np.ndarray) else target == other


def _possible_duplicates(source: Source) -> list[int]:
    """The rows whose image has the same hash as that of another row, ascending.

    There are usually none; hashes are compared first so that no second copy of all file names is kept in memory.
    """
    hashes = np.fromiter(map(hash, _identities(source)), dtype=np.int64, count=len(source))
    order = np.argsort(hashes, kind="stable")
    same = hashes[order[1:]] == hashes[order[:-1]]
    return np.unique(np.concatenate([order[1:][same], order[:-1][same]])).tolist()


def _identities(source: Source) -> Iterator[Hashable]:
    folder = f"{source.root}/"
    return (_identity(folder, file) for file in source.files)


def _identity(folder: str, file: str) -> Hashable:
    """The identity of a file that all its names share: its device and inode, or its path without a file or an inode."""
    try:
        status = os.stat(file if file[:1] == "/" else folder + file)  # noqa: PTH116 - faster than Path for many files
    except (OSError, ValueError):
        status = None
    if status is not None and status.st_ino:
        return status.st_dev, status.st_ino
    return posixpath.normpath(file) if "//" in file or "./" in file else file
