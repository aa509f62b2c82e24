"""The section on exported graphs has the numbers of their comparison."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema

from eyebright.evaluation.exported_graphs import ExportedGraph
from eyebright.report.build import build_report
from eyebright.report.data import ReportFacts
from eyebright.report.exports import exports_section
from eyebright.report.report_json import report_json
from eyebright.web.blocks import Table
from eyebright.web.page import render_page
from support.four_kinds import EVALUATIONS

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "guides" / "report-1.schema.json"
WHOLE = ExportedGraph("model.onnx", "float32", 13_500_000, 388, 7, 1.24e-05, "in probability", 1940, 2, 1, 0)
NARROW = replace(
    WHOLE, file="model_int8.onnx", precision="int8", bytes=3_820_000, made=0, changed=76, changed_not_near=74,
    calibrated_on=200, metric="mAP", score=0.9063, float32_score=0.9224, milliseconds=20.5, float32_milliseconds=31.3,
)  # fmt: skip


def cells(table: object) -> list[list[str]]:
    assert isinstance(table, Table)
    assert all(len(row) == len(table.columns) for row in table.rows)
    return [[cell.text for cell in row] for row in table.rows]


def test_without_an_export_there_is_no_section() -> None:
    assert exports_section([]) == []


def test_each_graph_has_a_row_and_a_narrow_one_its_cost() -> None:
    [section] = exports_section([WHOLE, NARROW])
    compared, costs = section.blocks
    assert cells(compared) == [
        ["model.onnx", "float32", "13.5", "388", "1.2e-05 in probability", "1,940", "2", "1", "0"],
        ["model_int8.onnx", "int8", "3.82", "388", "1.2e-05 in probability", "1,940", "2", "76", "74"],
    ]
    assert cells(costs) == [["model_int8.onnx", "mAP", "0.9063", "0.9224", "20.5", "31.3", "200"]]


def test_points_have_no_decisions_and_what_was_not_measured_is_a_dash() -> None:
    nothing = replace(
        NARROW, decisions=0, images=0, largest_difference=None, score=None, float32_score=None, milliseconds=None,
        float32_milliseconds=None, calibrated_on=0,
    )  # fmt: skip
    [section] = exports_section([replace(WHOLE, decisions=0), nothing])
    compared, costs = section.blocks
    assert [row[-1] for row in cells(compared)] == ["1.2e-05 in probability", "–"]
    assert cells(costs) == [["model_int8.onnx", "mAP", "–", "–", "–", "–", "–"]]


def test_the_page_and_the_schema_have_them_for_each_kind() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    for make in EVALUATIONS.values():
        data = build_report(make(), ReportFacts(exports=[WHOLE, NARROW]))
        content = json.loads(report_json(data))
        jsonschema.Draft202012Validator(schema).validate(content)
        assert content["exports"] == [WHOLE.to_json(), NARROW.to_json()]
        assert "Compared with Python" in render_page(data)
