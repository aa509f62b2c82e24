import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from eyebright.errors import DataError
from eyebright.report.points import PointAnswers


@pytest.fixture
def answers() -> PointAnswers:
    generator = torch.Generator().manual_seed(1)
    targets = torch.rand(60, 2, 2, generator=generator) * torch.tensor([40.0, 30.0])
    predicted = targets + torch.randn(60, 2, 2, generator=generator)
    predicted[5] += torch.tensor([30.0, 40.0])
    targets[8, 1], targets[9] = math.nan, math.nan
    return PointAnswers(predicted, targets, ("left eye", "right eye"), training_targets=targets[:30])


def distances(answers: PointAnswers) -> np.ndarray:
    return np.hypot(*(answers.predicted - answers.targets).numpy().transpose(2, 0, 1))


def test_the_distances_are_those_of_the_known_points(answers):
    known = distances(answers)[~np.isnan(distances(answers))]
    mean, median = answers.scores()
    assert mean.value == pytest.approx(known.mean(), rel=1e-6)
    assert median.value == pytest.approx(np.median(known), rel=1e-6)
    assert mean.low < mean.value < mean.high
    assert mean.text.endswith(" px")
    assert not mean.higher_is_better


def test_the_baseline_is_the_mean_place_in_training(answers):
    place = np.nanmean(answers.training_targets.numpy(), axis=0)
    fixed = np.hypot(*(place - answers.targets.numpy()).transpose(2, 0, 1))
    assert answers.scores()[0].baseline == pytest.approx(np.nanmean(fixed), rel=1e-6)
    assert replace(answers, training_targets=None).scores()[0].baseline is None


def test_the_table_has_a_row_for_each_point(answers, paths):
    table = answers.sections(paths)[0].blocks[1]
    right = distances(answers)[:, 1]
    right = right[~np.isnan(right)]
    expected = [right.mean(), np.median(right), np.quantile(right, 0.9), right.max()]
    assert [cell.text for cell in table.rows[1]] == ["right eye", "58", *(f"{value:.1f}" for value in expected)]


def test_every_known_distance_stands_in_one_bar(answers, paths):
    bars, _ = answers.sections(paths)[0].blocks[0].charts
    heights = [bars.bottom - float(bar.split("V")[1].split("H")[0]) for bar in bars.paths[0].data.split("Z")[:-1]]
    counts = np.array(heights) / (bars.bottom - bars.y_ticks[-1].at) * float(bars.y_ticks[-1].text)
    assert counts.sum() == pytest.approx(117, abs=0.7)
    assert bars.caption.note == "2 further off, in the last bar"


def test_the_worst_images_show_targets_and_predictions_in_their_own_places(answers, paths):
    (gallery,) = answers.sections(paths)[1].blocks
    first = gallery.cards[0]
    assert first.title == "005.jpg"
    assert first.note == f"{distances(answers)[5].mean():.1f} px off on average"
    places = [(spot.x, spot.y) for spot in first.points]
    expected = [*answers.targets[5].tolist(), *answers.predicted[5].tolist()]
    np.testing.assert_allclose(places, np.array(expected) * first.image.scale)
    assert [spot.is_target for spot in first.points] == [True, True, False, False]
    assert "009.jpg" not in [card.title for card in gallery.cards]


def test_a_point_that_nobody_sees_is_not_drawn(answers, paths):
    few = PointAnswers(answers.predicted[8:9], answers.targets[8:9], answers.names)
    (gallery,) = few.sections(paths[8:9])[1].blocks
    assert [spot.name for spot in gallery.cards[0].points] == ["left eye, where it is", "left eye, as said"]


def test_points_that_are_all_unknown_leave_nothing_to_show(answers, paths):
    assert replace(answers, targets=answers.targets * math.nan).sections(paths) == []


def test_points_without_names_are_numbered(answers, paths):
    table = replace(answers, names=()).sections(paths)[0].blocks[1]
    assert [row[0].text for row in table.rows] == ["point 1", "point 2"]
    assert answers.summary() == "60 images, 2 points on each; 117 known places in all"


def test_shapes_and_names_that_do_not_fit_are_refused(answers):
    with pytest.raises(DataError, match=r"shape \(images, points, 2\)"):
        PointAnswers(answers.predicted.flatten(1), answers.targets)
    with pytest.raises(DataError, match="2 points need as many names, got 1"):
        replace(answers, names=("nose",))
