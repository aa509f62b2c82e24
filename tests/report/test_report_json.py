"""``report.json``: the published schema holds for each kind of target, and its numbers are those of the page."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch

from eyebright.evaluation.evaluation import Evaluation
from eyebright.report.build import build_report
from eyebright.report.data import ReportData, ReportFacts
from eyebright.report.report_json import report_json
from eyebright.sources.split_summary import LabelShare, SplitSummary, Together
from eyebright.web.blocks import Table
from support.four_kinds import EVALUATIONS, classes, labels, numbers, points

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"
SCHEMA = json.loads((GUIDES / "report-1.schema.json").read_text(encoding="utf-8"))
SPLIT = SplitSummary(
    {"train": 100, "valid": 40},
    groups=Together(12, 1, {"valid": 2}),
    labels=4,
    mean_deviation=0.4,
    shares=(LabelShare("bus", 30, {"train": 0.2, "valid": 0.25}, 4.0, "valid"),),
)


def built(evaluation: Evaluation, **facts: Any) -> ReportData:
    history = [{"epoch": 0, "train_loss": 0.5, "valid_loss": math.nan}]
    pairs = [("arch", "caf\udce9")]
    return build_report(
        evaluation,
        ReportFacts("A model", split_summary=SPLIT, history=history, settings=pairs, versions=pairs, **facts),
    )


def written(data: ReportData) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(report_json(data), parse_constant=refuse)


def check(report: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(report)


@pytest.mark.parametrize("kind", EVALUATIONS)
def test_the_schema_holds_for_each_kind_of_target(kind: str) -> None:
    evaluation = EVALUATIONS[kind]()
    check(written(built(evaluation)))
    check(written(built(evaluation, leaking=list(evaluation.files[:4]))))
    check(written(build_report(evaluation, ReportFacts())))
    tested = written(build_report(evaluation, ReportFacts(), test=replace(evaluation, part="test")))
    check(tested)
    assert [one["name"] for one in tested["test_metrics"]] == [one["name"] for one in tested["metrics"]]


@pytest.mark.parametrize("kind", EVALUATIONS)
def test_the_schema_holds_where_nothing_is_known(kind: str) -> None:
    evaluation = EVALUATIONS[kind]()
    unknown = -1 if evaluation.targets.dtype == torch.int64 else math.nan
    check(written(built(replace(evaluation, targets=torch.full_like(evaluation.targets, unknown)))))


@pytest.mark.parametrize("kind", EVALUATIONS)
def test_the_metrics_are_those_of_the_page_with_what_they_rest_on(kind: str) -> None:
    data = built(EVALUATIONS[kind]())
    for row, metric in zip(data.metric_rows, written(data)["metrics"], strict=True):
        assert metric["name"] == row.name
        assert metric["value"] == (None if math.isnan(row.value) else row.value)
        assert 0 < metric["images"] <= metric["known"]
        assert row.rests_on.startswith(f"{metric['images']} image")


def test_known_targets_are_counted() -> None:
    report = written(built(labels()))
    of = {one["name"]: (one["images"], one["known"]) for one in report["metrics"]}
    assert of["macro F1"] == of["exact match"] == (40, 155)
    assert of["mAP"] == (40, 115)  # without the label that no image has
    assert [row["known"] for row in report["labels"]] == [40, 35, 40, 40]
    assert {one["known"] for one in written(built(classes()))["metrics"]} == {26}
    assert [one["known"] for one in written(built(points()))["metrics"]] == [79, 79, 79, 79]
    assert [one["known"] for one in written(built(numbers()))["metrics"]] == [80, 80, 80]


def test_undefined_numbers_are_null() -> None:
    never = written(built(labels()))["labels"][3]
    assert (never["average_precision"], never["recall"], never["average_precision_interval"]) == (None, None, None)
    assert written(built(numbers()))["numbers"][1]["r2"] is None
    assert written(built(numbers()))["history"] == [{"epoch": 0, "train_loss": 0.5, "valid_loss": None}]


@pytest.mark.parametrize("kind", EVALUATIONS)
def test_the_tables_of_the_sections_have_the_numbers_of_the_page(kind: str) -> None:
    data = built(EVALUATIONS[kind]())
    for section, other in zip(data.sections, written(data)["sections"], strict=True):
        for block, content in zip(section.blocks, other["blocks"], strict=True):
            if isinstance(block, Table):
                assert content["columns"] == list(block.columns)
                values = [[cell.value for cell in row if cell.value is not None] for row in block.rows]
                given = [[one for one in row if isinstance(one, (int, float))] for row in content["rows"]]
                assert given == values


@pytest.mark.parametrize("kind", EVALUATIONS)
def test_the_same_report_is_the_same_text(kind: str) -> None:
    first, again = (report_json(built(EVALUATIONS[kind]())) for _ in range(2))
    assert first == again
    assert first.startswith('{\n "schema": "eyebright-report-')


def test_names_that_are_not_valid_unicode_are_escaped() -> None:
    report_json(built(labels())).encode()
    assert written(built(labels()))["settings"] == {"arch": "caf\\udce9"}


def test_a_report_of_another_kind_is_refused_by_the_schema() -> None:
    report = written(built(labels()))
    for wrong in ({**report, "kind": "points"}, {**report, "classes": []}, {**report, "extra": 1}):
        with pytest.raises(jsonschema.ValidationError):
            check(wrong)
