"""The model card: what the Hugging Face hub's own parser reads of it, and names that stay text."""

import math
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import markdown
import pytest
import torch
from huggingface_hub import EvalResult, ModelCard
from hypothesis import given, settings, strategies as st

from eyebright.evaluation.decide import fit_decision
from eyebright.evaluation.evaluation import Evaluation
from eyebright.report.build import build_report
from eyebright.report.data import ReportData, ReportFacts
from eyebright.report.markdown import escaped, table
from eyebright.report.model_card import CardFacts, model_card
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.types import Size
from support.evaluations import make_evaluation
from support.four_kinds import EVALUATIONS

MANIFEST: dict[str, Any] = {
    "training": {"weights": "a package", "backbone_was_trained": False},
    "data": {"train": 100, "valid": 40, "fingerprint": "8b574aeeb4fad101", "skipped": 2},
    "targets": {},
    "tuning": {},
    "versions": {"eyebright": "0.1.0"},
    "created": "2026-01-02T03:04:05+00:00",
}
HOSTILE = ["a|b", "`code`", "two\nlines", "<script>alert(1)</script>", "[x](http://y)", "**bold**", "&amp;", "-", ""]


def facts_of(evaluation: Evaluation, **changes: Any) -> CardFacts:
    facts = CardFacts(evaluation.decision, "resnet18", Size(224, 224), MANIFEST, "apache-2.0")
    return replace(facts, **changes)


def card_of(evaluation: Evaluation, **changes: Any) -> tuple[ReportData, str]:
    data = build_report(evaluation, ReportFacts())
    return data, model_card(facts_of(evaluation, **changes), data)


class Cells(HTMLParser):
    """The texts of the cells of all tables, by row, and the names of all elements."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.elements: set[str] = set()
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data


def rendered(text: str) -> Cells:
    cells = Cells()
    cells.feed(markdown.markdown(text, extensions=["tables", "fenced_code"]))
    return cells


@pytest.mark.parametrize("kind", EVALUATIONS)
def test_the_hub_reads_the_scores_of_the_report(kind: str) -> None:
    data, text = card_of(EVALUATIONS[kind]())
    card = ModelCard(text)
    read = {result.metric_name: result for result in card.data.eval_results or []}
    measured = {row.name: row.value for row in data.metric_rows if math.isfinite(row.value)}
    assert {name: result.metric_value for name, result in read.items()} == measured
    assert all(isinstance(result, EvalResult) and result.dataset_split == "validation" for result in read.values())
    assert (card.data.library_name, card.data.license) == ("eyebright", "unknown")
    assert "eyebright" in (card.data.tags or [])


@pytest.mark.parametrize(
    ("kind", "pipeline"),
    [
        ("labels", "image-classification"),
        ("classes", "image-classification"),
        ("points", "keypoint-detection"),
        ("numbers", None),
    ],
)
def test_the_task_of_the_hub_is_only_named_where_it_is_true(kind: str, pipeline: str | None) -> None:
    assert ModelCard(card_of(EVALUATIONS[kind]())[1]).data.pipeline_tag == pipeline


def test_the_hub_reads_its_own_text_of_the_metadata_again() -> None:
    card = ModelCard(card_of(EVALUATIONS["labels"]())[1])
    assert ModelCard(str(card)).data.to_dict() == card.data.to_dict()


def test_names_of_labels_are_text_in_every_place() -> None:
    names = [name or "blank" for name in HOSTILE]
    targets = torch.eye(len(names)).repeat(3, 1)
    evaluation = make_evaluation(MultiCategoryBlock(vocab=names), 4 * targets - 2, targets)
    evaluation = evaluation.with_decision(fit_decision(evaluation))
    data, text = card_of(evaluation)
    page = rendered(text.split("---\n", 2)[2])
    shown = [row[0] for row in page.rows if row and row[0] in set(names) | {"two lines"}]
    assert shown == [" ".join(str(row["label"]).split()) for row in data.output_rows]
    assert not page.elements & {"script", "strong", "em", "img"}
    assert "<script" not in text
    ModelCard(text)


@given(st.text(max_size=40))
@settings(deadline=None)
def test_any_text_is_one_cell_of_a_table(text: str) -> None:
    page = rendered("\n".join(table(["name", "end"], [[escaped(text) or "-", "end"]])))
    assert [len(row) for row in page.rows] == [2, 2]
    assert not page.elements - {"table", "thead", "tbody", "tr", "th", "td"}


@pytest.mark.parametrize("text", [name for name in HOSTILE if name] + ["__init__", "_x_", "1. one", "# head", "$x$"])
def test_what_is_escaped_is_shown_as_it_was(text: str) -> None:
    page = rendered("\n".join(table(["name"], [[escaped(text)]])))
    assert page.rows[1] == [" ".join(text.split())]


def test_the_card_says_what_was_not_measured() -> None:
    text = card_of(EVALUATIONS["labels"]())[1]
    assert "There is no held-out test set" in text
    assert "1 label that no evaluated image has, so their scores are unknown: 'never'" in text
    assert "5 of 160 targets of the evaluated images are unknown (3.12 %)" in text
    assert "The probabilities are not calibrated" in text
    assert "No promise was made" in text


def test_the_card_of_a_model_without_an_evaluation_says_so_and_has_no_score() -> None:
    evaluation = EVALUATIONS["classes"]()
    text = model_card(facts_of(evaluation), None)
    card = ModelCard(text)
    assert card.data.eval_results is None
    assert "Nothing was measured" in text
    assert "bus, car, cat, never" in text


def test_a_card_of_very_many_labels_stays_short() -> None:
    names = [f"label {i}" for i in range(1000)]
    targets = torch.zeros(4, 1000)
    targets[0] = 1
    text = card_of(make_evaluation(MultiCategoryBlock(vocab=names), targets - 0.5, targets))[1]
    assert len(text) < 60_000
    assert "800 more are in `manifest.json`" in text


def test_the_card_names_the_licence_of_the_weights_and_that_of_the_model_apart() -> None:
    text = card_of(EVALUATIONS["labels"](), weights_licence="cc-by-nc-4.0", licence="mit")[1]
    assert ModelCard(text).data.license == "mit"
    assert "licence of these weights, as timm declares it: cc-by-nc-4.0" in text
