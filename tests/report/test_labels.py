from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from sklearn import metrics as oracle

from eyebright._choices import EvaluatedPart
from eyebright.errors import DataError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.report.labels import MultiLabelReport
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.types import Thresholds
from eyebright.web.blocks import Charts, Gallery, Section, Table
from support.evaluations import logits, make_evaluation

VOCAB = ("bus", "car", "cat", "unicorn")


def section(evaluation: Evaluation, anchor: str) -> Section:
    return next(found for found in MultiLabelReport(evaluation).sections() if found.anchor == anchor)


def table_of(evaluation: Evaluation) -> Table:
    (table,) = section(evaluation, "labels").blocks
    assert isinstance(table, Table)
    return table


def decided_by(evaluation: Evaluation, thresholds: Thresholds) -> Evaluation:
    return evaluation.with_decision(replace(evaluation.decision, thresholds=thresholds))


def column(table: Table, name: str) -> list[str]:
    return [row[list(table.columns).index(name)].text for row in table.rows]


def test_the_table_of_labels_equals_scikit_learn(evaluation, training):
    table = table_of(evaluation)
    true = evaluation.targets.numpy()
    predicted = evaluation.decision.decide(evaluation.activated).numpy()
    precision, recall, f1, _ = oracle.precision_recall_fscore_support(true, predicted, zero_division=0)
    for name, expected in (("precision", precision), ("recall", recall), ("F1", f1)):
        assert column(table, name)[:3] == [f"{value:.3f}" for value in expected[:3]]
    ap = [oracle.average_precision_score(true[:, k], evaluation.activated[:, k].numpy()) for k in range(3)]
    assert column(table, "AP")[:3] == [f"{value:.3f}" for value in ap]
    assert column(table, "images") == [str(int(count)) for count in true.sum(axis=0)]
    assert column(table, "predicted") == [str(int(count)) for count in predicted.sum(axis=0)]
    assert column(table, "threshold") == ["0.50", "0.40", "0.60", "0.50"]
    assert column(table, "in training") == [str(sum(name in labels for labels in training)) for name in VOCAB]


def test_undefined_scores_of_a_label_without_images_are_dashes(evaluation):
    never = evaluation.outputs.clone()
    never[:, 3] = -2
    unicorn = table_of(replace(evaluation, outputs=never)).rows[3]
    assert [cell.text for cell in unicorn[:9]] == ["unicorn", "0", "–", "–", "–", "–", "–", "0.50", "0"]


def test_a_label_with_few_images_has_no_interval(evaluation):
    rare = evaluation.targets.clone()
    rare[:, 0] = 0
    rare[:9, 0] = 1
    assert column(table_of(replace(evaluation, targets=rare)), "AP 95 % CI")[0] == "too few positives"
    rare[9, 0] = 1
    assert column(table_of(replace(evaluation, targets=rare)), "AP 95 % CI")[0][:2] == "0."


@pytest.mark.parametrize(
    ("thresholds", "part", "words"),
    [
        (Thresholds(0.5), "valid", "one threshold for all labels, set by hand"),
        (
            Thresholds((0.5,) * 4, metric="f1_macro"),
            "valid",
            "one threshold per label, tuned for macro F1 on these same images",
        ),
        (
            Thresholds(0.3, metric="f1_micro"),
            "test",
            "one threshold for all labels, tuned for micro F1 on other images",
        ),
    ],
)
def test_the_section_states_how_the_thresholds_were_chosen(evaluation, thresholds, part, words):
    changed = replace(decided_by(evaluation, thresholds), part=part)
    assert words in section(changed, "labels").intro


@pytest.mark.parametrize("part", get_args(EvaluatedPart))
def test_a_report_of_any_part_names_it(evaluation, part):
    names = {"valid": "validation", "out_of_fold": "out-of-fold"}
    summary = str(MultiLabelReport(replace(evaluation, part=part)).summary())
    assert f"{len(evaluation)} {names.get(part, part)} images" in summary


def test_the_worst_mistakes_are_sorted_by_decreasing_loss(evaluation):
    (gallery,) = section(evaluation, "worst").blocks
    assert isinstance(gallery, Gallery)
    p, t = evaluation.activated.double().numpy(), evaluation.targets.numpy()
    loss = -(t * np.log(p) + (1 - t) * np.log(1 - p)).sum(axis=1)
    wrong = ((p > evaluation.decision.thresholds.per_class(4).numpy()) != (t == 1)).any(axis=1)
    expected = [i for i in np.argsort(-loss) if wrong[i]][:24]
    assert [card.title for card in gallery.cards] == [f"{i:03}.jpg" for i in expected]


