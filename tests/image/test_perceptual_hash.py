"""Perceptual hashes against the cosine transform of SciPy, and against images that were really turned."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.fft import dctn

from eyebright.image.perceptual_hash import BOXES, SIDE, hashes, in_orientation, orientations, oriented, transposed


def _grey(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)


def _bits(value: int) -> np.ndarray:
    return np.array([value >> bit & 1 for bit in range(64)], dtype=bool).reshape(8, 8)


@given(st.integers(0, 2**32))
def test_the_hashes_are_of_the_lowest_coefficients_of_scipys_transform(seed: int) -> None:
    grey = _grey(seed)
    expected = np.asarray(dctn(grey.astype(np.float64), norm="ortho"))[:8, :8]
    # Here all rows and columns have one scale; SciPy divides the first by the square root of 2.
    scale = np.where(np.arange(8) == 0, np.sqrt(2), 1.0)
    sizes = np.abs(expected * scale[:, None] * scale[None]).ravel()[1:]
    found = hashes(grey)
    clear = np.abs(expected) > 1
    clear[0, 0] = False
    assert (_bits(int(found.signs[0])) == (expected > 0))[clear].all()
    is_large = _bits(int(found.magnitudes[0])).ravel()[1:]
    assert is_large.sum() == 31
    assert sizes[is_large].min() > sizes[~is_large].max() * 0.97  # the integrals of cosines are not their centres


@given(st.integers(0, 2**32), st.integers(0, 7))
def test_the_hash_of_an_orientation_is_that_of_the_image_in_it(seed: int, orientation: int) -> None:
    grey = _grey(seed)
    turned = hashes(np.ascontiguousarray(oriented(grey, orientation)))
    plain = hashes(grey)
    different = int(orientations(plain.signs)[0, orientation]) ^ int(turned.signs[0])
    assert different.bit_count() <= 1  # a coefficient near 0 may round to either side
    sizes = transposed(plain.magnitudes) if orientation & 4 else plain.magnitudes
    assert (int(sizes[0]) ^ int(turned.magnitudes[0])).bit_count() <= 2


@pytest.mark.parametrize("orientation", range(8))
def test_a_part_of_an_image_is_where_it_is_in_the_turned_image(orientation: int) -> None:
    for box in BOXES:
        marked = np.zeros((40, 40), dtype=np.uint8)
        left, top, right, bottom = (round(40 * share) for share in box)
        marked[top:bottom, left:right] = 1
        turned = np.zeros((40, 40), dtype=np.uint8)
        left, top, right, bottom = (round(40 * share) for share in in_orientation(box, orientation))
        turned[top:bottom, left:right] = 1
        assert np.array_equal(oriented(marked, orientation), turned)


def test_the_hash_of_a_part_is_that_of_the_cropped_image() -> None:
    rng = np.random.default_rng(0)
    differences = []
    for _ in range(8):
        large = np.kron(rng.normal(128, 30, (10, 10)), np.ones((128, 128)))
        small = large.reshape(SIDE, 20, SIDE, 20).mean(axis=(1, 3)).astype(np.uint8)
        for number, (left, top, right, bottom) in enumerate(BOXES):
            part = large[round(top * 1280) : round(bottom * 1280), round(left * 1280) : round(right * 1280)]
            expected = np.asarray(dctn(part, norm="ortho"))[:8, :8] > 0
            expected[0, 0] = False
            differences.append((_bits(int(hashes(small).signs[number])) != expected).sum())
    assert np.mean(differences) < 1  # of 63; two random hashes differ in 31


def test_two_transpositions_are_none() -> None:
    values = np.random.default_rng(0).integers(0, 2**63, 1000, dtype=np.uint64)
    assert np.array_equal(transposed(transposed(values)), values)
    assert all(np.array_equal(_bits(int(transposed(values)[i])), _bits(int(values[i])).T) for i in range(20))
