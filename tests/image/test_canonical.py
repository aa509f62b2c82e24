"""Canonical pixels: against a definition in plain numpy, and against torch's antialiased resize of floats."""

import math
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageOps
import pytest
import torch
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from eyebright.image.canonical import (
    Placement,
    canonical_pixels,
    canonical_placement,
    fit_size,
    place_center,
    resized_side,
)
from eyebright.image.image import Image
from eyebright.image.warp import Warp
from eyebright.transforms.pipeline import Pipeline
from eyebright.transforms.spatial import Resize
from eyebright.types import Points, Size

HUNDREDTH = 0.01 / 255  # of a grey level
SIZES = [(1, 1), (1, 7), (2, 3), (17, 5000), (5000, 17), (223, 225), (224, 224), (375, 500), (333, 500)]


def dense_weights(length: int, resized: int) -> NDArray[np.float64]:
    """The definition: a triangle about each output's centre, as wide as an output pixel or an input pixel."""
    scale = length / resized
    support = max(scale, 1.0)
    weights = np.zeros((resized, length))
    for i in range(resized):
        for j in range(length):
            weights[i, j] = max(0.0, 1 - abs(j + 0.5 - (i + 0.5) * scale) / support)
    return weights / weights.sum(axis=1, keepdims=True)


def reference(image: NDArray[np.uint8], placement: Placement) -> NDArray[np.float64]:
    """The whole image resized in float64, then cropped or padded pixel by pixel."""
    rows = dense_weights(placement.input_size.height, placement.resized.height)
    columns = dense_weights(placement.input_size.width, placement.resized.width)
    whole = np.einsum("ih,hwc,jw->ijc", rows, image / 255, columns, optimize=True)
    out = np.zeros((*placement.output_size, 3))
    for y in range(placement.output_size.height):
        for x in range(placement.output_size.width):
            i, j = y - placement.top, x - placement.left
            if 0 <= i < placement.resized.height and 0 <= j < placement.resized.width:
                out[y, x] = whole[i, j]
    return out


