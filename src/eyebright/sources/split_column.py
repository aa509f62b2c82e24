"""Finds and reads the column of a label file that specifies the parts: training, validation or held out images."""

from collections.abc import Callable, Sequence
from typing import Any

from eyebright._choices import Part
from eyebright.errors import listing
from eyebright.sources.categorical import Categorical
from eyebright.sources.column_roles import existing, named, plain_name
from eyebright.sources.number_columns import looks_like_numbers
from eyebright.sources.parts import (
    FLAG_COLUMNS,
    FOLD_COLUMNS,
    HELD_OUT,
    PART_COLUMNS,
    REQUIRED_COLUMNS,
    part_messages,
    part_of,
)
from eyebright.sources.text_table import TextTable

NO_SPLIT = "none"
"""The value of the option ``split`` for images whose parts shall not be taken from the data."""

FOLD_REMEDY = "; if it is the number of a fold, `valid_fold` names the one for validation"
"""What to do about a number where a part was expected, at the end of a message."""

_TRUE = frozenset({"true", "1", "1.0", "yes", "y", "t"})
_FALSE = frozenset({"false", "0", "0.0", "no", "n", "f"})


def find_split_column(table: TextTable, targets: Sequence[str] = (), *, asked: str | None = None) -> str | None:
    """The column with the split; None: there is none.

    A column called ``split`` or ``is_valid`` is one whatever it holds. Another of the names in
    `eyebright.sources.parts` is one if its cells show it: ``subset`` with train and val, ``is_train`` with true and
    false.

    Args:
        table: the label file.
        targets: the columns that the user named as targets, which are none.
        asked: the column that the user names, or ``"none"``; None: detected.

    Raises:
        TableError: there are two, or a column marks more images for validation than for training.
    """
    if asked is not None:
        return None if asked == NO_SPLIT else existing(table, asked)
    required = named(table.columns, REQUIRED_COLUMNS)
    others = [name for name in named(table.columns, (*FLAG_COLUMNS, *PART_COLUMNS)) if name not in required]
    candidates = [*required, *(name for name in others if name not in targets and _says_parts(table, name))]
    if len(candidates) > 1:
        raise table.error(
            f"the columns {listing(candidates)} both specify which images are for validation; keep one of them"
        )
    if not candidates:
        return None
    if candidates[0] not in required:
        _check_trains_more(table, candidates[0])
    return candidates[0]


def read_part(
    table: TextTable, column: str | None, target_columns: Sequence[str], *, valid_fold: int | None = None
) -> tuple[TextTable, Categorical[Part] | None, list[str]]:
    """(table, part of each row, messages); if no test row has a target, the table is without test rows.

    Args:
        table: the label file.
        column: that with the parts, or the numbers of folds; None: there is none.
        target_columns: the columns with the targets.
        valid_fold: the fold for validation.

    Raises:
        TableError: a cell names no part, or nothing is left for training or for validation; the message names the line.
    """
    if column is None:
        return table, None, _fold_messages(table)
    return without_unlabeled_test(
        table, _parts(table, column, valid_fold), target_columns, origin=f"column '{column}' gives"
    )


def fold_parts(table: TextTable, column: str, valid_fold: int | None) -> Callable[[str], Part | None]:
    """A function from a cell to its part: valid or train for the number of a fold, None for any other cell.

    Args:
        table: the table.
        column: that with the numbers.
        valid_fold: the fold for validation; None: no number is a fold.

    Raises:
        TableError: there is no such fold.
    """
    folds = sorted(int(cell) for cell in table.columns[column].unique() if cell.isdecimal())
    if valid_fold is not None and valid_fold not in folds:
        available = (
            f"column '{column}' has the folds {listing(folds)}" if folds else f"column '{column}' numbers no folds"
        )
        raise table.error(f"there is no fold {valid_fold}, which `valid_fold` names; {available}")

    def part(cell: str) -> Part | None:
        if valid_fold is None or not cell.isdecimal():
            return None
        return "valid" if int(cell) == valid_fold else "train"

    return part


