"""A teacher computes features once, and learns what scikit-learn learns from them; it ends when it is cancelled."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor

from eyebright.errors import CancelledError, InputError
from eyebright.inference.load_predictor import load_predictor
from eyebright.models.build import build_model, model_description
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.transforms.pipeline import Pipeline
from eyebright.transforms.spatial import Resize
from eyebright.workflow.teaching import Backbone, Teacher
from support.images import COLOURS, coloured_squares
from support.learners import TINY_ARCH
from support.linear_heads import scaler_of
from support.models import model_folder

LABELS = MultiCategoryBlock(vocab=list(COLOURS))
UNKNOWN = float("nan")


def backbone(pool_size: int = 1) -> Backbone:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_model(model_description(TINY_ARCH, 1, size=32))
    return Backbone(model, Pipeline((Resize((32, 32), method="squish"),)), pool_size)


@pytest.fixture(scope="module")
def table(folder: Path) -> pd.DataFrame:
    """Coloured squares, of which two files are no images."""
    table = coloured_squares(folder, 60)
    for name in table["fname"].iloc[[3, 50]]:
        (folder / name).write_bytes(b"no image")
    return table


@pytest.fixture(scope="module")
def teacher(folder: Path, table: pd.DataFrame) -> Teacher:
    made = Teacher([folder / name for name in table["fname"]], backbone())
    made.compute_features()
    return made


def truth(table: pd.DataFrame) -> Tensor:
    cells = [[float(label in row.split(" ")) for label in COLOURS] for row in table["labels"]]
    return torch.tensor(cells)


def known(targets: Tensor, count: int) -> Tensor:
    """The first targets; all others are unknown."""
    targets = targets.clone()
    targets[count:] = UNKNOWN
    return targets


def test_features_are_a_row_an_image_and_unreadable_images_are_named(
    teacher: Teacher, folder: Path, table: pd.DataFrame
) -> None:
    missing = teacher.features.isnan().all(dim=1)
    assert missing.nonzero()[:, 0].tolist() == [3, 50]
    assert set(teacher.skipped) == {str(folder / table["fname"].iloc[i]) for i in (3, 50)}
    assert teacher.features[~missing].isfinite().all()


def test_probabilities_are_those_of_scikit_learn_with_the_same_penalty(teacher: Teacher, table: pd.DataFrame) -> None:
    targets = truth(table)
    targets[30:] = UNKNOWN
    targets[:10, 1] = UNKNOWN
    taught = teacher.learn(LABELS, targets)
    assert taught.head is not None
    C_of = {output: choice.C for choice in taught.head.C_choices for output in choice.outputs}
    readable = teacher.features.isfinite().all(dim=1)
    fitted = readable & (torch.arange(60) < 30)
    scaler = scaler_of(teacher.features[fitted])
    for column in range(3):
        rows = fitted & ~targets[:, column].isnan()
        reference = LogisticRegression(C=C_of[column], tol=1e-10, max_iter=10_000)
        reference.fit(scaler.transform(teacher.features[rows]), targets[rows, column])
        expected = reference.predict_proba(scaler.transform(teacher.features[readable]))[:, 1]
        np.testing.assert_allclose(taught.probabilities[readable, column], expected, atol=2e-4)
    assert taught.probabilities[~readable].isnan().all()


def test_classes_are_those_of_scikit_learn_with_the_same_penalty(teacher: Teacher, table: pd.DataFrame) -> None:
    block = CategoryBlock(vocab=["none", "one", "more"], sort=False)
    targets = truth(table).sum(dim=1).clamp(max=2)
    taught = teacher.learn(block, known(targets, 40))
    assert taught.head is not None
    readable = teacher.features.isfinite().all(dim=1)
    fitted = readable & (torch.arange(60) < 40)
    scaler = scaler_of(teacher.features[fitted])
    reference = LogisticRegression(C=taught.head.C_choices[0].C, tol=1e-10, max_iter=10_000)
    reference.fit(scaler.transform(teacher.features[fitted]), targets[fitted])
    expected = reference.predict_proba(scaler.transform(teacher.features[readable]))
    np.testing.assert_allclose(taught.probabilities[readable], expected, atol=2e-4)


def test_numbers_are_those_of_a_ridge_regression_in_the_users_units(teacher: Teacher) -> None:
    readable = teacher.features.isfinite().all(dim=1)
    targets = 1000 + 50 * teacher.features[:, :2].nan_to_num() + torch.randn(60, 2, generator=torch.manual_seed(0))
    taught = teacher.learn(RegressionBlock(names=("a", "b")), known(targets, 45))
    assert taught.head is not None
    fitted = readable & (torch.arange(60) < 45)
    scaler = scaler_of(teacher.features[fitted])
    for choice in taught.head.C_choices:
        for column in choice.outputs:
            reference = Ridge(alpha=1 / choice.C).fit(
                scaler.transform(teacher.features[fitted]), targets[fitted, column]
            )
            expected = reference.predict(scaler.transform(teacher.features[readable]))
            np.testing.assert_allclose(taught.probabilities[readable, column], expected, rtol=1e-3)


def test_points_are_those_of_a_ridge_regression_in_pixels(folder: Path, table: pd.DataFrame) -> None:
    """All images have one size here, so that pixels and the model's coordinates differ by a factor and an offset."""
    teacher = Teacher([folder / name for name in table["fname"]], backbone(pool_size=4))
    points = torch.tensor(table[["x", "y"]].to_numpy(), dtype=torch.float32)[:, None]
    taught = teacher.learn(PointBlock(1, in_pixels=True), points)
    assert taught.head is not None
    readable = teacher.features.isfinite().all(dim=1)
    fitted = ~points[:, 0].isnan().any(dim=1) & readable
    scaler = scaler_of(teacher.features[fitted])
    for choice in taught.head.C_choices:
        for column in choice.outputs:
            reference = Ridge(alpha=1 / choice.C)
            reference.fit(scaler.transform(teacher.features[fitted]), points[fitted, 0, column])
            expected = reference.predict(scaler.transform(teacher.features[readable]))
            np.testing.assert_allclose(taught.probabilities[readable, column], expected, atol=0.05)
    assert set(taught.order.rows.tolist()) == set((readable & ~fitted).nonzero()[:, 0].tolist())


