"""The section on calibration: what its diagrams, table and sentences say, of the images that they rest on."""

import math
import re
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from sklearn import metrics as oracle

from eyebright._choices import CalibrationKind, EvaluatedPart
from eyebright.evaluation.calibrate import fit_calibration
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.intervals import wilson
from eyebright.report import reliability
from eyebright.report.reliability import MAX_DIAGRAMS, MIN_POSITIVES, reliability_section
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.web.blocks import Charts, Collapsed, Section, Sentences, Table
from eyebright.web.charts import Chart
from support.evaluations import make_evaluation


def labels(n: int = 400, k: int = 5, *, part: str = "valid", scale: float = 1.0, seed: int = 0) -> Evaluation:
    """Outputs whose probabilities are right at a scale of 1, too extreme above."""
    generator = torch.Generator().manual_seed(seed)
    outputs = 2 * torch.randn(n, k, generator=generator)
    targets = (torch.rand(n, k, generator=generator) < outputs.sigmoid()).float()
    block = MultiCategoryBlock(vocab=[f"label {i}" for i in range(k)])
    return make_evaluation(block, scale * outputs, targets, part=part)


def classes(n: int = 300, k: int = 3) -> Evaluation:
    generator = torch.Generator().manual_seed(1)
    outputs = 2 * torch.randn(n, k, generator=generator)
    targets = torch.multinomial(outputs.softmax(1), 1, generator=generator)[:, 0]
    targets[::9] = -1
    return make_evaluation(CategoryBlock([f"class {i}" for i in range(k)]), outputs, targets)


def section(evaluation: Evaluation) -> Section:
    (only,) = reliability_section(evaluation, evaluation.decision.target.value_names)
    return only


def sentences(evaluation: Evaluation) -> list[str]:
    first = section(evaluation).blocks[0]
    assert isinstance(first, Sentences)
    return list(first.sentences)


def groups(evaluation: Evaluation) -> Table:
    collapsed = section(evaluation).blocks[2]
    assert isinstance(collapsed, Collapsed)
    (table,) = collapsed.blocks
    assert isinstance(table, Table)
    return table


def diagrams(evaluation: Evaluation) -> list[Chart]:
    """Those of labels, also the collapsed ones."""
    found: list[Chart] = []
    for block in section(evaluation).blocks[3:]:
        inside: Any = block.blocks if isinstance(block, Collapsed) else [block]
        found += [chart for one in inside for chart in one.charts]
    return found


def calibrated(evaluation: Evaluation, calibration: Any) -> Evaluation:
    return evaluation.with_decision(replace(evaluation.decision, calibration=calibration))


# ------------------------------------------------------------------------------- numbers


def test_the_scores_of_labels_equal_those_of_scikit_learn() -> None:
    evaluation = labels()
    targets = evaluation.targets.clone()
    targets[::3, 1] = math.nan
    evaluation = replace(evaluation, targets=targets)
    known = ~targets.isnan()
    true, p = targets[known].numpy(), evaluation.activated[known].double().numpy()
    text = sentences(evaluation)[0]
    assert f"Brier score {oracle.brier_score_loss(true, p):.3f}" in text
    assert f"log loss {oracle.log_loss(true, p):.3f}" in text
    assert f"they rest on 400 images and {int(known.sum()):,} known targets" in text


def test_the_scores_of_classes_equal_those_of_scikit_learn() -> None:
    evaluation = classes()
    known = evaluation.targets >= 0
    true, p = evaluation.targets[known].numpy(), evaluation.activated[known].double().numpy()
    p /= p.sum(axis=1, keepdims=True)  # to float64, as scikit-learn wants it
    text = sentences(evaluation)[0]
    assert f"log loss {oracle.log_loss(true, p, labels=range(3)):.3f}" in text
    assert f"Brier score {((p - np.eye(3)[true]) ** 2).sum(1).mean():.3f}" in text
    assert "of the most probable class" in text
    assert f"they rest on {int(known.sum())} images with a known class" in text


