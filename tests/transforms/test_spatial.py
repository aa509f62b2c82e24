"""Geometric transforms: values recorded from fastai, and the distributions of sampled parameters."""

import hashlib
import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eyebright.errors import InputError
from eyebright.image.warp import Warp
from eyebright.transforms.draw import Transform, TransformParams
from eyebright.transforms.spatial import (
    Dihedral,
    Flip,
    PerspectiveWarp,
    RandomResizedCrop,
    Resize,
    Rotate,
    Zoom,
    tilt_warp,
)
from eyebright.types import Points, Size

GOLD = json.loads((Path(__file__).parents[1] / "gold" / "g06_geometry.json").read_text())
AUGMENT = json.loads((Path(__file__).parents[1] / "gold" / "g07_augment.json").read_text())

DRAWS = 4000


class FixedPosition(np.random.Generator):
    """A random generator that always returns the same position of a crop."""

    def __init__(self, *position: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.position = np.array(position)

    def random(self, size: int) -> np.ndarray:
        assert size == len(self.position)
        return self.position


def gradient(width: int, height: int) -> np.ndarray:
    """The image of the recorded values: red grows along x, green along y, blue along both."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    layers = [x * 255 / (width - 1), y * 255 / (height - 1), (x + y) * 255 / (width + height - 2)]
    return np.stack(layers, axis=2).round().astype(np.uint8)


def visible_box(warp: Warp) -> tuple[float, float, float, float]:
    """Left, top, width and height of the part of the input that the output shows, in pixels."""
    corners = Points.of([[0, 0], [warp.output_size.width, warp.output_size.height]])
    (left, top), (right, bottom) = warp.inverse().points(corners).xy.tolist()
    return left, top, right - left, bottom - top


def fastai_matrix(warp: Warp) -> np.ndarray:
    """The matrix from output to input in coordinates in [-1, 1], as in fastai."""

    def to_pixels(size: Size) -> np.ndarray:
        w, h = size.width / 2, size.height / 2
        return np.array([[w, 0, w], [0, h, h], [0, 0, 1]])

    matrix = np.linalg.inv(to_pixels(warp.input_size)) @ np.linalg.inv(warp.matrix) @ to_pixels(warp.output_size)
    return matrix / matrix[2, 2]


def sample(transform: Transform, size: Size, count: int = DRAWS, seed: int = 0) -> list[TransformParams]:
    generator = np.random.default_rng(seed)
    return [transform.draw(size, generator) for _ in range(count)]


def is_identity(warp: Warp) -> bool:
    return bool(np.array_equal(warp.matrix, np.eye(3)))


def is_uniform(values: np.ndarray, low: float, high: float) -> bool:
    """True if the values pass a Kolmogorov-Smirnov test for a uniform distribution at the level 0.001."""
    expected = (np.arange(len(values)) + 0.5) / len(values)
    distance = np.abs((np.sort(values) - low) / (high - low) - expected).max()
    return bool(distance < 1.95 / np.sqrt(len(values)))


# ---------------------------------------------------------------------- Resize


def recorded_boxes() -> list[tuple[str, dict]]:
    return list(GOLD["rule: crop box before the single PIL resize"].items())


@pytest.mark.parametrize(("case", "box"), recorded_boxes(), ids=[case for case, _ in recorded_boxes()])
def test_resize_crops_the_same_boxes_as_fastai(case: str, box: dict) -> None:
    width, height, size, method, x, y = re.fullmatch(
        r"(\d+)x(\d+),(\d+|\(.*\)),(\w+),pcts=\(([\d.]+),([\d.]+)\)", case
    ).groups()
    size = tuple(map(int, size.strip("()").split(","))) if "," in size else int(size)
    draw = Resize(size, method).draw(Size(int(height), int(width)), FixedPosition(float(x), float(y)))
    assert visible_box(draw.warp) == pytest.approx((*box["top_left_xy"], *box["crop_size_wh"]), abs=1e-9)


def recorded_images() -> list[tuple[str, dict]]:
    return list(GOLD["resize valid (centre)"].items())


@pytest.mark.parametrize(("case", "expected"), recorded_images(), ids=[case for case, _ in recorded_images()])
def test_resize_gives_the_same_pixels_as_fastai(case: str, expected: dict) -> None:
    width, height, size, method, pad_mode = re.fullmatch(r"(\d+)x(\d+) Resize\((.*),(\w+),(\w+)\) valid", case).groups()
    size = tuple(map(int, size.strip("()").split(","))) if "," in size else int(size)
    image = gradient(int(width), int(height))
    resize = Resize(size, method, pad_mode).draw(Size(*image.shape[:2]), None)
    out = resize.warp.pixels(image, pad_mode=resize.pad_mode or "reflection")
    h, w = out.shape[:2]
    assert [w, h] == expected["size"]
    assert np.abs(out.reshape(-1, 3).mean(0) - expected["mean"]).max() < 0.06
    if method != "crop" and pad_mode != "reflection":  # the same filter on the same pixels
        assert hashlib.sha256(out.tobytes()).hexdigest()[:16] == expected["sha"]
    # fastai crops before it filters, while here the filter uses the pixels beyond the edge of the crop. fastai reflects
    # about the centre of the last pixel, and Eyebright about the edge of the image.
    tolerance = 1 if method != "pad" else 255 / (min(image.shape[:2]) - 1) + 1
    corners = {"tl": out[0, 0], "tr": out[0, -1], "bl": out[-1, 0], "br": out[-1, -1], "center": out[h // 2, w // 2]}
    for name, pixel in corners.items():
        assert np.abs(pixel.astype(int) - expected[name]).max() <= tolerance, name


@pytest.mark.parametrize("method", ["crop", "pad"])
def test_resize_has_a_uniform_position_in_training_and_is_centred_in_validation(method: str) -> None:
    size, resize = Size(333, 500), Resize(100, method)
    boxes = np.array([visible_box(draw.warp) for draw in sample(resize, size, 1000)])
    axis, free_space = (0, 500 - 333) if method == "crop" else (1, 333 - 500)
    assert is_uniform(boxes[:, axis], *sorted((0, free_space)))
    assert (boxes[:, 1 - axis] == 0).all()
    assert visible_box(resize.draw(size, None).warp)[axis] == pytest.approx(int(free_space / 2))


def test_only_squish_changes_the_aspect_ratio() -> None:
    size, target = Size(333, 500), Size(224, 224)
    for method in ("crop", "pad"):
        x, y = Resize(target, method).draw(size, None).warp.scale()
        assert x == pytest.approx(y)
    x, y = Resize(target, "squish").draw(size, None).warp.scale()
    assert (x, y) == pytest.approx((224 / 500, 224 / 333))


def test_resize_specifies_the_padding_only_with_the_method_pad() -> None:
    assert Resize(32, "pad", "zeros").draw(Size(10, 20), None).pad_mode == "zeros"
    assert Resize(32, "crop", "zeros").draw(Size(10, 20), None).pad_mode is None
    assert Resize(32, interpolation="bicubic").draw(Size(10, 20), None).interpolation == "bicubic"


@pytest.mark.parametrize("method", ["crop", "pad", "squish"])
@pytest.mark.parametrize("source", [Size(1, 1), Size(1, 9), Size(7, 2), Size(3, 20_000)])
def test_resize_works_for_the_smallest_and_the_longest_images(source: Size, method: str) -> None:
    for size in (224, (24, 40)):
        draw = Resize(size, method).draw(source, np.random.default_rng(0))
        assert draw.warp.pixels(np.full((*source, 3), 9, dtype=np.uint8)).shape == (*Size.of(size), 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 32, "method": "croop"}, "unknown `method` 'croop'. Did you mean 'crop'\\? Known: 'crop', 'pad'"),
        ({"size": 32, "pad_mode": "reflect"}, "unknown `pad_mode` 'reflect'. Did you mean 'reflection'"),
        ({"size": 32, "interpolation": "linear"}, "unknown interpolation 'linear'. Did you mean 'bilinear'"),
        ({"size": 0}, "a size needs at least 1 x 1 pixel"),
        ({"size": "32"}, "a size must be one number or"),
    ],
)
def test_resize_refuses_unknown_values(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Resize(**arguments)


# ---------------------------------------------------------------------- RandomResizedCrop


def test_a_random_crop_has_the_areas_and_aspect_ratios_of_fastai() -> None:
    size = Size(333, 500)
    boxes = np.array([visible_box(draw.warp) for draw in sample(RandomResizedCrop(128, min_scale=0.35), size)])
    area, ratio = boxes[:, 2] * boxes[:, 3] / (500 * 333), boxes[:, 2] / boxes[:, 3]
    recorded = GOLD["RandomResizedCrop"]["area/ratio quantiles over 4000 draws (min, 25, 50, 75, max)"]
    quantiles = [0.25, 0.5, 0.75]
    assert np.quantile(area, quantiles) == pytest.approx(recorded["area"][1:4], abs=0.02)
    assert np.quantile(ratio, quantiles) == pytest.approx(recorded["ratio"][1:4], abs=0.02)
    assert area.min() >= 0.35 - 1e-9
    assert ratio.min() >= 3 / 4 - 1e-9
    assert ratio.max() <= 4 / 3 + 1e-9


def test_a_random_crop_has_a_uniform_position() -> None:
    size = Size(333, 500)
    left, top, width, height = np.array([visible_box(d.warp) for d in sample(RandomResizedCrop(128), size)]).T
    assert is_uniform(left / (500 - width), 0, 1)
    assert is_uniform(top / (333 - height), 0, 1)


@pytest.mark.parametrize("source", [Size(30, 1000), Size(1000, 30)])
def test_an_image_too_long_for_any_random_crop_is_cropped_at_the_centre(source: Size) -> None:
    crop = RandomResizedCrop(64, min_scale=0.9)
    left, top, width, height = visible_box(crop.draw(source, np.random.default_rng(0)).warp)
    assert width / height == pytest.approx(4 / 3 if source.width > source.height else 3 / 4)
    assert min(width, height) == pytest.approx(30, rel=0.34)
    assert (left + width / 2, top + height / 2) == pytest.approx((source.width / 2, source.height / 2))


@pytest.mark.parametrize(("size", "covers"), [(128, (152, 152)), (224, (256, 256)), ((240, 320), (288, 368))], ids=str)
@pytest.mark.parametrize("source", [Size(333, 500), Size(500, 333), Size(64, 96)])
def test_a_validation_crop_is_centred_with_fastais_margin_and_keeps_the_aspect_ratio(
    source: Size, size: object, covers: tuple[int, int]
) -> None:
    warp = RandomResizedCrop(size, min_scale=0.35).draw(source, None).warp
    x, y = warp.scale()
    assert x == pytest.approx(y)
    scale = max(covers[0] / source.height, covers[1] / source.width)  # the whole image just covers it
    assert x == pytest.approx(scale)
    left, top, width, height = visible_box(warp)
    assert (left + width / 2, top + height / 2) == pytest.approx((source.width / 2, source.height / 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_scale": 0}, "scales must satisfy 0 < min_scale <= max_scale <= 1, got 0 to 1.0"),
        ({"min_scale": 0.5, "max_scale": 0.3}, "scales must satisfy 0 < min_scale <= max_scale <= 1, got 0.5 to 0.3"),
        ({"ratio": (2, 1)}, r"ratio must satisfy 0 < minimum <= maximum < 10,000, got \(2, 1\)"),
        ({"val_xtra": -1}, "val_xtra must be a share of the size, from 0 to 1; got -1"),
        ({"interpolation": "cubic"}, "unknown interpolation 'cubic'"),
    ],
)
def test_a_random_crop_refuses_empty_ranges(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        RandomResizedCrop(64, **arguments)


# ---------------------------------------------------------------------- flip, rotation, zoom, perspective

AUGMENTATIONS = [Flip(), Dihedral(), Rotate(), Zoom(), PerspectiveWarp()]


@pytest.mark.parametrize("transform", AUGMENTATIONS)
def test_geometric_augmentations_are_the_identity_in_validation(transform: Transform) -> None:
    draw = transform.draw(Size(30, 40), None)
    assert is_identity(draw.warp)
    assert draw.lighting.is_identity


@pytest.mark.parametrize("transform", AUGMENTATIONS)
def test_the_same_seed_gives_the_same_draws(transform: Transform) -> None:
    size = Size(30, 40)
    for first, second in zip(sample(transform, size, 20, seed=3), sample(transform, size, 20, seed=3), strict=True):
        assert np.array_equal(first.warp.matrix, second.warp.matrix)
    first, second = sample(transform, size, 20, seed=3), sample(transform, size, 20, seed=4)
    assert any(not np.array_equal(a.warp.matrix, b.warp.matrix) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("p", [0, 0.25, 1])
def test_a_flip_has_the_given_probability(p: float) -> None:
    mirrored = [draw.warp.is_mirrored for draw in sample(Flip(p), Size(30, 40))]
    assert np.mean(mirrored) == pytest.approx(p, abs=0.03)


def test_dihedral_chooses_uniformly_with_probability_one_half() -> None:
    size = Size(30, 40)
    matrices = [Warp.dihedral(size, k).matrix for k in range(8)]
    choices = [
        [k for k, matrix in enumerate(matrices) if np.allclose(matrix, draw.warp.matrix)]
        for draw in sample(Dihedral(), size)
    ]
    counts = np.bincount([k for (k,) in choices], minlength=8) / DRAWS
    assert counts[0] == pytest.approx(
        AUGMENT["statistics over draws"]["dihedral p=.5 frac identity (=.5+.5/8)"], abs=0.03
    )
    assert counts[1:] == pytest.approx(np.full(7, 0.5 / 8), abs=0.015)


def test_dihedral_with_keep_size_never_swaps_height_and_width() -> None:
    keep = Dihedral(p=1, keep_size=True)
    assert {draw.warp.output_size for draw in sample(keep, Size(30, 40), 100)} == {Size(30, 40)}
    oblong = {draw.warp.matrix.tobytes() for draw in sample(keep, Size(30, 40), 200)}
    square = {draw.warp.matrix.tobytes() for draw in sample(keep, Size(30, 30), 200)}
    assert (len(oblong), len(square)) == (4, 8)


def test_a_rotation_has_the_matrix_of_fastai() -> None:
    matrix = fastai_matrix(Warp.rotate(Size(64, 96), 10))
    assert matrix[:2] == pytest.approx(np.array(AUGMENT["rotate_mat(draw=10) after _prepare_mat on 64x96"]), abs=1e-6)


def test_angles_are_uniform_in_both_directions() -> None:
    warps = [draw.warp for draw in sample(Rotate(10, p=0.75), Size(40, 40))]
    angles = np.array([np.degrees(np.arctan2(w.matrix[1, 0], w.matrix[0, 0])) for w in warps if not is_identity(w)])
    recorded = AUGMENT["statistics over draws"]["rotate p=.75"]
    assert 1 - len(angles) / DRAWS == pytest.approx(recorded["frac_identity"], abs=0.03)
    assert is_uniform(angles, -10, 10)


@pytest.mark.parametrize(("x", "y", "name"), [(0.5, 0.5, "x=.5,y=.5"), (0, 1, "x=0,y=1")])
def test_a_zoom_has_the_matrix_of_fastai(x: float, y: float, name: str) -> None:
    matrix = fastai_matrix(Warp.zoom(Size(64, 96), 1.1, x=x, y=y))
    assert matrix == pytest.approx(np.array(AUGMENT[f"zoom_mat(draw=1.1,{name})"]), abs=1e-6)


def test_zoom_factors_and_centres_are_uniform() -> None:
    size = Size(50, 80)
    warps = [draw.warp for draw in sample(Zoom(1.0, 1.1, p=0.75), size)]
    matrices = [warp.matrix for warp in warps if not is_identity(warp)]
    factors = np.array([m[0, 0] for m in matrices])
    assert len(matrices) / DRAWS == pytest.approx(0.75, abs=0.03)
    assert is_uniform(factors, 1, 1.1)
    centers = np.array([(m[0, 2] / (1 - m[0, 0]) / 80, m[1, 2] / (1 - m[1, 1]) / 50) for m in matrices])
    assert is_uniform(centers[:, 0], 0, 1)
    assert is_uniform(centers[:, 1], 0, 1)


def test_dihedral_transforms_have_the_matrices_of_fastai() -> None:
    for k in range(8):
        expected = np.array(AUGMENT["dihedral_mat"][str(k)])
        assert fastai_matrix(Warp.dihedral(Size(64, 96), k)) == pytest.approx(expected, abs=1e-12)


def test_a_perspective_has_the_coefficients_of_fastai() -> None:
    size = Size(64, 96)
    warp = tilt_warp(size, x=0.2, y=0.1)
    coefficients = np.append(AUGMENT["warp coeffs draw_x=.2,draw_y=.1"], 1).reshape(3, 3)
    assert fastai_matrix(warp) == pytest.approx(coefficients, abs=1e-6)
    corners = np.array([[0, 0], [0, 64], [96, 0], [96, 64]])  # in fastai's order
    after = (warp.points(Points.of(corners)).xy.numpy() / [48, 32]) - 1
    assert after == pytest.approx(np.array(AUGMENT["warp target points"]), abs=1e-6)


def test_tilts_are_uniform_and_have_the_given_probability() -> None:
    size = Size(40, 40)
    corners = Points.of([[0, 0]])
    warps = [draw.warp for draw in sample(PerspectiveWarp(0.2, p=0.75), size)]
    y, x = np.array([1 - (warp.points(corners).xy[0].numpy() / 20) for warp in warps]).T - 1
    for tilts in (x, y):
        present = tilts[np.abs(tilts) > 1e-9]
        assert len(present) / DRAWS == pytest.approx(0.75, abs=0.03)
        assert is_uniform(present, -0.2, 0.2)
    assert np.corrcoef(np.abs(x) > 1e-9, np.abs(y) > 1e-9)[0, 1] == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda: Flip(1.5), r"p must be a probability in \[0, 1\], got 1.5"),
        (lambda: Dihedral(-1), r"p must be a probability in \[0, 1\], got -1"),
        (lambda: Rotate(p=2), r"p must be a probability in \[0, 1\], got 2"),
        (lambda: Zoom(1.2, 1.1), "zooms must satisfy 0 < min_zoom <= max_zoom, got 1.2 to 1.1"),
        (lambda: Zoom(0, 1), "zooms must satisfy 0 < min_zoom <= max_zoom, got 0 to 1"),
        (lambda: Zoom(1, math.inf), "zooms must satisfy 0 < min_zoom <= max_zoom, got 1 to inf"),
        (lambda: Rotate(math.nan), "max_deg must be a finite number of degrees from 0, got nan"),
        (lambda: Rotate(math.inf), "max_deg must be a finite number of degrees from 0, got inf"),
        (lambda: Rotate(-10), "max_deg must be a finite number of degrees from 0, got -10"),
        (lambda: PerspectiveWarp(0.5), r"magnitude must be in \[0, 0.5\), got 0.5"),
    ],
)
def test_geometric_augmentations_refuse_values_out_of_range(create: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        create()


def test_the_largest_tilts_keep_all_corners_in_front_of_the_camera() -> None:
    size, corners = Size(50, 80), [[0, 0], [80, 0], [80, 50], [0, 50], [40, 25]]
    for x in (-0.499, 0.499):
        for y in (-0.499, 0.499):
            warp = tilt_warp(size, x=x, y=y)
            with_margin = warp.then(Warp.crop(size, Size(500, 800), left=-360, top=-225))
            assert with_margin.points(Points.of(corners)).known.all()
