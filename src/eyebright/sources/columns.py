"""Which column of a table plays which part: images, labels, or the split into training and validation."""

from collections import Counter
from collections.abc import Iterable, Sequence

from eyebright.errors import did_you_mean, listing
from eyebright.sources.csv_rows import TextTable, looks_like_image
from eyebright.sources.label_text import PLURALS, SINGULARS, is_missing, plain_name

FILE_NAMES = (
    "file",
    "files",
    "filename",
    "file_name",
    "fname",
    "image",
    "images",
    "image_path",
    "image_file",
    "image_name",
    "img",
    "img_path",
    "img_name",
    "filepath",
    "file_path",
    "path",
    "picture",
    "photo",
    "image_id",
)
"""Names of columns that hold the names of images; the earlier ones are preferred."""

SPLIT_NAMES = ("is_valid", "split")
"""Names of columns that say which images to validate on."""

ON = frozenset({"1", "1.0", "true"})
"""What stands in a 0/1 column where an image has its label."""

_OFF = frozenset({"0", "0.0", "false"})
_FILE_NAMES_AT_LAST = ("name", "id")
_ROW_NUMBERS = ("unnamed:_0", "index", "id")  # what pandas writes, and what counts the rows


def find_file_column(table: TextTable, asked: str | None) -> str:
    """The column with the names of the images.

    Raises:
        TableError: there is none, or not the one that was asked for; the message names those that are there.
    """
    if asked is not None:
        return _existing(table, asked)
    known = _of_names(table.columns, FILE_NAMES)
    images = [name for name, values in table.columns.items() if _are_images(values[:1000])]
    both = [name for name in known if name in images]
    found = [*both, *known, *images, *_of_names(table.columns, _FILE_NAMES_AT_LAST)]
    if not found:
        raise table.error(
            f"no column holds names of images; there are {listing(table.columns)}; call one 'file' or say which it is"
        )
    return found[0]


def find_split_column(table: TextTable) -> str | None:
    """The column that says which images to validate on, if there is one.

    Raises:
        TableError: there are two.
    """
    found = _of_names(table.columns, SPLIT_NAMES)
    if len(found) > 1:
        raise table.error(f"the columns {listing(found)} both say what to validate on; keep one of them")
    return found[0] if found else None


def find_label_columns(table: TextTable, asked: str | Sequence[str] | None, taken: Sequence[str]) -> str | list[str]:
    """The name of one column of labels or classes, or the names of the 0/1 columns.

    Args:
        table: the rows of the file.
        asked: what the user named, if anything.
        taken: the columns that play another part.

    Raises:
        TableError: there is none, or not the one that was asked for; the message names those that are there. Or the one
            that was asked for plays another part.
    """
    if isinstance(asked, str):
        return _free(table, asked, taken)
    if asked is not None:
        return [_zero_or_one(table, _free(table, name, taken)) for name in asked]
    left = [name for name in table.columns if name not in taken and plain_name(name) not in _ROW_NUMBERS]
    known = _of_names(left, [*PLURALS, *SINGULARS])
    if known:
        return known[0]
    indicators = [_zero_or_one(table, name) for name in left if _is_mostly_zero_or_one(table, name)]
    if indicators:
        return indicators
    if len(left) == 1:
        return left[0]
    others = f"there are {listing(left)}; call one 'labels', or say which it is" if left else "there is no other column"
    raise table.error(f"no column holds labels: {others}")


def _free(table: TextTable, name: str, taken: Sequence[str]) -> str:
    if name in taken:
        part = "says what to validate on" if plain_name(name) in SPLIT_NAMES else "names the images"
        raise table.error(f"column '{name}' {part}, and cannot hold the labels as well")
    return _existing(table, name)


def _existing(table: TextTable, name: str) -> str:
    if name in table.columns:
        return name
    raise table.error(
        f"there is no column '{name}'.{did_you_mean(name, table.columns)} It has {listing(table.columns)}"
    )


def _are_images(values: Sequence[str]) -> bool:
    """True when nine in ten of the values that are there end like the names of images."""
    there = [value for value in values if value]
    return bool(there) and sum(map(looks_like_image, there)) >= 0.9 * len(there)


def _of_names(columns: Iterable[str], wanted: Sequence[str]) -> list[str]:
    """The columns with one of these names, in the order of the names."""
    return [column for name in wanted for column in columns if plain_name(column) == name]


def _is_mostly_zero_or_one(table: TextTable, name: str) -> bool:
    """True when nine in ten of the values that are there are 0 or 1: the others must be mistakes."""
    there = {value: count for value, count in Counter(table.columns[name]).items() if not is_missing(value)}
    return bool(there) and sum(count for value, count in there.items() if _is_flag(value)) >= 0.9 * sum(there.values())


def _zero_or_one(table: TextTable, name: str) -> str:
    for value in dict.fromkeys(table.columns[name]):
        if not is_missing(value) and not _is_flag(value):
            line = table.line_of(name, value)
            raise table.error(f"'{value}' in column '{name}'; 0 or 1 was expected", line=line)
    return name


def _is_flag(value: str) -> bool:
    return value.lower() in ON or value.lower() in _OFF
