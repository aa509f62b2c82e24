"""The section on labels that are mixed up."""

import torch

from eyebright.report.build import build_report
from eyebright.report.confusions import confusions_section
from eyebright.report.data import ReportFacts
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.web.page import render_page
from support.evaluations import make_evaluation

NAMES = ("bus", "<i>cat", "dog")


def test_a_cat_that_is_called_dog_stands_in_the_table() -> None:
    targets = torch.zeros(100, 3)
    targets[:20, 1] = 1
    outputs = 8 * targets - 4
    outputs[:10, 1], outputs[:10, 2] = -4, 4
    evaluation = make_evaluation(MultiCategoryBlock(vocab=NAMES), outputs, targets)
    (section,) = confusions_section(evaluation)
    (table,) = section.blocks
    assert [cell.text for cell in table.rows[0]][:4] == ["<i>cat", "dog", "10", "10"]  # type: ignore[union-attr]
    assert "of those shown 1 is significantly more frequent than expected" in section.intro
    page = render_page(build_report(evaluation, ReportFacts()))
    assert "Mixed up with" in page
    assert "<i>cat" not in page


def test_without_a_confusion_there_is_no_section() -> None:
    targets = torch.zeros(10, 3)
    assert confusions_section(make_evaluation(MultiCategoryBlock(vocab=NAMES), targets - 4, targets)) == []
