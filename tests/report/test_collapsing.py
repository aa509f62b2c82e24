"""Long tables are collapsed, and charts for one threshold of all labels come from counts."""

import math

import pytest
import torch
from hypothesis import given, settings, strategies as st
from sklearn.metrics import f1_score

from eyebright.report.build import build_report
from eyebright.report.collapsing import MAX_ROWS, collapsed
from eyebright.report.data import ReportFacts
from eyebright.report.label_curves import common_threshold_scores
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.types import Thresholds
from eyebright.web.blocks import Cell, Collapsed, Table
from eyebright.web.page import render_page
from support.evaluations import make_evaluation


def table(count: int) -> Table:
    return Table("A row per label", ("label", "F1"), [[Cell(str(i)), Cell.of(i / count)] for i in range(count)])


def test_a_short_table_is_shown_whole() -> None:
    whole = table(MAX_ROWS)
    assert collapsed(whole, [0.0] * MAX_ROWS, which="rows") == [whole]


def test_of_a_long_table_the_most_important_rows_are_shown_and_all_are_collapsed() -> None:
    whole = table(200)
    shown, rest = collapsed(whole, [math.nan if i == 199 else -float(i) for i in range(200)], which="labels with most")
    assert isinstance(shown, Table)
    assert [row[0].text for row in shown.rows] == [str(i) for i in range(198, 178, -1)]
    assert shown.caption.startswith("The 20 labels with most.")
    assert rest == Collapsed("All 200 rows", [whole])
    assert collapsed(whole, [math.nan] * 200, which="none") == [rest]


def test_a_report_of_many_labels_is_small_and_has_all_of_them_collapsed() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = (torch.rand(300, 250, generator=generator) < 0.1).float()
    outputs = 3 * targets - 2 + torch.randn(300, 250, generator=generator)
    block = MultiCategoryBlock(vocab=[f"label {i}" for i in range(250)])
    evaluation = make_evaluation(block, outputs, targets, thresholds=Thresholds(0.5))
    text = render_page(build_report(evaluation, ReportFacts()))
    assert len(text) < 1_500_000
    assert '<details class="collapsed"><summary>All 250 rows</summary>' in text
    assert all(f">label {i}</th>" in text for i in range(250))
    assert text.count('<figure class="chart">') == 41 + 25  # calibration: 24 labels and all together


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 3))
def test_scores_over_one_threshold_equal_those_of_scikit_learn(seed: int, n: int, k: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    probabilities = torch.randint(0, 11, (n, k), generator=generator) / 10  # ties, also with the thresholds
    targets = torch.randint(0, 2, (n, k), generator=generator).float()
    thresholds = torch.linspace(0, 1, 11)
    macro, micro = common_threshold_scores(probabilities, targets, thresholds)
    for i, threshold in enumerate(thresholds):
        decided = (probabilities > threshold).int().numpy()
        each = [f1_score(targets[:, j], decided[:, j], zero_division=0) for j in range(k)]
        assert float(macro[i]) == pytest.approx(sum(each) / k)
        assert float(micro[i]) == pytest.approx(f1_score(targets.flatten(), decided.flatten(), zero_division=0))


def test_unknown_targets_count_nowhere() -> None:
    probabilities = torch.tensor([[0.9, 0.2], [0.8, 0.7], [0.3, 0.6]])
    targets = torch.tensor([[1.0, math.nan], [math.nan, math.nan], [0.0, math.nan]])
    macro, micro = common_threshold_scores(probabilities, targets, torch.tensor([0.5]))
    assert (float(macro), float(micro)) == (1.0, 1.0)
