"""Numbers and points that a model cannot learn, or that nothing can score."""

from typing import Any

import numpy as np
import pytest

from eyebright.errors import DataError
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.learnable import check_numbers
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.types import LabelSet, Points

NAN = float("nan")


def test_numbers_that_are_all_constant_are_an_error_and_one_among_others_is_named() -> None:
    block = RegressionBlock(2, names=["price", "size"])
    with pytest.raises(
        DataError,
        match="nothing can be learnt, since it is the same or unknown in every training image: 'price', 'size'",
    ):
        block.check_learnable([(3.5, 1.0), (3.5, NAN), (3.5, 1.0)], [(1.0, 2.0)])
    train = [(3.5, 1.0), (3.5, 2.0), (NAN, 1.0)]
    assert block.check_learnable(train, [(1.0, 2.0)]) == ("price",)


def test_numbers_and_points_that_no_training_image_has_are_named() -> None:
    numbers = RegressionBlock(2, names=["price", "size"])
    assert numbers.check_learnable([(1.0, NAN), (2.0, NAN)], [(1.0, 2.0)]) == ("size",)
    with pytest.raises(DataError, match="the same or unknown in every training image: 'price', 'size'"):
        numbers.check_learnable([(1.0, NAN), (1.0, NAN)], [(1.0, 2.0)])
    points = PointBlock(2, names=["nose", "ear"])
    train = [Points.of([[float(i), 2.0 * i], [NAN, NAN]]) for i in range(3)]
    assert points.check_learnable(train, [Points.of([[1.0, 2.0], [3.0, 4.0]])]) == ("x of ear", "y of ear")


def test_one_image_alone_is_not_called_constant() -> None:
    assert RegressionBlock(1).check_learnable([(1.0,)], [(2.0,)]) == ()


def test_points_that_never_move_are_an_error() -> None:
    block = PointBlock(1, names=["nose"])
    still = [Points.of([[10.0, 20.0]])] * 3
    with pytest.raises(DataError, match="the same or unknown in every training image: 'x of nose', 'y of nose'"):
        block.check_learnable(still, still)
    assert block.check_learnable([*still, Points.of([[10.0, 21.0]])], still) == ("x of nose",)


@pytest.mark.parametrize(
    ("block", "values"),
    [
        (MultiCategoryBlock(vocab=["a", "b"]), [LabelSet(["a"]), LabelSet(["a", "b"])]),
        (CategoryBlock(vocab=["a", "b"]), ["a", "b"]),
        (OrdinalBlock(["a", "b"]), ["a", "b"]),
        (RegressionBlock(1), [(1.0,), (2.0,)]),
        (PointBlock(1), [Points.of([[1.0, 2.0]]), Points.of([[2.0, 3.0]])]),
    ],
)
def test_the_targets_are_read_once_to_check_them(block: TargetBlock, values: list[Any]) -> None:
    """An iterator can be read once only: what is read again is empty."""
    assert block.check_learnable(iter(values), iter(values)) == block.check_learnable(values, values)


@pytest.mark.parametrize("block", [RegressionBlock(1), PointBlock(1)])
def test_without_a_known_target_in_validation_nothing_can_be_scored(block: RegressionBlock | PointBlock) -> None:
    is_number = isinstance(block, RegressionBlock)
    train = [(1.0,), (2.0,)] if is_number else [Points.of([[1.0, 2.0]]), Points.of([[2.0, 3.0]])]
    unknown = (NAN,) if is_number else Points.of([[NAN, NAN]])
    with pytest.raises(DataError, match="none of the 2 images for validation has known (numbers|points), so nothing"):
        block.check_learnable(train, [unknown, unknown])  # type: ignore[arg-type]
    block.check_learnable(train, [train[0], unknown])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("base", "step", "is_refused"),
    [(1.7e9, 5.0, True), (1e9, 1e-3, True), (20240101.5, 1.0, True), (1.7e9, 1e6, False), (100.0, 0.1, False)],
)
def test_numbers_that_float32_cannot_tell_apart_are_refused(base: float, step: float, is_refused: bool) -> None:
    """What float32 makes of them is the reference: it moves a number by more than a thousandth of their spread."""
    numbers = base + step * np.arange(24.0)
    moved = np.abs(numbers.astype(np.float32) - numbers).max() > 1e-3 * numbers.std()
    assert moved == is_refused
    rows = [(float(number),) for number in numbers]
    block = RegressionBlock(1, names=["t"])
    if is_refused:
        with pytest.raises(DataError, match="the numbers 't' are around .* subtract a constant from them first"):
            block.check_learnable(rows, rows)
    else:
        block.check_learnable(rows, rows)


@pytest.mark.parametrize("value", [0.1, 0.24, 1e9 + 0.1])
def test_a_constant_that_is_no_binary_fraction_is_constant_and_no_matter_of_float32(value: float) -> None:
    train = np.array([[value, float(i)] for i in range(14)])
    assert check_numbers(["a", "b"], train, train, what="numbers") == ("a",)
