"""The targets of new images, as a saved model takes them."""

import numpy as np
import pytest

from eyebright.errors import InputError
from eyebright.sources.categorical import Categorical
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.types import LabelSet
from eyebright.workflow.model_targets import with_targets_of_model
from support.sources import source_of, source_of_labels

BLOCK = MultiCategoryBlock(vocab=["bus", "car", "cat"])


def test_numbers_are_put_in_the_order_of_the_model() -> None:
    source = source_of("regression", np.array([[1.0, 2.0, 3.0]]), names=("size", "age", "other"))
    found = with_targets_of_model(source, RegressionBlock(names=("age", "weight", "size")))
    np.testing.assert_array_equal(found.targets, [[2.0, np.nan, 1.0]])
    assert found.messages == (
        "not in these data, so unknown: 'weight'",
        "not predicted by the model, so not used: 'other'",
    )


def test_points_are_put_in_the_order_of_the_model() -> None:
    source = source_of("points", np.array([[[1.0, 2.0], [3.0, 4.0]]]), names=("right", "left"))
    found = with_targets_of_model(source, PointBlock(2, names=("left", "right")))
    np.testing.assert_array_equal(found.targets, [[[3.0, 4.0], [1.0, 2.0]]])
    assert not found.messages


def test_points_without_names_are_taken_in_their_order() -> None:
    source = source_of("points", np.array([[[1.0, 2.0], [3.0, 4.0]]]))
    block = PointBlock(2, names=("left", "right"))
    found = with_targets_of_model(source, block)
    np.testing.assert_array_equal(found.targets, source.targets)
    assert found.messages == (
        "points that only have numbers are taken for those of the model, in their order: '1 is left', '2 is right'",
    )
    assert not with_targets_of_model(source, PointBlock(2)).messages
    with pytest.raises(InputError, match="predicts 'left', but these data have 2 without names"):
        with_targets_of_model(source, PointBlock(1, names=("left",)))


def test_points_numbered_from_0_are_those_of_a_model_whose_points_have_no_names() -> None:
    source = source_of("points", np.array([[[1.0, 2.0], [3.0, 4.0]]]), names=("0", "1"))
    found = with_targets_of_model(source, PointBlock(2))
    np.testing.assert_array_equal(found.targets, source.targets)
    assert found.messages[0].endswith("in their order: '0 is point1', '1 is point2'")
    with pytest.raises(InputError, match="these data have '0', '1', but the model predicts 'left'"):
        with_targets_of_model(source, PointBlock(1, names=("left",)))


@pytest.mark.parametrize("year", ["2019", "0"])
def test_a_number_whose_name_is_a_number_is_not_taken_for_another(year: str) -> None:
    source = source_of("regression", np.array([[1.0]]), names=(year,))
    with pytest.raises(InputError, match=f"these data have '{year}', but the model predicts 'age'"):
        with_targets_of_model(source, RegressionBlock(names=["age"]))


@pytest.mark.parametrize(
    ("of_model", "of_data", "places"),
    [
        (None, ("2", "3"), [None, 0]),  # the model has point 1 and 2
        (("1", "3"), (), [0, None]),  # the data have point 1 and 2
        (("1", "3"), ("3", "1"), [1, 0]),
        (("0", "1"), ("0", "1"), [0, 1]),
        (None, ("0", "1"), [0, 1]),  # counted from 0
        (("left", "right"), ("0", "1"), [0, 1]),
    ],
)
def test_points_with_numbers_are_those_of_the_model_with_the_same_numbers(
    of_model: tuple[str, ...] | None, of_data: tuple[str, ...], places: list[int | None]
) -> None:
    values = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    found = with_targets_of_model(source_of("points", values, names=of_data), PointBlock(2, names=of_model))
    expected = [[np.nan, np.nan] if place is None else values[0, place] for place in places]
    np.testing.assert_array_equal(found.targets, [expected])


@pytest.mark.parametrize("of_data", [("5", "6"), ("1", "5")])
def test_points_with_other_numbers_are_not_those_with_words(of_data: tuple[str, ...]) -> None:
    source = source_of("points", np.array([[[1.0, 2.0], [3.0, 4.0]]]), names=of_data)
    with pytest.raises(InputError, match="but the model predicts 'left', 'right'"):
        with_targets_of_model(source, PointBlock(2, names=("left", "right")))


def test_other_numbers_than_those_of_the_model_are_an_error() -> None:
    source = source_of("regression", np.array([[1.0]]), names=("size",))
    with pytest.raises(InputError, match="these data have 'size', but the model predicts 'age'"):
        with_targets_of_model(source, RegressionBlock(names=("age",)))


def test_another_kind_is_an_error() -> None:
    source = source_of("category", Categorical.of(["cat", "dog"]))
    with pytest.raises(InputError, match="the model predicts any number of labels.*one class for each image"):
        with_targets_of_model(source, BLOCK)


def test_ratings_and_classes_are_told_apart_in_the_error() -> None:
    classes, ratings = (source_of(kind, Categorical.of(["1", "2"])) for kind in ("category", "ordinal"))
    with pytest.raises(InputError, match=r"predicts one class for each image, read as ratings \(Ordinal.* image$"):
        with_targets_of_model(classes, OrdinalBlock([1, 2]))
    with pytest.raises(InputError, match=r"\(Category.*these data have one class for each image, read as ratings$"):
        with_targets_of_model(ratings, CategoryBlock(["1", "2"]))


def test_labels_that_the_data_do_not_declare_are_unknown() -> None:
    source = source_of_labels([["bus"], ["dog", "bus"]], declared=("bus", "cat", "dog"))
    found = with_targets_of_model(source, BLOCK)
    assert list(found.targets) == [LabelSet(["bus"], unknown=["car"])] * 2
    assert found.messages == (
        "labels that the model does not have, which are not scored: 'dog (1 image)'",
        "labels of the model that these data do not declare, so unknown: 'car'",
        "labels of the model that no image has: 'cat'",
    )


def test_labels_of_data_that_declare_none_are_known() -> None:
    found = with_targets_of_model(source_of_labels([["bus"], ["car"]]), BLOCK)
    assert list(found.targets) == [LabelSet(["bus"]), LabelSet(["car"])]
    assert found.messages == ("labels of the model that no image has: 'cat'",)


def test_labels_of_images_that_were_left_out_are_no_labels_of_the_data() -> None:
    source = source_of_labels([["bus"], ["car"], ["cat"]])
    found = with_targets_of_model(source.take([0, 1]), BLOCK)
    assert found.messages == ("labels of the model that no image has: 'cat'",)


def test_data_without_any_label_of_the_model_are_an_error() -> None:
    with pytest.raises(InputError, match="no image has a label of the model .*; these data have 'dog'"):
        with_targets_of_model(source_of_labels([["dog"], []]), BLOCK)
