r"""Reads the text of one column as the labels, or the class, of each image.

How a cell is understood, in this order:

1. Empty, ``NaN``, ``<NA>`` and ``[]`` mean no label, never a label of that name. ``?`` means that every label
   that the cell does not name is unknown.
2. A ``delimiter`` that the user gives splits; the delimiter ``""`` means that nothing does: one class for each image.
3. Lists as JSON, Python and numpy write them: ``["a", "b"]``, ``['a', 'b']``, ``['a' 'b']``, ``[a, b]``; also sets and
   tuples, ``{'a', 'b'}``, ``('a', 'b')``.
4. Comma, semicolon and pipe split wherever they occur; two different ones in one column are an error, and so are cells
   such as ``1,5`` under another name than a plural, which may be a number.
5. Spaces split in a column whose name is a plural (``labels``, ``tags``). Under a singular (``label``, ``breed``) they
   belong to the names. Under any other name they split if there are fewer distinct words than distinct cells: labels
   recur in different combinations, so splitting leaves few distinct words; the words of a name do not recur.
6. What was not split is one class for each image, unless the column's name is a plural.
"""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from string import punctuation

from eyebright._all_but import AllBut
from eyebright.errors import count_text, listing
from eyebright.sources.categorical import Categorical
from eyebright.sources.cells import amount_unit, has_decimal_comma, is_flag, is_number, means_no_label
from eyebright.sources.column_roles import plain_name
from eyebright.sources.targets import TargetColumns
from eyebright.sources.text_table import TextTable
from eyebright.types import MAX_LABEL_LENGTH, LabelSet, long_label

PLURALS = ("labels", "tags", "classes", "categories", "targets", "attributes", "keywords")
"""Names of columns with any number of labels."""

SINGULARS = ("label", "class", "class_name", "label_name", "category", "target", "breed", "species", "tag", "choice")
"""Names of columns with one class."""

_UNKNOWN = "?"
_MISSING = re.compile(r"(?<!\w)(?:nan|<na>)(?!\w)", re.IGNORECASE)
_OTHER_DELIMITERS = ("\n", "\t", "/", "+", "&", "\u3001", "\uff0c", "\uff1b")  # ideographic and full-width commas too
_DELIMITERS = (",", ";", "|")
_DELIMITER_NAMES = {" ": "space", ",": "comma", ";": "semicolon", "|": "pipe", "\t": "tab"}
_MAX_UNITS = 4  # different units of amounts in a column that is a measurement
_MAX_NUMERIC_CLASSES = 20  # numbers with more distinct values, in more than half of the rows, are a measurement


def read_labels(table: TextTable, name: str, delimiter: str | None = None) -> TargetColumns:
    """Any number of labels for each image, from a column.

    Args:
        table: the label file.
        name: the name of the column.
        delimiter: between two labels; None: detected by the rules at the top of this file.

    Raises:
        TableError: the column has no label, one with too many characters, or two different delimiters.
    """
    cells = _known_cells(table, name)
    separator = ""
    if delimiter is None and any(map(_is_list, cells)):
        meaning, how = _parse_lists(table, name, cells), "are lists"
    else:
        separator = _find_delimiter(table, name, cells) if delimiter is None else delimiter
        _check_delimiter(table, name, cells, separator)
        if delimiter is None and not separator:
            _check_no_other_delimiter(table, name, cells)
        meaning = {cell: _split(cell, separator) if separator else (cell,) for cell in cells}
        how = (
            f"are split at {_delimiter_text(separator)}" if separator else "are not split, no value holds more than one"
        )
    if delimiter is None:
        _check_no_objects(table, name, cells)
        _check_labels(table, name, meaning)
    return replace(_label_sets(table, name, meaning, how), splits_at=separator)


