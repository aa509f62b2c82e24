from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn import metrics as oracle

from eyebright.errors import DataError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.intervals import wilson
from eyebright.report.classes import ClassReport
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from support.evaluations import make_evaluation

VOCAB = ("can", "carton", "bottle", "never")


@pytest.fixture
def evaluation(paths: list[str]) -> Evaluation:
    generator = torch.Generator().manual_seed(1)
    targets = torch.randint(3, (60,), generator=generator)
    outputs = torch.randn(60, 4, generator=generator)
    outputs[torch.arange(60), targets] += 1
    outputs[:, 3] -= 9
    training = [VOCAB[i] for i in (2, 2, 2, 0, 1)]
    return make_evaluation(CategoryBlock(VOCAB), outputs, targets, paths=paths, training=training)


def blocks(evaluation: Evaluation) -> dict[str, list]:
    return {section.anchor: list(section.blocks) for section in ClassReport(evaluation).sections()}


def test_accuracy_has_wilsons_interval_and_the_majority_as_baseline(evaluation):
    accuracy, macro = ClassReport(evaluation).metric_rows()
    right = int((evaluation.activated.argmax(dim=1) == evaluation.targets).sum())
    interval = wilson(right, 60)
    assert (accuracy.value, accuracy.low, accuracy.high) == (right / 60, interval.low, interval.high)
    assert accuracy.baseline == pytest.approx(float((evaluation.targets == 2).float().mean()))
    predicted = evaluation.activated.argmax(dim=1)
    expected = oracle.f1_score(evaluation.targets, predicted, average="macro", labels=range(4), zero_division=0)
    assert macro.value == pytest.approx(expected)
    assert macro.low <= macro.value <= macro.high


def test_without_training_images_there_is_no_baseline(evaluation):
    assert {row.baseline for row in ClassReport(replace(evaluation, training={})).metric_rows()} == {None}


def test_per_class_scores_equal_those_of_sklearn(evaluation):
    (table,) = blocks(evaluation)["classes"]
    predicted = evaluation.activated.argmax(dim=1)
    expected = oracle.precision_recall_fscore_support(evaluation.targets, predicted, labels=range(4), zero_division=0)
    for i in range(3):
        assert [cell.text for cell in table.rows[i][2:5]] == [f"{values[i]:.3f}" for values in expected[:3]]
        assert table.rows[i][1].text == str(expected[3][i])
    assert [cell.text for cell in table.rows[3]] == ["never", "0", "–", "–", "–", "0", "0"]
    assert [row[6].text for row in table.rows] == ["1", "1", "3", "0"]


def test_the_confusion_matrix_equals_scikit_learn(evaluation):
    matrix, _ = blocks(evaluation)["confusion"]
    counts = np.array([[cell.value for cell in row[1:]] for row in matrix.rows])
    predicted = evaluation.activated.argmax(dim=1)
    expected = oracle.confusion_matrix(evaluation.targets, predicted, labels=range(4))
    np.testing.assert_array_equal(counts, expected)
    tints = np.array([[cell.tint for cell in row[1:]] for row in matrix.rows])
    np.testing.assert_allclose(tints[:3].sum(axis=1), 1, rtol=1e-6)
    assert [[cell.tone for cell in row[1:]] for row in matrix.rows][1] == ["second", "third", "second", "second"]


def test_the_most_frequent_confusions_come_first(evaluation):
    _, pairs = blocks(evaluation)["confusion"]
    predicted = evaluation.activated.argmax(dim=1)
    wrong = oracle.confusion_matrix(evaluation.targets, predicted, labels=range(4))
    np.fill_diagonal(wrong, 0)
    assert [row[2].value for row in pairs.rows] == sorted(wrong[wrong > 0].tolist(), reverse=True)
    true, other = (VOCAB.index(cell.text) for cell in pairs.rows[0][:2])
    assert wrong[true, other] == wrong.max()


def test_many_classes_have_a_list_of_confusions_but_no_matrix(paths):
    targets = torch.arange(60) % 30
    predicted = (targets + (torch.arange(60) < 20)) % 30
    outputs = 5 * torch.nn.functional.one_hot(predicted, 30).float()
    task = CategoryBlock([f"class {i:02}" for i in range(30)])
    (pairs,) = blocks(make_evaluation(task, outputs, targets, paths=paths))["confusion"]
    assert len(pairs.rows) == 15


