"""The head equals scikit-learn's optimum of the same objective, on easy and on hard cases."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor

from eyebright._choices import HeadObjective
from eyebright.errors import TrainingError
from eyebright.train.linear_head.basis import Basis, principal_basis
from eyebright.train.linear_head.fit import LinearHead, fit_linear_head
from eyebright.train.linear_head.quadratic import _MAX_PRODUCTS
from support.linear_heads import random_features, random_labels, scaler_of

TOLERANCE = 1e-4


def logistic_probabilities(
    features: Tensor, target: Tensor, C: float, weight: Tensor | None = None, answered: Tensor | None = None
) -> np.ndarray:
    """scikit-learn's probabilities: its Newton solver where there is one sigmoid, lbfgs for a softmax."""
    scaler = scaler_of(features)
    known = (target >= 0).numpy() if not target.is_floating_point() else ~target.isnan().numpy()
    solver = "newton-cholesky" if len(target[torch.from_numpy(known)].unique()) == 2 else "lbfgs"
    model = LogisticRegression(C=C, tol=1e-10, max_iter=100_000, solver=solver)
    x = scaler.transform(features.double().numpy())
    model.fit(x[known], target.numpy()[known], None if weight is None else weight.numpy()[known])
    rows = x if answered is None else scaler.transform(answered.double().numpy())
    return model.predict_proba(rows)


def assert_labels_equal(features: Tensor, targets: Tensor, C: float, weight: Tensor | None = None) -> LinearHead:
    """Asserts that all labels have scikit-learn's probabilities, on the fitted images and on others."""
    head = fit_linear_head(features, targets, objective="binary", C=C, sample_weight=weight)
    others = features + features.double().std(dim=0).to(features.dtype) * torch.randn(
        features.shape, generator=torch.Generator().manual_seed(5)
    ).to(features.dtype)
    for images in (features, others):
        actual = head.outputs(images).sigmoid().numpy()
        for j in range(targets.shape[1]):
            expected = logistic_probabilities(features, targets[:, j], C, weight, images)[:, 1]
            np.testing.assert_allclose(actual[:, j], expected, atol=TOLERANCE)
    return head


@pytest.mark.parametrize("C", [1e-4, 1e-2, 1.0, 100.0])
@pytest.mark.parametrize(("n", "d"), [(300, 40), (60, 200), (100, 100)])
def test_labels_equal_scikit_learn(n: int, d: int, C: float) -> None:
    features = random_features(n, d)
    assert_labels_equal(features, random_labels(features, 3), C)


@pytest.mark.parametrize("C", [0.1, 1e4])
def test_separable_labels_equal_scikit_learn(C: float) -> None:
    features = random_features(200, 20)
    assert_labels_equal(features, (features[:, :2] > features[:, :2].median(dim=0).values).float(), C)


@pytest.mark.parametrize("C", [0.01, 10.0])
def test_a_label_with_one_positive_equals_scikit_learn(C: float) -> None:
    features = random_features(200, 30)
    targets = torch.zeros(200, 2)
    targets[7, 0] = 1
    targets[:, 1] = 1
    targets[9, 1] = 0
    assert_labels_equal(features, targets, C)


@pytest.mark.parametrize("C", [0.01, 100.0])
def test_strongly_correlated_features_equal_scikit_learn(C: float) -> None:
    base = random_features(250, 5)
    copies = base.repeat(1, 8) + 1e-3 * torch.randn(250, 40, generator=torch.Generator().manual_seed(2))
    assert_labels_equal(copies, random_labels(base, 2), C)


def test_unknown_cells_are_as_if_the_image_were_not_there() -> None:
    features = random_features(300, 30)
    targets = random_labels(features, 3)
    targets[torch.rand(300, 3, generator=torch.Generator().manual_seed(3)) < 0.4] = float("nan")
    assert_labels_equal(features, targets, 0.3)


def test_sample_weights_equal_scikit_learn() -> None:
    features = random_features(300, 30)
    weight = torch.rand(300, generator=torch.Generator().manual_seed(3)) * 5
    weight[:20] = 0
    assert_labels_equal(features, random_labels(features, 2), 0.3, weight)


def test_a_weight_of_two_is_an_image_twice() -> None:
    features = random_features(100, 20)
    targets = random_labels(features, 2)
    once = fit_linear_head(features, targets, objective="binary", C=0.5, sample_weight=torch.full((100,), 2.0))
    twice = fit_linear_head(features.repeat(2, 1), targets.repeat(2, 1), objective="binary", C=0.5)
    torch.testing.assert_close(once.outputs(features), twice.outputs(features), atol=1e-3, rtol=0)


