"""Laws of warps that are composed at random: associative, invertible, exact for whole pixels."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, strategies as st

from eyebright.image.warp import Warp
from eyebright.types import Points, Size

SIZES = st.builds(Size, st.integers(2, 60), st.integers(2, 60))
STEPS = 4  # warps of a chain

Step = Callable[[Size], Warp]
"""Makes a warp for images of a size."""


def corners_moved(size: Size, x: float, y: float) -> Warp:
    """A perspective that moves the corners by up to a fifth of the sides."""
    w, h = size.width, size.height
    return Warp.perspective(size, [(-y * w, -x * h), (w + y * w, x * h), (w - y * w, h - x * h), (y * w, h + x * h)])


SMALL = st.floats(-0.1, 0.1, allow_nan=False)
WHOLE_PIXELS: st.SearchStrategy[Step] = st.one_of(
    st.integers(0, 7).map(lambda k: lambda size: Warp.dihedral(size, k)),
    st.tuples(st.integers(-9, 9), st.integers(-9, 9), SIZES).map(
        lambda at: lambda size: Warp.crop(size, at[2], left=at[0], top=at[1])
    ),
)
ANY_STEP: st.SearchStrategy[Step] = st.one_of(
    WHOLE_PIXELS,
    SIZES.map(lambda to: lambda size: Warp.resize(size, to)),
    st.floats(-180, 180).map(lambda degrees: lambda size: Warp.rotate(size, degrees)),
    st.floats(0.3, 3).map(lambda factor: lambda size: Warp.zoom(size, factor, x=0.3, y=0.6)),
    st.tuples(SMALL, SMALL).map(lambda by: lambda size: corners_moved(size, *by)),
)


def chain(size: Size, steps: list[Step]) -> list[Warp]:
    warps: list[Warp] = []
    for step in steps:
        warps.append(step(warps[-1].output_size if warps else size))
    return warps


def composed(warps: list[Warp]) -> Warp:
    first, *rest = warps
    for warp in rest:
        first = first.then(warp)
    return first


CHAINS = st.builds(chain, SIZES, st.lists(ANY_STEP, min_size=1, max_size=STEPS))
POSITIONS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5)


def inside(size: Size, positions: list[tuple[float, float]]) -> Points:
    """Points of an image; the positions are fractions of its sides."""
    return Points.of([(x * size.width, y * size.height) for x, y in positions])


@given(CHAINS, POSITIONS)
def test_a_chain_moves_points_like_its_warps_in_turn(warps: list[Warp], positions: list[tuple[float, float]]) -> None:
    points = moved = inside(warps[0].input_size, positions)
    for warp in warps:
        moved = warp.points(moved)
    together = composed(warps)
    assert (together.input_size, together.output_size) == (warps[0].input_size, warps[-1].output_size)
    assert np.allclose(together.points(points).xy, moved.xy, rtol=1e-6, atol=1e-6, equal_nan=True)


@given(CHAINS, st.integers(1, STEPS - 1))
def test_it_does_not_matter_which_warps_of_a_chain_are_composed_first(warps: list[Warp], cut: int) -> None:
    left, right = warps[:cut], warps[cut:]
    apart = composed(left).then(composed(right)) if right else composed(left)
    together = composed(warps)
    scale = np.abs(together.matrix).max()
    assert np.allclose(apart.matrix / scale, together.matrix / scale, atol=1e-12)


@given(CHAINS, POSITIONS)
def test_the_inverse_of_a_chain_brings_points_back(warps: list[Warp], positions: list[tuple[float, float]]) -> None:
    warp = composed(warps)
    inverse = warp.inverse()
    assert (inverse.input_size, inverse.output_size) == (warp.output_size, warp.input_size)
    points = inside(warp.input_size, positions)
    assert np.allclose(inverse.points(warp.points(points)).xy, points.xy, atol=1e-5)


@given(st.lists(st.integers(0, 7), min_size=1, max_size=6), SIZES)
def test_a_chain_mirrors_if_an_odd_number_of_its_warps_does(numbers: list[int], size: Size) -> None:
    warps = chain(size, [lambda given, k=k: Warp.dihedral(given, k) for k in numbers])
    assert composed(warps).is_mirrored == mirrors(numbers)


def mirrors(numbers: list[int]) -> bool:
    """By the positions of three pixels, as numpy moves them."""
    marks = np.arange(6).reshape(2, 3)
    for k in numbers:
        marks = as_numpy(marks, k)
    ways = [np.rot90(np.arange(6).reshape(2, 3), quarter) for quarter in range(4)]
    return not any(way.shape == marks.shape and (way == marks).all() for way in ways)


def as_numpy(image: np.ndarray, k: int) -> np.ndarray:
    """The image after the dihedral change number ``k``, by numpy."""
    changes = {
        0: lambda a: a,
        1: np.fliplr,
        2: np.flipud,
        3: lambda a: np.rot90(a, 1),
        4: lambda a: np.rot90(a, 2),
        5: lambda a: np.rot90(a, -1),
        6: lambda a: a.swapaxes(0, 1),
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    }
    return changes[k](image)


@given(st.lists(st.integers(0, 7), min_size=1, max_size=4), SIZES, st.integers(0, 99))
def test_flips_and_quarter_turns_move_pixels_as_numpy_does(numbers: list[int], size: Size, seed: int) -> None:
    image = expected = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    for k in numbers:
        expected = as_numpy(expected, k)
    warp = composed(chain(size, [lambda given, k=k: Warp.dihedral(given, k) for k in numbers]))
    assert np.array_equal(warp.pixels(image), expected)


@given(SIZES, SIZES, st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 99))
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_crop_at_whole_pixels_is_a_slice_of_the_padded_image(
    dtype: type, size: Size, out: Size, left: int, top: int, seed: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(dtype)
    margin = 80  # more than any crop reaches
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)))
    expected = padded[margin + top :, margin + left :][: out.height, : out.width]
    assert np.array_equal(Warp.crop(size, out, left=left, top=top).pixels(image, pad_mode="zeros"), expected)
