"""Reads a CSV file as a table without changing names and labels: ``007``, ``None`` and ``NA`` are kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from eyebright.errors import InputError

_MISSING_VALUES = ("", "NaN", "nan", "<NA>")  # other words, such as None, NA and null, may be labels


def read_table_file(
    file: Path,
    *,
    header: int | Literal["infer"] | None = "infer",
    delimiter: str | None = None,
    quoting: Literal[0, 1, 2, 3] = 0,
    text: Sequence[str | int] = (),
) -> pd.DataFrame:
    """The table as pandas reads it, but with unchanged names and labels.

    Columns of text keep the words that pandas takes for missing; whole numbers with leading zeros are text.

    Args:
        file: the CSV file.
        header: as in ``pandas.read_csv``; None: the file has no header.
        delimiter: between two columns; None: a comma.
        quoting: a constant of Python's csv module.
        text: names or numbers of the columns that are text also if they hold numbers.

    Raises:
        InputError: pandas cannot read the file.
    """
    separator = delimiter or ","
    try:
        table = pd.read_csv(file, header=header, sep=separator, quoting=quoting)
        cells = pd.read_csv(
            file,
            header=header,
            sep=separator,
            quoting=quoting,
            dtype=str,
            keep_default_na=False,
            na_values=list(_MISSING_VALUES),
        )
    except (ValueError, OSError) as error:
        raise InputError(f"cannot read the table '{file}': {error}") from None
    wanted = {name if name in table.columns else table.columns[int(name)] for name in text if _has(table, name)}
    for name in table.columns:
        holds_text = not (pd.api.types.is_numeric_dtype(table[name]) or pd.api.types.is_bool_dtype(table[name]))
        if name in wanted or holds_text or _has_leading_zeros(cells[name]):
            table[name] = cells[name]
    return table


def _has(table: pd.DataFrame, name: str | int) -> bool:
    return name in table.columns or (isinstance(name, int) and -table.shape[1] <= name < table.shape[1])


def _has_leading_zeros(cells: Any) -> bool:
    return bool(cells.dropna().str.fullmatch(r"0\d+").any())
