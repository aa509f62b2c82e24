"""C is chosen by an inner cross-validation, for groups of outputs together."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from eyebright.train.linear_head.basis import principal_basis
from eyebright.train.linear_head.fit import LinearHead, fit_linear_head
from eyebright.train.linear_head.folds import target_folds
from eyebright.train.linear_head.held_out import hold_out
from eyebright.train.linear_head.problem import class_problem
from support.linear_heads import random_features, random_labels, scaler_of

CANDIDATES = [1e-3, 1e-2, 1e-1, 1.0]


def held_out_losses(features: torch.Tensor, target: torch.Tensor, folds: torch.Tensor) -> list[float]:
    """scikit-learn's mean held-out log loss of each candidate; features are standardised over all images."""
    x = scaler_of(features).transform(features.double().numpy())
    y = target.numpy()
    losses: list[float] = []
    for C in CANDIDATES:
        probabilities = np.empty((len(y), len(np.unique(y))))
        for fold in folds.unique().tolist():
            held = (folds == fold).numpy()
            model = LogisticRegression(C=C, tol=1e-8, max_iter=10_000).fit(x[~held], y[~held])
            probabilities[held] = model.predict_proba(x[held])
        losses.append(log_loss(y, probabilities))
    return losses


def test_held_out_losses_of_a_label_equal_scikit_learn() -> None:
    features = random_features(200, 20)
    targets = random_labels(features, 1)
    choice = fit_linear_head(features, targets, objective="binary", C=CANDIDATES).C_choices[0]
    folds = target_folds(targets, 5, objective="binary")
    expected = held_out_losses(features, targets[:, 0], folds)
    np.testing.assert_allclose(choice.losses, expected, rtol=2e-3)
    assert CANDIDATES[int(np.argmin(expected))] == choice.C
    assert choice.candidates == tuple(CANDIDATES)


def test_held_out_losses_of_classes_equal_scikit_learn() -> None:
    features = random_features(200, 20)
    targets = random_labels(features, 4).argmax(dim=1)
    choice = fit_linear_head(features, targets, objective="multinomial", C=CANDIDATES).C_choices[0]
    expected = held_out_losses(features, targets, target_folds(targets, 5, objective="multinomial"))
    np.testing.assert_allclose(choice.losses, expected, rtol=2e-3)
    assert choice.outputs == (0, 1, 2, 3)


def test_the_grid_goes_on_until_the_loss_rises() -> None:
    features = random_features(300, 20)
    choice = fit_linear_head(features, random_labels(features, 3), objective="binary").C_choices[0]
    assert choice.C not in (choice.candidates[0], choice.candidates[-1])
    assert min(choice.losses) == choice.losses[choice.candidates.index(choice.C)]
    assert choice.losses[-1] > min(choice.losses)


def test_of_labels_that_the_features_tell_nothing_about_the_grid_ends_where_the_loss_is_flat() -> None:
    features, others = random_features(300, 200), random_features(300, 20, seed=7)
    head = fit_linear_head(features, random_labels(others, 3), objective="binary")
    choice = head.C_choices[0]
    assert choice.C < 1e-5
    assert choice.candidates[0] > 1e-9
    assert head.notes == (
        "C of '0', '1', '2' (inverse regularisation) is the smallest that was tried, "
        f"{choice.C:g}; the features hardly predict it",
    )


def test_labels_that_cannot_be_learned_get_the_smallest_c_and_that_is_said() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(200, 400, generator=generator) * 10
    targets = (torch.rand(200, 1, generator=generator) < 0.5).float()
    head = fit_linear_head(features, targets, objective="binary", C=[1.0, 10.0])
    assert head.C_choices[0].C == 1.0
    assert head.notes == (
        "C of '0' (inverse regularisation) is the smallest that was tried, 1; give candidates beyond it",
    )


def test_labels_with_about_as_many_positives_share_their_c() -> None:
    features = random_features(400, 20)
    targets = torch.cat([random_labels(features, 2, share=share, seed=1) for share in (0.015, 0.05, 0.5)], dim=1)
    head = fit_linear_head(features, targets, objective="binary")
    assert [choice.outputs for choice in head.C_choices] == [(0, 1), (2, 3), (4, 5)]


def test_each_number_has_its_own_c() -> None:
    features = random_features(300, 40)
    generator = torch.Generator().manual_seed(0)
    clear = features @ torch.randn(40, 1, generator=generator)
    noise = torch.randn(300, 1, generator=generator)
    head = fit_linear_head(features, torch.cat([clear, noise], dim=1), objective="squared")
    assert head.C_choices[0].C > 100 * head.C_choices[1].C


