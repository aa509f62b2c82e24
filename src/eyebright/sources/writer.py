"""`Writer`: one format that labelled images are written in; `check_writable` reports what it cannot hold.

A new format is one file in `eyebright.sources.writers` with a `Writer`, and one entry in `WRITERS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from eyebright._choices import WriteFormat
from eyebright.errors import InputError, count_text, listing
from eyebright.sources.categorical import Categorical
from eyebright.sources.source import Source
from eyebright.sources.task_types import kind_word
from eyebright.tasks.mirror import find_mirror
from eyebright.tasks.task_type import KIND_WORDS, TaskType

ReadBack = Mapping[str, Any]
"""The arguments of `read_source`, beside the path and ``images``, with which what was written is read."""


@dataclass(frozen=True)
class Writer:
    """One format that labelled images are written in.

    Args:
        name: the name for the option ``to``.
        title: its name in messages.
        task_types: the types of the targets that it can hold.
        write: writes a source to a path, a new file or folder, and returns the options for reading it.
        holds_unknown: whether it can hold unknown labels and numbers.
        holds_parts: whether it can hold the part of each image in one file; else there is a file for each part.
        holds_columns: whether it can hold groups and other columns.
        holds_unused: whether it can hold labels that are declared and that no image has.
        suffix: the suffix of its file; empty for a folder.
    """

    name: WriteFormat
    title: str
    task_types: frozenset[TaskType]
    write: Callable[[Source, Path], ReadBack]
    holds_unknown: bool = False
    holds_parts: bool = False
    holds_columns: bool = False
    holds_unused: bool = False
    suffix: str = ""


def check_writable(source: Source, writer: Writer) -> list[str]:
    """Sentences for the user on what the file will not hold.

    Raises:
        InputError: the format cannot hold these targets, unknown ones, or the names of the images, so that what is read
            back would be wrong.
    """
    block = source.block()
    task_type = block.task_type
    if task_type not in writer.task_types:
        held = listing(name for name in get_args(TaskType) if name in writer.task_types)
        raise InputError(f"{writer.title} cannot hold {task_type}, only {held}; `to='csv'` and `to='parquet'` hold all")
    unknown = 0 if block.is_geometric else count_unknown(source)  # where there are points, they may be left out
    if unknown and not writer.holds_unknown:
        raise InputError(
            f"{writer.title} cannot hold unknown {task_type}, of which there are {unknown:,}: they would be read as "
            "no; `to='csv'` and `to='parquet'` keep them"
        )
    _check_names(source, writer)
    return [f"{writer.title} does not hold: {loss}" for loss in _losses(source, writer)]


def _losses(source: Source, writer: Writer) -> list[str]:
    """What the file will not hold, as ends of sentences."""
    task_type = source.block().task_type
    lost = ["the weight of each image"] if source.weight is not None else list[str]()
    word = kind_word(source.block())
    if word != KIND_WORDS[task_type]:
        lost.append(f"what kind of {task_type} they are; give `kind='{word}'` to read it as they are")
    if not writer.holds_columns:
        if source.group is not None:
            lost.append("the group of each image")
        if len(source.columns.columns):
            lost.append(f"the columns {listing(map(str, source.columns.columns))}")
    if source.unused and not writer.holds_unused:
        lost.append(f"labels that are declared and that no image has: {listing(source.unused)}")
    if source.left_out:
        lost.append(f"{count_text(len(source.left_out), 'image')} that are left out of the data")
    return lost


def _check_names(source: Source, writer: Writer) -> None:
    """Raises `InputError` for a file name, label or class that the format, which is UTF-8, cannot hold."""
    if not writer.suffix:
        return
    for file in source.files:
        if not _is_unicode(str(file)):
            raise InputError(f"{writer.title} is UTF-8, which the name of '{file}' is not; rename the file")
    files = {str(file) for file in source.files}
    if twins := [file for file in files if file != file.strip() and file.strip() in files]:
        raise InputError(
            f"'{min(twins)}' would be read as '{min(twins).strip()}', another image, since readers of {writer.title} "
            "remove the spaces around a name; rename one of them"
        )
    for name in vocabulary(source) if isinstance(source.targets, Categorical) else ():
        if not _is_unicode(name):
            raise InputError(f"{writer.title} is UTF-8, which the label or class '{name}' is not; rename it")


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def mirror_option(source: Source) -> dict[str, str]:
    """The option ``mirror`` with which the pairs of points are read; none where their names show them."""
    if not isinstance(source.targets, np.ndarray) or source.targets.ndim < 3:
        return {}
    names = source.names or tuple(str(i + 1) for i in range(source.targets.shape[1]))
    if find_mirror(names) == source.mirror:
        return {}
    pairs = [f"{names[i]}:{names[j]}" for i, j in enumerate(source.mirror or ()) if i < j]
    return {"mirror": ",".join(pairs) or "none"}


def count_unknown(source: Source) -> int:
    """How many labels of images, points or numbers are unknown."""
    if not isinstance(source.targets, Categorical):
        cells = np.isnan(source.targets)
        return int(cells.any(axis=2).sum() if cells.ndim == 3 else cells.sum())
    counts = [0 if isinstance(category, str) else len(category.unknown) for category in source.targets.categories]
    return int(np.array(counts, dtype=np.int64)[source.targets.codes].sum()) if counts else 0


def labels_of(target: Any) -> list[str]:
    """The labels of an image, sorted; its class as the only one."""
    return [target] if isinstance(target, str) else sorted(target)


def vocabulary(source: Source) -> list[str]:
    """The labels or classes that images have, or that are unknown of some images, sorted."""
    assert isinstance(source.targets, Categorical)
    names = set[str]()
    for category in source.targets.categories:
        names |= {category} if isinstance(category, str) else set(category) | set(category.unknown)
    return sorted(names)