def test_a_card_lists_missing_extra_and_correct_labels(evaluation):
    p, t = torch.full((60, 4), 0.01), torch.zeros(60, 4)
    p[7], t[7] = torch.tensor([0.9, 0.2, 0.7, 0.1]), torch.tensor([1, 1, 0, 0])
    (gallery,) = section(replace(evaluation, outputs=logits(p), targets=t), "worst").blocks
    (card,) = gallery.cards
    assert [(tag.text, tag.style) for tag in card.tags] == [
        ("car 0.20", "missing"),
        ("cat 0.70", "extra"),
        ("bus 0.90", "correct"),
    ]
    assert card.alt_text == "007.jpg; missing: car; extra: cat; correct: bus"
    assert card.path == "007.jpg"


def test_answers_that_ask_a_person_are_shown_as_asked_and_are_no_mistakes(evaluation):
    p, t = torch.full((60, 4), 0.01), torch.zeros(60, 4)
    p[7], t[7] = torch.tensor([0.9, 0.2, 0.7, 0.01]), torch.tensor([1, 1, 0, 1])
    p[8, 1], t[8, 1] = 0.3, 1  # asks, and nothing else
    p[9, 2] = 0.3
    changed = replace(evaluation, outputs=logits(p), targets=t)
    abstention = decided_by(changed, Thresholds(0.5, lower=0.1))
    found = section(abstention, "worst")
    (gallery,) = found.blocks
    (card,) = gallery.cards
    assert [(tag.text, tag.style) for tag in card.tags] == [
        ("unicorn 0.01", "missing"),
        ("cat 0.70", "extra"),
        ("bus 0.90", "correct"),
        ("car 0.20", "asked"),
    ]
    assert card.alt_text == "007.jpg; missing: unicorn; extra: cat; correct: bus; asked: car"
    assert found.intro.startswith("1 image of 60 with a missing or an extra label; shown: 1")
    assert found.intro.endswith("Asking a person is not a mistake: 3 images ask.")
    assert [tag.style for tag in gallery.legend] == ["missing", "extra", "correct", "asked"]
    table = table_of(abstention)
    assert table.columns[-2:] == ["no at or below", "asked"]
    assert [[cell.text for cell in row[-2:]] for row in table.rows] == [["0.10", n] for n in "0210"]
    assert MultiLabelReport(abstention).verdict().can[0] == (
        "It answers 99 % without a person; 99 % of these answers are right (235 of 237); it asks about a label of 3 "
        "of the 60 images."
    )
    (two_way,) = section(decided_by(changed, Thresholds(0.5)), "worst").blocks
    assert [card.title for card in two_way.cards] == ["007.jpg", "008.jpg"]
    assert "asked" not in [tag.style for tag in two_way.legend]


def test_without_mistakes_there_is_no_section_of_the_worst(evaluation):
    perfect = replace(evaluation, outputs=9 * evaluation.targets - 4.5)
    assert "worst" not in [found.anchor for found in MultiLabelReport(perfect).sections()]


def test_each_label_that_an_image_has_gets_its_curves(evaluation):
    for anchor in ("precision-recall", "thresholds"):
        small = section(evaluation, anchor).blocks[-1]
        assert isinstance(small, Charts)
        assert [chart.caption.title for chart in small.charts] == ["bus", "car", "cat"]
        assert "the 3 of 4 labels that at least one of these images has" in section(evaluation, anchor).intro


def test_the_legend_explains_each_line_of_a_chart(evaluation):
    expected = {
        "precision-recall": {
            "first": "precision at each recall",
            "chosen": "at the threshold in use",
            "guide": "random order",
        },
        "thresholds": {"first": "F1", "second": "precision", "third": "recall", "chosen": "the threshold in use"},
    }
    for anchor, meanings in expected.items():
        small = section(evaluation, anchor).blocks[-1]
        assert dict(small.legend) == meanings  # pyright: ignore[reportCallIssue]
        assert {path.style for chart in small.charts for path in chart.paths} == set(meanings)


def test_the_threshold_in_use_is_marked_in_the_charts(evaluation):
    by_threshold = section(evaluation, "thresholds").blocks[-1].charts[1]
    line = next(path.data for path in by_threshold.paths if path.style == "chosen")
    x = (float(line[1:].split()[0]) - by_threshold.left) / (by_threshold.right - by_threshold.left)
    assert x == pytest.approx(0.4, abs=0.001)
    ranking = section(evaluation, "precision-recall").blocks[0].charts[1]
    dot = next(path.data for path in ranking.paths if path.style == "chosen")
    across, down = (float(n) for n in dot[1:].removesuffix("h0").split())
    predicted = evaluation.activated[:, 1] > 0.4
    recall = (across - ranking.left) / (ranking.right - ranking.left)
    precision = (ranking.bottom - down) / (ranking.bottom - ranking.top)
    assert recall == pytest.approx(oracle.recall_score(evaluation.targets[:, 1], predicted), abs=0.001)
    assert precision == pytest.approx(oracle.precision_score(evaluation.targets[:, 1], predicted), abs=0.001)


