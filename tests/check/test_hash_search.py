"""The search for near hashes against a comparison of each with each."""

import numpy as np

from eyebright.check.hash_search import MAX_COLOUR_DIFFERENCE, MAX_DISTANCE, MAX_SIGN_DISTANCE, near_hashes
from eyebright.image.perceptual_hash import BOXES, orientations, transposed

Hashes = tuple[np.ndarray, np.ndarray, np.ndarray]


def _planted(n: int, seed: int) -> Hashes:
    """Random hashes, and of every fourth image a turned copy that differs in up to six bits of each hash."""
    rng = np.random.default_rng(seed)
    signs = rng.integers(0, 2**63, (n, len(BOXES)), dtype=np.uint64) * 2
    magnitudes = rng.integers(0, 2**63, (n, len(BOXES)), dtype=np.uint64) * 2
    colours = rng.random((n, 4))
    for first in range(0, n - 1, 4):
        box, turn = rng.integers(len(BOXES)), rng.integers(8)
        sizes = transposed(magnitudes[first]) if turn & 4 else magnitudes[first]
        signs[first + 1, 0] = _flipped(orientations(signs[first])[box, turn], rng)
        magnitudes[first + 1, 0] = _flipped(sizes[box], rng)
        colours[first + 1] = colours[first] + rng.uniform(-MAX_COLOUR_DIFFERENCE, MAX_COLOUR_DIFFERENCE, 4) * 0.99
    return signs, magnitudes, colours


def _flipped(value: np.uint64, rng: np.random.Generator) -> np.uint64:
    for bit in rng.choice(63, rng.integers(7), replace=False) + 1:
        value = value ^ np.uint64(1 << int(bit))
    return value


def _each_with_each(signs: np.ndarray, magnitudes: np.ndarray, colours: np.ndarray) -> dict[tuple[int, int], int]:
    found: dict[tuple[int, int], int] = {}
    for i in range(len(signs)):
        for j in range(len(signs)):
            if i == j or (np.abs(colours[i] - colours[j]) > MAX_COLOUR_DIFFERENCE).any():
                continue
            for turn in range(8):
                sizes = transposed(magnitudes[i]) if turn & 4 else magnitudes[i]
                distance = np.bitwise_count(orientations(signs[i])[:, turn] ^ signs[j, 0]).astype(int)
                both = distance + np.bitwise_count(sizes ^ magnitudes[j, 0])
                near = both[(distance <= MAX_SIGN_DISTANCE) & (both <= MAX_DISTANCE)]
                if len(near):
                    pair = (min(i, j), max(i, j))
                    found[pair] = min(found.get(pair, 99), int(near.min()))
    return found


def test_nothing_is_found_that_a_comparison_of_each_with_each_does_not_find_and_nearly_all_of_it() -> None:
    planted = _planted(240, 0)
    expected = _each_with_each(*planted)
    assert len(expected) >= 55
    found = near_hashes(*planted)
    pairs = {
        (min(i, j), max(i, j)): d
        for i, j, d in zip(found.first.tolist(), found.second.tolist(), found.distance.tolist(), strict=True)
    }
    assert set(pairs) <= set(expected)
    assert len(pairs) >= 0.98 * len(expected)
    assert all(pairs[pair] >= expected[pair] for pair in pairs)
    assert np.array_equal(found.distance, np.sort(found.distance))


def test_the_part_and_the_orientation_are_those_of_the_least_distance() -> None:
    signs, magnitudes, colours = _planted(40, 1)
    found = near_hashes(signs, magnitudes, colours)
    for i, j, box, turn, distance in zip(*(column.tolist() for column in found), strict=True):
        sizes = transposed(magnitudes[i]) if turn & 4 else magnitudes[i]
        both = int(orientations(signs[i])[box, turn]) ^ int(signs[j, 0]), int(sizes[box]) ^ int(magnitudes[j, 0])
        assert sum(each.bit_count() for each in both) == distance


def test_images_that_are_all_alike_give_a_few_pairs_each() -> None:
    n = 3000
    alike = np.full((n, len(BOXES)), 12345678, dtype=np.uint64)
    found = near_hashes(alike, alike, np.zeros((n, 4)))
    assert len(found.first) <= 32 * n
    assert len(np.union1d(found.first, found.second)) == n


def test_one_image_and_none_have_no_pairs() -> None:
    for n in (0, 1):
        empty = np.zeros((n, len(BOXES)), dtype=np.uint64)
        assert len(near_hashes(empty, empty, np.zeros((n, 4))).first) == 0
