import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn import metrics as oracle

from eyebright.errors import DataError
from eyebright.report.regression import NumberAnswers


@pytest.fixture
def answers() -> NumberAnswers:
    generator = torch.Generator().manual_seed(1)
    targets = torch.rand(60, 2, generator=generator) * torch.tensor([80.0, 2.0])
    predicted = targets + torch.randn(60, 2, generator=generator) * torch.tensor([4.0, 0.1])
    predicted[5, 1] += 1.5
    targets[8, 0] = math.nan
    return NumberAnswers(predicted, targets, ("age", "height"), training_targets=targets[:30])


def test_the_errors_are_scikit_learns(answers, paths):
    known = ~answers.targets.isnan()
    true, said = answers.targets[known].numpy(), answers.predicted[known].numpy()
    mean, root = answers.scores()
    assert mean.value == pytest.approx(oracle.mean_absolute_error(true, said), rel=1e-6)
    assert root.value == pytest.approx(oracle.root_mean_squared_error(true, said), rel=1e-6)
    assert mean.low < mean.value < mean.high
    table = answers.sections(paths)[0].blocks[1]
    height = [answers.targets[:, 1].numpy(), answers.predicted[:, 1].numpy()]
    assert [cell.value for cell in table.rows[1][1:]] == pytest.approx(
        [60, oracle.mean_absolute_error(*height), oracle.root_mean_squared_error(*height), height[0].mean()], rel=1e-6
    )


def test_the_baseline_is_the_mean_of_the_training_images(answers):
    fixed = np.nanmean(answers.training_targets.numpy(), axis=0)
    expected = np.nanmean(np.abs(fixed - answers.targets.numpy()))
    assert answers.scores()[0].baseline == pytest.approx(expected, rel=1e-5)


def test_the_worst_image_is_furthest_off_for_the_spread_of_its_number(answers, paths):
    (gallery,) = answers.sections(paths)[1].blocks
    first = gallery.cards[0]
    assert first.title == "005.jpg"
    assert [tag.style for tag in first.tags] == ["target", "predicted", "target", "predicted"]
    assert first.tags[2].text == f"height {float(answers.targets[5, 1]):.3g}"


def test_each_known_image_is_a_dot(answers, paths):
    charts = answers.sections(paths)[0].blocks[0].charts
    assert [chart.caption.title for chart in charts] == ["age", "height"]
    assert charts[0].paths[1].data.count("M") == 59


def test_one_number_without_a_name_needs_none(paths):
    plain = NumberAnswers(torch.ones(60, 1), torch.ones(60, 1))
    (gallery,) = plain.sections(paths)[1].blocks
    assert [tag.text for tag in gallery.cards[0].tags] == ["1.00", "1.00"]
    assert plain.summary() == "60 images, 1 number each"
    assert plain.scores()[0].text == "0"


def test_shapes_and_names_that_do_not_fit_are_refused(answers):
    with pytest.raises(DataError, match=r"shape \(images, numbers\)"):
        NumberAnswers(answers.predicted[:, 0], answers.targets[:, 0])
    with pytest.raises(DataError, match="2 numbers need as many names, got 1"):
        replace(answers, names=("age",))