def unknown_of(block: TargetBlock) -> Tensor:
    return torch.full((60, 3), UNKNOWN) if block is LABELS else torch.full((60,), UNKNOWN)


@pytest.mark.parametrize(
    "block", [LABELS, CategoryBlock(vocab=list(COLOURS)), OrdinalBlock(classes=["0", "1", "2"])], ids=lambda b: b.name
)
def test_without_a_label_nothing_is_said_and_there_is_an_order_of_all_readable_images(
    block: TargetBlock, teacher: Teacher
) -> None:
    taught = teacher.learn(block, unknown_of(block))
    assert taught.probabilities.shape == (60, 3)
    assert taught.probabilities.isnan().all()
    assert taught.head is None
    assert sorted(taught.order.rows.tolist()) == [i for i in range(60) if i not in (3, 50)]
    assert (taught.order.labels == -1).all()


@pytest.mark.parametrize(("rows", "values"), [([0], [1.0]), ([0, 1, 2], [0.0, 0.0, 1.0]), ([0, 1], [1.0, 1.0])])
def test_one_positive_and_labels_of_one_kind_only_have_an_answer(
    rows: list[int], values: list[float], teacher: Teacher
) -> None:
    targets = torch.full((60, 3), UNKNOWN)
    targets[rows, 0] = torch.tensor(values)
    taught = teacher.learn(LABELS, targets)
    readable = teacher.features.isfinite().all(dim=1)
    assert taught.probabilities[readable].isfinite().all()
    assert (taught.probabilities[readable, 1:] == 0.5).all(), "nothing is known of the other labels"
    assert len(taught.order.rows) == 58 - len(rows)