def test_the_debiased_error_is_near_the_true_one_and_below_the_plain_one() -> None:
    right, extreme = labels(4000), labels(4000, scale=3)
    for evaluation, true in ((right, 0.0), (extreme, float((extreme.activated - right.activated).abs().mean()))):
        found = re.search(r"error of all labels together is ([\d.]+) \(([\d.]+)", sentences(evaluation)[0])
        assert found is not None
        debiased, plain = map(float, found.groups())
        assert debiased == pytest.approx(true, abs=0.01)
        assert debiased <= plain


def test_the_groups_of_the_pooled_diagram_are_those_of_numpy() -> None:
    evaluation = labels(300, 5)  # 1,500 targets without ties: 15 groups of 100
    p = evaluation.activated.double().flatten().numpy()
    order = np.argsort(p)
    y = evaluation.targets.flatten().numpy()
    rows = groups(evaluation).rows
    assert len(rows) == 15
    for row, members in zip(rows, np.split(order, 15), strict=True):
        interval = wilson(int(y[members].sum()), 100)
        expected = [100, p[members].mean(), y[members].mean()]
        assert [cell.value for cell in row[1:4]] == pytest.approx(expected)
        assert row[4].text == f"{interval.low:.3f}-{interval.high:.3f}"


def test_many_targets_have_more_groups_in_the_pooled_diagram() -> None:
    assert len(groups(labels(800, 5)).rows) == 40
    assert len(groups(labels(4000, 5)).rows) == 60


def test_a_dot_lies_at_the_mean_probability_and_the_frequency_with_its_interval() -> None:
    evaluation = labels(300, 5)
    pooled = section(evaluation).blocks[1]
    assert isinstance(pooled, Charts)
    (chart,) = pooled.charts
    guide, *intervals, dots = chart.paths
    assert (guide.style, dots.shape) == ("guide", "dots")
    rows = groups(evaluation).rows
    width, height = chart.right - chart.left, chart.bottom - chart.top
    points = [tuple(map(float, one.split())) for one in dots.data.removeprefix("M").removesuffix("h0").split("h0M")]
    for (x, y), row, interval in zip(points, rows, intervals, strict=True):
        assert (x - chart.left) / width == pytest.approx(row[2].value, abs=0.001)
        assert (chart.bottom - y) / height == pytest.approx(row[3].value, abs=0.001)
        ends = [float(one.split()[1]) for one in interval.data.removeprefix("M").split("L")]
        low, high = ((chart.bottom - end) / height for end in ends)
        assert [low, high] == pytest.approx([float(end) for end in row[4].text.split("-")], abs=0.001)
    assert {path.style for path in chart.paths} == {style for style, _ in pooled.legend}


# ------------------------------------------------------------------------------- which labels


def test_the_labels_with_the_most_positives_have_diagrams_and_many_are_collapsed() -> None:
    positives = [MIN_POSITIVES - 1, *range(MIN_POSITIVES, MIN_POSITIVES + 30)]
    targets = torch.zeros(60, len(positives))
    for k, count in enumerate(positives):
        targets[:count, k] = 1
    block = MultiCategoryBlock(vocab=[f"label {i}" for i in range(len(positives))])
    outputs = torch.randn(60, len(positives), generator=torch.Generator().manual_seed(0))
    evaluation = make_evaluation(block, outputs, targets)
    found = diagrams(evaluation)
    assert [chart.caption.title for chart in found] == [f"label {i}" for i in range(30, 30 - MAX_DIAGRAMS, -1)]
    assert [chart.caption.note for chart in found] == [f"{n} of 60" for n in range(39, 39 - MAX_DIAGRAMS, -1)]
    shown, collapsed = section(evaluation).blocks[3:]
    assert isinstance(shown, Charts)
    assert isinstance(collapsed, Collapsed)
    assert collapsed.title == f"{MAX_DIAGRAMS - len(shown.charts)} more diagrams"
    assert "the 24 of 31 labels with the most positives, at least" in section(evaluation).intro


def test_few_labels_are_not_collapsed() -> None:
    assert [type(block) for block in section(labels()).blocks] == [Sentences, Charts, Collapsed, Charts]
    assert "Small diagrams" not in section(labels()).intro


