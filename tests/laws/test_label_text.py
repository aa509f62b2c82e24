"""Law: labels that are written into a column are read from it, however they are written."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from eyebright.sources.csv_file import read_csv
from eyebright.sources.label_column import read_labels
from support.tables import Understood, text_table

WORDS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8).filter(
    lambda word: word.lower() not in {"nan", "na", "0", "1", "true", "false"}
)
"""Labels of letters and digits, which no delimiter can split, and which are no cells of a 0/1 column."""

NAMES = (
    st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=12)
    .map(str.strip)
    .filter(lambda name: name and name.lower() not in {"?", "nan", "<na>", "[]", "['']", '[""]', "()", "{}", "set()"})
    .filter(lambda name: not re.search(r"[:=] ?[\d.]+%?$", name))
)
"""Labels of any printable characters, as lists can hold, without a score such as ``cat:0.9``."""


def rows_of(labels: st.SearchStrategy[str]) -> st.SearchStrategy[list[set[str]]]:
    """The labels of each image; some image has one."""
    return st.lists(st.sets(labels, max_size=4), min_size=1, max_size=8).filter(any)


def read_back(cells: list[str], delimiter: str | None = None) -> list[set[str]]:
    return Understood(read_labels(text_table({"labels": cells}), "labels", delimiter)).labels


@pytest.mark.parametrize("delimiter", [" ", ",", ";", "|"])
@given(rows=rows_of(WORDS))
def test_words_between_delimiters_are_read_whether_the_delimiter_is_given_or_detected(
    delimiter: str, rows: list[set[str]]
) -> None:
    cells = [delimiter.join(sorted(row)) for row in rows]
    assert read_back(cells, delimiter) == rows
    assert read_back(cells) == rows


@given(rows_of(NAMES))
def test_lists_as_json_writes_them_are_read(rows: list[set[str]]) -> None:
    assert read_back([json.dumps(sorted(row)) for row in rows]) == rows
    assert read_back([json.dumps(sorted(row), ensure_ascii=False) for row in rows]) == rows


@given(rows_of(NAMES))
def test_lists_as_python_writes_them_are_read(rows: list[set[str]]) -> None:
    assert read_back([repr(sorted(row)) for row in rows]) == rows


@given(rows_of(NAMES))
def test_lists_as_numpy_writes_them_are_read(rows: list[set[str]]) -> None:
    assert read_back([str(np.array(sorted(row), dtype=object)) for row in rows]) == rows


@given(rows=rows_of(WORDS), separator=st.sampled_from([",", ";", "\t"]), bom=st.booleans())
def test_any_cells_survive_a_csv_file(
    rows: list[set[str]], separator: str, bom: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path: Path = tmp_path_factory.mktemp("table") / "t.csv"
    with path.open("w", encoding="utf-8-sig" if bom else "utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(["file", "labels"])
        writer.writerows([f"{i}.png", " ".join(sorted(row))] for i, row in enumerate(rows))
    table = read_csv(path)
    assert Understood(read_labels(table, "labels", " ")).labels == rows
    assert list(table.columns["file"]) == [f"{i}.png" for i in range(len(rows))]
