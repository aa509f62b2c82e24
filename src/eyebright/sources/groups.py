"""`with_groups`: images that belong together, such as those of one patient, found in their paths.

A split keeps the images of a group in one part. Augmented copies of one image that Roboflow exported are a group, too.
"""

import posixpath
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from eyebright.errors import InputError, count_text, did_you_mean
from eyebright.sources.categorical import Categorical
from eyebright.sources.parts import part_of
from eyebright.sources.source import Source

NO_GROUPS = "none"
"""The value of the option ``group`` that turns groups off."""

_WORDS = ("patient", "subject", "sub", "lesion", "session", "video")
_NAMES_WITHIN_FOLDERS = ("session", "video")  # numbered anew in each folder, so the folder is part of the group's name
_ROBOFLOW = re.compile(r"(.+_(?:jpe?g|png|bmp|webp|tiff?))\.rf\.[0-9A-Za-z]{16,64}\.\w+", re.IGNORECASE)


def with_groups(source: Source, asked: str | None) -> Source:
    """The source with the groups that the user names, or, if it has no groups, with those in its paths.

    Args:
        source: the source from a format, which already has groups if its table has a column for them.
        asked: a column, a word in the paths such as ``"patient"`` before a number, or ``"none"``; None: detected.

    Raises:
        InputError: ``asked`` is neither a column nor a word before a number in every path.
    """
    if asked == NO_GROUPS:
        return replace(source, group=None, group_name="")
    if asked is None:
        return source if source.group is not None else _detected(source)
    if asked in source.columns:
        return _by_column(source, asked)
    names = _names(source, asked)
    if names is None:
        columns = list(map(str, source.columns))
        raise InputError(
            f"`group='{asked}'`: there is no such column, and not every path has '{asked}' and a number, such as "
            f"'{asked}12'.{did_you_mean(asked, columns)} `group='none'` turns groups off"
        )
    return _with_groups(source, names, asked)


def _detected(source: Source) -> Source:
    for word in (*_WORDS, ""):
        names = _names(source, word)
        if (
            names is not None
            and len(set(names)) > 1
            and len(set(names)) < len(names)
            and not _are_classes(source, names)
        ):
            return _with_groups(source, names, word)
    return source


def _with_groups(source: Source, names: Sequence[str], word: str) -> Source:
    what = f"'{word}' number in their paths" if word else "name before the export from Roboflow"
    return replace(source, group=Categorical.of(names)).with_messages(
        f"images with the same {what} (such as '{names[0]}') are one group: {count_text(len(set(names)), 'group')}; "
        "`group='none'` turns this off"
    )


def _by_column(source: Source, name: str) -> Source:
    cells: Sequence[Any] = source.columns[name].tolist()
    group = Categorical[str].of(f"\0{row}" if pd.isna(cell) else str(cell) for row, cell in enumerate(cells))
    return replace(source, group=group, group_name=name, columns=source.columns.drop(columns=name)).with_messages(
        f"images with the same value in column '{name}' are one group"
    )


def _names(source: Source, word: str) -> list[str] | None:
    """The group of each image, from its path; None if one of the paths has no group."""
    pattern = re.compile(
        rf"(?:^|[/_.\- ])({re.escape(word)}[_.\- ]?(?:id[_.\- ]?)?\d\w*?)(?=[/_.\- ]|$)", re.IGNORECASE
    )
    names: list[str] = []
    for file in source.files:
        path = str(file)
        match = pattern.search(posixpath.splitext(path)[0]) if word else _ROBOFLOW.fullmatch(posixpath.basename(path))
        if match is None:
            return None
        names.append(_inside(path[: match.start(1)]) + match[1] if word in _NAMES_WITHIN_FOLDERS else match[1])
    return names or None


def _inside(begin: str) -> str:
    """A path without its folders that name a part, such as ``train/``."""
    folders = begin.split("/")
    return "".join(f"{folder}/" for folder in folders[:-1] if part_of(folder) is None) + folders[-1]


def _are_classes(source: Source, names: Sequence[str]) -> bool:
    """True if each class is one group, and each group one class: then the names are those of the classes."""
    if not isinstance(source.targets, Categorical):
        return False
    codes = Categorical.of(names).codes
    targets = source.targets.remove_unused_categories()
    pairs = len(np.unique(codes.astype(np.int64) * len(targets.categories) + targets.codes))
    return pairs == len(targets.categories) == len(set(names))
