import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from eyebright.errors import DataError, InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.report.data import ReportFacts
from eyebright.report.kinds import task_report
from eyebright.report.points import PointReport
from eyebright.tasks.points import PointBlock
from eyebright.types import Points
from support.evaluations import make_evaluation

EYES = PointBlock(2, names=("left eye", "right eye"))


@pytest.fixture
def evaluation(paths: list[str]) -> Evaluation:
    generator = torch.Generator().manual_seed(1)
    targets = torch.rand(60, 2, 2, generator=generator) * torch.tensor([40.0, 30.0])
    predicted = targets + torch.randn(60, 2, 2, generator=generator)
    predicted[5] += torch.tensor([30.0, 40.0])
    targets[8, 1], targets[9] = math.nan, math.nan
    sizes = torch.randint(20, 80, (60, 2), generator=generator)
    training = [Points.of(row) for row in targets[:30].double()]
    return make_evaluation(EYES, predicted.flatten(1), targets, paths=paths, training=training, sizes=sizes)


def distances(evaluation: Evaluation) -> np.ndarray:
    return np.hypot(*(evaluation.activated - evaluation.targets).numpy().transpose(2, 0, 1))


def some_of(evaluation: Evaluation, rows: slice) -> Evaluation:
    return replace(
        evaluation,
        outputs=evaluation.outputs[rows],
        targets=evaluation.targets[rows],
        files=evaluation.files[rows],
        sizes=evaluation.sizes[rows],
    )


def blocks(evaluation: Evaluation, facts: ReportFacts | None = None) -> dict[str, list]:
    sections = PointReport(evaluation, facts or ReportFacts()).sections()
    return {section.anchor: list(section.blocks) for section in sections}


def test_pixel_errors_are_the_distances_of_the_known_points(evaluation):
    known = distances(evaluation)[~np.isnan(distances(evaluation))]
    mean, median, *_ = PointReport(evaluation).metric_rows()
    assert [mean.name, median.name] == ["mean pixel error", "median pixel error"]
    assert mean.value == pytest.approx(known.mean(), rel=1e-6)
    assert median.value == pytest.approx(np.median(known), rel=1e-6)
    assert mean.low < mean.value < mean.high
    assert median.low <= median.value <= median.high
    assert mean.text.endswith(" px")
    assert not mean.higher_is_better


def test_nme_and_pck_are_relative_to_the_diagonal_of_each_image(evaluation):
    _, _, nme, pck = PointReport(evaluation).metric_rows()
    relative = distances(evaluation) / np.hypot(*evaluation.sizes.numpy().T)[:, None]
    known = relative[~np.isnan(relative)]
    assert nme.value == pytest.approx(100 * known.mean(), rel=1e-6)
    assert pck.value == pytest.approx((known <= 0.05).mean(), rel=1e-6)
    assert (nme.name, pck.name) == ("NME", "PCK@0.05")
    assert nme.low < nme.value < nme.high
    assert pck.low < pck.value < pck.high
    assert nme.text.endswith("%")
    assert "the image's diagonal" in nme.note


def test_nme_and_pck_are_relative_to_two_named_points_when_asked(evaluation):
    facts = ReportFacts(normalize_by=("left eye", "right eye"))
    _, _, nme, pck = PointReport(evaluation, facts).metric_rows()
    between = np.hypot(*(evaluation.targets[:, 0] - evaluation.targets[:, 1]).numpy().T)
    relative = distances(evaluation) / between[:, None]
    known = relative[~np.isnan(relative)]
    assert len(known) == 116  # the image with a single known eye has no distance between the eyes
    assert nme.value == pytest.approx(100 * known.mean(), rel=1e-5)
    assert pck.value == pytest.approx((known <= 0.05).mean(), rel=1e-6)
    assert "the distance from left eye to right eye; 1 image without that distance ignored" in nme.note


