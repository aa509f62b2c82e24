"""What a head cannot be fitted to is an error that says what is there and what to do."""

from typing import Any

import pytest
import torch

from eyebright.errors import InputError
from eyebright.train.linear_head.fit import fit_linear_head
from eyebright.train.linear_head.folds import target_folds
from support.linear_heads import random_features, random_labels

FEATURES = random_features(20, 5)
LABELS = random_labels(FEATURES, 2)
CLASSES = LABELS[:, 0].long()
NAN = float("nan")


@pytest.mark.parametrize("value", [NAN, float("inf")])
def test_features_that_are_not_finite_are_counted(value: float) -> None:
    features = FEATURES.clone()
    features[3, 1] = features[3, 2] = features[7, 0] = value
    with pytest.raises(
        InputError, match="2 of 20 images have features that are NaN or infinite; compute them in float32"
    ):
        fit_linear_head(features, LABELS, objective="binary")


@pytest.mark.parametrize(
    ("targets", "objective"),
    [(LABELS * NAN, "binary"), (LABELS * NAN, "squared"), (torch.full((20,), -1), "multinomial")],
)
def test_without_a_known_target_there_is_nothing_to_fit(targets: torch.Tensor, objective: Any) -> None:
    with pytest.raises(InputError, match="none of the 20 images has a known target, so there is nothing to fit"):
        fit_linear_head(FEATURES, targets, objective=objective, names=["a", "b"])


def test_weights_of_zero_leave_nothing_to_fit() -> None:
    with pytest.raises(InputError, match="none of the 20 images with a weight above 0 has a known target"):
        fit_linear_head(FEATURES, LABELS, objective="binary", sample_weight=torch.zeros(20))


@pytest.mark.parametrize("C", [0.0, -1.0, NAN, float("inf"), [], [1.0, 0.0]])
def test_c_must_be_positive(C: Any) -> None:
    with pytest.raises(InputError, match=r"`C` must be positive and finite, got"):
        fit_linear_head(FEATURES, LABELS, objective="binary", C=C)


@pytest.mark.wrong_shapes
@pytest.mark.parametrize(
    ("features", "targets", "objective", "message"),
    [
        (FEATURES[:, 0], LABELS, "binary", r"features must have the shape \(images, features\), got \(20,\)"),
        (FEATURES[:0], LABELS[:0], "binary", r"features must have the shape \(images, features\), got \(0, 5\)"),
        (FEATURES, LABELS[:9], "binary", "`targets` must have a row for each of the 20 images, got 9"),
        (
            FEATURES,
            LABELS[:, 0],
            "binary",
            r"must be floats of shape \(images, outputs\), got shape \(20,\) of float32",
        ),
        (
            FEATURES,
            LABELS.long(),
            "binary",
            r"must be floats of shape \(images, outputs\), got shape \(20, 2\) of int64",
        ),
        (FEATURES, LABELS[:, :0], "squared", r"must be floats of shape \(images, outputs\), got shape \(20, 0\)"),
        (FEATURES, LABELS, "multinomial", r"classes must be one int64 index per image, got shape \(20, 2\) of float32"),
        (FEATURES, CLASSES - 2, "multinomial", "classes must be indices from 0 on, or -1 where unknown; got -2"),
        (FEATURES, LABELS * 2, "binary", r"targets of labels must be from 0 to 1, or NaN where unknown; \d+ are not"),
        (FEATURES, LABELS / 0, "squared", r"numbers must be finite, or NaN where unknown; \d+ are infinite"),
        (FEATURES, LABELS, "softmax", "`objective` must be 'binary', 'multinomial' or 'squared', got 'softmax'"),
    ],
)
def test_targets_that_do_not_fit_are_described(
    features: torch.Tensor, targets: torch.Tensor, objective: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        fit_linear_head(features, targets, objective=objective)


@pytest.mark.wrong_shapes
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sample_weight": torch.ones(3)}, "`sample_weight` must have a row for each of the 20 images, got 3"),
        ({"sample_weight": -torch.ones(20)}, "`sample_weight` must be finite and not negative; 20 of 20 are not"),
        ({"groups": torch.arange(3)}, "`groups` must have a row for each of the 20 images, got 3"),
        ({"names": ["a"]}, "`names` must have a name for each of the 2 outputs, got 1"),
    ],
)
def test_other_arguments_that_do_not_fit_are_described(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_linear_head(FEATURES, LABELS, objective="binary", **arguments)


def test_more_folds_than_images_or_groups_are_an_error() -> None:
    with pytest.raises(InputError, match="`n_folds` must be from 2 to the number of images, 20; got 21"):
        target_folds(LABELS, 21, objective="binary")
    with pytest.raises(InputError, match="`n_folds` must be from 2 to the number of groups of images, 4; got 5"):
        target_folds(LABELS, 5, objective="binary", groups=torch.arange(20) % 4)
