"""Warps: composition, padding, antialiasing (compared with Pillow) and extreme image sizes."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from eyebright.errors import InputError
from eyebright.image.warp import Warp, warp_batch
from eyebright.types import Points, Size

SOURCE = Size(60, 90)


def scene(size: Size, seed: int = 0) -> np.ndarray:
    """A uint8 test image with smooth and sharp structures: noise at several scales and a rectangle."""
    generator = np.random.default_rng(seed)
    layers = [
        np.asarray(
            PIL.Image.fromarray(generator.integers(0, 256, (k, k, 3), dtype=np.uint8)).resize(
                (size.width, size.height), PIL.Image.Resampling.BICUBIC
            ),
            dtype=np.float64,
        )
        for k in (3, 9, 30)
    ]
    image = np.average(layers, axis=0, weights=[3, 2, 1])
    image[size.height // 3 : size.height // 2, size.width // 4 : size.width // 2] = (220, 30, 60)
    return image.round().astype(np.uint8)


def checkerboard(size: Size) -> np.ndarray:
    return np.repeat((np.indices(size).sum(0) % 2 * 255).astype(np.uint8)[:, :, None], 3, axis=2)


def warp_as_batch(warp: Warp, image: np.ndarray, pad_mode: str = "reflection") -> np.ndarray:
    images = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None]
    return warp_batch(images, [warp], pad_mode=pad_mode)[0].permute(1, 2, 0).numpy()


def tiny_rotation(size: Size) -> Warp:
    """A rotation too small to be visible, which prevents the fast path for axis-aligned boxes."""
    return Warp.rotate(size, 1e-3)


def rms(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.square(a.astype(np.float64) - b.astype(np.float64)).mean()))


# A perspective with its horizon at x = 20: everything to the left of it is behind the camera.
HORIZON_AT_20 = Warp(np.array([[1.0, 0, -40], [0, 1, 0], [0.05, 0, -1]]), Size(120, 200), Size(20, 30))


# ---------------------------------------------------------------------- composition


def test_composing_warps_of_different_sizes_is_refused() -> None:
    with pytest.raises(InputError, match="a warp for 10x10 images cannot follow one that gives 60x90"):
        Warp.identity(SOURCE).then(Warp.identity(Size(10, 10)))


@pytest.mark.parametrize(
    ("warp", "mirrored"),
    [
        (Warp.identity(SOURCE), False),
        (Warp.flip(SOURCE), True),
        (Warp.rotate(SOURCE, 170), False),
        (Warp.flip(SOURCE).then(Warp.rotate(SOURCE, 30)).then(Warp.flip(SOURCE)), False),
        (Warp.flip(SOURCE).then(Warp.perspective(SOURCE, [(-9, -5), (99, 3), (80, 70), (5, 55)])), True),
        (Warp.perspective(SOURCE, [(90, 0), (0, 0), (0, 60), (90, 60)]), True),
        *((Warp.dihedral(SOURCE, k), k in (1, 2, 6, 7)) for k in range(8)),
    ],
)
def test_mirrored_is_true_for_an_odd_number_of_flips(warp: Warp, mirrored: bool) -> None:
    assert warp.is_mirrored is mirrored
    assert warp.inverse().is_mirrored is mirrored


def test_mirrored_is_measured_at_the_output_centre_when_the_corner_is_behind_the_camera() -> None:
    assert not HORIZON_AT_20.is_mirrored
    assert Warp.flip(HORIZON_AT_20.input_size).then(HORIZON_AT_20).is_mirrored


def test_scale_is_output_pixels_per_input_pixel() -> None:
    warp = Warp.rotate(SOURCE, 90).then(Warp.resize(SOURCE, Size(120, 45)))  # x of the input becomes y
    assert warp.scale() == pytest.approx((2, 0.5))


def test_a_perspective_moves_the_corners_to_the_requested_positions() -> None:
    corners = [(-9.0, -5.0), (99.0, 3.0), (80.0, 70.0), (5.0, 55.0)]
    before = np.array([(0, 0, 1), (90, 0, 1), (90, 60, 1), (0, 60, 1)])
    after = before @ Warp.perspective(SOURCE, corners).matrix.T
    assert np.allclose(after[:, :2] / after[:, 2:], corners)


def test_points_are_visible_up_to_the_edge_of_the_output() -> None:
    points = Points.of([[10, 20], [110, 80], [9.99, 50], [60, 80.01], [np.nan, 3]])
    moved = Warp.crop(Size(200, 200), Size(60, 100), left=10, top=20).points(points)
    assert moved.known.tolist() == [True, True, False, False, False]
    assert torch.equal(moved.xy[:2], torch.tensor([[0.0, 0.0], [100.0, 60.0]], dtype=torch.float64))


def test_an_unknown_point_stays_unknown() -> None:
    points = Points(torch.tensor([[5.0, 5.0]], dtype=torch.float64), torch.tensor([False]))
    assert not Warp.identity(SOURCE).points(points).known.any()


def test_a_point_behind_the_camera_is_not_visible() -> None:
    points = HORIZON_AT_20.points(Points.of([[100.0, 40.0], [-100.0, -60.0]]))
    assert points.known.tolist() == [True, False]
    assert torch.allclose(points.xy, torch.tensor([[15.0, 10.0], [70 / 3, 10.0]], dtype=torch.float64))


@pytest.mark.parametrize("factor", [0, -1, float("nan")])
def test_a_zoom_factor_that_is_not_positive_is_refused(factor: float) -> None:
    with pytest.raises(InputError, match="a zoom factor must be greater than 0"):
        Warp.zoom(SOURCE, factor)


@pytest.mark.parametrize(
    "corners",
    [
        [(0, 0), (90, 0), (0, 60), (90, 60)],
        [(0, 0), (90, 0), (45, 0), (0, 60)],
        [(0, 0), (90, 0), (30, 20), (0, 60)],
        [(0, 0), (90, 0), (90, 60)],
    ],
    ids=["self-intersecting", "collinear", "concave", "three corners"],
)
def test_a_perspective_with_corners_that_are_not_convex_is_refused(corners: list[tuple[float, float]]) -> None:
    with pytest.raises(InputError, match="four corners of a convex quadrilateral"):
        Warp.perspective(SOURCE, corners)


def test_a_dihedral_number_above_7_is_refused() -> None:
    with pytest.raises(InputError, match="numbered 0 to 7, got 8"):
        Warp.dihedral(SOURCE, 8)


def test_a_pickled_warp_equals_the_original() -> None:
    warp = Warp.rotate(SOURCE, 10)
    again = pickle.loads(pickle.dumps(warp))
    assert np.array_equal(again.matrix, warp.matrix)
    assert (again.input_size, again.output_size) == (warp.input_size, warp.output_size)


# ---------------------------------------------------------------------- pixels


def test_the_identity_returns_an_equal_copy() -> None:
    image = scene(SOURCE)
    out = Warp.identity(SOURCE).pixels(image)
    assert np.array_equal(out, image)
    assert out is not image
    assert out.flags.writeable
    assert np.allclose(warp_as_batch(Warp.identity(SOURCE), image), image, atol=1e-2)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("after", [Size(224, 300), Size(31, 37), Size(60, 45)])
def test_resizing_a_whole_image_equals_pillows_resize(after: Size, interpolation: str) -> None:
    image = scene(SOURCE)
    resample = {"bilinear": PIL.Image.Resampling.BILINEAR, "bicubic": PIL.Image.Resampling.BICUBIC}[interpolation]
    expected = np.asarray(PIL.Image.fromarray(image).resize((after.width, after.height), resample))
    assert np.array_equal(Warp.resize(SOURCE, after).pixels(image, interpolation=interpolation), expected)


def test_resizing_float_pixels_equals_pillows_resize() -> None:
    image = scene(SOURCE)[:, :, :1].astype(np.float32)
    expected = np.asarray(PIL.Image.fromarray(image[:, :, 0]).resize((37, 31), PIL.Image.Resampling.BILINEAR))
    assert np.array_equal(Warp.resize(SOURCE, Size(31, 37)).pixels(image)[:, :, 0], expected)


def test_a_crop_then_a_flip_equals_the_flipped_crop() -> None:
    image, after = scene(SOURCE), Size(41, 35)
    box = Warp.crop(SOURCE, Size(50, 70), left=11, top=4).then(Warp.resize(Size(50, 70), after))
    assert np.array_equal(box.then(Warp.dihedral(after, 1)).pixels(image), box.pixels(image)[:, ::-1])
    assert np.array_equal(box.then(Warp.dihedral(after, 2)).pixels(image), box.pixels(image)[::-1])
    assert np.array_equal(box.then(Warp.dihedral(after, 6)).pixels(image), box.pixels(image).swapaxes(0, 1))
    assert np.array_equal(Warp.dihedral(SOURCE, 3).pixels(image), np.rot90(image))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 4, 6])
@pytest.mark.parametrize("warp", [Warp.resize(SOURCE, Size(31, 37)), Warp.rotate(SOURCE, 20)], ids=["box", "rotation"])
def test_channels_are_resampled_independently(warp: Warp, channels: int, dtype: type) -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 90, channels)).astype(dtype)
    out = warp.pixels(image)
    assert out.dtype == dtype
    assert out.shape == (*warp.output_size, channels)
    for c in range(channels):  # OpenCV rounds positions to 1/32 of a pixel for some numbers of channels
        assert rms(out[:, :, c], warp.pixels(image[:, :, c : c + 1])[:, :, 0]) < 1.5


@pytest.mark.parametrize("pad_mode", ["zeros", "border", "reflection"])
def test_padding_by_whole_pixels_equals_numpys_pad(pad_mode: str) -> None:
    image = scene(SOURCE)
    mode = {"zeros": "constant", "border": "edge", "reflection": "symmetric"}[pad_mode]
    expected = np.pad(image, ((20, 30), (70, 40), (0, 0)), mode=mode)  # pyright: ignore[reportCallIssue]
    warp = Warp.crop(SOURCE, Size(110, 200), left=-70, top=-20)
    assert np.array_equal(warp.pixels(image, pad_mode=pad_mode), expected)
    assert np.allclose(warp_as_batch(warp, image, pad_mode), expected, atol=1e-2)


@pytest.mark.parametrize("pad_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("shrink", [1, 3, 11])
def test_padding_in_a_rotation_equals_rotating_a_padded_image(shrink: int, pad_mode: str) -> None:
    source, padded_size = Size(120, 180), Size(360, 480)
    mode = {"zeros": "constant", "border": "edge", "reflection": "symmetric"}[pad_mode]
    image = np.random.default_rng(0).integers(0, 256, (*source, 3), dtype=np.uint8)
    padded = np.pad(image, ((120, 120), (150, 150), (0, 0)), mode=mode)  # pyright: ignore[reportCallIssue]
    after = Warp.rotate(padded_size, 7).then(Warp.resize(padded_size, Size(360 // shrink, 480 // shrink)))
    warp = Warp.crop(source, padded_size, left=-150, top=-120).then(after)
    inner = np.s_[
        40 // shrink : -40 // shrink, 40 // shrink : -40 // shrink
    ]  # excludes the padding of the padded image
    expected = after.pixels(padded, pad_mode=pad_mode)[inner]
    assert rms(warp.pixels(image, pad_mode=pad_mode)[inner], expected) < 2  # of noise, whose rms is 74
    assert rms(warp_as_batch(warp, image, pad_mode)[inner], expected) < 2


@pytest.mark.parametrize("degrees", [0, 1e-4])
@pytest.mark.parametrize(("left", "top"), [(-65, -50), (75, 55), (-65, 20), (30, 55)])
def test_reflection_covers_all_visible_pixels_outside_of_a_corner(left: int, top: int, degrees: float) -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    warp = Warp.rotate(SOURCE, degrees).then(Warp.crop(SOURCE, Size(60, 80), left=left, top=top))
    padded = np.pad(image, ((60, 60), (90, 90), (0, 0)), mode="symmetric")
    expected = padded[top + 60 : top + 120, left + 90 : left + 170]
    assert np.abs(warp.pixels(image).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("pad_mode", ["zeros", "border", "reflection"])
def test_an_output_fully_outside_of_the_image_is_all_padding(pad_mode: str) -> None:
    image = np.full((60, 90, 3), 200, dtype=np.uint8)
    for far in (Warp.crop(SOURCE, Size(20, 30), left=500, top=-400), Warp.rotate(SOURCE, 5)):
        warp = far.then(Warp.crop(far.output_size, Size(20, 30), left=1e4, top=300))
        expected = 0 if pad_mode == "zeros" else 200
        assert (warp.pixels(image, pad_mode=pad_mode) == expected).all()
        assert np.allclose(warp_as_batch(warp, image, pad_mode), expected, atol=1e-3)


def test_shrinking_a_batch_uses_reflected_pixels_at_the_edges() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    mirrored = np.pad(image, ((60, 60), (90, 90), (0, 0)), mode="symmetric")
    shrink = Warp.resize(SOURCE, Size(20, 30))
    middle = Warp.crop(Size(180, 270), SOURCE, left=90, top=60).then(shrink)
    assert np.allclose(warp_as_batch(shrink, image), warp_as_batch(middle, mirrored), atol=0.05)


def test_pixels_that_are_not_visible_do_not_change_the_output() -> None:
    large, crop = scene(Size(700, 900)), Warp.crop(Size(700, 900), Size(100, 100), left=300, top=200)
    warp = Warp.rotate(Size(700, 900), 3).then(crop).then(Warp.resize(Size(100, 100), Size(48, 48)))
    before = warp.pixels(large)
    outside = np.ones((700, 900), dtype=bool)
    outside[150:350, 250:450] = False
    large[outside] = 0
    assert np.array_equal(warp.pixels(large), before)


# ---------------------------------------------------------------------- antialiasing


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, "batch"])
@pytest.mark.parametrize("shrink", [1.2, 1.5, 2, 2.7, 4.5, 9, 20])
def test_shrinking_with_a_rotation_is_close_to_pillows_resize(shrink: float, dtype: type | str) -> None:
    size = Size(300, 400)
    after = Size(round(300 / shrink), round(400 / shrink))
    image, resize = scene(size), Warp.resize(size, after)
    warp = tiny_rotation(size).then(resize)
    out = warp_as_batch(warp, image) if dtype == "batch" else warp.pixels(image.astype(dtype))
    assert rms(out, resize.pixels(image)) < 2


@pytest.mark.shared
@pytest.mark.parametrize("shrink", [1.2, 1.5, 2, 2.7, 4.5, 9])
def test_shrinking_photographs_with_a_rotation_is_close_to_pillows_resize(shrink: float, shared_data: Path) -> None:
    files = sorted((shared_data / "pascal_2007" / "train").glob("*.jpg"))[:8]
    differences = []
    for file in files:
        image = np.asarray(PIL.Image.open(file).convert("RGB"))
        size = Size(*image.shape[:2])
        resize = Warp.resize(size, Size(round(size.height / shrink), round(size.width / shrink)))
        differences.append(rms(tiny_rotation(size).then(resize).pixels(image), resize.pixels(image)))
    assert np.mean(differences) < 2.5


@pytest.mark.parametrize("apply_warp", [Warp.pixels, warp_as_batch])
@pytest.mark.parametrize("degrees", [0, 1e-3, 10, 45])
@pytest.mark.parametrize("shrink", [2, 2.5, 3.3, 5, 17])
def test_a_shrunk_checkerboard_becomes_grey(
    shrink: float, degrees: float, apply_warp: Callable[[Warp, np.ndarray], np.ndarray]
) -> None:
    size = Size(400, 400)
    after = Size(round(400 / shrink), round(400 / shrink))
    warp = Warp.rotate(size, degrees).then(Warp.resize(size, after))
    out = apply_warp(warp, checkerboard(size))
    edge = 1 + round(200 / shrink * 0.45)  # a reflected checkerboard has two equal pixels at the border
    assert np.abs(out[edge:-edge, edge:-edge].astype(np.float64) - 127.5).max() < 3


@pytest.mark.parametrize("apply_warp", [Warp.pixels, warp_as_batch])
@pytest.mark.parametrize("upright", [False, True])
def test_stripes_that_are_rotated_and_squeezed_do_not_alias(
    upright: bool, apply_warp: Callable[[Warp, np.ndarray], np.ndarray]
) -> None:
    size = Size(400, 400)
    stripes = np.zeros((400, 400, 3), dtype=np.uint8)
    stripes[::2] = 255
    stripes = stripes.swapaxes(0, 1) if upright else stripes
    warp = Warp.rotate(size, 30).then(Warp.resize(size, Size(400, 80)))
    out = apply_warp(warp, stripes)
    assert np.abs(out[60:-60, 12:-12].astype(np.float64) - 127.5).max() < 8


@pytest.mark.parametrize("apply_warp", [Warp.pixels, warp_as_batch])
@pytest.mark.parametrize("shrink", [1, 1.3, 2, 6, 40])
def test_a_constant_image_stays_constant(shrink: float, apply_warp: Callable[[Warp, np.ndarray], np.ndarray]) -> None:
    size = Size(200, 300)
    warp = Warp.rotate(size, 20).then(Warp.resize(size, Size(round(200 / shrink), round(300 / shrink))))
    out = apply_warp(warp, np.full((200, 300, 3), 77, dtype=np.uint8))
    assert np.abs(out.astype(np.float64) - 77).max() <= 0.01


# ---------------------------------------------------------------------- extreme sizes


@pytest.mark.parametrize("pad_mode", ["border", "reflection"])
@pytest.mark.parametrize("apply_warp", [Warp.pixels, warp_as_batch])
def test_an_image_of_one_pixel_can_be_enlarged(
    apply_warp: Callable[[Warp, np.ndarray], np.ndarray], pad_mode: str
) -> None:
    image, pixel = np.full((1, 1, 3), 90, dtype=np.uint8), Size(1, 1)
    for warp in (Warp.resize(pixel, Size(7, 5)), Warp.rotate(pixel, 30).then(Warp.resize(pixel, Size(7, 5)))):
        assert np.allclose(apply_warp(warp, image, pad_mode=pad_mode), 90, atol=1e-3)  # pyright: ignore[reportCallIssue]


def test_an_image_can_be_shrunk_to_one_pixel() -> None:
    image = checkerboard(Size(50, 70))
    for degrees in (0, 10):
        warp = Warp.rotate(Size(50, 70), degrees).then(Warp.resize(Size(50, 70), Size(1, 1)))
        assert np.abs(warp.pixels(image).astype(int) - 127).max() <= 2
        assert np.abs(warp_as_batch(warp, image) - 127.5).max() <= 2


@pytest.mark.parametrize("degrees", [0, 1e-4])
def test_an_image_of_70000_pixels_in_width_is_cropped_and_squeezed(degrees: float) -> None:
    size, box = Size(3, 70_000), Size(3, 3)
    image = np.repeat((np.arange(70_000) // 280).astype(np.uint8)[None, :, None], 3, axis=0)
    rotation = Warp.rotate(size, degrees)
    crop = rotation.then(Warp.crop(size, box, left=50_000, top=0)).then(Warp.resize(box, Size(24, 24)))
    squeezed = rotation.then(Warp.resize(size, Size(3, 250)))
    assert (crop.pixels(image) == 50_000 // 280).all()
    assert np.abs(squeezed.pixels(image)[1, :, 0].astype(int) - np.arange(250)).max() <= 1


def test_shrinking_noise_by_125_gives_its_mean() -> None:
    size = Size(2000, 4000)
    image = np.random.default_rng(0).integers(0, 256, (2000, 4000, 3), dtype=np.uint8)
    warp = Warp.rotate(size, 10).then(Warp.resize(size, Size(16, 32)))
    assert np.abs(warp.pixels(image).astype(np.float64) - 127.5).max() < 4
    assert np.abs(warp_as_batch(warp, image) - 127.5).max() < 4


def test_an_output_with_the_horizon_inside_shows_the_part_before_it() -> None:
    size = Size(120, 140)  # the horizon is 20 pixels from the right edge
    warp = Warp(HORIZON_AT_20.matrix, SOURCE, size).then(Warp.crop(size, size, left=-100, top=0))
    image = scene(SOURCE)
    single, batch = warp.pixels(image), warp_as_batch(warp, image)
    y, x = np.mgrid[:120, :140] + 0.5
    source = np.stack([x, y, np.ones_like(x)], axis=2) @ np.linalg.inv(warp.matrix).T
    position = source[..., :2] / source[..., 2:]
    inside = ((position > 1) & (position < [89, 59])).all(axis=2)
    assert inside.sum() > 5000
    expected = image[position[inside][:, 1].astype(int), position[inside][:, 0].astype(int)]
    assert np.median(np.abs(single[inside].astype(float) - expected)) < 5
    assert rms(single[inside], batch[inside]) < 1


# ---------------------------------------------------------------------- errors


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match=r"the warp is for an image of 60x90 .* has the shape \(90, 60, 3\)"):
        Warp.identity(SOURCE).pixels(np.zeros((90, 60, 3), dtype=np.uint8))


@pytest.mark.wrong_shapes
def test_an_image_without_a_channel_axis_is_refused() -> None:
    with pytest.raises(InputError, match=r"the warp is for an image of 60x90 .* has the shape \(60, 90\)"):
        Warp.identity(SOURCE).pixels(np.zeros((60, 90), dtype=np.uint8))


def test_an_image_of_another_dtype_is_refused() -> None:
    with pytest.raises(InputError, match="images of dtype uint8 or float32, got int64"):
        Warp.identity(SOURCE).pixels(np.zeros((60, 90, 3), dtype=np.int64))


@pytest.mark.parametrize("warps", [[], [Warp.identity(SOURCE)], [Warp.identity(SOURCE), Warp.identity(Size(3, 3))]])
def test_a_batch_needs_one_warp_per_image(warps: list[Warp]) -> None:
    with pytest.raises(InputError, match="one warp per image, all with the same input size and output size"):
        warp_batch(torch.zeros(2, 3, 60, 90), warps)


def test_a_batch_of_images_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match=r"warps for 60x90 images got images of size \(90, 60\)"):
        warp_batch(torch.zeros(1, 3, 90, 60), [Warp.identity(SOURCE)])


def test_a_float16_batch_is_sampled_at_float32_positions() -> None:
    size = Size(8, 3000)
    image = (np.arange(3000) % 50 / 50)[None, :, None].repeat(8, 0)
    warp = Warp.crop(size, Size(8, 100), left=2900.5, top=0)
    images = torch.from_numpy(image).permute(2, 0, 1)[None]
    exact = warp_batch(images.float(), [warp])
    half = warp_batch(images.half(), [warp])
    assert half.dtype == torch.float16
    assert torch.allclose(half.float(), exact, atol=1e-3)


@pytest.mark.parametrize("pad_mode", ["zeros", "border", "reflection"])
def test_a_batch_equals_its_images_warped_one_by_one(pad_mode: str) -> None:
    warps = [Warp.rotate(SOURCE, 10 * k).then(Warp.zoom(SOURCE, 0.4 + 0.3 * k)) for k in range(4)]
    images = torch.from_numpy(np.stack([scene(SOURCE, k) for k in range(4)])).permute(0, 3, 1, 2).float()
    together = warp_batch(images, warps, pad_mode=pad_mode)
    for k, warp in enumerate(warps):
        assert torch.allclose(together[k], warp_batch(images[k : k + 1], [warp], pad_mode=pad_mode)[0], atol=0.02)
        alone = warp.pixels(images[k].permute(1, 2, 0).numpy().astype(np.uint8), pad_mode=pad_mode)
        assert rms(together[k].permute(1, 2, 0).numpy(), alone) < 1