def test_an_image_whose_normalising_distance_is_zero_is_ignored(evaluation):
    targets = evaluation.targets.clone()
    targets[3, 1] = targets[3, 0]
    report = PointReport(replace(evaluation, targets=targets), ReportFacts(normalize_by=("left eye", "right eye")))
    assert math.isfinite(report.metric_rows()[2].value)
    assert "2 images without that distance" in report.metric_rows()[2].note


def test_normalising_by_an_unknown_point_is_an_error_that_names_the_points(evaluation):
    with pytest.raises(InputError, match="no point 'left ear'. Did you mean 'left eye'.* Its points are: 'left eye', "):
        task_report(evaluation, ReportFacts(normalize_by=("left ear", "right eye")))
    with pytest.raises(InputError, match="`normalize_by` must be two different points, got 'left eye', 'left eye'"):
        task_report(evaluation, ReportFacts(normalize_by=("left eye", "left eye")))


def test_the_baseline_is_the_mean_position_in_training(evaluation):
    place = np.nanmean(evaluation.targets[:30].numpy(), axis=0)
    fixed = np.hypot(*(place - evaluation.targets.numpy()).transpose(2, 0, 1))
    relative = fixed / np.hypot(*evaluation.sizes.numpy().T)[:, None]
    mean, median, nme, pck = (row.baseline for row in PointReport(evaluation).metric_rows())
    assert mean == pytest.approx(np.nanmean(fixed), rel=1e-6)
    assert median == pytest.approx(np.nanmedian(fixed), rel=1e-6)
    assert nme == pytest.approx(100 * np.nanmean(relative), rel=1e-6)
    assert pck == pytest.approx((relative[~np.isnan(relative)] <= 0.05).mean(), rel=1e-6)
    assert {row.baseline for row in PointReport(replace(evaluation, training={})).metric_rows()} == {None}


def test_no_report_is_made_of_a_prediction_that_is_nan(evaluation):
    outputs = evaluation.outputs.clone()
    outputs[0, 0] = math.nan
    with pytest.raises(DataError, match=r"the outputs of 1 of \d+ images are NaN or infinite"):
        PointReport(replace(evaluation, outputs=outputs)).metric_rows()


def test_the_table_has_a_row_for_each_point(evaluation):
    table = blocks(evaluation)["errors"][1]
    right = distances(evaluation)[:, 1]
    relative = right / np.hypot(*evaluation.sizes.numpy().T)
    right, relative = right[~np.isnan(right)], relative[~np.isnan(right)]
    pixels = [right.mean(), np.median(right), np.quantile(right, 0.9), right.max()]
    assert [cell.text for cell in table.rows[1]] == [
        "right eye", "58", "2", *(f"{value:.1f}" for value in pixels),
        f"{100 * relative.mean():.2f}", f"{(relative <= 0.05).mean():.3f}",
    ]  # fmt: skip
    assert len(table.columns) == len(table.rows[1])


def test_the_pck_table_has_the_share_of_errors_up_to_each_threshold(evaluation):
    chart, table = blocks(evaluation)["pck"]
    relative = distances(evaluation) / np.hypot(*evaluation.sizes.numpy().T)[:, None]
    for row, errors in zip(table.rows, (relative, relative[:, 0], relative[:, 1]), strict=True):
        known = errors[~np.isnan(errors)]
        expected = [(known <= threshold).mean() for threshold in (0.01, 0.02, 0.05, 0.1, 0.2)]
        assert row[1].value == len(known)
        assert [cell.value for cell in row[2:]] == pytest.approx(expected)
    assert [row[0].text for row in table.rows] == ["all points", "left eye", "right eye"]
    assert "PCK at 0.05" in chart.charts[0].caption.alt_text


