from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn import metrics as oracle

from eyebright.errors import DataError
from eyebright.evaluation.intervals import wilson
from eyebright.report.classes import ClassAnswers


@pytest.fixture
def answers() -> ClassAnswers:
    generator = torch.Generator().manual_seed(1)
    targets = torch.randint(3, (60,), generator=generator)
    logits = torch.randn(60, 4, generator=generator)
    logits[torch.arange(60), targets] += 1
    logits[:, 3] -= 9
    training = torch.tensor([2, 2, 2, 0, 1])
    return ClassAnswers(("can", "carton", "bottle", "never"), logits.softmax(dim=1), targets, training)


def blocks(answers: ClassAnswers, paths: list[str]) -> dict[str, list]:
    return {section.anchor: list(section.blocks) for section in answers.sections(paths)}


def test_accuracy_has_wilsons_interval_and_the_majority_as_baseline(answers):
    accuracy, macro = answers.scores()
    right = int((answers.probabilities.argmax(dim=1) == answers.targets).sum())
    interval = wilson(right, 60)
    assert (accuracy.value, accuracy.low, accuracy.high) == (right / 60, interval.low, interval.high)
    assert accuracy.baseline == pytest.approx(float((answers.targets == 2).float().mean()))
    said = answers.probabilities.argmax(dim=1)
    expected = oracle.f1_score(answers.targets, said, average="macro", labels=range(4), zero_division=0)
    assert macro.value == pytest.approx(expected)
    assert macro.low <= macro.value <= macro.high


def test_without_training_images_there_is_no_baseline(answers):
    assert {row.baseline for row in replace(answers, training_targets=None).scores()} == {None}


def test_the_table_of_classes_is_scikit_learns(answers, paths):
    (table,) = blocks(answers, paths)["classes"]
    said = answers.probabilities.argmax(dim=1)
    expected = oracle.precision_recall_fscore_support(answers.targets, said, labels=range(4), zero_division=0)
    for i in range(3):
        assert [cell.text for cell in table.rows[i][2:5]] == [f"{values[i]:.3f}" for values in expected[:3]]
        assert table.rows[i][1].text == str(expected[3][i])
    assert [cell.text for cell in table.rows[3]] == ["never", "0", "–", "–", "–", "0", "0"]
    assert [row[6].text for row in table.rows] == ["1", "1", "3", "0"]


def test_the_confusion_table_is_scikit_learns(answers, paths):
    matrix, _ = blocks(answers, paths)["confusion"]
    counts = np.array([[cell.value for cell in row[1:]] for row in matrix.rows])
    said = answers.probabilities.argmax(dim=1)
    expected = oracle.confusion_matrix(answers.targets, said, labels=range(4))
    np.testing.assert_array_equal(counts, expected)
    tints = np.array([[cell.tint for cell in row[1:]] for row in matrix.rows])
    np.testing.assert_allclose(tints[:3].sum(axis=1), 1, rtol=1e-6)
    assert [[cell.tone for cell in row[1:]] for row in matrix.rows][1] == ["second", "third", "second", "second"]


def test_the_most_frequent_confusions_come_first(answers, paths):
    _, pairs = blocks(answers, paths)["confusion"]
    said = answers.probabilities.argmax(dim=1)
    wrong = oracle.confusion_matrix(answers.targets, said, labels=range(4))
    np.fill_diagonal(wrong, 0)
    assert [row[2].value for row in pairs.rows] == sorted(wrong[wrong > 0].tolist(), reverse=True)
    true, taken = (answers.vocab.index(cell.text) for cell in pairs.rows[0][:2])
    assert wrong[true, taken] == wrong.max()


def test_many_classes_have_pairs_but_no_matrix(paths):
    targets = torch.arange(60) % 30
    said = (targets + (torch.arange(60) < 20)) % 30
    probabilities = torch.nn.functional.one_hot(said, 30).float() * 0.9 + 0.1 / 30
    many = ClassAnswers([f"class {i}" for i in range(30)], probabilities, targets)
    (pairs,) = blocks(many, paths)["confusion"]
    assert len(pairs.rows) == 15


def test_the_worst_mistakes_gave_the_true_class_the_least_probability(answers, paths):
    (gallery,) = blocks(answers, paths)["worst"]
    chance = answers.probabilities[torch.arange(60), answers.targets].numpy()
    wrong = (answers.probabilities.argmax(dim=1) != answers.targets).numpy()
    expected = [i for i in np.argsort(chance) if wrong[i]][:24]
    assert [card.title for card in gallery.cards] == [f"{i:03}.jpg" for i in expected]
    first, at = gallery.cards[0], expected[0]
    assert [tag.style for tag in first.tags] == ["missing", "extra"]
    assert first.tags[0].text == f"{answers.vocab[int(answers.targets[at])]} {chance[at]:.2f}"


def test_answers_without_a_mistake_have_neither_confusions_nor_worst_images(answers, paths):
    sure = torch.nn.functional.one_hot(answers.targets, 4).float()
    found = blocks(replace(answers, probabilities=sure), paths)
    assert "worst" not in found
    assert len(found["confusion"]) == 1


def test_the_summary_says_how_many_there_are(answers):
    assert answers.summary() == "60 images, one of 4 classes each"


def test_probabilities_of_another_shape_are_refused(answers):
    with pytest.raises(DataError, match="60 images and 4 classes"):
        replace(answers, probabilities=answers.probabilities[:, :2])
