from dataclasses import replace

import pytest
import torch
from sklearn import metrics as oracle

from eyebright.evaluation.thresholds import cross_fitted_score, tune_thresholds
from eyebright.report.data import ScoreRow
from eyebright.report.label_scores import draws_for
from eyebright.report.labels import LabelAnswers


def by_name(answers: LabelAnswers) -> dict[str, ScoreRow]:
    return {row.name: row for row in answers.scores()}


def test_the_scores_are_scikit_learns(answers):
    rows = by_name(answers)
    true = answers.targets.numpy()
    said = answers.thresholds.decide(answers.probabilities).numpy()
    for average in ("macro", "micro", "samples"):
        expected = oracle.f1_score(true, said, average=average, zero_division=0)
        assert rows[f"F1, {average}"].value == pytest.approx(expected)
    assert rows["mAP"].value == pytest.approx(
        oracle.average_precision_score(true[:, :3], answers.probabilities[:, :3].numpy(), average="macro")
    )
    assert rows["Images all right"].value == pytest.approx(oracle.accuracy_score(true, said))
    assert rows["Decisions wrong"].value == pytest.approx(oracle.hamming_loss(true, said))


def test_every_score_lies_in_its_interval_and_says_which_way_is_better(answers):
    rows = answers.scores()
    assert all(row.low <= row.value <= row.high for row in rows)
    assert [row.name for row in rows if not row.higher_is_better] == ["Decisions wrong"]


def test_a_label_that_no_image_has_is_said_to_be_left_out(answers):
    assert "1 label without any image here left out" in by_name(answers)["mAP"].note


def test_the_baseline_of_map_is_how_frequent_the_labels_are(answers):
    shares = answers.targets[:, :3].mean(dim=0)
    assert by_name(answers)["mAP"].baseline == pytest.approx(float(shares.mean()))


def test_the_baseline_of_decisions_is_the_best_fixed_answer_for_the_training_images(answers):
    training = torch.tensor([[0, 1, 0, 0]] * 6 + [[0, 1, 1, 0]] * 3 + [[1, 0, 0, 0]])
    rows = by_name(replace(answers, training_targets=training))
    true = answers.targets.numpy()
    car = torch.tensor([0, 1, 0, 0]).expand(60, 4).numpy()
    assert rows["Images all right"].baseline == pytest.approx(oracle.accuracy_score(true, car))
    assert rows["Decisions wrong"].baseline == pytest.approx(oracle.hamming_loss(true, car))
    # Micro F1 on the training images: car alone 2 * 9 / (10 + 13) = 0.783, car and cat 2 * 12 / (20 + 13) = 0.727.
    assert rows["F1, micro"].baseline == pytest.approx(oracle.f1_score(true, car, average="micro"))
    # Macro F1 only gains by each label more that is frequent enough to be there at all.
    all_three = torch.tensor([1, 1, 1, 0]).expand(60, 4).numpy()
    expected = oracle.f1_score(true, all_three, average="macro", zero_division=0)
    assert rows["F1, macro"].baseline == pytest.approx(expected)


def test_a_model_that_looks_beats_the_baselines(answers):
    for row in answers.scores():
        assert row.value > row.baseline if row.higher_is_better else row.value < row.baseline


def test_without_training_images_there_is_no_baseline(answers):
    for training in (None, answers.targets[:0]):
        assert {row.baseline for row in replace(answers, training_targets=training).scores()} == {None}


def test_the_score_that_thresholds_were_tuned_for_says_what_to_expect_of_new_images(answers):
    thresholds = tune_thresholds(answers.probabilities, answers.targets)
    honest = cross_fitted_score(answers.probabilities, answers.targets)
    here = by_name(replace(answers, thresholds=thresholds))
    assert f"on new images expect {honest:.3f}" in here["F1, macro"].beside
    assert "tuned for it on these same images" in here["F1, macro"].note
    assert not here["F1, micro"].expected
    elsewhere = by_name(replace(answers, thresholds=thresholds, tuned_here=False))
    assert not elsewhere["F1, macro"].expected


def test_of_two_images_nothing_better_is_promised(answers):
    two = replace(answers, probabilities=answers.probabilities[:2], targets=torch.tensor([[0, 1, 0, 0], [0, 0, 0, 0]]))
    tuned = replace(two, thresholds=tune_thresholds(two.probabilities, two.targets))
    assert "on new images expect less" in by_name(tuned)["F1, macro"].beside


def test_a_huge_set_draws_fewer_times():
    assert draws_for(50_000) == 1000
    assert draws_for(100_000 * 80) == 100
