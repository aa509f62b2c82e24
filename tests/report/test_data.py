import json
import math

import pytest

from eyebright.errors import DataError
from eyebright.report.data import MetricRow, ReportFacts


def test_the_line_of_a_score_has_its_interval_and_baseline():
    row = MetricRow("mAP", 0.91234, 0.9, 0.925, 0.081)
    assert row.text == "0.912"
    assert row.details == ["95 % CI 0.900-0.925", "baseline 0.081"]
    assert row.line == "mAP 0.912 (95 % CI 0.900-0.925; baseline 0.081)"
    assert row.interval == (0.9, 0.925)


def test_the_text_of_a_score_has_its_unit():
    row = MetricRow("error", 10.67, 9.9, 11.83, higher_is_better=False, unit="px", is_share=False)
    assert row.text == "10.7 px"
    assert row.details == ["95 % CI 9.90-11.8 px"]


def test_an_interval_below_zero_has_no_dash_before_its_minus_sign():
    assert MetricRow("R2", 0.1, -0.2, 0.3, is_share=False).details == ["95 % CI -0.2 to 0.3"]


def test_an_unknown_interval_is_not_written():
    assert MetricRow("mAP", math.nan, math.nan, math.nan).details == []
    assert MetricRow("mAP", 0.5).interval is None


def test_facts_survive_a_round_trip_through_json(facts):
    saved = json.loads(json.dumps(facts.to_json()))
    other = ReportFacts.from_json(saved)
    assert other.to_json() == facts.to_json()
    assert (other.title, list(other.skipped), other.normalize_by) == (facts.title, facts.skipped, None)
    assert ReportFacts.from_json({"normalise_by": ["left", "right"]}).normalize_by == ("left", "right")


def test_a_file_name_that_is_not_text_can_be_saved():
    saved = ReportFacts(skipped=[("caf\udce9.jpg", "zero bytes")]).to_json()
    assert saved["skipped"] == [["caf\\udce9.jpg", "zero bytes"]]
    assert json.dumps(saved, ensure_ascii=False).encode("utf-8")


@pytest.mark.parametrize("wrong", [{"split": 3}, {"skipped": [["a"]]}, {"normalise_by": ["a", "b", "c"]}])
def test_facts_of_another_format_are_an_error(wrong):
    with pytest.raises(DataError, match="the saved facts of the report have the wrong form"):
        ReportFacts.from_json(wrong)
