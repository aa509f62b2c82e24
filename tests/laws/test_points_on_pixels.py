"""Law: a warp moves points and pixels alike.

A blob is drawn at a point, the image is warped, and the centroid of the blob in the output is compared with the warped
point.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from eyebright.image.warp import Warp, warp_batch
from eyebright.types import Points, Size

TOLERANCE = 0.02  # pixels of the output

SOURCE = Size(120, 160)
POSITIONS = ((80.0, 60.0), (47.3, 71.9), (112.2, 38.6))


def blob(size: Size, position: tuple[float, float], sigma: float) -> np.ndarray:
    """A Gaussian in [0, 1] with its centroid at ``position``, sampled at the centres of the pixels."""
    x, y = np.arange(size.width) + 0.5, np.arange(size.height) + 0.5
    profile_x, profile_y = (
        np.exp(-0.5 * ((x - position[0]) / sigma) ** 2),
        np.exp(-0.5 * ((y - position[1]) / sigma) ** 2),
    )
    return np.outer(profile_y, profile_x)


def centroid(image: np.ndarray, radius: float) -> np.ndarray:
    """The centroid (x, y) of the values around the brightest pixel, which excludes reflections of the blob."""
    x, y = np.arange(image.shape[1]) + 0.5, np.arange(image.shape[0]) + 0.5
    row, column = np.unravel_index(image.argmax(), image.shape)
    nearby = np.outer(abs(y - y[row]) <= radius, abs(x - x[column]) <= radius)
    mass = np.where(nearby, image, 0)
    return np.array([(mass.sum(0) * x).sum(), (mass.sum(1) * y).sum()]) / mass.sum()


def as_uint8(warp: Warp, image: np.ndarray, pad_mode: str) -> np.ndarray:
    brightness = np.array([255, 226, 197])  # three channels that are rounded differently
    levels = (image[:, :, None] * brightness).round().astype(np.uint8)
    return warp.pixels(levels, pad_mode=pad_mode).astype(np.float64).mean(2)


def as_float32_bicubic(warp: Warp, image: np.ndarray, pad_mode: str) -> np.ndarray:
    return warp.pixels(image.astype(np.float32)[:, :, None], pad_mode=pad_mode, interpolation="bicubic")[:, :, 0]


def as_float32(warp: Warp, image: np.ndarray, pad_mode: str) -> np.ndarray:
    return warp.pixels(image.astype(np.float32)[:, :, None], pad_mode=pad_mode)[:, :, 0].astype(np.float64)


def as_batch(warp: Warp, image: np.ndarray, pad_mode: str) -> np.ndarray:
    images = torch.from_numpy(image).float().expand(2, 1, *image.shape)
    neighbour = Warp(
        np.diag([0.5, 0.7, 1.0]) @ warp.matrix, warp.input_size, warp.output_size
    )  # a second image that shrinks more
    return warp_batch(images, [warp, neighbour], pad_mode=pad_mode)[0, 0].double().numpy()


Executor = Callable[[Warp, np.ndarray, str], np.ndarray]
EXECUTORS = (as_uint8, as_float32_bicubic, as_float32, as_batch)


def error(executor: Executor, warp: Warp, position: tuple[float, float], *, sigma: float, pad_mode: str) -> float:
    """The distance between the centroid of the blob and the warped point in the output, in pixels."""
    out = executor(warp, blob(warp.input_size, position, sigma), pad_mode)
    assert out.shape == warp.output_size
    radius = 4 * sigma * max(warp.scale()) + 2
    return float(np.abs(centroid(out, radius) - warp.points(Points.of(position)).xy[0].numpy()).max())


def resized(height: int, width: int) -> Warp:
    return Warp.resize(SOURCE, Size(height, width))


def padded(top: int, left: int, size: Size) -> Warp:
    return Warp.crop(SOURCE, size, left=-left, top=-top)


def tilt(source: Size, x: float, y: float) -> Warp:
    w, h = source.width, source.height
    return Warp.perspective(source, [(-y * w, -x * h), (w + y * w, x * h), (w - y * w, h - x * h), (y * w, h + x * h)])


LINEAR = {
    "identity": Warp.identity(SOURCE),
    "twice as large": resized(240, 320),
    "larger by a fraction": resized(251, 307),
    "a little smaller": resized(111, 149),
    "two thirds": resized(80, 107),
    "half": resized(60, 80),
    "a fifth": resized(24, 32),
    "squeezed along x": resized(120, 40),
    "larger along x, smaller along y": resized(40, 300),
    "crop": Warp.crop(SOURCE, Size(90, 110), left=30, top=20),
    "crop between the pixels": Warp.crop(SOURCE, Size(90, 110), left=30.37, top=19.81),
    "crop and half": Warp.crop(SOURCE, Size(90, 110), left=30.4, top=20).then(Warp.resize(Size(90, 110), Size(45, 55))),
    "flip": Warp.flip(SOURCE),
    "flip and a third": Warp.flip(SOURCE).then(resized(40, 53)),
    "rotate": Warp.rotate(SOURCE, 10),
    "rotate by -37 degrees": Warp.rotate(SOURCE, -37),
    "rotate and half": Warp.rotate(SOURCE, 10).then(resized(60, 80)),
    "rotate and an eighth": Warp.rotate(SOURCE, 10).then(resized(15, 20)),
    "rotate and squeeze": Warp.rotate(SOURCE, 30).then(resized(120, 40)),
    "zoom in": Warp.zoom(SOURCE, 1.3, x=0.4, y=0.6),
    "zoom out": Warp.zoom(SOURCE, 0.6),
    "dihedral 3, resized": Warp.dihedral(SOURCE, 3).then(Warp.resize(Size(160, 120), Size(70, 50))),
}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("name", LINEAR)
def test_a_warp_moves_a_point_and_its_blob_alike(name: str, position: tuple[float, float], executor: Executor) -> None:
    warp = LINEAR[name]
    assert error(executor, warp, position, sigma=3, pad_mode="zeros") < TOLERANCE


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("k", range(8))
def test_flips_and_quarter_turns_move_a_point_and_its_blob_alike(k: int, executor: Executor) -> None:
    warp = Warp.dihedral(SOURCE, k)
    assert error(executor, warp, POSITIONS[1], sigma=3, pad_mode="reflection") < TOLERANCE


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("pad_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize(
    "after", [Size(170, 220), Size(85, 110), Size(34, 44), Size(300, 400)], ids=["as is", "half", "a fifth", "larger"]
)
@pytest.mark.parametrize("degrees", [0, 5])
def test_warps_with_padding_move_a_point_and_its_blob_alike(
    degrees: float, after: Size, pad_mode: str, executor: Executor
) -> None:
    padded_size = Size(170, 220)
    warp = Warp.rotate(SOURCE, degrees).then(padded(20, 35, padded_size)).then(Warp.resize(padded_size, after))
    assert error(executor, warp, POSITIONS[1], sigma=4, pad_mode=pad_mode) < TOLERANCE


# A perspective enlarges one side of a blob more than the other, which moves the centroid of a large blob away from its
# point. So the blobs are small relative to these images.
WIDE = Size(1200, 1500)
CURVED = {
    "perspective": tilt(WIDE, 0.07, -0.05),
    "perspective and half": tilt(WIDE, -0.06, 0.07).then(Warp.resize(WIDE, Size(600, 750))),
    "flip, perspective, rotate, zoom, crop and resize": Warp.flip(WIDE)
    .then(tilt(WIDE, 0.06, 0.04))
    .then(Warp.rotate(WIDE, 8))
    .then(Warp.zoom(WIDE, 1.1, x=0.3, y=0.8))
    .then(Warp.crop(WIDE, Size(1050, 1050), left=240, top=90))
    .then(Warp.resize(Size(1050, 1050), Size(300, 300))),
    "transpose, perspective, enlarge": Warp.dihedral(WIDE, 6)
    .then(tilt(Size(1500, 1200), 0.05, 0.05))
    .then(Warp.crop(Size(1500, 1200), Size(1000, 800), left=250, top=200))
    .then(Warp.resize(Size(1000, 800), Size(1240, 1000))),
}
WIDE_POSITIONS = ((750.0, 600.0), (540.3, 755.7), (960.6, 420.2))


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("position", WIDE_POSITIONS)
@pytest.mark.parametrize("name", CURVED)
def test_perspective_warps_move_a_point_and_its_blob_alike(
    name: str, position: tuple[float, float], executor: Executor
) -> None:
    # OpenCV's bicubic kernel (a = -0.75) does not reproduce a linear slope exactly, unlike Pillow's (a = -0.5).
    tolerance = 1.5 * TOLERANCE if executor is as_float32_bicubic else TOLERANCE
    assert error(executor, CURVED[name], position, sigma=4, pad_mode="reflection") < tolerance


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("degrees", [0, 20])
def test_a_shrink_from_4000_to_32_pixels_moves_a_point_and_its_blob_alike(degrees: float, executor: Executor) -> None:
    large = Size(2000, 4000)
    warp = Warp.rotate(large, degrees).then(Warp.resize(large, Size(16, 32)))
    assert error(executor, warp, (1800.0, 903.0), sigma=160, pad_mode="reflection") < TOLERANCE


@pytest.mark.parametrize("name", CURVED)
def test_a_warp_followed_by_its_inverse_is_the_identity(name: str) -> None:
    warp = CURVED[name]
    points = Points.of(WIDE_POSITIONS)
    round_trip = warp.then(warp.inverse())
    assert round_trip.input_size == round_trip.output_size == WIDE
    assert torch.allclose(warp.inverse().points(warp.points(points)).xy, points.xy, atol=1e-9)
    assert torch.allclose(round_trip.points(points).xy, points.xy, atol=1e-9)


def test_composition_of_warps_is_associative() -> None:
    first, second, third = Warp.rotate(WIDE, 8), tilt(WIDE, 0.06, 0.04), Warp.resize(WIDE, Size(224, 280))
    left, right = first.then(second).then(third), first.then(second.then(third))
    assert np.allclose(left.matrix, right.matrix, rtol=1e-12)
    assert (left.input_size, left.output_size) == (right.input_size, right.output_size) == (WIDE, Size(224, 280))


def test_a_composed_warp_moves_points_like_its_parts_in_turn() -> None:
    parts = [Warp.flip(WIDE), tilt(WIDE, 0.06, 0.04), Warp.rotate(WIDE, 8), Warp.resize(WIDE, Size(224, 280))]
    points = original = Points.of(WIDE_POSITIONS)
    composed = Warp.identity(WIDE)
    for part in parts:
        points, composed = part.points(points), composed.then(part)
    assert torch.allclose(composed.points(original).xy, points.xy, atol=1e-9)
