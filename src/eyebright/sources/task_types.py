"""`TARGET_FUNCTIONS`: for each task type the functions that handle such targets in a label file.

They find the columns with the targets if none were named, read them, and return what a split stratifies by.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eyebright.errors import InputError, did_you_mean, listing
from eyebright.sources.column_roles import named
from eyebright.sources.indicator_columns import is_without_answer, looks_like_indicator, read_indicators, read_one_hot
from eyebright.sources.label_column import PLURALS, SINGULARS, read_class, read_labels
from eyebright.sources.number_columns import looks_like_numbers, read_numbers
from eyebright.sources.point_columns import find_points, read_points
from eyebright.sources.strata import strata_of_labels, strata_of_numbers, strata_of_points
from eyebright.sources.stratify import LabelMatrix
from eyebright.sources.targets import CellOptions, TargetColumns, Targets
from eyebright.sources.text_table import TextTable
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.registry import TARGET_BLOCKS
from eyebright.tasks.task_type import KIND_WORDS, TaskType

Reader = Callable[[TextTable, Sequence[str], CellOptions], TargetColumns]
"""From a table, columns and how their cells are read to the targets in these columns."""


class Kind(NamedTuple):
    """The kind of the targets of a source.

    Args:
        block: the name of the target block, a key of `TARGET_BLOCKS`.
        task_type: the task type of this block.
    """

    block: str
    task_type: TaskType

    @property
    def target(self) -> type[TargetBlock]:
        """The class of the target block."""
        return TARGET_BLOCKS[self.block]

    @property
    def word(self) -> str:
        """The kind as users write it in the option ``kind``, for messages."""
        return kind_word(self.target)


@dataclass(frozen=True)
class TargetFunctions:
    """The functions for the targets of one task type.

    Args:
        description: the description for a message.
        find: a function from a table and the columns without another role to those with targets of this type; may be
            empty.
        read: the function that reads the targets in these columns; its last argument has the options of cells.
        strata: a function from a block, targets of this type and the smallest share of a part to what a split
            stratifies by.
        split_note: what the split stratifies by, for a message; empty if it does not stratify.
    """

    description: str
    find: Callable[[TextTable, Sequence[str]], list[str]]
    read: Reader
    strata: Callable[[TargetBlock, Targets, float], LabelMatrix]
    split_note: str = ""


def parse_kind(kind: str) -> Kind:
    """The kind that a user names.

    Args:
        kind: a word such as ``"labels"`` or ``"ratings"``, or the name of a block such as ``"multicategory"``.

    Raises:
        InputError: the kind is unknown; the message names the nearest one.
    """
    names = dict[str, str]()
    for name, block in TARGET_BLOCKS.items():
        names.setdefault(KIND_WORDS[block.task_type], name)
        names.setdefault(kind_word(block), name)
    words = listing(names)
    names |= {name: name for name in TARGET_BLOCKS}
    if kind not in names:
        raise InputError(f"unknown `kind='{kind}'`.{did_you_mean(kind, names)} Known: {words}")
    return Kind(names[kind], TARGET_BLOCKS[names[kind]].task_type)


def kind_word(block: TargetBlock | type[TargetBlock]) -> str:
    """The value of the option ``kind`` with which targets of this block are read."""
    return block.also_called or KIND_WORDS[block.task_type]


def targets_text(block: TargetBlock) -> str:
    """What the targets of this block are, with the value of the option ``kind`` where that is not the usual one."""
    text = TARGET_FUNCTIONS[block.task_type].description
    return f"{text}, read as {block.also_called}" if block.also_called else text


def kind_error(what: str, task_types: Collection[TaskType], asked: Kind, *, further: str = "") -> InputError:
    """The error for labels that are not of the kind that the user names.

    Args:
        what: the file or folder and what it holds, such as ``"'x.json' holds points"``.
        task_types: the task types as which it can be read.
        asked: the kind that the user names.
        further: what else to do, such as ``", or give a table of labels (CSV)"``.
    """
    words = [f"'{kind_word(block)}'" for block in TARGET_BLOCKS.values() if block.task_type in task_types]
    options = " or ".join(f"`kind={word}`" for word in words)
    wrong = f"{what}, which can be read with {options}, not with `kind='{asked.word}'`"
    return InputError(f"{wrong}; leave `kind` out{further}")


def block_name(task_type: TaskType) -> str:
    """The name of the first block in `TARGET_BLOCKS` with this task type."""
    return {block.task_type: name for name, block in reversed(TARGET_BLOCKS.items())}[task_type]


def columns_with_points(table: TextTable, candidates: Sequence[str]) -> list[str]:
    """The columns of all points whose coordinates look like numbers."""
    points = find_points(candidates)
    numeric = [point for point in points if looks_like_numbers(table, point.x) and looks_like_numbers(table, point.y)]
    return [column for point in numeric for column in point.columns]


def indicator_columns(table: TextTable, candidates: Sequence[str]) -> list[str]:
    """The columns that hold 0 and 1, and those between them that hold only blanks, unknown cells or -1."""
    columns = [name for name in candidates if looks_like_indicator(table, name)]
    if len(columns) < 2:
        return columns
    order = list(table.columns)
    between = set(order[order.index(columns[0]) : order.index(columns[-1])])
    return [name for name in candidates if name in columns or (name in between and is_without_answer(table, name))]


def label_names(candidates: Sequence[str]) -> list[str]:
    """The columns named labels, class, or similar; the likeliest first."""
    return named(candidates, [*PLURALS, *SINGULARS])


def _find_labels(table: TextTable, candidates: Sequence[str]) -> list[str]:
    return label_names(candidates)[:1] or indicator_columns(table, candidates) or _the_only(candidates)


def _find_numbers(table: TextTable, candidates: Sequence[str]) -> list[str]:
    known = [name for name in label_names(candidates)[:1] if looks_like_numbers(table, name)]
    return known or [name for name in candidates if looks_like_numbers(table, name)]


def _the_only(candidates: Sequence[str]) -> list[str]:
    return list(candidates) if len(candidates) == 1 else []


def _read_labels(table: TextTable, columns: Sequence[str], cells: CellOptions) -> TargetColumns:
    delimiter = cells.delimiter
    if len(columns) > 1 or (delimiter is None and looks_like_indicator(table, columns[0])):
        _check_no_delimiter(table, delimiter, "0 and 1")
        return read_indicators(table, columns, cells)
    return read_labels(table, columns[0], delimiter)


def _read_class(table: TextTable, columns: Sequence[str], cells: CellOptions) -> TargetColumns:
    if delimiter := cells.delimiter:
        raise table.error(
            f"the delimiter '{delimiter}' would split cells into labels, and each image has one class; leave "
            "`delimiter` out, or ask for `kind='labels'`"
        )
    return read_one_hot(table, columns, cells) if len(columns) > 1 else read_class(table, columns[0])


def _check_no_delimiter(table: TextTable, delimiter: str | None, content: str) -> None:
    if delimiter is not None:
        raise table.error(
            f"the delimiter '{delimiter}' separates labels in a cell, and the cells hold {content}: leave `delimiter`"
            " out"
        )


def _read_points(table: TextTable, columns: Sequence[str], cells: CellOptions) -> TargetColumns:
    _check_no_delimiter(table, cells.delimiter, "points")
    points = find_points(columns)
    left_over = set(columns).difference(*(point.columns for point in points))
    if left_over:
        raise table.error(
            f"the columns {listing(sorted(left_over))} are not points; points are read from pairs of columns such as "
            "'left_eye_x' and 'left_eye_y', or 'x1' and 'y1'"
        )
    return read_points(table, points)


def _read_numbers(table: TextTable, columns: Sequence[str], cells: CellOptions) -> TargetColumns:
    _check_no_delimiter(table, cells.delimiter, "numbers")
    return read_numbers(table, columns)


TARGET_FUNCTIONS: dict[TaskType, TargetFunctions] = {
    "labels": TargetFunctions(
        "any number of labels for each image", _find_labels, _read_labels, strata_of_labels, "stratified by label"
    ),
    "classes": TargetFunctions(
        "one class for each image", _find_labels, _read_class, strata_of_labels, "stratified by class"
    ),
    "points": TargetFunctions("points", columns_with_points, _read_points, strata_of_points),
    "numbers": TargetFunctions(
        "numbers", _find_numbers, _read_numbers, strata_of_numbers, "stratified by low, medium and high numbers"
    ),
}
