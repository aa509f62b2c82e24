"""The section of the report on the split; models of older versions have the counts alone."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eyebright.report.data import ReportData, ReportFacts
from eyebright.report.split import split_section
from eyebright.sources.categorical import Categorical
from eyebright.sources.source import Source
from eyebright.sources.split_summary import SplitSummary, summarize_split
from eyebright.sources.text_table import strings
from eyebright.types import LabelSet
from eyebright.web.blocks import Pairs, Sentences, Table
from eyebright.web.page import render_page


@pytest.fixture
def summary() -> SplitSummary:
    """Of ten images, two of them of a group that is divided, and of labels that are not stratified."""
    sets = [LabelSet(["a"]), LabelSet(["a", "b"])] * 5
    source = Source(
        "multicategory",
        Path(),
        strings([f"{i}.jpg" for i in range(10)]),
        Categorical.of(sets),
        part=Categorical.of(["train", "valid"] + ["train"] * 8),
        group=Categorical.of(["x", "x", *map(str, range(8))]),
    )
    return summarize_split(source, same=np.arange(10, dtype=np.int32))


def test_what_leaks_comes_first_then_the_facts_and_the_shares_of_labels(summary: SplitSummary) -> None:
    section = split_section(summary)
    leaks, facts, table = section.blocks
    assert isinstance(leaks, Sentences)
    assert leaks.sentences == summary.leaks()
    assert isinstance(facts, Pairs)
    assert (
        "groups",
        "9, of which 1 are in more than one part (1 validation images share one with training images)",
    ) in facts.pairs
    assert ("near-duplicates", "none") in facts.pairs
    assert isinstance(table, Table)
    assert list(table.columns) == ["label", "images", "training, %", "validation, %", "deviation, percentage points"]
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["b", "5", "44.44", "100.00", "50.00"],
        ["a", "10", "100.00", "100.00", "0.00"],
    ]


def test_the_page_has_the_section_instead_of_the_counts(page: Callable[..., ReportData], summary: SplitSummary) -> None:
    without = [section.title for section in page().sections]
    made = page(split_summary=summary)
    titles = [section.title for section in made.sections]
    assert "Split" not in without
    assert titles[titles.index("Data") + 1] == "Split"
    data = made.sections[titles.index("Data")]
    assert not any(isinstance(block, Pairs) for block in data.blocks)
    assert "1 of 1 validation images are of groups that also have training images" in render_page(made)


def test_facts_with_a_split_summary_go_through_json_and_older_ones_have_none(
    facts: ReportFacts, summary: SplitSummary
) -> None:
    assert ReportFacts.from_json(ReportFacts(split_summary=summary).to_json()).split_summary == summary
    saved = facts.to_json()
    del saved["split_proof"]
    assert ReportFacts.from_json(saved).split_summary is None
