"""`Targets` and `ColReader`: the same values and errors as reading item by item, with less work and memory."""

import hashlib
import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from eyebright.data.block import DataBlock
from eyebright.data.getters import ColReader
from eyebright.data.targets import factorize
from eyebright.errors import DataError, InputError
from eyebright.sources.split import IndexSplitter
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.types import LabelSet

COLUMNS = {
    "text": ["a b", "", None, "b"],
    "object": pd.Series(["a", np.nan, "b c", "a"], dtype=object),
    "mixed": pd.Series([1, True, 1.0, "1"], dtype=object),
    "whole": [3, 1, 3, 2],
    "small": np.array([3, 1, 3, 2], dtype=np.int8),
    "fraction": [0.5, np.nan, -0.0, 0.0],
    "flag": [True, False, True, True],
    "category": pd.Categorical(["a", "b", None, "a"]),
    "nullable": pd.array([1, None, 3, 1], dtype="Int64"),
    "day": pd.to_datetime(["2026-01-01", "2026-01-02", None, "2026-01-01"]),
}
TABLES = [list(COLUMNS), ["whole", "flag"], ["whole", "fraction"], ["whole", "small"], ["text"], ["category"], ["day"]]


def test_spaces_around_labels_that_are_split_are_no_part_of_them() -> None:
    table = pd.DataFrame({"labels": ["a; b", "b;a ", " ;", "c d"]})
    read = ColReader("labels", label_delim=";").index_reader(table)
    assert read is not None
    assert [read(i) for i in range(4)] == [["a", "b"], ["b", "a"], [], ["c d"]]


def test_an_empty_delimiter_is_an_error_when_the_reader_is_made() -> None:
    with pytest.raises(InputError, match="^`label_delim` is the text between two labels, got ''; leave it out"):
        ColReader("labels", label_delim="")


@pytest.mark.parametrize("names", TABLES, ids=" ".join)
def test_a_column_reader_reads_cells_as_they_are_in_their_row(names: list[str]) -> None:
    table = pd.DataFrame({name: COLUMNS[name] for name in names}, index=[7, 7, 5, 0])
    readers = [ColReader(name) for name in names] + [ColReader(name, label_delim=" ") for name in names]
    readers += [ColReader(names), ColReader(0), ColReader(-1)]
    for reader in readers:
        by_index = reader.index_reader(table)
        for i in range(len(table)) if by_index else ():
            from_column, from_row = by_index(i), reader(table.iloc[i])
            assert repr(from_column) == repr(from_row)
            assert type(from_column) is type(from_row)
    if names != ["whole", "fraction"]:
        assert readers[0].index_reader(table) is not None


def test_rows_that_change_the_dtype_of_a_cell_are_read_as_rows() -> None:
    table = pd.DataFrame({"whole": [1, 2], "fraction": [0.5, 1.5]})
    assert table.iloc[0]["whole"].dtype == float
    assert ColReader("whole").index_reader(table) is None
    assert ColReader("fraction").index_reader(table) is not None


@pytest.mark.parametrize("cols", ["other", 9, "twice"])
def test_missing_and_duplicate_columns_are_read_as_rows(cols: str | int) -> None:
    table = pd.DataFrame([["a", "b", "c"]], columns=["text", "twice", "twice"])
    assert ColReader(cols).index_reader(table) is None


@pytest.mark.parametrize("name", ["text", "object", "whole", "small", "flag", "category", "nullable"])
def test_equal_cells_have_the_same_code(name: str) -> None:
    column = pd.Series(COLUMNS[name])
    codes = factorize(column)
    assert codes is not None
    cells = [repr(None if pd.isna(cell) else cell) for cell in column]
    assert set(zip(cells, codes, strict=True)) == {(cell, codes[cells.index(cell)]) for cell in cells}
    assert len(set(cells)) == len(set(codes.tolist()))


@pytest.mark.parametrize("name", ["mixed", "fraction", "day"])
def test_columns_with_equal_cells_that_differ_are_not_factorized(name: str) -> None:
    assert factorize(pd.Series(COLUMNS[name])) is None


class Counted(MultiCategoryBlock):
    """Counts how often it reads."""

    calls: ClassVar[Counter[str]] = Counter()

    def read(self, raw: Any) -> LabelSet:
        self.calls["read"] += 1
        return super().read(raw)