def test_a_probability_as_target_is_that_share_of_two_images() -> None:
    features = random_features(120, 20)
    targets = torch.rand(120, 1, generator=torch.Generator().manual_seed(4))
    head = fit_linear_head(features, targets, objective="binary", C=0.5)
    doubled = torch.cat([torch.ones(120, 1), torch.zeros(120, 1)])
    weight = torch.cat([targets[:, 0], 1 - targets[:, 0]])
    expected = logistic_probabilities(features.repeat(2, 1), doubled[:, 0], 0.5, weight, features)[:, 1]
    np.testing.assert_allclose(head.outputs(features).sigmoid()[:, 0].numpy(), expected, atol=TOLERANCE)


def test_float16_features_equal_scikit_learn() -> None:
    features = random_features(300, 30).half()
    assert_labels_equal(features, random_labels(features, 2), 0.3)


def test_features_far_from_zero_equal_scikit_learn() -> None:
    features = random_features(300, 30).double() * 1e-3 + 1e6
    assert_labels_equal(features, random_labels(random_features(300, 30), 2), 0.3)


def test_constant_features_have_no_weight_and_are_said() -> None:
    features = random_features(200, 10)
    features[:, 3], features[:, 7] = 0.0, 123.456
    head = assert_labels_equal(features, random_labels(features, 2), 0.3)
    assert not head.weight[:, [3, 7]].any()
    assert head.notes == ("2 of 10 features are constant, and are ignored",)


