"""Sizes, points, label sets, vocabularies and thresholds."""

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from eyebright.errors import InputError, LabelError
from eyebright.types import LabelSet, Points, Size, Thresholds, Vocab

# ---------------------------------------------------------------------- sizes


@pytest.mark.parametrize("value", [224, np.int64(224), (224, 224), [224, 224], Size(224, 224)])
def test_a_size_from_one_number_is_square(value: object) -> None:
    assert Size.of(value) == Size(224, 224)


def test_a_size_is_height_then_width() -> None:
    size = Size.of((240, 320))
    assert (size.height, size.width) == (240, 320)
    assert str(size) == "240x320"


@pytest.mark.parametrize("value", [True, "224", 2.5, (1, 2, 3), (2.5, 3.5), None])
def test_values_that_are_not_sizes_are_errors(value: object) -> None:
    with pytest.raises(InputError, match=r"a size must be one number or \(height, width\)"):
        Size.of(value)


@pytest.mark.parametrize("value", [0, -3, (0, 4), (4, -1)])
def test_a_size_without_pixels_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="a size needs at least 1 x 1 pixel"):
        Size.of(value)


# ---------------------------------------------------------------------- points


@pytest.mark.parametrize("value", [[[1, 2], [3, 4]], np.array([[1.0, 2], [3, 4]]), torch.tensor([[1, 2], [3, 4]])])
def test_points_are_rows_of_x_and_y(value: object) -> None:
    points = Points.of(value)
    assert points.xy.dtype == torch.float64
    assert points.xy.tolist() == [[1, 2], [3, 4]]
    assert points.known.all()
    assert len(points) == 2


def test_one_point_may_stand_alone() -> None:
    assert Points.of((3.5, 4)).xy.tolist() == [[3.5, 4]]


def test_points_pass_through_unchanged() -> None:
    points = Points.of([[1, 2]])
    assert Points.of(points) is points


@pytest.mark.parametrize("missing", [float("nan"), float("inf")])
def test_a_point_that_is_not_known_is_not_visible(missing: float) -> None:
    assert Points.of([[1, 2], [missing, 3], [3, missing]]).known.tolist() == [True, False, False]


@pytest.mark.parametrize("value", [[1, 2, 3], [[1, 2, 3]], [[[1, 2]]], 5])
def test_values_that_are_not_points_are_errors(value: object) -> None:
    with pytest.raises(InputError, match=r"points must have the shape \(n, 2\)"):
        Points.of(value)


def test_an_empty_list_is_valid_points() -> None:
    assert len(Points.of(np.zeros((0, 2)))) == 0


def test_points_are_equal_where_they_are_visible() -> None:
    assert Points.of([[1, 2], [np.nan, 3]]) == Points.of([[1, 2], [5, np.nan]])
    assert Points.of([[1, 2]]) != Points.of([[1, 2.5]])
    assert Points.of([[1, 2]]) != Points.of([[1, 2], [3, 4]])
    assert Points.of([[1, 2], [3, 4]]) != Points.of([[1, 2], [np.nan, 4]])
    assert Points.of([[1, 2]]) != [[1, 2]]


# ---------------------------------------------------------------------- vocabularies

NAMES = ["bus", "car", "cat", "dog"]


@pytest.mark.parametrize(
    ("key", "names"),
    [
        (slice(1, 3), ["car", "cat"]),
        ([2, 0], ["cat", "bus"]),
        (torch.tensor([2, 0]), ["cat", "bus"]),
        (torch.where(torch.tensor([0.0, 1, 0, 1]) == 1)[0], ["car", "dog"]),
        (torch.tensor([True, False, False, True]), ["bus", "dog"]),
        ([True, False, False, True], ["bus", "dog"]),
        (np.array([], dtype=int), []),
    ],
)
def test_a_vocabulary_can_be_indexed_by_lists_masks_and_tensors(key: object, names: list[str]) -> None:
    assert Vocab(NAMES)[key] == names


@pytest.mark.parametrize("key", [2, -2, np.int64(2), torch.tensor(2)])
def test_one_number_gives_one_name(key: object) -> None:
    assert Vocab(NAMES)[key] == "cat"