def test_labels_can_be_added_between_two_rounds(teacher: Teacher, table: pd.DataFrame) -> None:
    targets = known(truth(table), 20)
    first = teacher.learn(MultiCategoryBlock(vocab=["red"]), targets[:, :1])
    second = teacher.learn(LABELS, targets)
    torch.testing.assert_close(first.probabilities[:, 0], second.probabilities[:, 0], atol=0.1, rtol=0, equal_nan=True)


def test_no_label_at_all_is_an_order_alone(teacher: Teacher) -> None:
    taught = teacher.learn(MultiCategoryBlock(vocab=[]), torch.zeros(60, 0))
    assert taught.probabilities.shape == (60, 0)
    assert len(taught.order.rows) == 58


def test_a_cancelled_computation_keeps_what_it_has_and_goes_on(folder: Path, table: pd.DataFrame) -> None:
    made = Teacher([folder / name for name in table["fname"]], backbone())
    with pytest.raises(CancelledError, match="cancelled"):
        made.compute_features(cancelled=lambda: True)
    shares: list[float] = []
    made.compute_features(progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    calls: list[int] = []
    made.compute_features(cancelled=lambda: not calls.append(1))
    assert not calls, "nothing is left to compute"


@pytest.mark.parametrize("at", [0, 1, 2])
def test_learning_is_cancelled_at_each_of_its_steps(at: int, teacher: Teacher, table: pd.DataFrame) -> None:
    asked = iter(range(100))
    with pytest.raises(CancelledError, match="learning was cancelled"):
        teacher.learn(LABELS, known(truth(table), 20), cancelled=lambda: next(asked) == at)


def test_the_features_of_a_model_folder_give_the_answers_of_the_model(
    folder: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    saved = model_folder(tmp_path / "model")
    predictor = load_predictor(saved)
    paths = [folder / name for name in table["fname"].iloc[:3]]
    made = Teacher(paths, Backbone.of_model(saved))
    made.compute_features()
    model = predictor.model
    with torch.inference_mode():
        outputs = model.head[2:](made.features)
    expected = [row.activated for row in predictor.predict(paths)]
    torch.testing.assert_close(predictor.manifest.decision.activate(outputs), torch.stack(expected))


def test_features_in_a_folder_are_not_computed_again(
    folder: Path, table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [folder / name for name in table["fname"].iloc[:10]]
    first = Teacher(paths, backbone(), cache=tmp_path)
    first.compute_features()

    def fail(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr("eyebright.models.split_model.FeatureExtractor.forward", fail)
    second = Teacher(paths[::-1], backbone(), cache=tmp_path)
    second.compute_features()
    torch.testing.assert_close(second.features.flip(0), first.features, rtol=0, atol=0, equal_nan=True)


def two_many(targets: Tensor) -> Tensor:
    return targets[:-2]


def wider(targets: Tensor) -> Tensor:
    return torch.cat([targets, targets], dim=1)


def classes(targets: Tensor) -> Tensor:
    return torch.full((len(targets),), 3)


@pytest.mark.parametrize(
    ("change", "block", "message"),
    [
        (two_many, LABELS, "targets need one row for each of 60 images, got 58"),
        (wider, LABELS, "a row of targets needs 3 values, one for each label, got 6"),
        (
            classes,
            CategoryBlock(vocab=list(COLOURS)),
            "a target is class 3, but there are only 3 classes, counted from 0",
        ),
    ],
)
def test_wrong_targets_are_one_sentence(
    change: Callable[[Tensor], Tensor], block: TargetBlock, message: str, teacher: Teacher, table: pd.DataFrame
) -> None:
    with pytest.raises(InputError, match=message):
        teacher.learn(block, change(truth(table)))