def test_the_pck_curve_is_the_cumulative_distribution_of_the_errors(evaluation):
    (chart,) = blocks(evaluation)["pck"][0].charts
    numbers = [float(n) for pair in chart.paths[0].data[1:].split("L") for n in pair.split()]
    x = (np.array(numbers[::2]) - chart.left) / (chart.right - chart.left)
    y = (chart.bottom - np.array(numbers[1::2])) / (chart.bottom - chart.top)
    reach = float(chart.x_ticks[-1].text) / ((chart.x_ticks[-1].position - chart.left) / (chart.right - chart.left))
    relative = distances(evaluation) / np.hypot(*evaluation.sizes.numpy().T)[:, None]
    known = relative[~np.isnan(relative)]
    np.testing.assert_allclose(y, [(known <= share * reach).mean() for share in x], atol=0.02)
    assert (np.diff(y) >= 0).all()


def test_the_histogram_counts_every_known_error_once(evaluation):
    bars, _ = blocks(evaluation)["errors"][0].charts
    heights = [bars.bottom - float(bar.split("V")[1].split("H")[0]) for bar in bars.paths[0].data.split("Z")[:-1]]
    counts = np.array(heights) / (bars.bottom - bars.y_ticks[-1].position) * float(bars.y_ticks[-1].text)
    assert counts.sum() == pytest.approx(117, abs=0.7)
    assert bars.caption.note == "2 larger, in the last bar"


def test_the_worst_images_show_targets_and_predictions_at_their_positions(evaluation):
    (gallery,) = blocks(evaluation)["worst"]
    first = gallery.cards[0]
    assert first.title == "005.jpg"
    assert first.note.startswith(f"mean error {distances(evaluation)[5].mean():.1f} px")
    places = [(mark.x, mark.y) for mark in first.points]
    expected = [*evaluation.targets[5].tolist(), *evaluation.activated[5].tolist()]
    np.testing.assert_allclose(places, np.array(expected) * first.image.scale)
    assert [mark.is_target for mark in first.points] == [True, True, False, False]
    lines = [mark.line_to for mark in first.points]
    assert lines == [None, None, places[0], places[1]]
    assert "009.jpg" not in [card.title for card in gallery.cards]


def test_a_card_counts_predictions_outside_of_its_image(evaluation):
    height, width = evaluation.sizes[5].tolist()
    outputs = evaluation.outputs.clone()
    outputs[5] = torch.tensor([width + 50.0, 1.0, 1.0, float(height)])
    (gallery,) = blocks(some_of(replace(evaluation, outputs=outputs), slice(5, 6)))["worst"]
    assert gallery.cards[0].note.endswith("; 1 prediction outside of the image")


def test_a_point_whose_target_is_unknown_is_not_drawn(evaluation):
    (gallery,) = blocks(some_of(evaluation, slice(8, 9)))["worst"]
    assert [mark.name for mark in gallery.cards[0].points] == ["left eye, target", "left eye, prediction"]


def test_without_known_points_there_are_no_sections(evaluation):
    unknown = replace(evaluation, targets=evaluation.targets * math.nan)
    assert PointReport(unknown).sections() == []
    assert {row.text for row in PointReport(unknown).metric_rows()} == {"– px", "– %", "–"}


def test_points_without_names_are_numbered(evaluation):
    plain = make_evaluation(PointBlock(2), evaluation.outputs, evaluation.targets)
    assert [row[0].text for row in blocks(plain)["errors"][1].rows] == ["point1", "point2"]


def test_the_summary_counts_unknown_targets(evaluation):
    assert (
        PointReport(evaluation).summary() == "60 validation images, 2 points each; 3 of 120 targets unknown and ignored"
    )
    assert PointReport(some_of(evaluation, slice(0, 8))).summary() == "8 validation images, 2 points each"


def test_outputs_and_targets_of_other_shapes_are_an_error(evaluation):
    with pytest.raises(DataError, match=r"targets of the shape \(60, 2, 2\), got \(60, 4\) and \(60, 4\)"):
        PointReport(replace(evaluation, targets=evaluation.targets.flatten(1)))
    with pytest.raises(DataError, match="1 point of 60 images need outputs of the shape"):
        PointReport(make_evaluation(PointBlock(1, names=("nose",)), evaluation.outputs, evaluation.targets))