def test_a_vocabulary_is_a_sequence() -> None:
    vocab = Vocab(NAMES)
    assert list(vocab) == NAMES
    assert len(vocab) == 4
    assert "cat" in vocab
    assert "cow" not in vocab
    assert vocab == NAMES
    assert vocab == tuple(NAMES)
    assert vocab != NAMES[::-1]
    assert hash(vocab) == hash(Vocab(NAMES))
    assert pickle.loads(pickle.dumps(vocab)) == vocab
    assert repr(vocab) == "(#4) ['bus', 'car', 'cat', 'dog']"


def test_index_of_is_the_inverse_of_indexing() -> None:
    vocab = Vocab(NAMES)
    assert [vocab.index_of(name) for name in vocab] == [0, 1, 2, 3]
    assert vocab.o2i == {"bus": 0, "car": 1, "cat": 2, "dog": 3}


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(LabelError, match="unknown label 'catt'. Did you mean 'cat'\\? Known: 'bus', 'car'"):
        Vocab(NAMES).index_of("catt")


def test_a_vocabulary_with_a_repeated_name_is_an_error() -> None:
    with pytest.raises(LabelError, match="needs unique names; repeated: 'bus', 'cat'"):
        Vocab(["cat", "bus", "cat", "dog", "bus"])


# ---------------------------------------------------------------------- thresholds


