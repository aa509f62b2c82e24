"""Confusion matrices and the classification report, against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn

from eyebright.errors import InputError
from eyebright.metrics.confusion import (
    classification_report,
    confusion_matrix,
    most_confused_labels,
    multilabel_confusion_matrix,
)

NAMES = ("cat", "dog", "a long name of a class", "never there", "always there")


def random_labels(seed: int, n: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """Decisions and targets of five labels; no image has the fourth, all have the last."""
    generator = np.random.default_rng(seed)
    target = generator.random((n, 5)) < 0.3
    target[:, 3], target[:, 4] = False, True
    decisions = target ^ (generator.random((n, 5)) < 0.25)
    return torch.from_numpy(decisions), torch.from_numpy(target.astype(np.float32))


def random_classes(seed: int, n: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.choice([0, 1, 2, 4], n)), torch.from_numpy(generator.choice([0, 1, 2], n))


@pytest.mark.parametrize("seed", range(5))
def test_a_confusion_matrix_equals_scikit_learns(seed: int) -> None:
    predicted, target = random_classes(seed)
    expected = sklearn.confusion_matrix(target, predicted, labels=range(5))
    assert confusion_matrix(predicted, target, 5).tolist() == expected.tolist()


def test_images_of_an_unknown_class_are_ignored() -> None:
    matrix = confusion_matrix(torch.tensor([0, 1, 1]), torch.tensor([0, -1, 0]), 2)
    assert matrix.tolist() == [[1, 1], [0, 0]]


@pytest.mark.wrong_shapes
def test_an_index_of_no_class_is_an_error() -> None:
    with pytest.raises(InputError, match="indices of 2 classes are 0 to 1"):
        confusion_matrix(torch.tensor([2]), torch.tensor([0]), 2)
    with pytest.raises(InputError, match="one predicted and one true class for each image"):
        confusion_matrix(torch.tensor([1]), torch.tensor([0, 1]), 2)


@pytest.mark.parametrize("seed", range(5))
def test_each_label_has_the_matrix_of_scikit_learn(seed: int) -> None:
    decisions, target = random_labels(seed)
    expected = sklearn.multilabel_confusion_matrix(target.numpy(), decisions.numpy())
    assert multilabel_confusion_matrix(decisions, target).tolist() == expected.tolist()


def test_unknown_cells_count_in_no_matrix() -> None:
    decisions, target = random_labels(0)
    unknown = torch.rand(target.shape, generator=torch.Generator().manual_seed(0)) < 0.3
    masked = torch.where(unknown, torch.nan, target)
    matrices = multilabel_confusion_matrix(decisions, masked)
    for k in range(target.shape[1]):
        known = ~unknown[:, k]
        expected = sklearn.confusion_matrix(target[known, k], decisions[known, k], labels=[0, 1])
        assert matrices[k].tolist() == expected.tolist()


def test_the_most_confused_labels_are_pairs_of_a_missing_and_an_extra_one() -> None:
    names = ("cat", "dog", "bird")
    target = torch.tensor([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, torch.nan], [1, 0, 0]])
    decisions = torch.tensor([[0, 1, 0], [0, 1, 1], [0, 1, 1], [0, 1, 0], [0, 0, 1], [1, 1, 0]]).bool()
    # image 5: bird is unknown, so it is not predicted instead of the cat; image 6 has an extra label, but misses none
    assert most_confused_labels(decisions, target, names) == [("cat", "dog", 2), ("cat", "bird", 2)]


@pytest.mark.parametrize("seed", range(5))
def test_the_report_of_several_labels_is_the_text_of_scikit_learn(seed: int) -> None:
    decisions, target = random_labels(seed)
    decisions[0], target[0] = False, 0.0  # an image without labels
    expected = sklearn.classification_report(target.numpy(), decisions.numpy(), target_names=NAMES, zero_division=0)
    assert classification_report(decisions, target, NAMES) == expected


@pytest.mark.parametrize("seed", range(5))
def test_the_report_of_one_class_is_the_text_of_scikit_learn(seed: int) -> None:
    predicted, target = random_classes(seed)
    expected = sklearn.classification_report(target, predicted, labels=range(5), target_names=NAMES, zero_division=0)
    one_hot = torch.nn.functional.one_hot
    got = classification_report(one_hot(predicted, 5).bool(), one_hot(target, 5), NAMES, single_label=True)
    assert got == expected


def test_the_report_counts_known_cells_only() -> None:
    decisions, target = random_labels(1)
    masked = target.clone()
    masked[:10, 0] = torch.nan
    row = classification_report(decisions, masked, NAMES).splitlines()[2]
    expected = sklearn.classification_report(target[10:, 0], decisions[10:, 0], target_names=["not", "cat"])
    assert row.split() == expected.splitlines()[3].split()