def read_class(table: TextTable, name: str) -> TargetColumns:
    """One class for each image, from a column whose cells are not split.

    Raises:
        TableError: a class is missing or has too many characters; the message names the line.
    """
    cells = _known_cells(table, name)
    _check_lengths(table, name, {cell: (cell,) for cell in cells})
    column = table.columns[name].categorical
    missing = next((cell for cell in column.categories if means_no_label(cell)), None)
    if missing is not None:
        raise table.error(
            f"there is no class in column '{name}', which holds one class for each image; "
            "where images may have no label, name the column 'labels' or give a delimiter; write ? for an unknown one",
            line=table.line_of(name, missing),
        )
    spaces = "; spaces belong to the names" if any(" " in cell for cell in cells) else ""
    messages = [f"column '{name}' holds one class for each image{spaces}: {count_text(len(cells), 'class', 'classes')}"]
    known = ~column.isin([_UNKNOWN])
    if not known.all():
        messages.append(f"images of unknown class (?), which are ignored: {int((~known).sum())}")
    return TargetColumns("classes", (name,), column, tuple(messages), known=known)


def read_labels_or_class(table: TextTable, name: str, delimiter: str | None = None) -> TargetColumns:
    """Labels or one class for each image, depending on the column and the rules at the top of this file.

    Raises:
        TableError: the column has no label, holds numbers that look like a measurement, or two different delimiters,
            or a class is missing.
    """
    cells = _known_cells(table, name)
    if delimiter is None and any(map(_is_list, cells)):
        return read_labels(table, name, delimiter)
    if delimiter is None:
        _check_no_measurements(table, name, cells)
        _check_no_decimal_commas(table, name, cells)
        if plain_name(name) in PLURALS or _find_delimiter(table, name, cells):
            return read_labels(table, name)
        _check_no_objects(table, name, cells)
        _check_no_scores(table, name, {cell: (cell,) for cell in cells})
        return read_class(table, name)
    _check_delimiter(table, name, cells, delimiter)
    return read_labels(table, name, delimiter) if delimiter else read_class(table, name)


def is_label_text(name: str) -> bool:
    """Whether a cell with this text is read as a label or class, not as none (``nan``) or unknown (``?``)."""
    return name.strip() != _UNKNOWN and not means_no_label(name.strip())


def _known_cells(table: TextTable, name: str) -> list[str]:
    cells = [cell for cell in table.columns[name].unique() if not means_no_label(cell) and cell != _UNKNOWN]
    if not cells:
        raise table.error(f"column '{name}' holds no label at all")
    return cells


def _label_sets(table: TextTable, name: str, meaning: Mapping[str, tuple[str, ...]], how: str) -> TargetColumns:
    _check_lengths(table, name, meaning)
    cells = table.columns[name].categorical
    meaning = {**meaning, _UNKNOWN: (_UNKNOWN,)}
    labels = {label for several in meaning.values() for label in several if label != _UNKNOWN}
    if not labels:
        raise table.error(f"column '{name}' holds no label at all")

    vocabulary = frozenset(labels)

    def to_set(cell: str) -> LabelSet:
        names = set(meaning.get(cell, ()))
        return LabelSet(names - {_UNKNOWN}, unknown=AllBut(vocabulary, names)) if _UNKNOWN in names else LabelSet(names)

    values = cells.map(to_set)
    messages = [f"labels in column '{name}' {how}: {len(labels)} different labels", *_dropped(cells, meaning)]
    if empty := int(values.isin([LabelSet()]).sum()):
        messages.append(f"images without a label: {empty} of {len(values)}")
    unnamed = [cell for cell, several in meaning.items() if several == (_UNKNOWN,)]
    if unknown := int(cells.isin(unnamed).sum()):
        messages.append(f"images of which every label is unknown (?): {unknown}")
    partly = [cell for cell, several in meaning.items() if _UNKNOWN in several and len(several) > 1]
    if count := int(cells.isin(partly).sum()):
        messages.append(f"images whose other labels are unknown (such as '{partly[0]}'): {count}")
    return TargetColumns("labels", (name,), values, tuple(messages))


