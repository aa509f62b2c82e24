"""`Image`: sources, orientation, reduced decoding and thumbnails, compared with Pillow and numpy."""

import functools
import gc
import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from PIL import ImageOps

from eyebright.errors import ImageError, InputError
from eyebright.image import image as images
from eyebright.image.image import Image, verify
from eyebright.image.warp import Warp
from eyebright.types import Points, Size

OPEN_FILES = Path("/proc/self/fd")


def open_files():
    return len(list(OPEN_FILES.iterdir()))


def exif(orientation):
    block = PIL.Image.Exif()
    block[0x0112] = orientation
    return block


@functools.cache
def photograph_like(height, width):
    """Noise whose amplitude falls as 1 / frequency, as in photographs (Field, 1987), with a contrast of 50."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = np.inf
    noise = np.fft.rfft2(rng.standard_normal((3, height, width))) / frequency
    image = np.fft.irfft2(noise, s=(height, width)).transpose(1, 2, 0)
    return np.clip(128 + 50 * image / image.std(), 0, 255).astype(np.uint8)


def difference(a, b):
    return np.abs(np.asarray(a, dtype=float) - np.asarray(b, dtype=float)).mean()


# ------------------------------------------------------------------ sources


def test_a_path_bytes_an_array_a_tensor_and_pillow_give_the_same_image(tmp_path, gradient, encode):
    rgb = gradient(20, 30)
    path = tmp_path / "with spaces and ümlauts.png"
    path.write_bytes(encode(rgb, "PNG"))
    tensor = torch.from_numpy(rgb).permute(2, 0, 1)
    floats = (tensor / 255).requires_grad_()
    sources = [path, str(path), path.read_bytes(), rgb, tensor, floats, PIL.Image.fromarray(rgb)]
    for image in map(Image.create, sources):
        assert np.array_equal(image.pixels(), rgb)
        assert (image.shape, image.size, image.mode) == (Size(20, 30), (30, 20), "RGB")
        assert repr(image) == "PILImage mode=RGB size=30x20"
    assert Image.create(path).path == str(path)
    assert Image.create(rgb).path is None


def test_an_image_can_be_made_from_a_bfloat16_tensor():
    image = Image.create(torch.tensor([[0.0, 0.5, 1.0]], dtype=torch.bfloat16))
    assert image.pixels()[0, :, 0].tolist() == [0, 128, 255]


def test_creating_an_image_from_an_image_returns_it(gradient):
    image = Image.create(gradient(4, 5))
    assert Image.create(image) is image


def test_a_source_of_another_type_is_refused():
    with pytest.raises(InputError, match="must be a path, bytes, an array, a tensor or a Pillow image, got int$"):
        Image.create(3)


def test_a_damaged_pillow_image_raises_an_image_error(gradient, encode):
    data = encode(gradient(80, 100), "JPEG")
    with pytest.raises(ImageError, match="'<Pillow image>': image file is truncated"):
        Image.create(PIL.Image.open(io.BytesIO(data[: len(data) // 2])))


def test_only_the_header_is_read_when_an_image_is_created(tmp_path, gradient, encode):
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(gradient(20, 30), "JPEG"))
    image = Image.create(path)
    path.unlink()
    assert image.shape == (20, 30)
    with pytest.raises(ImageError, match="there is no such file"):
        image.pixels()


def test_an_address_is_no_file_and_the_message_says_what_to_do() -> None:
    for address in ("https://host/a.jpg", "https:/host/a.jpg", "s3://bucket/a.jpg"):
        with pytest.raises(ImageError, match="it is an address, but only files are read: download it first"):
            Image.create(address)


def test_a_file_that_changed_after_its_header_was_read_is_refused(tmp_path, gradient, encode):
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(gradient(20, 30), "JPEG"))
    image = Image.create(path)
    path.write_bytes(encode(gradient(20, 31), "JPEG"))
    with pytest.raises(ImageError, match=r"a.jpg': the file has changed"):
        image.pixels()


def test_writing_to_the_returned_pixels_does_not_change_the_image(gradient):
    image = Image.create(gradient(4, 5))
    image.pixels()[:] = 0
    assert np.array_equal(image.pixels(), gradient(4, 5))


# ------------------------------------------------------------------ orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_pixels_are_turned_upright_as_by_pillow(name, orientation, gradient, encode):
    data = encode(gradient(21, 34), name, exif=exif(orientation))
    upright = ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(data))).convert("RGB")
    image = Image.create(data)
    assert image.size == upright.size
    assert np.array_equal(image.pixels(), np.asarray(upright))
    from_pillow = Image.create(PIL.Image.open(io.BytesIO(data)))
    assert np.array_equal(from_pillow.pixels(), np.asarray(upright))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_reduced_decode_equals_a_full_decode_in_every_orientation(orientation, gradient, encode):
    """203 and 301 are not multiples of 8, so the partial pixels are at a different side in each orientation."""
    data = encode(gradient(203, 301), "JPEG", quality=95, exif=exif(orientation))
    image = Image.create(data)
    warp = Warp.resize(image.shape, Size(16, 16))
    assert images._reduction(warp) == 8
    whole = warp.pixels(image.pixels())
    assert difference(image.warped(warp), whole) < 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_points_and_pixels_agree_when_the_image_is_decoded_reduced(orientation, encode):
    stored = np.zeros((403, 605, 3), np.uint8)
    stored[301:341, 101:181] = 255
    image = Image.create(encode(stored, "JPEG", quality=95, exif=exif(orientation)))
    upright = image.pixels()[:, :, 0] > 127
    y, x = (axis.mean() + 0.5 for axis in np.nonzero(upright))
    warp = Warp.rotate(image.shape, 20).then(Warp.resize(image.shape, Size(50, 60)))
    assert images._reduction(warp) > 1
    weight = image.warped(warp, pad_mode="zeros")[:, :, 0].astype(float)
    grid_y, grid_x = np.mgrid[0:50, 0:60] + 0.5
    center = [(weight * grid_x).sum() / weight.sum(), (weight * grid_y).sum() / weight.sum()]
    assert warp.points(Points.of([[x, y]])).xy[0].tolist() == pytest.approx(center, abs=0.05)


# ------------------------------------------------------------------ reduced decoding


@pytest.mark.parametrize("reduce", [2, 4, 8])
def test_a_jpeg_is_reduced_by_the_requested_factor(reduce, gradient, encode):
    image = Image.create(encode(gradient(160, 240), "JPEG", quality=95))
    small = image.pixels(reduce)
    assert small.shape == (160 // reduce, 240 // reduce, 3)
    blocks = gradient(160, 240).reshape(160 // reduce, reduce, 240 // reduce, reduce, 3).mean(axis=(1, 3))
    assert difference(small, blocks) < 1.5


def test_reduced_sizes_are_rounded_up(gradient, encode):
    image = Image.create(encode(gradient(17, 33), "JPEG"))
    assert [image.pixels(reduce).shape[:2] for reduce in (2, 4, 8)] == [(9, 17), (5, 9), (3, 5)]


def test_the_reduction_is_lowered_for_a_tiny_jpeg(gradient, encode):
    assert Image.create(encode(gradient(3, 100), "JPEG")).pixels(8).shape == (2, 50, 3)


@pytest.mark.parametrize("reduce", [2, 4, 8])
def test_other_formats_are_reduced_by_averaging_squares_of_pixels(reduce, gradient, encode):
    blocks = gradient(160, 240).reshape(160 // reduce, reduce, 240 // reduce, reduce, 3).mean(axis=(1, 3))
    assert np.abs(Image.create(encode(gradient(160, 240), "PNG")).pixels(reduce) - blocks).max() <= 0.5
    assert Image.create(encode(gradient(17, 33), "PNG")).pixels(8).shape == (3, 5, 3)


def test_images_in_memory_are_not_reduced(gradient):
    assert np.array_equal(Image.create(gradient(40, 50)).pixels(8), gradient(40, 50))


def test_another_reduction_is_refused(gradient):
    with pytest.raises(InputError, match="reduce must be 1, 2, 4 or 8, got 3"):
        Image.create(gradient(4, 5)).pixels(3)


@pytest.mark.parametrize("size", [Size(224, 224), Size(256, 341), Size(100, 60)])
@pytest.mark.parametrize(("name", "limit"), [("JPEG", 1), ("PNG", 1.1)])  # JPEG compression removes the finest noise
def test_a_photograph_decoded_reduced_is_within_about_one_grey_level_of_a_full_decode(name, limit, size, encode):
    """The reference is Pillow alone (full decode, antialiased resize). The image has the spectrum of a photograph."""
    data = encode(photograph_like(1500, 2000), name, **({"quality": 90} if name == "JPEG" else {"compress_level": 1}))
    whole = PIL.Image.open(io.BytesIO(data)).resize((size.width, size.height), PIL.Image.BILINEAR)
    image = Image.create(data)
    warp = Warp.resize(image.shape, size)
    assert images._reduction(warp) >= 2
    assert difference(image.warped(warp), whole) <= limit


@pytest.mark.parametrize(("width", "reduce"), [(2000, 1), (668, 1), (666, 2), (334, 2), (333, 4), (166, 8), (20, 8)])
def test_at_least_one_and_a_half_pixels_are_decoded_per_output_pixel(width, reduce, decode_calls, gradient, encode):
    image = Image.create(encode(gradient(1500, 2000), "JPEG"))
    assert image.warped(Warp.resize(image.shape, Size(9, width))).shape == (9, width, 3)
    assert image.warped(Warp.resize(image.shape, Size(1500, 9))).shape == (1500, 9, 3)
    assert decode_calls == [reduce, 1]


def test_warped_equals_the_warp_of_all_pixels(gradient, encode):
    image = Image.create(encode(gradient(40, 50), "PNG"))
    warp = Warp.rotate(image.shape, 30)
    for pad_mode in ("zeros", "border", "reflection"):
        for interpolation in ("bilinear", "bicubic"):
            expected = warp.pixels(gradient(40, 50), pad_mode=pad_mode, interpolation=interpolation)
            assert np.array_equal(image.warped(warp, pad_mode=pad_mode, interpolation=interpolation), expected)


def test_a_warp_for_another_size_is_refused(gradient):
    with pytest.raises(
        InputError, match=r"the warp is for an image of 10x10 \(height x width\), but this image is 40x50"
    ):
        Image.create(gradient(40, 50)).warped(Warp.identity(Size(10, 10)))


# ------------------------------------------------------------------ thumbnails


@pytest.mark.parametrize(("height", "width"), [(333, 500), (500, 333), (20, 30), (3, 900)])
def test_a_thumbnail_keeps_the_aspect_ratio_and_is_never_enlarged(height, width, gradient, encode):
    expected = PIL.Image.new("RGB", (width, height))
    expected.thumbnail((150, 150))
    thumb = Image.create(encode(gradient(height, width), "JPEG")).to_thumb(150)
    assert thumb.size == expected.size


def test_a_thumbnail_can_have_different_limits_for_height_and_width(gradient):
    assert Image.create(gradient(100, 100)).to_thumb(50, 20).size == (20, 20)


def test_jupyter_displays_an_image_as_png(gradient):
    shown = PIL.Image.open(io.BytesIO(Image.create(gradient(40, 50))._repr_png_()))
    assert shown.format == "PNG"
    assert np.array_equal(np.asarray(shown), gradient(40, 50))


# ------------------------------------------------------------------ pickling, threads, open files


def test_a_pickled_image_gives_the_same_pixels(tmp_path, gradient, encode):
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(gradient(20, 30), "JPEG", exif=exif(6)))
    for image in (Image.create(path), Image.create(path.read_bytes()), Image.create(gradient(4, 5))):
        copy = pickle.loads(pickle.dumps(image))
        assert (copy.path, copy.shape) == (image.path, image.shape)
        assert np.array_equal(copy.pixels(), image.pixels())


def test_many_threads_can_read_the_same_image(tmp_path, gradient, encode):
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(gradient(200, 300), "JPEG"))
    image = Image.create(path)
    whole = image.pixels()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: image.pixels(), range(64)))
    assert all(np.array_equal(pixels, whole) for pixels in results)


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="open files are listed on Linux only")
@pytest.mark.parametrize(("name", "frames"), [("JPEG", 1), ("PNG", 1), ("WEBP", 1), ("GIF", 3), ("TIFF", 3)])
def test_no_file_stays_open(name, frames, tmp_path, gradient, encode):
    path = tmp_path / "a"
    options = {"save_all": True, "append_images": [PIL.Image.new("RGB", (30, 20))] * (frames - 1)} if frames > 1 else {}
    path.write_bytes(encode(gradient(20, 30), name, **options))
    gc.collect()
    before = open_files()
    images = [Image.create(path) for _ in range(5)]
    pixels = [image.pixels() for image in images]
    assert open_files() == before
    assert len(pixels) == 5


def test_verify_returns_the_errors_of_unreadable_images_in_order(tmp_path, gradient, encode):
    data = encode(gradient(80, 100), "JPEG")
    files = {"a.jpg": data, "b.jpg": data[: len(data) // 2], "c.jpg": b"", "d.jpg": data}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    errors = verify([tmp_path / name for name in [*files, "e.jpg"]], threads=3)
    assert [Path(error.path).name for error in errors] == ["b.jpg", "c.jpg", "e.jpg"]
    assert "truncated" in errors[0].reason
    assert verify([tmp_path / "a.jpg"]) == []


@pytest.mark.shared
def test_real_photographs_decoded_reduced_are_close_to_a_full_decode(shared_data):
    for path in sorted((shared_data / "oxford-iiit-pet" / "images").glob("*.jpg"))[:20]:
        image = Image.create(path)
        warp = Warp.resize(image.shape, Size(100, 100))
        assert difference(image.warped(warp), warp.pixels(image.pixels())) < 1
