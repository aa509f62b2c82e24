import math

from eyebright.report.data import ScoreRow


def test_a_score_says_its_interval_and_its_baseline():
    row = ScoreRow("mAP", 0.91234, 0.9, 0.925, 0.081)
    assert row.text == "0.912"
    assert row.beside == ["95 % interval 0.900 to 0.925", "without looking 0.081"]
    assert row.interval == (0.9, 0.925)


def test_a_score_with_a_unit_is_written_with_it():
    row = ScoreRow("error", 10.67, 9.9, 11.83, higher_is_better=False, unit="px", share=False)
    assert row.text == "10.7 px"
    assert row.beside == ["95 % interval 9.90 to 11.8 px"]


def test_an_interval_that_is_not_known_is_not_written():
    assert ScoreRow("mAP", math.nan, math.nan, math.nan).beside == []
    assert ScoreRow("mAP", 0.5).interval is None