def _dropped(cells: Categorical[str], meaning: Mapping[str, tuple[str, ...]]) -> list[str]:
    """A sentence on words for a missing value that stand beside labels in a cell; empty without any."""
    words = [cell for cell, several in meaning.items() if several and _MISSING.search(cell)]
    words = [cell for cell in words if not any(_MISSING.search(label) for label in meaning[cell])]
    if not words:
        return []
    count = int(cells.isin(words).sum())
    return [f"cells with nan or <NA> beside labels, which is a missing value and no label: {count} ('{words[0]}')"]


def _check_lengths(table: TextTable, name: str, meaning: Mapping[str, tuple[str, ...]]) -> None:
    for cell, labels in meaning.items():
        long = [label for label in labels if len(label) > MAX_LABEL_LENGTH] if len(cell) > MAX_LABEL_LENGTH else []
        if long:
            raise table.error(f"column '{name}': {long_label(long[0])}", line=table.line_of(name, cell))


# ---------------------------------------------------------------------- delimiters


def _delimiter_text(delimiter: str) -> str:
    return f"'{delimiter}' ({_DELIMITER_NAMES[delimiter]})" if delimiter in _DELIMITER_NAMES else f"'{delimiter}'"


def _split(cell: str, delimiter: str) -> tuple[str, ...]:
    parts = cell.split() if delimiter == " " else [part.strip() for part in cell.split(delimiter)]
    return tuple(dict.fromkeys(part for part in parts if not means_no_label(part)))


def _find_delimiter(table: TextTable, name: str, cells: Sequence[str]) -> str:
    """The delimiter between labels; ``""`` if the cells are not split."""
    used = {mark: cell for mark in _DELIMITERS for cell in cells if mark in cell}
    if len(used) > 1:
        (mark, cell), (second_mark, second) = list(used.items())[:2]
        raise table.error(
            f"column '{name}' holds {_delimiter_text(mark)} as in '{cell}' and {_delimiter_text(second_mark)} "
            f"as in '{second}'; name the one between two labels with `delimiter`",
            line=table.line_of(name, second),
        )
    if used:
        return next(iter(used))
    if plain_name(name) in SINGULARS or not any(" " in cell for cell in cells):
        return ""
    words = {word for cell in cells for word in cell.split()}
    return " " if plain_name(name) in PLURALS or len(words) < len(cells) else ""


def _check_delimiter(table: TextTable, name: str, cells: Sequence[str], delimiter: str) -> None:
    """Raises `TableError` if the delimiter occurs in no cell, but another one does, or if it would split lists."""
    if delimiter in (",", ", ", " ") and all(map(_is_list, cells)):
        raise table.error(
            f"column '{name}' holds lists such as '{cells[0]}', which the delimiter {_delimiter_text(delimiter)} would "
            "split with their brackets; leave `delimiter` out",
            line=table.line_of(name, cells[0]),
        )
    if not delimiter or any(delimiter in cell for cell in cells):
        return
    other = next(((mark, cell) for mark in _DELIMITERS for cell in cells if mark in cell), None)
    if other is not None:
        mark, cell = other
        raise table.error(
            f"the delimiter {_delimiter_text(delimiter)} occurs nowhere in column '{name}'; "
            f"{_delimiter_text(mark)} does, in '{cell}'",
            line=table.line_of(name, cell),
        )