def test_only_the_worst_twenty_of_many_labels_get_curves(paths):
    generator = torch.Generator().manual_seed(0)
    targets = (torch.rand(60, 30, generator=generator) < 0.4).float()
    targets[0] = 1
    skill = torch.arange(30) / 25
    outputs = (2 * targets - 1) * skill + torch.randn(60, 30, generator=generator)
    task = MultiCategoryBlock(vocab=[f"label {i}" for i in range(30)])
    curves = section(make_evaluation(task, outputs, targets, paths=paths), "precision-recall")
    ap = np.array([oracle.average_precision_score(targets[:, k], outputs[:, k]) for k in range(30)])
    expected = sorted(np.argsort(ap, kind="stable")[:20])
    assert [chart.caption.title for chart in curves.blocks[0].charts] == [f"label {i}" for i in expected]
    assert "the 20 of 30 labels with the lowest average precision" in curves.intro


def test_the_area_under_a_drawn_curve_is_the_average_precision(evaluation):
    chart = section(evaluation, "precision-recall").blocks[0].charts[1]
    numbers = [float(n) for n in chart.paths[1].data.replace("M", " ").replace("V", " ").replace("H", " ").split()]
    x = np.array([numbers[0], *numbers[3::2]])
    y = np.array(numbers[2::2])
    area = (np.diff(x) * (chart.bottom - y)).sum() / ((chart.right - chart.left) * (chart.bottom - chart.top))
    expected = oracle.average_precision_score(evaluation.targets[:, 1], evaluation.activated[:, 1])
    assert area == pytest.approx(expected, abs=0.01)


def test_the_summary_counts_images_without_any_label(evaluation):
    bare = int((evaluation.targets.sum(dim=1) == 0).sum())
    assert (
        MultiLabelReport(evaluation).summary()
        == f"60 validation images, any of 4 labels each; {bare} images without a label"
    )


def test_images_whose_targets_are_unknown_do_not_count_as_images_without_a_label(evaluation):
    targets = torch.ones_like(evaluation.targets)
    targets[:5] = torch.nan
    targets[5:7] = torch.tensor([0.0, 0.0, torch.nan, 0.0])
    targets[7:10] = 0
    summary = MultiLabelReport(replace(evaluation, targets=targets)).summary()
    assert "; 3 images without a label; 22 of 240 targets unknown" in summary


def test_unknown_targets_are_counted_per_label_and_ignored_in_the_scores(evaluation):
    targets = evaluation.targets.clone()
    targets[::5, 0] = torch.nan
    targets[1::20, 2] = torch.nan
    partly = replace(evaluation, targets=targets)
    table = table_of(partly)
    assert column(table, "known") == ["48", "60", "57", "60"]
    predicted = evaluation.decision.decide(evaluation.activated)
    for k in range(3):
        known = ~targets[:, k].isnan()
        true, said = targets[known, k].numpy(), predicted[known, k].numpy()
        scores = oracle.precision_recall_fscore_support(true, said, average="binary", zero_division=0)[:3]
        assert [column(table, name)[k] for name in ("precision", "recall", "F1")] == [f"{x:.3f}" for x in scores]
        ap = oracle.average_precision_score(true, evaluation.activated[known, k].numpy())
        assert column(table, "AP")[k] == f"{ap:.3f}"
        assert column(table, "images")[k] == str(int(true.sum()))
    assert "15 of 240 targets unknown and ignored" in MultiLabelReport(partly).summary()
    assert column(table_of(evaluation), "known") == ["60"] * 4


def test_a_label_whose_target_is_unknown_is_neither_missing_nor_extra(evaluation):
    outputs, targets = torch.full((60, 4), -3.0), torch.zeros(60, 4)
    outputs[7], targets[7] = torch.tensor([3.0, 3.0, -3.0, -3.0]), torch.tensor([torch.nan, 0, torch.nan, 1])
    targets[8] = torch.nan
    (gallery,) = section(replace(evaluation, outputs=outputs, targets=targets), "worst").blocks
    (card,) = gallery.cards
    assert [(tag.text.split()[0], tag.style) for tag in card.tags] == [("unicorn", "missing"), ("car", "extra")]


def test_targets_of_another_number_of_labels_are_an_error(evaluation):
    with pytest.raises(DataError, match="one column for each of the 4 labels"):
        MultiLabelReport(replace(evaluation, targets=evaluation.targets[:, :3]))
