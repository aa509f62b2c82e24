"""The columns of predictions are distinct whatever the classes, points or numbers are called."""

import pytest
from hypothesis import given, strategies

from eyebright.io.text import valid_unicode
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.columns import distinct_columns
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock

ODD = [
    "path",
    "labels",
    "probability_path",
    "probability_labels",
    "value_path",
    "point_path_x",
    "\udcff",
    r"\udcff",
    "x1",
]
NAMES = strategies.lists(
    strategies.sampled_from(ODD) | strategies.text(strategies.characters(codec=None, exclude_categories=())),
    min_size=2,
    max_size=8,
    unique=True,
)


@given(NAMES)
def test_columns_are_distinct_and_can_be_written_for_every_kind(names: list[str]) -> None:
    blocks: list[TargetBlock] = [
        CategoryBlock(vocab=names),
        MultiCategoryBlock(vocab=names),
        OrdinalBlock([f"{i}{name}" for i, name in enumerate(names)]),
        PointBlock(names=names),
        RegressionBlock(names=tuple(names)),
    ]
    for block in blocks:
        columns = ["path", *block.table_columns]
        assert len(set(columns)) == len(columns)
        assert [valid_unicode(column) for column in columns] == columns


@given(NAMES)
def test_a_class_keeps_its_name_unless_another_column_has_it(names: list[str]) -> None:
    for name, column in zip(names, distinct_columns(names), strict=True):
        free = name not in ("path", "labels") and not any(
            valid_unicode(n) == valid_unicode(name) for n in names if n != name
        )
        assert (column == valid_unicode(name)) or not free


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (["path", "labels"], ["probability_path", "probability_labels"]),
        (["path", "probability_path"], ["probability_probability_path", "probability_path"]),
        (["probability_path", "path"], ["probability_path", "probability_probability_path"]),
        (["\udcff", r"\udcff"], [r"\udcff", r"probability_\udcff"]),
    ],
)
def test_a_name_that_is_taken_has_a_prefix(names: list[str], columns: list[str]) -> None:
    assert distinct_columns(names) == columns