def _check_no_measurements(table: TextTable, name: str, cells: Sequence[str]) -> None:
    """Numbers with more than 20 distinct values, in more than half of the rows, are a measurement, not classes.

    So are amounts with a few different units, dates and times.

    Raises:
        TableError: the column holds such numbers.
    """
    if len(cells) <= max(_MAX_NUMERIC_CLASSES, len(table) / 2):
        return
    units = {cell: unit for cell in cells if (unit := amount_unit(cell)) is not None}
    if plain_name(name) in PLURALS:  # whose cells are split at spaces
        units = {cell: unit for cell, unit in units.items() if is_number(cell)}
    if len(units) <= _MAX_NUMERIC_CLASSES or len(units) < 0.9 * len(cells) or len(set(units.values())) > _MAX_UNITS:
        return
    first, plain = next(iter(units)), sum(map(is_number, units)) >= 0.9 * len(cells)
    written = "" if plain else ", once they are written as digits with a decimal point and nothing else"
    raise table.error(
        f"column '{name}' holds {'numbers' if plain else 'amounts'} such as '{first}' that look like a measurement, "
        f"not like labels; `kind='numbers'` predicts numbers{written}, `kind='class'` takes each of them for the name "
        "of a class",
        line=table.line_of(name, first),
    )


def _check_no_decimal_commas(table: TextTable, name: str, cells: Sequence[str]) -> None:
    """Raises `TableError` where each cell may be a number with a comma, or two labels that are whole numbers."""
    commas = list(filter(has_decimal_comma, cells))
    if not commas or plain_name(name) in PLURALS or not all(is_number(cell) or cell in commas for cell in cells):
        return
    first, second = commas[0].split(",")
    raise table.error(
        f"column '{name}' holds '{commas[0]}', which may be one number or the labels '{first}' and '{second}'; write "
        "numbers with a decimal point and without thousands separators; `delimiter=','` takes them for labels",
        line=table.line_of(name, commas[0]),
    )


# ---------------------------------------------------------------------- what is not a list of labels

_OBJECT = re.compile(r"""\{\s*(?:'[^']*'|"[^"]*"|\w+)\s*:.*\}""", re.DOTALL)  # of JSON or Python
_SCORE = re.compile(r"[^\W\d_].*[:=]\s?(?:0|1|0?\.\d+|[01]\.\d*|\d{1,3}(?:\.\d+)?%)", re.DOTALL)
_SIGNS = frozenset(punctuation) - {"?"}
_FLAG = re.compile(r"[\w.]+")
_BRACKETS = ("()", "[]", "{}")


def _check_no_objects(table: TextTable, name: str, cells: Sequence[str]) -> None:
    """Raises `TableError` for cells such as ``{"cat": 1, "dog": 0}``."""
    example = next((cell for cell in cells if _OBJECT.fullmatch(cell)), None)
    if example is not None:
        raise table.error(
            f"'{example}' in column '{name}' is an object of JSON, not a list of labels; write the labels that an "
            "image has, or a 0/1 column for each label",
            line=table.line_of(name, example),
        )


def _check_no_other_delimiter(table: TextTable, name: str, cells: Sequence[str]) -> None:
    """Raises `TableError` for unsplit cells such as ``cat/dog`` if there are also ``cat`` and ``dog``."""
    known = set(cells)
    for mark in _OTHER_DELIMITERS:
        for cell in cells:
            parts = [part.strip() for part in cell.split(mark)]
            if len(parts) > 1 and known.issuperset(parts):
                raise table.error(
                    f"'{cell}' in column '{name}' may be one label, or {listing(parts)}; `delimiter` names what is "
                    "between two labels, and `kind='class'` takes each cell for one class",
                    line=table.line_of(name, cell),
                )


def _check_labels(table: TextTable, name: str, meaning: Mapping[str, tuple[str, ...]]) -> None:
    """Raises `TableError` for cells that were cut in brackets or quotes, rows of 0 and 1, and labels with scores."""
    distinct = {label for labels in meaning.values() for label in labels}  # a column has few labels, and many cells
    signs = {label for label in distinct if set(label) <= _SIGNS}
    cut = {label for label in distinct if not _is_balanced(label)}
    for cell, labels in meaning.items() if signs or cut else ():
        if len(labels) < 2 or _is_list(cell):
            continue
        is_cut = not cut.isdisjoint(labels) and _is_balanced(cell)
        if is_cut or not signs.isdisjoint(labels):
            problem = "inside of brackets or quotes, into" if is_cut else "into labels without a letter or digit,"
            raise table.error(
                f"'{cell}' in column '{name}' would be split {problem} {listing(labels)}; name what is between two "
                "labels with `delimiter`, or write a list as JSON does",
                line=table.line_of(name, cell),
            )
    row = next((cell for cell in meaning if len(_FLAG.findall(cell)) > 1), "") if all(map(is_flag, distinct)) else ""
    if row:
        raise table.error(
            f"column '{name}' holds 0 and 1 only, several in a cell, such as '{row}', which may be a row with "
            "one for each label, or the labels '0' and '1'; write a 0/1 column for each label, or name what is between "
            "two labels with `delimiter`",
            line=table.line_of(name, row),
        )
    _check_no_scores(table, name, meaning)


