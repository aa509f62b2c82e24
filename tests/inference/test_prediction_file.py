"""Predictions written one after another: the same text as the whole table or list at once."""

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from hypothesis import given, strategies

from eyebright._choices import PredictionFormat
from eyebright.errors import InputError
from eyebright.inference.prediction_file import PredictionWriter, check_predictions_file
from eyebright.inference.predictions import Prediction, Predictions
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.registry import TARGET_BLOCKS
from eyebright.tasks.regression import RegressionBlock

NAMES = ["path", "labels", 'a "b", c', "caf\udce9"]
BLOCKS: dict[str, TargetBlock] = {
    "category": CategoryBlock(vocab=NAMES),
    "multicategory": MultiCategoryBlock(vocab=NAMES),
    "ordinal": OrdinalBlock(NAMES),
    "points": PointBlock(2, names=NAMES[:2]),
    "regression": RegressionBlock(2, names=tuple(NAMES[:2])),
}
PATHS = ["a.png", "ü, b.png", 'c "d".png', "e\udcff.png"]


def test_every_kind_is_tried() -> None:
    assert BLOCKS.keys() == TARGET_BLOCKS.keys()


def predictions(block: TargetBlock, count: int) -> Predictions:
    """Predictions of random outputs."""
    outputs = torch.randn(len(PATHS), block.n_out, generator=torch.Generator().manual_seed(0))
    decision = Decision(block)
    scores = decision.activate(outputs)
    found = [Prediction(path, decision.decode(row), row) for path, row in zip(PATHS, scores, strict=True)]
    return Predictions(found[:count], {}, block)


def written(found: Predictions, file_format: PredictionFormat) -> str:
    """The text of the writer."""
    parts: list[str] = []
    writer = PredictionWriter(parts.append, file_format, found.target)
    for one in found:
        writer.add(one)
    writer.end()
    assert writer.count == len(found)
    return "".join(parts)


@pytest.mark.parametrize("count", [0, 1, 4])
@pytest.mark.parametrize("kind", BLOCKS)
def test_csv_is_that_of_the_table(kind: str, count: int) -> None:
    found = predictions(BLOCKS[kind], count)
    text = written(found, "csv")
    assert text == found.to_frame().to_csv(index=False, float_format="%.9g", lineterminator="\n")
    table = pd.read_csv(io.StringIO(text))
    assert len(table) == count
    assert len(set(table.columns)) == 1 + len(BLOCKS[kind].table_columns)


@pytest.mark.parametrize("count", [0, 1, 4])
@pytest.mark.parametrize("kind", BLOCKS)
def test_json_is_that_of_the_list_and_brings_back_every_name(kind: str, count: int) -> None:
    found = predictions(BLOCKS[kind], count)
    text = written(found, "json")
    assert json.loads(text.encode("utf-8")) == found.to_json()
    at_once = json.dumps(found.to_json(), indent=2, ensure_ascii=False) + "\n"
    assert text == at_once.replace("\udce9", "\\udce9").replace("\udcff", "\\udcff")


@pytest.mark.parametrize("kind", BLOCKS)
def test_numbers_are_exact_in_float32(kind: str) -> None:
    found = predictions(BLOCKS[kind], 4)
    rows = list(csv.reader(io.StringIO(written(found, "csv"))))[1:]
    for one, row in zip(found, rows, strict=True):
        numbers = [float(cell) for cell in row[-one.activated.numel() :]]
        assert torch.equal(torch.tensor(numbers), one.activated.flatten())


Values = strategies.lists(strategies.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=4)


@given(Values)
def test_any_finite_number_survives_csv_and_json(values: list[float]) -> None:
    block = RegressionBlock(len(values))
    found = Predictions([Prediction("a.png", tuple(values), torch.tensor(values))], {}, block)
    [row] = list(csv.reader(io.StringIO(written(found, "csv"))))[1:]
    assert torch.equal(torch.tensor([float(cell) for cell in row[1:]]), torch.tensor(values))
    given_back: dict[str, Any] = json.loads(written(found, "json"))[0]["values"]
    assert list(given_back.values()) == values
    assert all(math.isfinite(value) for value in given_back.values())


