"""0/1 columns: labels, or one class where every image has exactly one 1; unknown cells stay unknown."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from eyebright.errors import InputError, TableError
from eyebright.sources.indicator_columns import (
    looks_like_indicator,
    read_indicators,
    read_indicators_or_one_hot,
    read_one_hot,
)
from eyebright.sources.targets import CellOptions
from eyebright.types import LabelSet
from support.tables import text_table


def test_every_1_is_a_label_and_a_blank_cell_is_a_0_where_the_table_writes_no_0() -> None:
    found = read_indicators(text_table({"cat": ["1", "", "", "1.0"], "dog": ["true", "", "1", ""]}), ["cat", "dog"])
    assert list(found.values) == [{"cat", "dog"}, set(), {"dog"}, {"cat"}]
    assert found.messages == (
        "labels are the 0/1 columns 'cat', 'dog'",
        "blank cells of these columns, which mean no: 4; `blank='unknown'` changes it",
        "images without a label: 1 of 4",
    )


@pytest.mark.parametrize(
    ("cells", "options", "means"),
    [
        (["1", "0", ""], CellOptions(), {"": "?"}),
        (["1", "0", ""], CellOptions(blank="no"), {"": "no"}),
        (["1", ""], CellOptions(), {"": "no"}),
        (["1", ""], CellOptions(blank="unknown"), {"": "?"}),
        (["1", "-1"], CellOptions(), {"-1": "no"}),
        (["1.0", "-1.0", "0.0"], CellOptions(), {"-1.0": "?", "0.0": "no"}),
        (["1", "-1", "0"], CellOptions(uncertain="yes"), {"-1": "yes"}),
        (["1", "-1", "0"], CellOptions(uncertain="no"), {"-1": "no"}),
        (["1", "-1"], CellOptions(uncertain="unknown"), {"-1": "?"}),
        (["1", "-1", ""], CellOptions(), {"-1": "no", "": "no"}),
        (["1", "-1", ""], CellOptions(blank="unknown"), {"-1": "no", "": "?"}),
        (["1", "-1", "", "0"], CellOptions(), {"-1": "?", "": "?"}),
    ],
)
def test_the_whole_table_says_what_blank_cells_and_minus_one_mean_unless_the_user_does(
    cells: list[str], options: CellOptions, means: dict[str, str]
) -> None:
    columns = {"cat": cells, "dog": ["1"] * len(cells)}
    found = read_indicators(text_table(columns), ["cat", "dog"], options)
    sets = {"yes": LabelSet(["cat", "dog"]), "no": LabelSet(["dog"]), "?": LabelSet(["dog"], unknown=["cat"])}
    assert {cell: found.values[cells.index(cell)] for cell in means} == {
        cell: sets[word] for cell, word in means.items()
    }
    with pytest.raises(AssertionError, match="which mean .* changes it"):
        raise AssertionError(found.messages)


def test_the_meaning_of_a_cell_that_is_in_one_column_holds_for_all_columns() -> None:
    found = read_indicators(text_table({"cat": ["1", "-1", "1"], "dog": ["0", "1", "1"]}), ["cat", "dog"])
    assert found.values[1] == LabelSet(["dog"], unknown=["cat"])


@pytest.mark.parametrize("option", ["blank", "uncertain"])
def test_a_meaning_that_there_is_not_is_an_error(option: str) -> None:
    with pytest.raises(InputError, match=f"`{option}` is unknown or .*, got 'maybe'"):
        read_indicators(text_table({"cat": ["1", "0"]}), ["cat"], CellOptions(**{option: "maybe"}))


@pytest.mark.parametrize("cell", ["?", "unknown", "NaN", "n/a"])
def test_unknown_cells_are_unknown_labels(cell: str) -> None:
    found = read_indicators(text_table({"cat": ["1", cell], "dog": [cell, "1"]}), ["cat", "dog"])
    assert list(found.values) == [LabelSet(["cat"], unknown=["dog"]), LabelSet(["dog"], unknown=["cat"])]
    assert f"cells of these columns that are unknown ('{cell}'): 2" in found.messages


def test_labels_that_no_image_has_are_listed_in_a_message() -> None:
    found = read_indicators(text_table({"cat": ["1", "0"], "Unlabeled": ["0", "0"]}), ["cat", "Unlabeled"])
    assert "labels that no image has, which cannot be learnt: 'Unlabeled'" in found.messages
    assert found.unused == ("Unlabeled",)


def test_indicator_columns_with_exactly_one_1_per_row_are_classes() -> None:
    found = read_indicators_or_one_hot(text_table({"MEL": ["1", "0"], "NV": ["0", "1"]}), ["MEL", "NV"])
    assert (found.task_type, list(found.values)) == ("classes", ["MEL", "NV"])
    assert "which is its class; `kind='labels'` makes them independent labels" in found.messages[0]


@pytest.mark.parametrize("second", [["1", "1"], ["0", "0"], ["0", "?"]])
def test_a_row_without_exactly_one_1_makes_indicator_columns_labels(second: list[str]) -> None:
    table = text_table({"MEL": ["1", "0"], "NV": second})
    assert read_indicators_or_one_hot(table, ["MEL", "NV"]).task_type == "labels"


def test_reading_indicator_columns_as_classes_needs_exactly_one_1_per_row() -> None:
    with pytest.raises(TableError, match="line 3: one class for each image needs exactly one 1 .*'NV', got 2"):
        read_one_hot(text_table({"MEL": ["1", "1"], "NV": ["0", "1"]}), ["MEL", "NV"])


def test_another_number_in_an_indicator_column_is_an_error() -> None:
    table = text_table({"cat": ["1", "-1", *"0" * 8, "2"]})
    assert looks_like_indicator(table, "cat")
    with pytest.raises(TableError, match=r"line 12: '2' in column 'cat'; 0 or 1 was expected, or \? where it is unk"):
        read_indicators(table, ["cat"])


@given(
    st.integers(1, 4).flatmap(lambda k: st.lists(st.lists(st.sampled_from("01?"), min_size=k, max_size=k), min_size=1))
)
def test_each_row_has_the_labels_of_its_own_cells(rows: list[list[str]]) -> None:
    names = [f"l{i}" for i in range(len(rows[0]))]
    table = text_table({name: [row[i] for row in rows] for i, name in enumerate(names)})
    expected = [
        LabelSet(
            (name for name, cell in zip(names, row, strict=True) if cell == "1"),
            unknown=(name for name, cell in zip(names, row, strict=True) if cell == "?"),
        )
        for row in rows
    ]
    assert list(read_indicators(table, names).values) == expected


def test_many_columns_and_rows_are_read_at_once() -> None:
    random = np.random.default_rng(0)
    cells = random.integers(0, 2, (5000, 40)).astype(str)
    names = [f"l{i}" for i in range(40)]
    found = read_indicators(text_table({name: cells[:, i].tolist() for i, name in enumerate(names)}), names)
    assert all(found.values[i] == {names[j] for j in np.flatnonzero(cells[i] == "1")} for i in range(0, 5000, 97))


def test_classes_that_no_image_has_are_listed_in_a_message_too() -> None:
    found = read_one_hot(
        text_table({"cat": ["1", "0"], "dog": ["0", "1"], "Unlabeled": ["0", "0"]}), ["cat", "dog", "Unlabeled"]
    )
    assert found.messages[1:] == ("labels that no image has, which cannot be learnt: 'Unlabeled'",)