def _check_no_scores(table: TextTable, name: str, meaning: Mapping[str, tuple[str, ...]]) -> None:
    """Raises `TableError` for labels such as ``cat:0.9``, if most labels look like this."""
    labels = {label: cell for cell, several in meaning.items() for label in several}
    scored = list(filter(_SCORE.fullmatch, labels))
    if len(scored) > len(labels) / 2:
        raise table.error(
            f"column '{name}' holds labels with a number each, such as '{scored[0]}', which would be part of the "
            "label; write the labels that an image has, or name what is between two labels with `delimiter` to take "
            "them as they are",
            line=table.line_of(name, labels[scored[0]]),
        )


def _is_balanced(text: str) -> bool:
    return text.count('"') % 2 == 0 and all(text.count(opening) == text.count(other) for opening, other in _BRACKETS)


# ---------------------------------------------------------------------- lists

_ESCAPE = re.compile(
    r"\\(?:[\\'\"abfnrtv]|x[0-9a-f]{2}|u[0-9a-f]{4}|U000[0-9a-f]{5}|U0010[0-9a-f]{4})"
)  # as `repr` does
_QUOTED_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")


_SET_OR_TUPLE = re.compile(r"""[({]\s*['"].*['"]\s*,?\s*[)}]""", re.DOTALL)


def _is_list(cell: str) -> bool:
    return (cell.startswith("[") and cell.endswith("]")) or _SET_OR_TUPLE.fullmatch(cell) is not None


def _parse_lists(table: TextTable, name: str, cells: Sequence[str]) -> dict[str, tuple[str, ...]]:
    meaning: dict[str, tuple[str, ...]] = {}
    for cell in cells:
        items = _items(cell) if _is_list(cell) else None
        if items is None:
            raise table.error(
                f"column '{name}' holds lists, but '{cell}' cannot be parsed as a list",
                line=table.line_of(name, cell),
            )
        meaning[cell] = tuple(dict.fromkeys(item for item in items if not means_no_label(item)))
    return meaning


def _items(cell: str) -> list[str] | None:
    """The items of a list in the syntax of JSON, Python or numpy; None if it cannot be parsed."""
    try:
        items = json.loads(cell, parse_int=str, parse_float=str, parse_constant=str)  # numbers stay text
    except ValueError:
        return _quoted_items(cell[1:-1])
    except RecursionError:  # thousands of lists in lists
        return None
    if not isinstance(items, list) or any(isinstance(item, (list, dict)) for item in items):
        return None
    return [item.strip() if isinstance(item, str) else json.dumps(item) if item is not None else "" for item in items]


def _quoted_items(inside: str) -> list[str] | None:
    quoted = [_unquoted(match.group()).strip() for match in _QUOTED_TEXT.finditer(inside)]
    if not quoted:
        return [item.strip() for item in inside.split(",")]
    rest = set(re.split(r"[,\s]+", _QUOTED_TEXT.sub("", inside)))
    return quoted if rest <= {"", "nan", "None"} else None


def _unquoted(text: str) -> str:
    """The string that a Python literal stands for; of any other text, what is between its quotes."""
    if "\\" in _ESCAPE.sub("", text):
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return ast.literal_eval(text)