FORMULAS = ["=1+1", "+a", "-a", "@a", "\ta", "\ra"]


def rows_of(file_format: PredictionFormat) -> list[list[str]]:
    """The rows of CSV for images with dangerous names, read by Python's reader."""
    block = CategoryBlock(vocab=FORMULAS)
    decision = Decision(block)
    lines: list[str] = []
    writer = PredictionWriter(lines.append, file_format, block)
    for i, path in enumerate([*FORMULAS[:5], "a\rb.png"]):
        row = decision.activate(torch.eye(6)[i : i + 1] * 50 - 40)[0]
        writer.add(Prediction(path, decision.decode(row), row))
    writer.end()
    return list(csv.reader(io.StringIO("".join(lines), newline="")))


def test_a_carriage_return_in_a_name_does_not_break_a_row() -> None:
    rows = rows_of("csv")
    assert {len(row) for row in rows} == {8}
    assert [row[0] for row in rows] == ["path", *FORMULAS[:5], "a\rb.png"]
    assert [row[1] for row in rows[1:]] == FORMULAS, "in CSV names are as they are"


def test_the_safe_csv_has_no_cell_that_a_spreadsheet_takes_for_a_formula() -> None:
    rows, raw = rows_of("csv-safe"), rows_of("csv")
    assert [row[0] for row in rows] == ["path", *(f"'{name}" for name in FORMULAS[:5]), "a\rb.png"]
    assert [row[1] for row in rows[1:]] == [f"'{name}" for name in FORMULAS]
    assert [row[2:] for row in rows[1:]] == [row[2:] for row in raw[1:]], "numbers are numbers"


def test_negative_numbers_stay_numbers_in_the_safe_csv() -> None:
    lines: list[str] = []
    writer = PredictionWriter(lines.append, "csv-safe", RegressionBlock(1, names=["x"]))
    writer.add(Prediction("a.png", (-1.5,), torch.tensor([-1.5])))
    assert "".join(lines) == "path,x\na.png,-1.5\n"


@pytest.mark.parametrize("file_format", ["csv", "csv-safe", "json"])
@pytest.mark.parametrize("kind", BLOCKS)
def test_predictions_may_be_replaced_by_those_of_any_model(
    kind: str, file_format: PredictionFormat, tmp_path: Path
) -> None:
    path, others = tmp_path / "p", [block for name, block in BLOCKS.items() if name != kind]
    parts: list[str] = []
    writer = PredictionWriter(parts.append, file_format, BLOCKS[kind], has_ood=True)
    for one in predictions(BLOCKS[kind], 2):
        writer.add(replace(one, ood_score=0.5))
    writer.end()
    path.write_text("".join(parts), encoding="utf-8")
    for block in (BLOCKS[kind], *others):
        check_predictions_file(path, block)
    if BLOCKS[kind].label_names or file_format == "json":  # known without the score, too
        path.write_text(written(predictions(BLOCKS[kind], 2), file_format), encoding="utf-8")
        check_predictions_file(path, BLOCKS[kind])
    check_predictions_file(tmp_path / "none", BLOCKS[kind])


LABEL_FILES = {
    "a table with paths": "path,labels\na.jpg,cat\n",
    "a table with paths and parts": "path,labels,split\na.jpg,cat,train\n",
    "0/1 columns": "path,cat,dog\na.jpg,1,0\n",
    "numbers": "path,path_1,labels\na.jpg,1,2\n",
    "a list of paths": json.dumps([{"path": "a.jpg", "label": "cat"}], indent=2),
    "tasks of an annotation tool": json.dumps([{"id": 1, "data": {"image": "a.jpg"}}]),
}


@pytest.mark.parametrize("what", LABEL_FILES)
@pytest.mark.parametrize("kind", BLOCKS)
def test_label_files_with_paths_are_not_taken_for_predictions(kind: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "labels").write_text(LABEL_FILES[what])
    with pytest.raises(InputError, match="labels' exists and holds no predictions; choose another file for `out`"):
        check_predictions_file(tmp_path / "labels", BLOCKS[kind])