def test_a_class_has_the_diagram_of_its_probability() -> None:
    evaluation = classes()
    known = evaluation.targets >= 0
    counts = {f"class {i}": int((evaluation.targets == i).sum()) for i in range(3)}
    found = {chart.caption.title: chart.caption.note for chart in diagrams(evaluation)}
    assert found == {name: f"{count} of {int(known.sum())}" for name, count in counts.items()}


# ------------------------------------------------------------------------------- cross-fitting


@pytest.mark.parametrize("part", get_args(EvaluatedPart))
def test_a_calibration_that_was_fitted_to_these_images_is_cross_fitted(part: str) -> None:
    evaluation = labels(200, 3, part=part, scale=3)
    fit = fit_calibration(evaluation, kind="platt")
    text, source = sentences(calibrated(evaluation, fit.calibration))
    same = part in ("valid", "out_of_fold")
    p = fit.probabilities if same else evaluation.decision.target.activate(fit.calibration(evaluation.outputs))
    expected = oracle.log_loss(evaluation.targets.flatten().numpy(), p.double().flatten().numpy())
    assert f"log loss {expected:.3f}" in text
    assert ("cross-fitted" if same else "was fitted to other images") in source


def test_a_large_evaluation_says_that_its_numbers_are_of_the_fitted_images(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation = labels(50, 3)
    fitted = calibrated(evaluation, fit_calibration(evaluation, kind="temperature").calibration)
    monkeypatch.setattr(reliability, "MAX_CROSS_FITTED", evaluation.outputs.numel() - 1)
    text, source = sentences(fitted)
    assert "fitted to these same images, so the numbers here are better than those of new images" in source
    p = fitted.activated.double().flatten().numpy()
    assert f"log loss {oracle.log_loss(evaluation.targets.flatten().numpy(), p):.3f}" in text


def test_without_a_calibration_the_section_says_so() -> None:
    assert sentences(labels())[1] == "The probabilities are those of the model, without a calibration."


# ------------------------------------------------------------------------------- few images


def edge_cases() -> dict[str, Evaluation]:
    three, unknown, extreme = labels(3, 2), labels(60, 3), labels(40, 2, scale=1e4)
    column = unknown.targets.clone()
    column[:, 1] = math.nan
    one_class = make_evaluation(CategoryBlock(["only"]), torch.zeros(30, 1), torch.zeros(30, dtype=torch.int64))
    ratings = make_evaluation(OrdinalBlock([1, 2, 3]), torch.randn(3, 2).sort(descending=True)[0], torch.arange(3))
    return {
        "three images": three,
        "three images of a group": replace(three, groups=("a", "a", "a")),
        "one image": labels(1, 1),
        "an unknown label": replace(unknown, targets=column),
        "no positives": replace(unknown, targets=torch.zeros(60, 3)),
        "only positives": replace(unknown, targets=torch.ones(60, 3)),
        "probabilities of 0 and 1": extreme,
        "ties": replace(unknown, outputs=torch.zeros(60, 3)),
        "one class": one_class,
        "three classes of three images": classes(3),
        "three ratings": ratings,
    }


EDGE_CASES = edge_cases()


WITH_KINDS = [(name, kind) for name, one in EDGE_CASES.items() for kind in one.decision.target.calibrations]


@pytest.mark.parametrize(("name", "kind"), WITH_KINDS)
def test_few_and_odd_images_have_a_section_without_nan(name: str, kind: CalibrationKind) -> None:
    evaluation = EDGE_CASES[name]
    evaluation = calibrated(evaluation, fit_calibration(evaluation, kind=kind).calibration)
    found = section(evaluation)
    assert "nan" not in repr(found).lower()
    assert "–" not in repr(found)
    assert repr(found) == repr(section(evaluation))


@pytest.mark.parametrize("evaluation", [labels(20, 2), classes(20)])
def test_without_a_known_target_there_is_no_section(evaluation: Evaluation) -> None:
    unknown = torch.full_like(evaluation.targets, -1 if evaluation.targets.ndim == 1 else math.nan)
    assert reliability_section(replace(evaluation, targets=unknown), evaluation.decision.target.value_names) == []
