import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn import metrics as oracle

from eyebright.errors import DataError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.scores import bootstrap
from eyebright.report.numbers import NumberReport
from eyebright.tasks.regression import RegressionBlock
from support.evaluations import make_evaluation


@pytest.fixture
def evaluation(paths: list[str]) -> Evaluation:
    generator = torch.Generator().manual_seed(1)
    targets = torch.rand(60, 2, generator=generator) * torch.tensor([80.0, 2.0])
    predicted = targets + torch.randn(60, 2, generator=generator) * torch.tensor([4.0, 0.1])
    predicted[5, 1] += 1.5
    targets[8, 0] = math.nan
    training = [tuple(row) for row in targets[:30].tolist()]
    task = RegressionBlock(names=("age", "height"))
    return make_evaluation(task, predicted, targets, paths=paths, training=training)


def one_column(evaluation: Evaluation, k: int) -> Evaluation:
    task = RegressionBlock(names=(evaluation.decision.target.value_names[k],))
    paths = evaluation.paths
    return make_evaluation(task, evaluation.outputs[:, [k]], evaluation.targets[:, [k]], paths=paths)


def blocks(evaluation: Evaluation) -> dict[str, list]:
    return {section.anchor: list(section.blocks) for section in NumberReport(evaluation).sections()}


def known_of(evaluation: Evaluation, k: int) -> tuple[np.ndarray, np.ndarray]:
    known = ~evaluation.targets[:, k].isnan()
    return evaluation.targets[known, k].numpy(), evaluation.outputs[known, k].numpy()


def test_mae_rmse_and_r2_equal_those_of_sklearn(evaluation):
    known = ~evaluation.targets.isnan()
    true, predicted = evaluation.targets[known].numpy(), evaluation.outputs[known].numpy()
    mae, rmse, r2 = NumberReport(evaluation).metric_rows()
    assert [mae.name, rmse.name, r2.name] == ["MAE", "RMSE", "R2"]
    assert mae.value == pytest.approx(oracle.mean_absolute_error(true, predicted), rel=1e-6)
    assert rmse.value == pytest.approx(oracle.root_mean_squared_error(true, predicted), rel=1e-6)
    assert r2.value == pytest.approx(np.mean([oracle.r2_score(*known_of(evaluation, k)) for k in (0, 1)]), rel=1e-6)
    assert [row.higher_is_better for row in (mae, rmse, r2)] == [False, False, True]
    for row in (mae, rmse, r2):
        assert row.low < row.value < row.high


def test_the_scores_of_one_column_equal_scikit_learn(evaluation):
    true, predicted = known_of(evaluation, 0)
    values = [row.value for row in NumberReport(one_column(evaluation, 0)).metric_rows()]
    expected = [
        oracle.mean_absolute_error(true, predicted),
        oracle.root_mean_squared_error(true, predicted),
        oracle.r2_score(true, predicted),
    ]
    assert values == pytest.approx(expected, rel=1e-6)


def test_the_interval_of_r2_is_near_that_of_bootstrapping_sklearns_r2_score(evaluation):
    alone = one_column(evaluation, 1)

    def r2(predicted: torch.Tensor, true: torch.Tensor) -> float:
        return oracle.r2_score(true.numpy(), predicted.numpy())

    interval = bootstrap(r2, [alone.outputs, alone.targets], n_resamples=1000)
    row, width = NumberReport(alone).metric_rows()[2], interval.high - interval.low
    assert row.low < row.value < row.high <= 1
    assert (row.low, row.high) == pytest.approx((interval.low, interval.high), abs=width / 3)


def test_the_baseline_is_the_mean_of_the_training_images_and_for_mae_the_median(evaluation):
    fixed = np.nanmean(evaluation.targets[:30].numpy(), axis=0)
    median = np.nanmedian(evaluation.targets[:30].numpy(), axis=0)
    mae, _, r2 = NumberReport(evaluation).metric_rows()
    assert mae.baseline == pytest.approx(np.nanmean(np.abs(median - evaluation.targets.numpy())), rel=1e-5)
    columns = [known_of(evaluation, k)[0] for k in (0, 1)]
    expected = np.mean([oracle.r2_score(true, np.full(len(true), fixed[k])) for k, true in enumerate(columns)])
    assert r2.baseline == pytest.approx(expected, abs=1e-6)
    assert NumberReport(replace(evaluation, training={})).metric_rows()[0].baseline is None


def test_the_table_has_a_row_for_each_column(evaluation):
    table = blocks(evaluation)["numbers"][1]
    assert [row[0].text for row in table.rows] == ["age", "height"]
    for k, unknown in ((0, 1), (1, 0)):
        true, predicted = known_of(evaluation, k)
        assert [cell.value for cell in table.rows[k][1:]] == pytest.approx(
            [
                60 - unknown,
                unknown,
                oracle.mean_absolute_error(true, predicted),
                oracle.root_mean_squared_error(true, predicted),
                oracle.r2_score(true, predicted),
                true.mean(),
                true.std(),
            ],
            rel=1e-5,
        )


def test_targets_that_are_all_equal_have_no_r2(evaluation):
    equal = replace(one_column(evaluation, 1), targets=torch.full((60, 1), 3.7))
    mae, _, r2 = NumberReport(equal).metric_rows()
    assert mae.value > 0
    assert r2.text == "–"


def test_the_worst_images_are_sorted_by_their_error_in_standard_deviations(evaluation):
    (gallery,) = blocks(evaluation)["worst"]
    first = gallery.cards[0]
    assert first.title == "005.jpg"
    assert [tag.style for tag in first.tags] == ["target", "predicted", "target", "predicted"]
    assert first.tags[2].text == f"height {float(evaluation.targets[5, 1]):.3g}"


def test_each_image_with_a_known_target_is_a_dot(evaluation):
    charts = blocks(evaluation)["numbers"][0].charts
    assert [chart.caption.title for chart in charts] == ["age", "height"]
    assert charts[0].paths[1].data.count("M") == 59


def test_a_single_number_without_a_name_has_no_prefix(paths):
    plain = make_evaluation(RegressionBlock(1), torch.ones(60, 1), torch.ones(60, 1), paths=paths)
    (gallery,) = blocks(plain)["worst"]
    assert [tag.text for tag in gallery.cards[0].tags] == ["1.00", "1.00"]
    assert NumberReport(plain).summary() == "60 validation images, 1 number each"
    assert NumberReport(plain).metric_rows()[0].text == "0"


def test_scores_of_unknown_numbers_are_dashes(evaluation):
    unknown = replace(evaluation, targets=evaluation.targets * math.nan)
    assert {row.text for row in NumberReport(unknown).metric_rows()} == {"–"}
    assert "worst" not in blocks(unknown)
    assert NumberReport(unknown).summary().endswith("120 of 120 targets unknown and ignored")


def test_outputs_and_targets_of_other_shapes_are_an_error(evaluation):
    with pytest.raises(DataError, match=r"one column for each of the 2 numbers, got \(60, 2\) and \(60,\)"):
        NumberReport(replace(evaluation, targets=evaluation.targets[:, 0]))
    with pytest.raises(DataError, match="one column for each of the 1 number"):
        NumberReport(make_evaluation(RegressionBlock(1, ("age",)), evaluation.outputs, evaluation.targets))
