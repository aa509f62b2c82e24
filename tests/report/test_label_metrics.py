from dataclasses import replace

import pytest
import torch
from sklearn import metrics as oracle

from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.thresholds import cross_fitted_score, tune_thresholds
from eyebright.report.data import MetricRow
from eyebright.report.labels import MultiLabelReport
from eyebright.types import LabelSet, Thresholds


def by_name(evaluation: Evaluation) -> dict[str, MetricRow]:
    return {row.name: row for row in MultiLabelReport(evaluation).metric_rows()}


def decided_by(evaluation: Evaluation, thresholds: Thresholds) -> Evaluation:
    return evaluation.with_decision(replace(evaluation.decision, thresholds=thresholds))


def test_the_scores_equal_scikit_learn(evaluation):
    rows = by_name(evaluation)
    true = evaluation.targets.numpy()
    predicted = evaluation.decision.decide(evaluation.activated).numpy()
    for average in ("macro", "micro", "samples"):
        expected = oracle.f1_score(true, predicted, average=average, zero_division=0)
        assert rows[f"{average} F1"].value == pytest.approx(expected)
    assert rows["mAP"].value == pytest.approx(
        oracle.average_precision_score(true[:, :3], evaluation.activated[:, :3].numpy(), average="macro")
    )
    assert rows["exact match"].value == pytest.approx(oracle.accuracy_score(true, predicted))
    assert rows["Hamming loss"].value == pytest.approx(oracle.hamming_loss(true, predicted))


def test_unknown_targets_are_ignored_in_all_scores(evaluation):
    targets = evaluation.targets.clone()
    targets[::5, 0] = torch.nan
    targets[1::20, 2] = torch.nan
    rows = by_name(replace(evaluation, targets=targets))
    known, predicted = ~targets.isnan(), evaluation.decision.decide(evaluation.activated)
    pairs = [(targets[known[:, k], k].numpy(), predicted[known[:, k], k].numpy()) for k in range(4)]
    f1 = [oracle.f1_score(true, said, zero_division=0) for true, said in pairs]
    assert rows["macro F1"].value == pytest.approx(sum(f1) / 4)
    assert rows["micro F1"].value == pytest.approx(oracle.f1_score(targets[known], predicted[known]))
    wrong = (predicted != (targets == 1))[known]
    assert rows["Hamming loss"].value == pytest.approx(float(wrong.double().mean()))
    ap = [
        oracle.average_precision_score(targets[known[:, k], k], evaluation.activated[known[:, k], k]) for k in range(3)
    ]
    assert rows["mAP"].value == pytest.approx(sum(ap) / 3)
    assert all(row.low <= row.value <= row.high for row in rows.values())


def test_every_score_is_inside_its_interval_and_has_its_direction(evaluation):
    rows = MultiLabelReport(evaluation).metric_rows()
    assert all(row.low <= row.value <= row.high for row in rows)
    assert [row.name for row in rows if not row.higher_is_better] == ["Hamming loss"]


def test_the_note_of_map_counts_labels_without_images(evaluation):
    assert "without 1 label that no image has" in by_name(evaluation)["mAP"].note
    assert "; 1 label that no image has counts as 0" in by_name(evaluation)["macro F1"].note


def test_the_baseline_of_map_has_equal_scores_for_all_images(evaluation):
    shares = evaluation.targets[:, :3].mean(dim=0)
    assert by_name(evaluation)["mAP"].baseline == pytest.approx(float(shares.mean()))


def test_the_baseline_of_decisions_is_the_best_constant_prediction_on_the_training_images(evaluation):
    training = [LabelSet(["car"])] * 6 + [LabelSet(["car", "cat"])] * 3 + [LabelSet(["bus"])]
    rows = by_name(replace(evaluation, training=evaluation.decision.target.training_summary(training)))
    true = evaluation.targets.numpy()
    car = torch.tensor([0, 1, 0, 0]).expand(60, 4).numpy()
    assert rows["exact match"].baseline == pytest.approx(oracle.accuracy_score(true, car))
    assert rows["Hamming loss"].baseline == pytest.approx(oracle.hamming_loss(true, car))
    # Micro F1 on the training images: car alone 2 * 9 / (10 + 13) = 0.783, car and cat 2 * 12 / (20 + 13) = 0.727.
    assert rows["micro F1"].baseline == pytest.approx(oracle.f1_score(true, car, average="micro"))
    # Macro F1 only gains by each label more that is frequent enough to be there at all.
    all_three = torch.tensor([1, 1, 1, 0]).expand(60, 4).numpy()
    expected = oracle.f1_score(true, all_three, average="macro", zero_division=0)
    assert rows["macro F1"].baseline == pytest.approx(expected)


def test_a_good_model_is_better_than_the_baselines(evaluation):
    for row in MultiLabelReport(evaluation).metric_rows():
        assert row.value > row.baseline if row.higher_is_better else row.value < row.baseline


def test_without_training_images_there_is_no_baseline(evaluation):
    assert {row.baseline for row in by_name(replace(evaluation, training={})).values()} == {None}


def test_the_tuned_score_states_the_expected_score_on_new_images(evaluation):
    thresholds = tune_thresholds(evaluation.activated, evaluation.targets)
    expected = cross_fitted_score(evaluation.activated, evaluation.targets)
    tuned = decided_by(evaluation, thresholds)
    rows = by_name(tuned)
    assert f"on new images expect {expected:.3f}" in rows["macro F1"].details
    assert "tuned for it on these same images" in rows["macro F1"].note
    assert not rows["micro F1"].expected
    assert not by_name(replace(tuned, part="test"))["macro F1"].expected


def test_two_images_are_too_few_for_an_expected_score(evaluation):
    two = replace(
        evaluation,
        outputs=evaluation.outputs[:2],
        targets=torch.tensor([[0, 1, 0, 0], [0, 0, 0, 0]]).float(),
        files=evaluation.files[:2],
        sizes=evaluation.sizes[:2],
    )
    tuned = decided_by(two, tune_thresholds(two.activated, two.targets))
    assert "on new images expect a worse value" in by_name(tuned)["macro F1"].details