def test_the_worst_mistakes_are_sorted_by_the_probability_of_the_true_class(evaluation):
    (gallery,) = blocks(evaluation)["worst"]
    chance = evaluation.activated[torch.arange(60), evaluation.targets].numpy()
    wrong = (evaluation.activated.argmax(dim=1) != evaluation.targets).numpy()
    expected = [i for i in np.argsort(chance) if wrong[i]][:24]
    assert [card.title for card in gallery.cards] == [f"{i:03}.jpg" for i in expected]
    first, at = gallery.cards[0], expected[0]
    assert [tag.style for tag in first.tags] == ["missing", "extra"]
    assert first.tags[0].text == f"{VOCAB[int(evaluation.targets[at])]} {chance[at]:.2f}"


def test_without_mistakes_there_are_no_confusions_and_no_worst_images(evaluation):
    perfect = 99 * torch.nn.functional.one_hot(evaluation.targets, 4).float()
    found = blocks(replace(evaluation, outputs=perfect))
    assert "worst" not in found
    assert len(found["confusion"]) == 1


def test_the_summary_counts_images_and_classes(evaluation):
    assert ClassReport(evaluation).summary() == "60 validation images, one of 4 classes each"


def test_outputs_of_another_shape_are_an_error(evaluation):
    with pytest.raises(DataError, match="60 images and 4 classes"):
        ClassReport(replace(evaluation, outputs=evaluation.outputs[:, :2]))


def test_images_of_an_unknown_class_are_counted_and_ignored_in_the_scores(evaluation):
    unknown = evaluation.targets.clone()
    unknown[::7] = -1
    report, kept = ClassReport(replace(evaluation, targets=unknown)), unknown >= 0
    predicted = evaluation.activated.argmax(dim=1)
    accuracy, macro = report.metric_rows()
    assert accuracy.value == pytest.approx(oracle.accuracy_score(unknown[kept], predicted[kept]))
    expected = oracle.f1_score(unknown[kept], predicted[kept], average="macro", labels=range(4), zero_division=0)
    assert macro.value == pytest.approx(expected)
    assert (
        report.summary()
        == "60 validation images, one of 4 classes each; the class of 9 is unknown, and they are ignored"
    )
    (gallery,) = blocks(replace(evaluation, targets=unknown))["worst"]
    assert not {card.title for card in gallery.cards} & {f"{i:03}.jpg" for i in range(0, 60, 7)}
    nothing = ClassReport(replace(evaluation, targets=torch.full((60,), -1)))
    assert (nothing.metric_rows(), nothing.sections()) == ([], [])


# ------------------------------------------------------------------ ordered classes


@pytest.fixture
def ratings(paths: list[str]) -> Evaluation:
    generator = torch.Generator().manual_seed(2)
    targets = torch.randint(5, (60,), generator=generator)
    targets[7] = -1
    above = torch.arange(4) < targets[:, None]
    outputs = 2.0 * above - 1 + torch.randn(60, 4, generator=generator)
    training = [str(rating) for rating in (1, 2, 2, 4, 5, 5, 5)]
    return make_evaluation(OrdinalBlock([1, 2, 3, 4, 5]), outputs, targets, paths=paths, training=training)


def test_ordered_classes_have_scores_of_their_distance(ratings):
    accuracy, macro, off, kappa = ClassReport(ratings).metric_rows()
    known = ratings.targets >= 0
    predicted = torch.tensor([int(name) - 1 for name in ratings.decoded])[known]
    true = ratings.targets[known]
    assert accuracy.value == pytest.approx(oracle.accuracy_score(true, predicted))
    assert macro.value == pytest.approx(oracle.f1_score(true, predicted, average="macro", labels=range(5)))
    assert (off.name, off.value) == ("MAE in classes", pytest.approx(oracle.mean_absolute_error(true, predicted)))
    assert not off.higher_is_better
    assert off.low <= off.value <= off.high
    assert off.baseline == pytest.approx(float((true - 3).abs().double().mean()))  # always the median, 4
    expected = oracle.cohen_kappa_score(true, predicted, weights="quadratic")
    assert (kappa.name, kappa.value) == ("quadratic weighted kappa", pytest.approx(expected))
    assert kappa.baseline == pytest.approx(0)


def test_the_confusion_matrix_and_the_worst_mistakes_use_the_predictions(ratings):
    sections = blocks(ratings)
    matrix = sections["confusion"][0]
    known = ratings.targets >= 0
    predicted = torch.tensor([int(name) - 1 for name in ratings.decoded])[known]
    counts = [[cell.value for cell in row[1:]] for row in matrix.rows]
    np.testing.assert_array_equal(counts, oracle.confusion_matrix(ratings.targets[known], predicted, labels=range(5)))
    (gallery,) = sections["worst"]
    assert len(gallery.cards) == min(int((predicted != ratings.targets[known]).sum()), 24)
