"""Resizing, cropping and moving, against the book's recorded numbers and the distributions that they promise."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from eyebright.errors import InputError
from eyebright.image.warp import Warp
from eyebright.transforms.draw import Draw, Transform
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


class At(np.random.Generator):
    """A generator that says what it was told: the place of a crop."""

    def __init__(self, *place: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.place = np.array(place)

    def random(self, size: int) -> np.ndarray:
        assert size == len(self.place)
        return self.place


def gradient(width: int, height: int) -> np.ndarray:
    """The image of the recorded numbers: red grows along x, green along y, blue along both."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    layers = [x * 255 / (width - 1), y * 255 / (height - 1), (x + y) * 255 / (width + height - 2)]
    return np.stack(layers, axis=2).round().astype(np.uint8)


def box_of(warp: Warp) -> tuple[float, float, float, float]:
    """Left, top, width and height in the source of what the output shows."""
    corners = Points.of([[0, 0], [warp.size.width, warp.size.height]])
    (left, top), (right, bottom) = warp.inverse().points(corners).xy.tolist()
    return left, top, right - left, bottom - top


def normalised(warp: Warp) -> np.ndarray:
    """The way back from output to source between coordinates in [-1, 1], as the book has its matrices."""

    def to_pixels(size: Size) -> np.ndarray:
        w, h = size.width / 2, size.height / 2
        return np.array([[w, 0, w], [0, h, h], [0, 0, 1]])

    back = np.linalg.inv(to_pixels(warp.source)) @ np.linalg.inv(warp.matrix) @ to_pixels(warp.size)
    return back / back[2, 2]


def drawn(transform: Transform, size: Size, count: int = DRAWS, seed: int = 0) -> list[Draw]:
    generator = np.random.default_rng(seed)
    return [transform.draw(size, generator) for _ in range(count)]


def is_identity(warp: Warp) -> bool:
    return bool(np.array_equal(warp.matrix, np.eye(3)))


def evenly_spread(values: np.ndarray, low: float, high: float) -> bool:
    """Whether sorted values follow the diagonal (Kolmogorov-Smirnov at one in a thousand)."""
    expected = (np.arange(len(values)) + 0.5) / len(values)
    distance = np.abs((np.sort(values) - low) / (high - low) - expected).max()
    return bool(distance < 1.95 / np.sqrt(len(values)))


# ---------------------------------------------------------------------- Resize


def recorded_boxes() -> list[tuple[str, dict]]:
    return list(GOLD["rule: crop box before the single PIL resize"].items())


@pytest.mark.parametrize(("case", "box"), recorded_boxes(), ids=[case for case, _ in recorded_boxes()])
def test_the_boxes_of_resize_are_the_books(case: str, box: dict) -> None:
    width, height, size, method, x, y = re.fullmatch(
        r"(\d+)x(\d+),(\d+|\(.*\)),(\w+),pcts=\(([\d.]+),([\d.]+)\)", case
    ).groups()
    size = tuple(map(int, size.strip("()").split(","))) if "," in size else int(size)
    drawn = Resize(size, method).draw(Size(int(height), int(width)), At(float(x), float(y)))
    assert box_of(drawn.warp) == pytest.approx((*box["top_left_xy"], *box["crop_size_wh"]), abs=1e-9)


def recorded_images() -> list[tuple[str, dict]]:
    return list(GOLD["resize valid (centre)"].items())


