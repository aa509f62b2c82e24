"""An image's out-of-fold outputs never depend on its own fold."""

import pytest
import torch
from torch import Tensor

from eyebright._choices import HeadObjective
from eyebright.errors import InputError
from eyebright.train.linear_head.cross_fit import cross_fit
from eyebright.train.linear_head.fit import fit_linear_head
from eyebright.train.linear_head.folds import target_folds
from support.linear_heads import random_features, random_labels

OBJECTIVES: tuple[HeadObjective, ...] = ("binary", "multinomial", "squared")


def some_targets(objective: HeadObjective, features: Tensor) -> Tensor:
    labels = random_labels(features, 3)
    return labels.argmax(dim=1) if objective == "multinomial" else labels


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize(("n", "d"), [(150, 20), (60, 100)])
def test_outputs_of_a_fold_do_not_depend_on_anything_in_it(objective: HeadObjective, n: int, d: int) -> None:
    """Other targets and other features of the fold's images change no bit of a head, however wild they are."""
    features = random_features(n, d)
    targets = some_targets(objective, features)
    folds = target_folds(targets, 3, objective=objective)
    before = cross_fit(features, targets, folds, objective=objective)
    held = folds == 1
    others = held.nonzero()[1:, 0]  # all images of the fold but the first, whose outputs are compared
    changed, wrong = features.clone(), targets.clone()
    changed[others] = changed[others] * 1000 + 77
    wrong[held] = wrong[held].flip(0)
    after = cross_fit(changed, wrong, folds, objective=objective)
    first = held.nonzero()[0, 0]
    assert torch.equal(before[first], after[first])
    assert not torch.equal(before[~held], after[~held])  # the other heads have seen the fold


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_outputs_are_those_of_a_head_fitted_without_the_fold(objective: HeadObjective) -> None:
    features = random_features(100, 20)
    targets = some_targets(objective, features)
    folds = target_folds(targets, 4, objective=objective)
    outputs = cross_fit(features, targets, folds, objective=objective, sample_weight=torch.rand(100) * 0 + 2)
    for fold in range(4):
        kept = folds != fold
        head = fit_linear_head(
            features[kept], targets[kept], objective=objective, sample_weight=torch.full((int(kept.sum()),), 2.0)
        )
        torch.testing.assert_close(outputs[~kept], head.outputs(features[~kept]))


def test_an_image_without_a_known_target_has_outputs() -> None:
    features = random_features(60, 10)
    targets = random_labels(features, 2)
    targets[5] = float("nan")
    outputs = cross_fit(features, targets, target_folds(targets, 3, objective="binary"), objective="binary", C=1.0)
    assert outputs.isfinite().all()


def test_a_class_that_only_one_fold_has_is_answered_by_nobody() -> None:
    features = random_features(40, 10)
    targets = torch.arange(40) % 2
    targets[7] = 2
    folds = torch.arange(40) // 2 % 4
    outputs = cross_fit(features, targets, folds, objective="multinomial", C=1.0)
    assert outputs.shape == (40, 3)
    assert outputs[7].softmax(dim=0)[2] < 0.05


@pytest.mark.wrong_shapes
def test_folds_that_do_not_fit_are_errors() -> None:
    features = random_features(10, 3)
    targets = random_labels(features, 1)
    with pytest.raises(InputError, match="`folds` must have the fold of each of the 10 images, got 9"):
        cross_fit(features, targets, torch.zeros(9, dtype=torch.int64), objective="binary")
    with pytest.raises(InputError, match=r"`folds` must be two or more numbers from 0 on, got \[0\]"):
        cross_fit(features, targets, torch.zeros(10, dtype=torch.int64), objective="binary")
    with pytest.raises(InputError, match=r"`folds` must be two or more numbers from 0 on, got \[-1, 0, 1\]"):
        cross_fit(features, targets, torch.arange(10) % 3 - 1, objective="binary")
    with pytest.raises(InputError, match="`sample_weight` must have a row for each of the 10 images, got 3"):
        cross_fit(features, targets, torch.arange(10) % 2, objective="binary", sample_weight=torch.ones(3))
    with pytest.raises(InputError, match="2 groups of images are in several folds; give folds that keep groups whole"):
        cross_fit(features, targets, torch.arange(10) % 2, objective="binary", groups=torch.arange(10) // 5)