def without_unlabeled_test(
    table: TextTable, part: Categorical[Any], target_columns: Sequence[str], *, origin: str
) -> tuple[TextTable, Categorical[Any], list[str]]:
    """(table, part of each row, messages); if no test row has a target, the table is without test rows.

    Args:
        table: the label file.
        part: the part of each row.
        target_columns: the columns with the targets.
        origin: what gives the split, with its verb, for messages.
    """
    messages: list[str] = []
    tests = part.isin(["test"])
    if tests.any() and not any(any(table.columns[name][tests].unique()) for name in target_columns):
        table, part = table.take(~tests), part[~tests]
        messages.append(f"images for testing without any label, which are ignored: {int(tests.sum())}")
    return table, part, [*part_messages(part, origin=origin), *messages]


def _says_parts(table: TextTable, column: str) -> bool:
    """True if the cells name parts: training and another one, or true and false in a column such as ``is_train``."""
    cells = [cell.lower() for cell in table.columns[column].unique()]
    if plain_name(column) in FLAG_COLUMNS:
        flags = [cell for cell in cells if cell in _TRUE or cell in _FALSE]
        if len(flags) == len(cells) and any(cell in _TRUE for cell in cells) and any(cell in _FALSE for cell in cells):
            return True
    parts = {part for cell in cells if (part := part_of(cell)) is not None}
    return "train" in parts and len(parts) > 1


def _check_trains_more(table: TextTable, column: str) -> None:
    part = _parts(table, column)
    valid, train = (int(part.isin([name]).sum()) for name in ("valid", "train"))
    if valid > train and len(table) >= 3:
        raise table.error(
            f"column '{column}' seems to mark {valid} of {len(table)} images as validation images, more than the "
            f"{train} for training; if it means that, call it 'split' and write train and valid; if it means something "
            "else, give it another name"
        )


def _fold_messages(table: TextTable) -> list[str]:
    """A sentence on how to take a fold for validation, for each column that numbers folds or parts."""
    return [
        f"column '{name}' holds numbers ({listing(sorted(table.columns[name].unique())[:6])}) and is not used as a "
        f"split; `split='{name}'` and `valid_fold` take one of them for validation"
        for name in named(table.columns, (*FOLD_COLUMNS, *PART_COLUMNS))
        if looks_like_numbers(table, name) and len(table.columns[name].unique()) < len(table)
    ]


def _parts(table: TextTable, column: str, valid_fold: int | None = None) -> Categorical[Part]:
    """The part of each row; its cell names it, or is true or false, or the number of a fold."""
    cells = table.columns[column].categorical
    flagged = FLAG_COLUMNS.get(plain_name(column))  # the part of images whose cell is true
    by_flag = flagged is not None and not _names_parts(cells.categories) and valid_fold is None
    of_fold = fold_parts(table, column, valid_fold)
    meaning: dict[str, Part | None] = {
        cell: _flag_part(cell, flagged) if flagged is not None and by_flag else of_fold(cell) or part_of(cell)
        for cell in cells.categories
    }
    for cell, part in meaning.items():
        if part is None:
            expected = "true or false" if by_flag else "train, valid or test"
            remedy = FOLD_REMEDY if cell.isdecimal() and not by_flag else ""
            raise table.error(
                f"'{cell}' in column '{column}'; {expected} was expected{remedy}", line=table.line_of(column, cell)
            )
    known: dict[str, Part] = {cell: part for cell, part in meaning.items() if part is not None}
    parts: Categorical[Part] = cells.map(lambda cell: known[cell])
    if set(parts.categories) <= set(HELD_OUT):
        raise table.error(f"column '{column}' marks every image as held out; nothing is left to train on")
    if by_flag and flagged == "valid" and "valid" not in parts.categories:
        raise table.error(
            f"column '{column}' leaves nothing for validation, since it is false in every row; mark some rows, or "
            "remove the column to split at random"
        )
    return parts


def _names_parts(cells: Sequence[str]) -> bool:
    return any(part_of(cell) is not None for cell in cells)


def _flag_part(cell: str, flagged: Part) -> Part | None:
    """The part of an image whose cell is true or false in a column that is true for the part ``flagged``."""
    if cell.lower() in _TRUE:
        return flagged
    if cell.lower() in _FALSE:
        return "valid" if flagged == "train" else "train"
    return None
