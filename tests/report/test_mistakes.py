"""Galleries of the mistakes of each label, and the section on weak segments: which images, in which order, how many."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch

from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.weak_segments import find_weak_segments
from eyebright.report.build import build_report
from eyebright.report.data import ReportFacts
from eyebright.report.mistakes import MAX_LABELS, MAX_OF_KIND, mistake_gallery, mistakes_section
from eyebright.report.report_json import report_json
from eyebright.report.weak_segments import MAX_GALLERIES, MAX_IMAGES, weak_segments_section
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.points import PointBlock
from eyebright.types import Thresholds
from eyebright.web.blocks import Collapsed, Gallery, Section
from support.evaluations import make_evaluation


def galleries(section: Section) -> dict[str, Gallery]:
    found: dict[str, Gallery] = {}
    for block in section.blocks:
        if isinstance(block, Collapsed):
            (gallery,) = block.blocks
            assert isinstance(gallery, Gallery)
            found[block.title] = gallery
    return found


def shown(gallery: Gallery) -> list[str]:
    return [card.path for card in gallery.cards]


def labels(logits: list[list[float]], targets: list[list[float]], **decision: Any) -> Evaluation:
    block = MultiCategoryBlock(vocab=["cat", "dog"])
    evaluation = make_evaluation(block, torch.tensor(logits), torch.tensor(targets))
    return evaluation.with_decision(replace(evaluation.decision, **decision))


def test_missed_images_come_first_the_least_probable_before_then_those_that_are_too_much() -> None:
    logits = [[-1.0, -9], [-3, -9], [2, -9], [1, -9], [5, 5], [torch.nan_to_num(torch.tensor(-2.0)).item(), -9]]
    unknown = float("nan")
    evaluation = labels(logits, [[1, 0], [1, 0], [0, 0], [0, 0], [1, 1], [unknown, unknown]])
    (section,) = mistakes_section(evaluation)
    (title, gallery), *others = galleries(section).items()
    assert title == "cat: 2 false negatives of 3 images, 2 false positives"
    assert shown(gallery) == [evaluation.files[row] for row in (1, 0, 2, 3)]
    assert [[tag.style for tag in card.tags] for card in gallery.cards] == [
        ["missing"],
        ["missing"],
        ["extra"],
        ["extra"],
    ]
    assert gallery.cards[0].tags[0].text == "cat 0.05"
    assert not others  # the dog has no mistake


def test_a_label_that_asks_a_person_is_not_missed() -> None:
    answers = labels([[0.0, -9], [0.1, -9]], [[1, 0], [1, 0]], thresholds=Thresholds(0.9, lower=0.1))
    assert mistakes_section(answers) == []


def test_a_thousand_labels_have_as_many_images_as_a_few() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = (torch.rand(300, 1000, generator=generator) < 0.1).float()
    block = MultiCategoryBlock(vocab=[f"label {i}" for i in range(1000)])
    (section,) = mistakes_section(make_evaluation(block, torch.randn(300, 1000, generator=generator), targets))
    found = galleries(section)
    assert len(found) == MAX_LABELS
    assert all(len(gallery.cards) == 2 * MAX_OF_KIND for gallery in found.values())
    assert all(len(card.tags) <= 6 for gallery in found.values() for card in gallery.cards)
    assert all("more" in card.note for gallery in found.values() for card in gallery.cards)


def test_pairs_of_classes_are_those_that_are_confused_most_often() -> None:
    outputs = torch.eye(3)[[1, 1, 1, 2, 0, 0]] * torch.tensor([3.0, 5, 4, 9, 9, 9])[:, None]
    evaluation = make_evaluation(CategoryBlock(["a", "b", "c"]), outputs, torch.tensor([0, 0, 0, 0, 0, -1]))
    (section,) = mistakes_section(evaluation)
    ((title, gallery),) = galleries(section).items()  # the pair a, c is one image
    assert title == "a predicted as b: 3 images"
    assert shown(gallery) == [evaluation.files[row] for row in (1, 2, 0)]
    assert [tag.style for tag in gallery.cards[0].tags] == ["missing", "extra"]


def test_points_have_no_galleries_of_labels() -> None:
    evaluation = make_evaluation(PointBlock(1), torch.zeros(5, 2), torch.ones(5, 1, 2))
    assert mistakes_section(evaluation) == []
    (card,) = mistake_gallery(evaluation, [2]).cards
    assert "error in % of the diagonal" in card.note


def weak(tmp_path: Path | None = None) -> Evaluation:
    rng = np.random.default_rng(0)
    site = rng.choice(["x", "y <b>"], 300)
    wrong = rng.random((300, 2)) < np.where(site == "x", 0.05, 0.6)[:, None]
    targets = torch.from_numpy((rng.random((300, 2)) < 0.4).astype(np.float32))
    outputs = torch.where(torch.from_numpy(wrong), 1 - targets, targets) * 8 - 4
    evaluation = make_evaluation(MultiCategoryBlock(vocab=["cat", "dog"]), outputs, targets)
    if tmp_path is not None:
        evaluation = replace(evaluation, root=tmp_path)
        for row in range(300):
            height, width = evaluation.sizes[row].tolist()
            PIL.Image.new("RGB", (width, height)).save(tmp_path / evaluation.files[row])
    return replace(evaluation, columns=pd.DataFrame({"site": site}))


def test_the_section_has_each_segment_and_the_worst_images_of_the_first() -> None:
    evaluation = weak()
    segments = find_weak_segments(evaluation)
    (section,) = weak_segments_section(evaluation, segments)
    table, *_ = section.blocks
    assert table.kind == "table"
    assert [row[0].text for row in table.rows] == [one.name for one in segments]  # type: ignore[union-attr]
    found = galleries(section)
    assert len(found) == min(len(segments), MAX_GALLERIES)
    first = next(iter(found.values()))
    assert shown(first) == [evaluation.files[row] for row in segments[0].rows[:MAX_IMAGES]]
    assert weak_segments_section(evaluation, []) == []


@pytest.mark.parametrize("out_of_fold", [False, True])
def test_the_report_and_its_json_have_the_segments(out_of_fold: bool) -> None:

    evaluation = weak()
    few = evaluation.take(range(30))
    given = (few, replace(evaluation, part="out_of_fold")) if out_of_fold else (evaluation, None)
    data = build_report(given[0], ReportFacts(), out_of_fold=given[1])
    anchors = [section.anchor for section in data.sections]
    assert "segments" in anchors
    assert "mistakes" in anchors
    first, *_ = json.loads(report_json(data))["weak_segments"]
    assert first["values"] == [["site", "y <b>"]]
    assert first["interval"][0] <= first["error"] <= first["interval"][1]
    assert first["error_name"] == "wrong labels per image"