def test_a_decision_is_strictly_above_the_threshold() -> None:
    probabilities = torch.tensor([[0.5, 0.5000001, 0.4], [0.9, 0.1, 0.5]])
    assert Thresholds().decide(probabilities).tolist() == [[False, True, False], [True, False, False]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_probability_at_its_threshold_is_no_decision_in_any_precision(dtype: torch.dtype) -> None:
    for value in (0.1, 0.3, 0.7, 0.9):
        assert not Thresholds(value).decide(torch.tensor([value], dtype=dtype)).item()


def test_each_class_may_have_its_own_threshold() -> None:
    probabilities = torch.tensor([[0.3, 0.3, 0.3], [0.8, 0.8, 0.8]])
    decided = Thresholds((0.2, 0.5, 0.9)).decide(probabilities)
    assert decided.tolist() == [[True, False, False], [True, True, False]]


def test_a_single_threshold_applies_to_all_classes() -> None:
    assert Thresholds(0.25).per_class(3).tolist() == [0.25, 0.25, 0.25]


def test_thresholds_for_other_classes_are_refused() -> None:
    with pytest.raises(InputError, match="there are thresholds for 2 classes, not for 3"):
        Thresholds((0.2, 0.3)).decide(torch.zeros(1, 3))


@pytest.mark.parametrize("values", [-0.1, 1.5, (0.5, 2.0), float("nan")])
def test_a_threshold_outside_of_0_to_1_is_an_error(values: object) -> None:
    with pytest.raises(InputError, match=r"a threshold must be in \[0, 1\], got"):
        Thresholds(values)


@pytest.mark.parametrize("key", [1.7, torch.tensor([0.2, 0.9]), [0.0, 1.0], "1"])
def test_indexing_a_vocabulary_with_floats_is_an_error(key: object) -> None:
    with pytest.raises(InputError, match="by integers or by a mask"):
        Vocab(NAMES)[key]


# ---------------------------------------------------------------------- sets of labels

LABELS = st.frozensets(st.sampled_from("abcdef"))


@given(LABELS, LABELS)
def test_a_label_set_without_unknown_labels_is_a_set_like_any_other(first: frozenset[str], second: frozenset[str]):
    one, two = LabelSet(first), LabelSet(second)
    assert one == first
    assert first == one
    assert (one == two) == (first == second)
    assert hash(one) == hash(first)
    assert len({one, first}) == 1
    assert one & two == first & second
    assert one | two == first | second
    assert one - two == first - second
    assert one ^ two == first ^ second
    assert (one <= two, one < two, one.isdisjoint(two)) == (first <= second, first < second, first.isdisjoint(second))
    assert sorted(one) == sorted(first)
    assert len(one) == len(first)


@given(LABELS, LABELS)
def test_label_sets_with_different_unknown_labels_are_different(labels: frozenset[str], unknown: frozenset[str]):
    unknown -= labels
    one = LabelSet(labels, unknown=unknown)
    assert (one == LabelSet(labels)) == (not unknown)
    assert (one == labels) == (labels == one) == (not unknown)
    assert one == LabelSet(labels, unknown=unknown)
    assert hash(one) == hash(LabelSet(labels, unknown=unknown))
    assert one.unknown == unknown
    assert not any(label in one for label in unknown)
    assert set(one) == labels
    assert pickle.loads(pickle.dumps(one)) == one
    assert eval(repr(one)) == one


def test_a_label_that_is_both_given_and_unknown_is_an_error():
    with pytest.raises(LabelError, match="'cat' cannot be both a label of the image and unknown"):
        LabelSet(["cat", "dog"], unknown=["cat"])


def test_a_label_set_is_immutable():
    labels = LabelSet(["cat"], unknown=["dog"])
    with pytest.raises(AttributeError, match="unknown"):
        labels.unknown = frozenset()  # type: ignore[misc]
    with pytest.raises(AttributeError, match="add"):
        labels.add("cow")  # type: ignore[attr-defined]


def test_a_label_set_reads_as_its_labels_in_order():
    assert str(LabelSet(["dog", "cat"])) == "['cat', 'dog']"
    assert repr(LabelSet(["dog"], unknown=["cow"])) == "LabelSet(['dog'], unknown=['cow'])"


@pytest.mark.parametrize(
    "values", [[0.25, 0.5], np.array([0.25, 0.5]), torch.tensor([0.25, 0.5]), (np.float32(0.25), 0.5)]
)
def test_thresholds_may_be_a_list_an_array_or_a_tensor(values: Any) -> None:
    assert Thresholds(values) == Thresholds((0.25, 0.5))


@pytest.mark.parametrize("values", [(True, False), True, "0.5", (None, 0.5), [[0.5]]])
def test_a_threshold_that_is_no_number_is_an_error(values: Any) -> None:
    with pytest.raises(InputError, match=r"^a threshold must be in \[0, 1\], got "):
        Thresholds(values)


# ------------------------------------------------------------------------------- three-way answers


def test_between_two_thresholds_a_person_is_asked_and_every_probability_has_one_answer() -> None:
    thresholds = Thresholds((0.75, 0.5), lower=(0.25, 0.5))
    probabilities = torch.tensor([[0.25, 0.5], [0.26, 0.51], [0.75, 0.49], [0.76, 0.0]])
    assert thresholds.decide(probabilities).tolist() == [[False, False], [False, True], [False, False], [True, False]]
    assert thresholds.abstains(probabilities).tolist() == [[False, False], [True, False], [True, False], [False, False]]
    assert thresholds.is_three_way


def test_without_a_lower_threshold_nobody_is_asked() -> None:
    assert not Thresholds(0.5).abstains(torch.tensor([0.1, 0.5, 0.9])).any()
    assert not Thresholds(0.5).is_three_way


@pytest.mark.parametrize(
    ("values", "lower", "message"),
    [
        (0.5, 0.6, "cannot be answered yes and no at once"),
        ((0.5, 0.5), (0.4, 0.6), "cannot be answered yes and no at once"),
        ((0.5, 0.5), (0.4, 0.3, 0.2), "lower thresholds for 3 classes, and upper ones for 2"),
        (0.5, -0.1, "a threshold must be in"),
        (0.5, (True,), "a threshold must be in"),
    ],
)
def test_impossible_lower_thresholds_are_an_error(values: object, lower: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Thresholds(values, lower=lower)  # type: ignore[arg-type]


def test_a_notebook_shows_thresholds_and_what_they_mean() -> None:
    shown = Thresholds((0.75, 0.5), "precision >= 0.9", names=("cat", "dog"), lower=0.25)._repr_html_()
    for text in ("lower threshold", "upper threshold", "cat", "0.750", "0.250", "Thresholds for precision"):
        assert text in shown
    assert "between them a person is asked" in shown
    pair, single = (Thresholds(0.75, lower=lower)._repr_html_() for lower in (0.25, None))
    assert "lower threshold 0.250, upper threshold 0.750, for all labels" in pair
    assert "threshold 0.750, for all labels" in single
    assert "A label is predicted if its probability is above its threshold." in single


def test_unknown_labels_may_be_an_array() -> None:
    labels = LabelSet(["cat"], unknown=np.array(["dog", "cow"]))
    assert labels.unknown == {"dog", "cow"}
    assert LabelSet(["cat"], unknown=np.array([], dtype=str)) == {"cat"}