@pytest.mark.parametrize("C", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize(("n", "d", "k"), [(300, 30, 5), (60, 150, 4), (200, 20, 3)])
def test_classes_equal_scikit_learn(n: int, d: int, k: int, C: float) -> None:
    features = random_features(n, d)
    targets = random_labels(features, k, share=0.5).argmax(dim=1)
    targets[:10] = -1
    head = fit_linear_head(features, targets, objective="multinomial", C=C)
    expected = logistic_probabilities(features, targets, C)
    np.testing.assert_allclose(head.outputs(features).softmax(dim=1).numpy(), expected, atol=TOLERANCE)
    assert abs(float(head.outputs(features).mean(dim=0).sum())) < 1e-6  # outputs of an image add up to zero


def test_two_classes_equal_scikit_learn_which_fits_one_sigmoid() -> None:
    features = random_features(200, 30)
    targets = random_labels(features, 1)[:, 0].long()
    head = fit_linear_head(features, targets, objective="multinomial", C=0.2)
    expected = logistic_probabilities(features, targets, 0.2)
    np.testing.assert_allclose(head.outputs(features).softmax(dim=1).numpy(), expected, atol=TOLERANCE)


@pytest.mark.parametrize("C", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize(("n", "d"), [(300, 30), (60, 150)])
@pytest.mark.parametrize("weighted", [False, True])
def test_numbers_equal_ridge(n: int, d: int, C: float, weighted: bool) -> None:
    features = random_features(n, d)
    generator = torch.Generator().manual_seed(1)
    targets = features @ torch.randn(d, 2, generator=generator) + torch.randn(n, 2, generator=generator)
    targets = targets * torch.tensor([1e-4, 100.0]) + torch.tensor([3.0, -5e4])
    targets[torch.rand(n, 2, generator=generator) < 0.2] = float("nan")
    weight = torch.rand(n, generator=generator) + 0.1 if weighted else None
    head = fit_linear_head(features, targets, objective="squared", C=C, sample_weight=weight)
    x = scaler_of(features).transform(features.double().numpy())
    for j in range(2):
        known = ~targets[:, j].isnan().numpy()
        y = targets[:, j].double().numpy()[known]
        ridge = Ridge(alpha=1 / C).fit(x[known], y, None if weight is None else weight.numpy()[known])
        actual = head.outputs(features)[:, j].numpy()
        np.testing.assert_allclose(actual, ridge.predict(x), atol=TOLERANCE * y.std(), rtol=0)


@pytest.mark.parametrize("objective", ["binary", "multinomial"])
def test_float32_reaches_the_same_probabilities(objective: HeadObjective, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eyebright.train.linear_head.fit._FLOAT64_MAX_SIZE", 0)
    features = random_features(400, 100)
    labels = random_labels(features, 4, share=0.4)
    targets = labels if objective == "binary" else labels.argmax(dim=1)
    for C in (1e-3, 0.1, 10.0):
        actual = fit_linear_head(features, targets, objective=objective, C=C).outputs(features)
        if objective == "multinomial":
            expected = logistic_probabilities(features, targets, C)
            np.testing.assert_allclose(actual.softmax(dim=1).numpy(), expected, atol=TOLERANCE)
        else:
            for j in range(4):
                expected = logistic_probabilities(features, labels[:, j], C)[:, 1]
                np.testing.assert_allclose(actual[:, j].sigmoid().numpy(), expected, atol=TOLERANCE)


def test_outputs_that_do_not_converge_in_float32_are_fitted_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    dtypes: list[torch.dtype] = []

    def recorded(features: Tensor, *, dtype: torch.dtype) -> Basis:
        dtypes.append(dtype)
        return principal_basis(features, dtype=dtype)

    monkeypatch.setattr("eyebright.train.linear_head.fit._FLOAT64_MAX_SIZE", 0)
    monkeypatch.setattr("eyebright.train.linear_head.fit.principal_basis", recorded)
    monkeypatch.setitem(_MAX_PRODUCTS, torch.float32, 1)  # as if more would not help
    features = random_features(150, 60)
    targets = random_labels(features, 3, share=0.4)
    C = 1.0
    actual = fit_linear_head(features, targets, objective="binary", C=C).outputs(features).sigmoid()
    assert dtypes == [torch.float32, torch.float64]
    for j in range(3):
        expected = logistic_probabilities(features, targets[:, j], C)[:, 1]
        np.testing.assert_allclose(actual[:, j].numpy(), expected, atol=TOLERANCE)


def test_a_head_that_does_not_converge_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eyebright.train.linear_head.newton._MAX_STEPS", 2)
    features = random_features(50, 20)
    with pytest.raises(
        TrainingError, match="2 of 2 outputs of the linear head do not converge with C up to 10; give a"
    ):
        fit_linear_head(features, random_labels(features, 2), objective="binary", C=10)


def test_labels_in_several_batches_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    features = random_features(100, 30)
    targets = random_labels(features, 7)
    together = fit_linear_head(features, targets, objective="binary", C=0.1)
    monkeypatch.setattr("eyebright.train.linear_head.fit._BATCH_MAX_SIZE", 200)
    apart = fit_linear_head(features, targets, objective="binary", C=0.1)
    torch.testing.assert_close(together.weight, apart.weight, atol=1e-6, rtol=1e-4)


def test_a_label_without_positives_or_negatives_is_constant_and_said() -> None:
    features = random_features(50, 10)
    targets = random_labels(features, 4)
    targets[:, 1], targets[:, 2], targets[:, 3] = 0, 1, float("nan")
    targets[:10, 1] = float("nan")
    head = fit_linear_head(features, targets, objective="binary", names=["a", "b", "c", "d"], C=1.0)
    assert not head.weight[1:].any()
    assert head.bias[1:].sigmoid().tolist() == pytest.approx([0.5 / 41, 50.5 / 51, 0.5])
    assert head.notes == (
        "the label 'd' has no image with a known value: the prediction is the same for every image",
        "the label 'b' has no image that has it: the prediction is the same for every image",
        "the label 'c' has no image without it: the prediction is the same for every image",
    )
    alone = fit_linear_head(features, targets[:, :1], objective="binary", C=1.0)
    torch.testing.assert_close(head.weight[:1], alone.weight)


@pytest.mark.parametrize("present", [3, 2])
def test_a_class_without_images_is_never_the_answer(present: int) -> None:
    features = random_features(100, 10)
    classes = random_labels(features, present, share=0.5).argmax(dim=1)
    targets = torch.tensor([0, 2, 3])[classes]
    head = fit_linear_head(features, targets, objective="multinomial", names=list("abcde"), C=1.0)
    alone = fit_linear_head(features, classes, objective="multinomial", C=1.0)
    kept = [0, 2, 3][:present]
    outputs = head.outputs(features)
    torch.testing.assert_close(outputs[:, kept].softmax(dim=1), alone.outputs(features).softmax(dim=1))
    share = outputs.softmax(dim=1)[:, 1]
    assert share.mean() == pytest.approx(0.5 / 100, rel=0.5)
    assert head.notes[0].endswith("no image: it is never predicted")


def test_one_class_only_is_the_answer_for_every_image() -> None:
    head = fit_linear_head(random_features(20, 5), torch.ones(20, dtype=torch.int64), objective="multinomial")
    assert not head.weight.any()
    assert head.bias.argmax() == 1


def test_one_number_only_is_the_answer_for_every_image() -> None:
    targets = torch.full((20, 2), 7.5)
    targets[:, 1] = torch.arange(20)
    head = fit_linear_head(random_features(20, 5), targets, objective="squared", C=1.0)
    assert head.outputs(random_features(3, 5, seed=9))[:, 0].tolist() == [7.5, 7.5, 7.5]
    assert head.notes == ("the number '0' has only one value: the prediction is the same for every image",)


def test_features_that_are_all_constant_give_the_shares() -> None:
    targets = torch.zeros(40, 1)
    targets[:10] = 1
    head = fit_linear_head(torch.ones(40, 6), targets, objective="binary", C=1.0)
    assert not head.weight.any()
    assert float(head.bias.sigmoid()) == pytest.approx(0.25, abs=TOLERANCE)
    assert head.notes == ("all 6 features are constant, so every prediction is the same",)


def test_one_image_per_label_works() -> None:
    head = fit_linear_head(random_features(6, 50), torch.eye(6), objective="binary")
    assert (head.outputs(random_features(6, 50)).argmax(dim=1) == torch.arange(6)).all()
    assert math.isfinite(float(head.bias.sum()))
    classes = fit_linear_head(random_features(6, 50), torch.arange(6), objective="multinomial")
    assert (classes.outputs(random_features(6, 50)).argmax(dim=1) == torch.arange(6)).all()