def noise(size: tuple[int, int], seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.mark.parametrize("cover", [True, False])
@pytest.mark.parametrize("size", [size for size in SIZES if max(size) <= 500])
def test_pixels_are_those_of_the_definition(size: tuple[int, int], cover: bool) -> None:
    source = Size(*size)
    placement = place_center(source, fit_size(source, Size(48, 64), cover=cover), Size(48, 64))
    image = noise(size)
    np.testing.assert_allclose(canonical_pixels(image, placement), reference(image, placement), atol=HUNDREDTH)


@given(
    st.integers(1, 60), st.integers(1, 60), st.integers(1, 60), st.integers(1, 60),
    st.integers(-20, 20), st.integers(-20, 20), st.integers(1, 40), st.integers(1, 40),
)  # fmt: skip
@settings(deadline=None)
def test_any_placement_gives_the_pixels_of_the_definition(
    height: int, width: int, resized_height: int, resized_width: int, left: int, top: int, out_h: int, out_w: int
) -> None:
    placement = Placement(Size(height, width), Size(resized_height, resized_width), left, top, Size(out_h, out_w))
    image = noise((height, width), seed=height * width)
    np.testing.assert_allclose(canonical_pixels(image, placement), reference(image, placement), atol=HUNDREDTH)


@pytest.mark.parametrize("cover", [True, False])
@pytest.mark.parametrize("size", [*SIZES, (3000, 4000)])
def test_pixels_are_those_of_torchs_antialiased_resize_of_floats(size: tuple[int, int], cover: bool) -> None:
    source, out = Size(*size), Size(224, 224)
    resized = fit_size(source, out, cover=cover)
    if math.prod(resized) > 20_000_000:
        pytest.skip("torch resizes the whole image before a crop")
    placement = place_center(source, resized, out)
    image = noise(size)
    floats = torch.from_numpy(image).permute(2, 0, 1)[None].double() / 255
    # One axis after the other: torch 2.15 repeats the first row where the output is one pixel wide.
    for shape in ([resized.height, source.width], list(resized)):
        floats = interpolate(floats, shape, mode="bilinear", antialias=True)
    whole = floats[0].permute(1, 2, 0).numpy()
    top, left = max(-placement.top, 0), max(-placement.left, 0)
    seen = whole[top : top + out.height, left : left + out.width]
    y, x = max(placement.top, 0), max(placement.left, 0)
    pixels = canonical_pixels(image, placement)
    np.testing.assert_allclose(pixels[y : y + len(seen), x : x + seen.shape[1]], seen, atol=HUNDREDTH)
    assert pixels.sum() == pytest.approx(pixels[y : y + len(seen), x : x + seen.shape[1]].sum()), "padding is black"


def test_a_resize_to_the_same_size_changes_nothing() -> None:
    image = noise((30, 40))
    pixels = canonical_pixels(image, Placement(Size(30, 40), Size(30, 40), 0, 0, Size(30, 40)))
    assert np.array_equal(np.rint(pixels * 255).astype(np.uint8), image)


@given(st.integers(1, 6000), st.integers(1, 6000), st.integers(1, 600), st.integers(1, 600), st.booleans())
def test_sides_are_rounded_half_up_like_fractions(height: int, width: int, out_h: int, out_w: int, cover: bool) -> None:
    choose = max if cover else min
    scale = choose(Fraction(out_h, height), Fraction(out_w, width))
    expected = [max(math.floor(scale * side + Fraction(1, 2)), 1) for side in (height, width)]
    assert list(fit_size(Size(height, width), Size(out_h, out_w), cover=cover)) == expected


@pytest.mark.parametrize(("side", "rounded"), [(0.2, 1), (0.5, 1), (1.49, 1), (1.5, 2), (2.5, 3), (298.67, 299)])
def test_a_side_is_rounded_half_up_and_at_least_1(side: float, rounded: int) -> None:
    assert resized_side(side) == rounded


@given(
    st.integers(1, 900), st.integers(1, 900), st.integers(1, 400), st.integers(1, 400),
    st.integers(-300, 300), st.integers(-300, 300), st.integers(1, 300), st.integers(1, 300),
)  # fmt: skip
def test_the_warp_of_a_placement_gives_it_back(
    height: int, width: int, resized_height: int, resized_width: int, left: int, top: int, out_h: int, out_w: int
) -> None:
    placement = Placement(Size(height, width), Size(resized_height, resized_width), left, top, Size(out_h, out_w))
    assert canonical_placement(placement.warp) == placement


def test_an_odd_remainder_is_cropped_and_padded_towards_zero() -> None:
    assert place_center(Size(375, 500), Size(224, 299), Size(224, 224))[2:4] == (-37, 0)
    assert place_center(Size(375, 500), Size(168, 224), Size(223, 224))[2:4] == (0, 27)


@pytest.mark.parametrize(
    "warp",
    [
        Warp.flip(Size(30, 40)),
        Warp.rotate(Size(30, 40), 5),
        Warp.dihedral(Size(30, 40), 4),
        Warp.perspective(Size(30, 40), [(1, 0), (39, 0), (40, 30), (0, 30)]),
    ],
)
def test_other_changes_have_no_placement(warp: Warp) -> None:
    assert canonical_placement(warp) is None


def test_points_move_with_the_pixels() -> None:
    """A white square stays where its corners are, to less than half a pixel of the output."""
    image = np.zeros((301, 437, 3), np.uint8)
    image[100:200, 150:250] = 255
    source, out = Size(301, 437), Size(224, 224)
    placement = place_center(source, fit_size(source, out, cover=True), out)
    corners = placement.warp.points(Points.of([[150, 100], [250, 200]])).xy.numpy()
    pixels = canonical_pixels(image, placement)[..., 0]
    bright_columns, bright_rows = np.nonzero(pixels.max(axis=0) > 0.5)[0], np.nonzero(pixels.max(axis=1) > 0.5)[0]
    np.testing.assert_allclose([bright_columns[0], bright_rows[0]], corners[0], atol=0.75)
    np.testing.assert_allclose([bright_columns[-1] + 1, bright_rows[-1] + 1], corners[1], atol=0.75)
    back = placement.warp.inverse().points(placement.warp.points(Points.of([[150, 100], [250, 200]]))).xy.numpy()
    np.testing.assert_allclose(back, [[150, 100], [250, 200]], atol=1e-9)


def photo() -> PIL.Image.Image:
    """An RGB image with smooth colours, 70 pixels high and 90 wide."""
    y, x = np.mgrid[0:70, 0:90]
    return PIL.Image.fromarray(np.stack([x * 2, y * 3, (x + y) % 200], axis=2).astype(np.uint8))


def turned(path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[PIL.ExifTags.Base.Orientation] = 6
    photo().save(path, exif=exif, quality=95)


FILES: dict[str, Callable[[Path], None]] = {
    "turned.jpg": turned,
    "grey.jpg": lambda path: photo().convert("L").save(path, quality=95),
    "grey.png": lambda path: photo().convert("L").save(path),
    "cmyk.jpg": lambda path: photo().convert("CMYK").save(path, quality=95),
    "palette.gif": lambda path: photo().quantize(64).save(path),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_all_kinds_have_the_pixels_of_the_definition(name: str, tmp_path: Path) -> None:
    FILES[name](tmp_path / name)
    with PIL.Image.open(tmp_path / name) as stored:
        upright = np.asarray(PIL.ImageOps.exif_transpose(stored).convert("RGB"))
    source = Size(*upright.shape[:2])
    assert source == (Size(90, 70) if name == "turned.jpg" else Size(70, 90))
    pipeline = Pipeline((Resize((32, 48)),))
    seen = pipeline.preprocess(pipeline.draw(Image.create(tmp_path / name), None))
    placement = place_center(source, fit_size(source, Size(32, 48), cover=True), Size(32, 48))
    np.testing.assert_allclose(seen.pixels, reference(upright, placement), atol=HUNDREDTH)


def test_an_elongated_image_takes_no_memory_for_what_is_cropped() -> None:
    """1 x 150,000 pixels are resized to 224 x 33,600,000 before the crop."""
    source, out = Size(1, 150_000), Size(224, 224)
    image = np.zeros((*source, 3), np.uint8)
    image[0, 74_990:75_010] = 255
    tracemalloc.start()
    pixels = canonical_pixels(image, place_center(source, fit_size(source, out, cover=True), out))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(pixels, 1, rtol=1e-6)
    assert pixels.max() <= 1
    assert peak < 20 * 2**20