@pytest.mark.parametrize(("case", "expected"), recorded_images(), ids=[case for case, _ in recorded_images()])
def test_the_pixels_of_resize_are_the_books(case: str, expected: dict) -> None:
    width, height, size, method, pad = re.fullmatch(r"(\d+)x(\d+) Resize\((.*),(\w+),(\w+)\) valid", case).groups()
    size = tuple(map(int, size.strip("()").split(","))) if "," in size else int(size)
    image = gradient(int(width), int(height))
    resize = Resize(size, method, pad).draw(Size(*image.shape[:2]), None)
    out = resize.warp.pixels(image, pad=resize.pad or "reflection")
    h, w = out.shape[:2]
    assert [w, h] == expected["size"]
    assert np.abs(out.reshape(-1, 3).mean(0) - expected["mean"]).max() < 0.06
    if method != "crop" and pad != "reflection":  # the same filter on the same pixels
        assert hashlib.sha256(out.tobytes()).hexdigest()[:16] == expected["sha"]
    # The book cuts the crop out before it filters; here the filter at its edge sees the pixels beyond. The book mirrors
    # about the middle of the last pixel, we about the image's edge: one pixel of the image apart.
    close = 1 if method != "pad" else 255 / (min(image.shape[:2]) - 1) + 1
    places = {"tl": out[0, 0], "tr": out[0, -1], "bl": out[-1, 0], "br": out[-1, -1], "center": out[h // 2, w // 2]}
    for name, pixel in places.items():
        assert np.abs(pixel.astype(int) - expected[name]).max() <= close, name


@pytest.mark.parametrize("method", ["crop", "pad"])
def test_resize_is_anywhere_in_training_and_in_the_middle_in_validation(method: str) -> None:
    size, resize = Size(333, 500), Resize(100, method)
    boxes = np.array([box_of(draw.warp) for draw in drawn(resize, size, 1000)])
    moving, room = (0, 500 - 333) if method == "crop" else (1, 333 - 500)
    assert evenly_spread(boxes[:, moving], *sorted((0, room)))
    assert (boxes[:, 1 - moving] == 0).all()
    assert box_of(resize.draw(size, None).warp)[moving] == pytest.approx(int(room / 2))


def test_only_squish_changes_the_aspect_ratio() -> None:
    size, target = Size(333, 500), Size(224, 224)
    for method in ("crop", "pad"):
        x, y = Resize(target, method).draw(size, None).warp.scale()
        assert x == pytest.approx(y)
    x, y = Resize(target, "squish").draw(size, None).warp.scale()
    assert (x, y) == pytest.approx((224 / 500, 224 / 333))


def test_resize_says_what_fills_the_rest_only_where_there_is_one() -> None:
    assert Resize(32, "pad", "zeros").draw(Size(10, 20), None).pad == "zeros"
    assert Resize(32, "crop", "zeros").draw(Size(10, 20), None).pad is None
    assert Resize(32, interpolation="bicubic").draw(Size(10, 20), None).interpolation == "bicubic"


@pytest.mark.parametrize("method", ["crop", "pad", "squish"])
@pytest.mark.parametrize("source", [Size(1, 1), Size(1, 9), Size(7, 2), Size(3, 20_000)])
def test_resize_takes_the_smallest_and_the_longest_images(source: Size, method: str) -> None:
    for size in (224, (24, 40)):
        draw = Resize(size, method).draw(source, np.random.default_rng(0))
        assert draw.warp.pixels(np.full((*source, 3), 9, dtype=np.uint8)).shape == (*Size.of(size), 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 32, "method": "croop"}, "unknown method 'croop'. Did you mean 'crop'\\? It is one of 'crop', 'pad'"),
        ({"size": 32, "pad_mode": "reflect"}, "unknown pad_mode 'reflect'. Did you mean 'reflection'"),
        ({"size": 32, "interpolation": "linear"}, "unknown interpolation 'linear'. Did you mean 'bilinear'"),
        ({"size": 0}, "a size needs at least 1 x 1 pixel"),
        ({"size": "32"}, "a size is one number or"),
    ],
)
def test_resize_refuses_what_it_does_not_know(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Resize(**arguments)


# ---------------------------------------------------------------------- RandomResizedCrop


def test_a_random_box_has_the_books_areas_and_ratios() -> None:
    size = Size(333, 500)
    boxes = np.array([box_of(draw.warp) for draw in drawn(RandomResizedCrop(128, min_scale=0.35), size)])
    area, ratio = boxes[:, 2] * boxes[:, 3] / (500 * 333), boxes[:, 2] / boxes[:, 3]
    recorded = GOLD["RandomResizedCrop"]["area/ratio quantiles over 4000 draws (min, 25, 50, 75, max)"]
    quantiles = [0.25, 0.5, 0.75]
    assert np.quantile(area, quantiles) == pytest.approx(recorded["area"][1:4], abs=0.02)
    assert np.quantile(ratio, quantiles) == pytest.approx(recorded["ratio"][1:4], abs=0.02)
    assert area.min() >= 0.35 - 1e-9
    assert ratio.min() >= 3 / 4 - 1e-9
    assert ratio.max() <= 4 / 3 + 1e-9


def test_a_random_box_lies_anywhere_inside() -> None:
    size = Size(333, 500)
    left, top, width, height = np.array([box_of(d.warp) for d in drawn(RandomResizedCrop(128), size)]).T
    assert evenly_spread(left / (500 - width), 0, 1)
    assert evenly_spread(top / (333 - height), 0, 1)


@pytest.mark.parametrize("source", [Size(30, 1000), Size(1000, 30)])
def test_an_image_too_long_for_any_box_shows_its_middle(source: Size) -> None:
    crop = RandomResizedCrop(64, min_scale=0.9)
    left, top, width, height = box_of(crop.draw(source, np.random.default_rng(0)).warp)
    assert width / height == pytest.approx(4 / 3 if source.width > source.height else 3 / 4)
    assert min(width, height) == pytest.approx(30, rel=0.34)
    assert (left + width / 2, top + height / 2) == pytest.approx((source.width / 2, source.height / 2))


@pytest.mark.parametrize(("size", "covers"), [(128, (152, 152)), (224, (256, 256)), ((240, 320), (288, 368))], ids=str)
@pytest.mark.parametrize("source", [Size(333, 500), Size(500, 333), Size(64, 96)])
def test_validation_keeps_the_middle_of_the_books_size_and_never_squishes(
    source: Size, size: object, covers: tuple[int, int]
) -> None:
    warp = RandomResizedCrop(size, min_scale=0.35).draw(source, None).warp
    x, y = warp.scale()
    assert x == pytest.approx(y)
    scale = max(covers[0] / source.height, covers[1] / source.width)  # the whole image just covers it
    assert x == pytest.approx(scale)
    left, top, width, height = box_of(warp)
    assert (left + width / 2, top + height / 2) == pytest.approx((source.width / 2, source.height / 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_scale": 0}, "scales are 0 < min <= max <= 1, got 0 to 1.0"),
        ({"min_scale": 0.5, "max_scale": 0.3}, "scales are 0 < min <= max <= 1, got 0.5 to 0.3"),
        ({"ratio": (2, 1)}, r"ratios are 0 < smallest <= largest, got \(2, 1\)"),
        ({"val_xtra": -1}, "val_xtra is 0 or more"),
        ({"interpolation": "cubic"}, "unknown interpolation 'cubic'"),
    ],
)
def test_a_random_box_refuses_ranges_that_are_none(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        RandomResizedCrop(64, **arguments)


# ---------------------------------------------------------------------- flips, turns, zooms, tilts

MOVES = [Flip(), Dihedral(), Rotate(), Zoom(), PerspectiveWarp()]


@pytest.mark.parametrize("move", MOVES)
def test_validation_moves_nothing(move: Transform) -> None:
    draw = move.draw(Size(30, 40), None)
    assert is_identity(draw.warp)
    assert draw.lighting.is_identity


@pytest.mark.parametrize("move", MOVES)
def test_the_same_seed_gives_the_same_draw(move: Transform) -> None:
    size = Size(30, 40)
    for first, second in zip(drawn(move, size, 20, seed=3), drawn(move, size, 20, seed=3), strict=True):
        assert np.array_equal(first.warp.matrix, second.warp.matrix)
    first, other = drawn(move, size, 20, seed=3), drawn(move, size, 20, seed=4)
    assert any(not np.array_equal(a.warp.matrix, b.warp.matrix) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("p", [0, 0.25, 1])
def test_a_flip_happens_as_often_as_said(p: float) -> None:
    mirrored = [draw.warp.mirrored for draw in drawn(Flip(p), Size(30, 40))]
    assert np.mean(mirrored) == pytest.approx(p, abs=0.03)


def test_half_of_the_time_one_of_the_eight_symmetries_is_drawn() -> None:
    size = Size(30, 40)
    symmetries = [Warp.dihedral(size, k).matrix for k in range(8)]
    found = [
        [k for k, matrix in enumerate(symmetries) if np.allclose(matrix, draw.warp.matrix)]
        for draw in drawn(Dihedral(), size)
    ]
    counts = np.bincount([k for (k,) in found], minlength=8) / DRAWS
    assert counts[0] == pytest.approx(
        AUGMENT["statistics over draws"]["dihedral p=.5 frac identity (=.5+.5/8)"], abs=0.03
    )
    assert counts[1:] == pytest.approx(np.full(7, 0.5 / 8), abs=0.015)


def test_symmetries_that_keep_the_size_keep_it() -> None:
    keep = Dihedral(p=1, keep_size=True)
    assert {draw.warp.size for draw in drawn(keep, Size(30, 40), 100)} == {Size(30, 40)}
    of_oblong = {draw.warp.matrix.tobytes() for draw in drawn(keep, Size(30, 40), 200)}
    of_square = {draw.warp.matrix.tobytes() for draw in drawn(keep, Size(30, 30), 200)}
    assert (len(of_oblong), len(of_square)) == (4, 8)


def test_a_turn_is_the_books() -> None:
    turned = normalised(Warp.rotate(Size(64, 96), 10))
    assert turned[:2] == pytest.approx(np.array(AUGMENT["rotate_mat(draw=10) after _prepare_mat on 64x96"]), abs=1e-6)


def test_angles_are_even_over_both_directions() -> None:
    warps = [draw.warp for draw in drawn(Rotate(10, p=0.75), Size(40, 40))]
    angles = np.array([np.degrees(np.arctan2(w.matrix[1, 0], w.matrix[0, 0])) for w in warps if not is_identity(w)])
    recorded = AUGMENT["statistics over draws"]["rotate p=.75"]
    assert 1 - len(angles) / DRAWS == pytest.approx(recorded["frac_identity"], abs=0.03)
    assert evenly_spread(angles, -10, 10)


@pytest.mark.parametrize(("x", "y", "name"), [(0.5, 0.5, "x=.5,y=.5"), (0, 1, "x=0,y=1")])
def test_a_zoom_is_the_books(x: float, y: float, name: str) -> None:
    zoomed = normalised(Warp.zoom(Size(64, 96), 1.1, x=x, y=y))
    assert zoomed == pytest.approx(np.array(AUGMENT[f"zoom_mat(draw=1.1,{name})"]), abs=1e-6)


def test_zooms_and_their_centres_are_even() -> None:
    size = Size(50, 80)
    warps = [draw.warp for draw in drawn(Zoom(1.0, 1.1, p=0.75), size)]
    moved = [warp.matrix for warp in warps if not is_identity(warp)]
    factors = np.array([m[0, 0] for m in moved])
    assert len(moved) / DRAWS == pytest.approx(0.75, abs=0.03)
    assert evenly_spread(factors, 1, 1.1)
    still = np.array([(m[0, 2] / (1 - m[0, 0]) / 80, m[1, 2] / (1 - m[1, 1]) / 50) for m in moved])
    assert evenly_spread(still[:, 0], 0, 1)
    assert evenly_spread(still[:, 1], 0, 1)


def test_the_symmetries_are_the_books() -> None:
    for k in range(8):
        expected = np.array(AUGMENT["dihedral_mat"][str(k)])
        assert normalised(Warp.dihedral(Size(64, 96), k)) == pytest.approx(expected, abs=1e-12)


def test_a_tilt_is_the_books() -> None:
    size = Size(64, 96)
    warp = tilt_warp(size, x=0.2, y=0.1)
    coefficients = np.append(AUGMENT["warp coeffs draw_x=.2,draw_y=.1"], 1).reshape(3, 3)
    assert normalised(warp) == pytest.approx(coefficients, abs=1e-6)
    corners = np.array([[0, 0], [0, 64], [96, 0], [96, 64]])  # in the book's order
    after = (warp.points(Points.of(corners)).xy.numpy() / [48, 32]) - 1
    assert after == pytest.approx(np.array(AUGMENT["warp target points"]), abs=1e-6)


def test_tilts_are_even_and_each_as_often_as_said() -> None:
    size = Size(40, 40)
    corners = Points.of([[0, 0]])
    warps = [draw.warp for draw in drawn(PerspectiveWarp(0.2, p=0.75), size)]
    y, x = np.array([1 - (warp.points(corners).xy[0].numpy() / 20) for warp in warps]).T - 1
    for tilts in (x, y):
        present = tilts[np.abs(tilts) > 1e-9]
        assert len(present) / DRAWS == pytest.approx(0.75, abs=0.03)
        assert evenly_spread(present, -0.2, 0.2)
    assert np.corrcoef(np.abs(x) > 1e-9, np.abs(y) > 1e-9)[0, 1] == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Flip(1.5), r"p is a probability in \[0, 1\], got 1.5"),
        (lambda: Dihedral(-1), r"p is a probability in \[0, 1\], got -1"),
        (lambda: Rotate(p=2), r"p is a probability in \[0, 1\], got 2"),
        (lambda: Zoom(1.2, 1.1), "zooms are 0 < min <= max, got 1.2 to 1.1"),
        (lambda: Zoom(0, 1), "zooms are 0 < min <= max, got 0 to 1"),
        (lambda: PerspectiveWarp(0.5), r"a perspective's magnitude lies in \[0, 0.5\), got 0.5"),
    ],
)
def test_moves_refuse_values_out_of_range(make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_the_strongest_tilts_leave_the_corners_in_front() -> None:
    size, corners = Size(50, 80), [[0, 0], [80, 0], [80, 50], [0, 50], [40, 25]]
    for x in (-0.499, 0.499):
        for y in (-0.499, 0.499):
            warp = tilt_warp(size, x=x, y=y)
            away = warp.then(Warp.crop(size, Size(500, 800), left=-360, top=-225))
            assert away.points(Points.of(corners)).visible.all()
