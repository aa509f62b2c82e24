"""The order is one of the images without a label; what is unsure, rare and unlike the others comes first."""

import time

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from eyebright.errors import InputError
from eyebright.evaluation.teaching_order import teaching_order

Array = NDArray[np.float64]


def unknown(n: int, k: int) -> Array:
    return np.full((n, k), np.nan)


def made(n: int, d: int = 12, k: int = 3, seed: int = 0) -> tuple[Array, Array, Array]:
    """Random features, probabilities, and targets of which some images have some."""
    generator = np.random.default_rng(seed)
    features = generator.standard_normal((n, d))
    probabilities = generator.random((n, k))
    targets = np.where(generator.random((n, k)) < 0.3, generator.integers(0, 2, (n, k)).astype(float), np.nan)
    return features, probabilities, targets


@settings(max_examples=40)
@given(st.integers(0, 80), st.integers(0, 5), st.integers(0, 2**16), st.booleans(), st.booleans())
def test_it_is_a_permutation_of_the_images_without_a_target_and_the_same_each_time(
    n: int, k: int, seed: int, exclusive: bool, has_model: bool
) -> None:
    features, probabilities, targets = made(n, k=k, seed=seed)
    features[seed % 7 :: 11] = np.nan
    probabilities[::5] = np.nan
    if exclusive:
        targets[~np.isnan(targets).all(axis=1)] = np.eye(k)[0] if k else 0
    given_ = probabilities if has_model else None
    order = teaching_order(features, given_, targets, exclusive=exclusive)
    expected = np.flatnonzero(np.isfinite(features).all(axis=1) & np.isnan(targets).all(axis=1))
    assert sorted(order.rows.tolist()) == expected.tolist()
    for first, second in zip(order, teaching_order(features, given_, targets, exclusive=exclusive), strict=True):
        np.testing.assert_array_equal(first, second)
        assert len(first) == len(order.rows)
        assert not np.isnan(first).any()


@settings(max_examples=20)
@given(st.integers(2, 40), st.integers(2, 6), st.integers(0, 2**16))
def test_copies_do_not_follow_one_another_while_there_are_other_images(images: int, copies: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    scenes = 10 * generator.standard_normal((images, 16))
    features = np.repeat(scenes, copies, axis=0) + 1e-4 * generator.standard_normal((images * copies, 16))
    probabilities = np.repeat(generator.random((images, 2)), copies, axis=0)
    order = teaching_order(features, probabilities, unknown(len(features), 2))
    scene = np.repeat(np.arange(images), copies)[order.rows]
    first = max(len(scene) - 8 * copies, 1)  # clusters have about 8 images; the last ones may be of one cluster
    assert (scene[1:first] != scene[: first - 1]).all()


def one_alike(n: int) -> Array:
    """Images that are about equally unlike each other."""
    return np.random.default_rng(0).standard_normal((n, 64))


def test_what_the_model_is_unsure_of_comes_first() -> None:
    probabilities = np.full((64, 2), 0.01)
    probabilities[[5, 40], 0] = 0.5
    order = teaching_order(one_alike(64), probabilities, unknown(64, 2))
    assert set(order.rows[:2].tolist()) == {5, 40}
    assert order.labels[:2].tolist() == [0, 0]
    assert order.uncertainties[:2].tolist() == [1, 1]


def test_of_equally_unsure_images_those_with_a_rare_label_come_first() -> None:
    targets = unknown(128, 2)
    targets[:60] = 0
    targets[:50, 0], targets[50:52, 1] = 1, 1
    probabilities = np.full((128, 2), 0.01)
    probabilities[60:, 0] = 0.5
    probabilities[90, :] = 0.01, 0.5
    order = teaching_order(one_alike(128), probabilities, targets)
    assert order.rows[0] == 90
    assert order.labels[0] == 1
    assert order.rarities[0] == 1
    assert (order.rarities[1:] < 1).all()


def test_of_classes_the_two_most_probable_count() -> None:
    probabilities = np.array([[0.5, 0.5, 0.0], [0.4, 0.3, 0.3], [0.9, 0.05, 0.05]])
    order = teaching_order(one_alike(3), probabilities, unknown(3, 3), exclusive=True)
    assert order.rows.tolist() == [0, 1, 2]
    np.testing.assert_allclose(order.uncertainties, [1, 0.9, 0.15])


def test_an_image_like_a_labelled_one_waits_for_others() -> None:
    generator = np.random.default_rng(1)
    features = np.repeat(10 * generator.standard_normal((8, 16)), 8, axis=0) + generator.standard_normal((64, 16))
    targets = unknown(64, 1)
    targets[:6] = 1
    order = teaching_order(features, np.full((64, 1), 0.5), targets)
    alike = [order.rows.tolist().index(row) for row in (6, 7)]
    assert min(alike) > 7
    assert order.distances[alike].max() < np.delete(order.distances, alike).min()


def test_a_hundred_thousand_images_take_seconds() -> None:
    generator = np.random.default_rng(0)
    features = generator.standard_normal((100_000, 64), dtype=np.float32)
    probabilities = generator.random((100_000, 3), dtype=np.float32)
    targets = np.full((100_000, 3), np.nan, dtype=np.float32)
    targets[:5000] = 0
    started = time.perf_counter()
    order = teaching_order(features, probabilities, targets)
    assert len(order.rows) == 95_000
    assert time.perf_counter() - started < 60, "a few seconds on an idle machine"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.zeros((3, 2))}, "features need one row for each image, like the targets: got 3 rows and 4"),
        (
            {"probabilities": np.zeros((4, 1))},
            r"probabilities need the shape of the targets: got \(4, 1\) and \(4, 2\)",
        ),
    ],
)
@pytest.mark.wrong_shapes
def test_arrays_of_other_images_are_one_sentence(change: dict[str, Array], message: str) -> None:
    arrays = {"features": np.zeros((4, 2)), "probabilities": np.zeros((4, 2)), "targets": unknown(4, 2)} | change
    with pytest.raises(InputError, match=message):
        teaching_order(arrays["features"], arrays["probabilities"], arrays["targets"])