@pytest.mark.parametrize("rows", [100, 1000])
def test_each_distinct_cell_of_a_column_is_read_once_in_each_subset(rows: int) -> None:
    table = pd.DataFrame({"fname": ["a.png"] * rows, "labels": ["a b", "b", "", "a b", "c"] * (rows // 5)})
    Counted.calls.clear()
    datasets = DataBlock(
        blocks=(ImageBlock, Counted(vocab=["a", "b", "c"])),
        get_y=ColReader("labels", label_delim=" "),
        splitter=IndexSplitter(range(rows // 2)),
    ).datasets(table)
    assert Counted.calls["read"] == 2 * 4
    assert [set(value) for value in datasets.valid.targets][:5] == [{"a", "b"}, {"b"}, set(), {"a", "b"}, {"c"}]


@pytest.mark.parametrize("rows", [100, 1000])
def test_a_getter_is_called_once_for_each_item(rows: int) -> None:
    calls: Counter[int] = Counter()

    def label(item: int) -> str:
        calls[item] += 1
        return f"l{item % 3}"

    datasets = DataBlock(
        blocks=(ImageBlock, CategoryBlock), get_y=label, splitter=IndexSplitter(range(0, rows, 4))
    ).datasets(list(range(rows)))
    datasets.fingerprint()
    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(datasets.train.raw_target, range(len(datasets.train))))
    assert values == [f"l{index % 3}" for index in datasets.train.indices]
    assert calls == dict.fromkeys(range(rows), 1)


def test_threads_that_read_targets_at_once_read_the_same() -> None:
    block = DataBlock(blocks=(ImageBlock, RegressionBlock(1)), get_y=lambda item: item / 7, splitter=IndexSplitter([0]))
    datasets = block.datasets(list(range(2000)))
    with ThreadPoolExecutor(16) as pool:
        several = list(pool.map(lambda i: datasets.train.raw_target(i % 1999), range(8000)))
    assert several == [((i % 1999 + 1) / 7,) for i in range(8000)]


@pytest.mark.parametrize("few", [True, False])
def test_an_error_names_the_first_row_with_it_in_the_order_of_the_split(few: bool) -> None:
    labels = ["a", "b"] * 20 if few else [f"a{'b' * i}" for i in range(40)]
    table = pd.DataFrame({"fname": "x.png", "label": labels, "number": 1.5})
    for row in (30, 31, 2, 3):
        table.loc[row, "label"] = None
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock), get_y=ColReader("label"), splitter=IndexSplitter(range(2, 20))
    )
    with pytest.raises(DataError, match="^row 30: an image has no label"):
        block.datasets(table)
    vocab = block.new(blocks=(ImageBlock, CategoryBlock(sorted(set(labels) - {labels[25]}))))
    with pytest.raises(DataError, match=f"^row {1 if few else 25}: unknown label '{labels[25]}'"):
        vocab.datasets(table)


@pytest.mark.parametrize("source", ["table", "list", "numbers"])
def test_the_fingerprint_is_a_hash_of_names_and_targets(source: str) -> None:
    names, labels = [f"{i}.png" for i in range(9)], ["a b", "b", ""] * 3
    items: Any = list(zip(names, labels, strict=True))
    reader: Any = lambda item: item[1].split()
    if source == "table":
        items, reader = pd.DataFrame(items, columns=["fname", "labels"]), ColReader("labels", label_delim=" ")
    if source == "list":
        items, reader = names, lambda name: labels[names.index(name)].split()
    block = DataBlock(blocks=(ImageBlock, MultiCategoryBlock), get_y=reader, splitter=IndexSplitter([4, 1]))
    texts = ["a;b", "b", ""] * 3
    hashed = ""
    for indices in ([0, 2, 3, 5, 6, 7, 8], [1, 4]):
        hashed += "".join(f"{names[i] if source == 'list' else i}\t{texts[i]}\n" for i in indices) + "\n"
    assert block.datasets(items).fingerprint() == hashlib.sha256(hashed.encode()).hexdigest()[:16]


def test_indices_and_targets_of_a_large_table_take_a_few_bytes_a_row() -> None:
    rows = 200_000
    table = pd.DataFrame({"fname": ["a.png", "b.png"] * (rows // 2), "labels": ["a b", "b", "", "c"] * (rows // 4)})
    block = DataBlock(blocks=(ImageBlock, MultiCategoryBlock), get_y=ColReader("labels", label_delim=" "))
    block.datasets(table[:100])
    tracemalloc.start()
    datasets = block.datasets(table)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(datasets) == rows
    assert kept < 14 * rows  # 8 for the index, 4 for the target
    assert peak < 60 * rows