def test_a_label_with_one_positive_gets_the_c_of_labels_with_more() -> None:
    features = random_features(200, 20)
    targets = random_labels(features, 2)
    single = torch.zeros(200, 1)
    single[17] = 1
    head = fit_linear_head(features, torch.cat([single, targets], dim=1), objective="binary")
    alone, others = head.C_choices
    assert (alone.outputs, alone.candidates, alone.losses) == ((0,), (), ())
    assert others.C == alone.C


def test_with_one_positive_for_each_label_c_is_the_default_and_that_is_said() -> None:
    head = fit_linear_head(random_features(6, 20), torch.eye(6), objective="binary")
    assert [choice.C for choice in head.C_choices] == [0.01]
    assert head.notes == ("too few images to choose C by cross-validation: C = 0.01",)


def test_groups_are_held_out_together() -> None:
    """Every image is there four times: without groups the best head learns them by heart."""
    features = random_features(60, 100).repeat(4, 1)
    targets = (torch.rand(60, 1, generator=torch.Generator().manual_seed(0)) < 0.5).float().repeat(4, 1)
    groups = torch.arange(60).repeat(4)
    apart = fit_linear_head(features, targets, objective="binary").C_choices[0]
    together = fit_linear_head(features, targets, objective="binary", groups=groups).C_choices[0]
    assert min(apart.losses) < 0.3
    assert min(together.losses) > 0.6
    assert apart.C > 100 * together.C


def test_many_images_are_sampled_with_all_positives_of_rare_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    features = random_features(3000, 10)
    targets = torch.cat([random_labels(features, 1, share=0.003), random_labels(features, 1)], dim=1)
    whole = fit_linear_head(features, targets, objective="binary", C=CANDIDATES)
    monkeypatch.setattr("eyebright.train.linear_head.held_out.MAX_IMAGES", 600)
    sampled = fit_linear_head(features, targets, objective="binary", C=CANDIDATES)
    assert targets[:, 0].sum() == 9
    for a, b in zip(whole.C_choices, sampled.C_choices, strict=True):
        assert len(b.losses) == 4
        assert abs(np.log10(a.C / b.C)) <= 1


@pytest.mark.parametrize("objective", ["multinomial", "squared"])
def test_many_images_of_other_targets_are_sampled(objective: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eyebright.train.linear_head.held_out.MAX_IMAGES", 300)
    features = random_features(900, 10)
    labels = random_labels(features, 3)
    if objective == "multinomial":
        head = fit_linear_head(features, labels.argmax(dim=1), objective="multinomial")
    else:
        head = fit_linear_head(features, labels, objective="squared")
    assert all(choice.losses for choice in head.C_choices)


def test_images_without_a_class_count_for_no_class_in_the_folds() -> None:
    """Most images are unknown; the folds have their share of each class's known images all the same."""
    features = random_features(300, 10)
    targets = torch.full((300,), -1)
    targets[:15] = torch.arange(15) % 3
    problem = class_problem(targets, torch.ones(300, dtype=torch.float64), ["a", "b", "c"])
    held_out = hold_out(principal_basis(features, dtype=torch.float64), problem, [[0, 1, 2]], None, seed=0)
    assert held_out is not None
    for index in range(3):
        assert held_out.held[targets == index].sum(dim=0).tolist() == [1, 1, 1, 1, 1]
    assert not held_out.held[15:].any()


def test_fewer_images_or_groups_than_folds_are_said() -> None:
    features = random_features(40, 10)
    head = fit_linear_head(features, random_labels(features, 1), objective="binary", groups=torch.arange(40) % 3)
    assert head.notes[-1] == "C is chosen with 3 folds, because there are only as many groups of images"


@pytest.mark.parametrize("cells", [0, 1_500_000])
def test_a_fit_is_the_same_again_and_with_another_number_of_threads(
    cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eyebright.train.linear_head.fit._FLOAT64_MAX_SIZE", cells)
    features = random_features(300, 50)
    targets = random_labels(features, 6)

    def fit(seed: int = 0) -> LinearHead:
        return fit_linear_head(features, targets, objective="binary", seed=seed)

    first, again = fit(), fit()
    assert torch.equal(first.weight, again.weight)
    assert first.C_choices == again.C_choices
    assert first.C_choices != fit(seed=1).C_choices
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        single = fit()
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(first.outputs(features).sigmoid(), single.outputs(features).sigmoid(), atol=1e-5, rtol=0)
