"""Conversion of every pixel format to 8-bit RGB, compared with Pillow's conversions or with arithmetic done by hand."""

import io
import os
import signal
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import PIL.Image
import pytest
from PIL import TiffImagePlugin

from eyebright.errors import ImageError
from eyebright.image import decode as module, pillow_warnings
from eyebright.image.decode import FIRST_FRAME, decode, read_header
from eyebright.image.exif import DAMAGED_EXIF
from eyebright.image.image import Image
from eyebright.image.rgb import OWN_SCALE, array_to_rgb, to_rgb
from eyebright.types import Size

LOSSLESS = [
    ("PNG", {}),
    ("WEBP", {"lossless": True}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("PPM", {}),
]
EVERY_FORMAT = [*LOSSLESS, ("JPEG", {}), ("JPEG", {"progressive": True}), ("WEBP", {}), ("GIF", {})]


def decode_pixels(data):
    return np.asarray(decode(data))


def png(ihdr, rows, *chunks, trailing=()):
    """A PNG file that Pillow cannot write, built from chunks; ihdr: width, height, bit depth, colour type."""
    contents = [(b"IHDR", struct.pack(">IIBBBBB", *ihdr, 0, 0, 0)), *chunks, (b"IDAT", zlib.compress(rows)), *trailing]
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in [*contents, (b"IEND", b"")]
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


# ------------------------------------------------------------------ formats


@pytest.mark.parametrize(("name", "options"), LOSSLESS)
def test_a_lossless_format_is_decoded_to_the_original_pixels(name, options, gradient, encode):
    assert np.array_equal(decode_pixels(encode(gradient(31, 47), name, **options)), gradient(31, 47))


@pytest.mark.parametrize(("name", "options"), EVERY_FORMAT)
def test_every_format_is_decoded_as_by_pillow(name, options, gradient, encode):
    data = encode(gradient(31, 47), name, **options)
    assert np.array_equal(decode_pixels(data), np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB")))
    assert read_header(data).stored_size == Size(31, 47)


def test_an_animation_is_decoded_to_its_first_frame(gradient, encode):
    first, second = PIL.Image.fromarray(gradient(20, 30)), PIL.Image.new("RGB", (30, 20), "black")
    for name, options in [("GIF", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("PNG", {})]:
        data = encode(first, name, save_all=True, append_images=[second], **options)
        expected = np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"))
        assert np.array_equal(decode_pixels(data), expected)
        assert expected.mean() > 50


def test_the_format_is_detected_from_the_first_bytes_not_the_name(tmp_path, gradient, encode):
    path = tmp_path / "actually_a_png.jpg"
    path.write_bytes(encode(gradient(10, 12), "PNG"))
    assert np.array_equal(np.asarray(decode(str(path))), gradient(10, 12))


# ------------------------------------------------------------------ modes


@pytest.mark.parametrize("name", ["JPEG", "PNG", "BMP", "TIFF"])
def test_grey_becomes_three_equal_channels(name, gradient, encode):
    grey = gradient(20, 30)[:, :, 0]
    rgb = decode_pixels(encode(grey, name)).astype(int)
    assert np.abs(rgb - grey[:, :, None]).max() <= (2 if name == "JPEG" else 0)


@pytest.mark.parametrize("name", ["PNG", "TIFF", "BMP"])
def test_one_bit_becomes_black_and_white(name, encode):
    bits = np.array([[True, False, True, True], [False, False, True, False]])
    assert np.array_equal(decode_pixels(encode(bits, name)), np.repeat(bits[:, :, None] * np.uint8(255), 3, axis=2))


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_composited_over_white(name, gradient, encode):
    rgb = gradient(16, 16)
    alpha = np.linspace(0, 255, 256).astype(np.uint8).reshape(16, 16, 1)
    options = {"lossless": True, "exact": True} if name == "WEBP" else {}
    expected = rgb * (alpha / 255) + 255 * (1 - alpha / 255)
    got = decode_pixels(encode(np.concatenate([rgb, alpha], axis=2), name, **options))
    assert np.abs(got - expected).max() <= 1


def test_grey_with_alpha_is_composited_over_white(encode):
    data = encode(np.array([[[0, 255], [0, 0], [100, 51]]], dtype=np.uint8), "PNG")
    assert PIL.Image.open(io.BytesIO(data)).mode == "LA"
    assert decode_pixels(data)[0, :, 0].tolist() == pytest.approx([0, 255, 100 * 0.2 + 255 * 0.8], abs=1)


@pytest.mark.parametrize("name", ["PNG", "GIF", "BMP", "TIFF"])
def test_a_palette_image_becomes_the_colours_of_the_palette(name, encode):
    image = PIL.Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 200, 100, 50, 1, 2, 3])
    image.putdata([0, 1, 2])
    assert decode_pixels(encode(image, name)).tolist() == [[[10, 20, 30], [200, 100, 50], [1, 2, 3]]]


def test_a_transparent_palette_entry_becomes_white(encode):
    image = PIL.Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 200, 100, 50, 1, 2, 3])
    image.putdata([0, 1, 2])
    for data in (encode(image, "PNG", transparency=1), encode(image, "GIF", transparency=1)):
        assert decode_pixels(data).tolist() == [[[10, 20, 30], [255, 255, 255], [1, 2, 3]]]


def test_a_semi_transparent_palette_entry_is_composited_over_white(encode):
    image = PIL.Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    got = decode_pixels(encode(image, "PNG", transparency=bytes([255, 51])))
    assert got[0, 0].tolist() == [10, 20, 30]
    assert got[0, 1].tolist() == pytest.approx([255 - 0.2 * 55, 255 - 0.2 * 155, 255 - 0.2 * 205], abs=1)


def test_a_transparent_colour_becomes_white(encode):
    colours = np.array([[[10, 20, 30], [200, 100, 50]]], dtype=np.uint8)
    data = encode(colours, "PNG", transparency=(200, 100, 50))
    assert decode_pixels(data).tolist() == [[[10, 20, 30], [255, 255, 255]]]


@pytest.mark.parametrize("name", ["JPEG", "TIFF"])
def test_cmyk_is_converted_to_rgb(name, encode):
    ink = PIL.Image.new("CMYK", (8, 8), (255, 0, 0, 0))  # pure cyan
    assert np.abs(decode_pixels(encode(ink, name)).astype(int) - [0, 255, 255]).max() <= 2


SIXTEEN = np.array([[0, 128, 129, 257, 1000, 32768, 65535]], dtype=np.uint16)


@pytest.mark.parametrize("name", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_scaled_not_clipped(name, encode):
    expected = np.rint(SIXTEEN / 257).astype(int)
    assert np.array_equal(decode_pixels(encode(PIL.Image.fromarray(SIXTEEN), name))[:, :, 1], expected)


def test_big_endian_sixteen_bit_grey_is_scaled_too(encode):
    image = PIL.Image.frombytes("I;16B", (7, 1), SIXTEEN.astype(">u2").tobytes())
    assert np.array_equal(decode_pixels(encode(image, "TIFF"))[:, :, 1], np.rint(SIXTEEN / 257).astype(int))


def test_sixteen_bit_colour_is_scaled_to_within_one_level():
    values = np.array([[[0, 1000, 65535], [32768, 128, 40000]]], dtype=">u2")
    got = decode_pixels(png((2, 1, 16, 2), b"\0" + values.tobytes()))
    assert np.abs(got - values / 257).max() <= 1


def test_the_transparent_value_of_sixteen_bit_grey_becomes_white():
    values = np.array([0, 1000, 1001], dtype=">u2")
    data = png((3, 1, 16, 0), b"\0" + values.tobytes(), (b"tRNS", struct.pack(">H", 1000)))
    assert decode_pixels(data)[0, :, 0].tolist() == [0, 255, 4]


def test_floats_in_0_to_1_are_scaled_to_0_to_255(encode):
    data = encode(np.array([[0.0, 0.25, 0.5, 1.0]], dtype=np.float32), "TIFF")
    assert decode_pixels(data)[0, :, 0].tolist() == [0, 64, 128, 255]


def test_other_floats_are_scaled_from_minimum_to_maximum_and_nan_is_black(encode):
    data = encode(np.array([[-50.0, 0.0, 150.0, np.nan, np.inf]], dtype=np.float32), "TIFF")
    assert decode_pixels(data)[0, :, 0].tolist() == [0, 64, 255, 0, 0]


def test_constant_and_all_nan_float_images_become_black_without_a_warning(encode):
    assert decode_pixels(encode(np.full((2, 2), 7.0, dtype=np.float32), "TIFF")).max() == 0
    assert decode_pixels(encode(np.full((2, 2), np.nan, dtype=np.float32), "TIFF")).max() == 0


def test_32_bit_integers_are_scaled_from_minimum_to_maximum(encode):
    data = encode(np.array([[-1000, 0, 3000]], dtype=np.int32), "TIFF")
    assert decode_pixels(data)[0, :, 0].tolist() == [0, 64, 255]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "I"])
def test_every_mode_of_pillow_becomes_rgb(mode):
    assert to_rgb(PIL.Image.new(mode, (4, 3))).mode == "RGB"


# ------------------------------------------------------------------ arrays


def test_arrays_of_every_supported_shape_and_dtype_become_rgb(gradient):
    rgb = gradient(9, 11)
    assert np.array_equal(array_to_rgb(rgb, "<array>"), rgb)
    assert np.array_equal(array_to_rgb(rgb / 255.0, "<array>"), rgb)
    assert np.array_equal(array_to_rgb(rgb[:, :, 0], "<array>"), rgb[:, :, [0, 0, 0]])
    assert np.array_equal(array_to_rgb(rgb[:, :, :1], "<array>"), rgb[:, :, [0, 0, 0]])
    assert np.array_equal(array_to_rgb(rgb[:, :, 0] > 100, "<array>"), (rgb[:, :, [0, 0, 0]] > 100) * 255)
    clear = np.concatenate([rgb, np.zeros((9, 11, 1), np.uint8)], axis=2)
    assert np.array_equal(array_to_rgb(clear, "<array>"), np.full((9, 11, 3), 255))


def test_an_array_is_copied(gradient):
    array = gradient(9, 11)
    rgb = array_to_rgb(array, "<array>")
    array[:] = 0
    assert np.array_equal(rgb, gradient(9, 11))


@pytest.mark.parametrize("shape", [(3, 20, 30), (4,), (2, 3, 4, 3), (0, 4, 3)])
def test_an_array_of_another_shape_is_refused(shape):
    with pytest.raises(ImageError, match=r"'<array>': expected an array of shape \(h, w\).*, got \("):
        array_to_rgb(np.zeros(shape, np.uint8), "<array>")


@pytest.mark.parametrize("array", [np.full((2, 2), 300.0), np.full((2, 2), np.nan), np.zeros((2, 2), np.int64)])
def test_an_array_of_another_dtype_or_range_is_refused(array):
    with pytest.raises(ImageError, match="expected uint8, bool or floats in"):
        array_to_rgb(array, "<array>")


# ------------------------------------------------------------------ orientation


def exif(orientation):
    block = PIL.Image.Exif()
    block[0x0112] = orientation
    return block


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_the_orientation_is_read_without_decoding_the_pixels(name, orientation, gradient, encode, monkeypatch):
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("decoded"))
    data = encode(gradient(10, 20), name, exif=exif(orientation))
    assert read_header(data)[:2] == (Size(10, 20), orientation)


def test_the_orientation_of_a_png_may_be_stored_after_the_pixels():
    chunk = (b"eXIf", exif(6).tobytes().removeprefix(b"Exif\0\0"))
    assert read_header(png((4, 1, 8, 0), b"\0" * 5, trailing=[chunk])).orientation == 6
    assert read_header(png((4, 1, 8, 0), b"\0" * 5)).orientation == 1


@pytest.mark.parametrize("orientation", [0, 9, 1000])
def test_an_invalid_orientation_is_treated_as_upright(orientation, gradient, encode):
    assert read_header(encode(gradient(10, 20), "JPEG", exif=exif(orientation))).orientation == 1


DAMAGED = {
    "the directory lies behind the end": b"MM\0*\xff\xff\xff\xff damaged",
    "the directory is cut": exif(6).tobytes()[6:][:-8],
    "no byte order": b"XX" + exif(6).tobytes()[8:],
    "an orientation of an unknown type": exif(6).tobytes()[6:].replace(struct.pack(">HH", 274, 3), b"\x01\x12\0\x63"),
    "an orientation of a million numbers": exif(6)
    .tobytes()[6:]
    .replace(struct.pack(">HHL", 274, 3, 1), struct.pack(">HHL", 274, 3, 10**6)),
}


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_an_image_with_damaged_exif_is_upright_and_known_to_be_damaged(name, damage, gradient, encode):
    header = read_header(encode(gradient(10, 20), name, exif=b"Exif\0\0" + DAMAGED[damage]))
    assert (header.stored_size, header.orientation, header.notes) == (Size(10, 20), 1, (DAMAGED_EXIF,))


def test_exif_without_an_orientation_or_with_an_invalid_one_is_not_damaged(gradient, encode):
    other = PIL.Image.Exif()
    other[0x010F] = "a camera"
    for block in (other, PIL.Image.Exif(), exif(1), exif(6), exif(9)):
        for name in ("JPEG", "PNG", "WEBP"):
            assert not read_header(encode(gradient(10, 20), name, exif=block)).notes
    assert not read_header(encode(gradient(10, 20), "TIFF")).notes


def test_a_png_with_damaged_exif_is_decoded(gradient, encode):
    data = encode(gradient(10, 20), "PNG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff damaged")
    assert np.array_equal(decode_pixels(data), gradient(10, 20))


# ------------------------------------------------------------------ Pillow's warnings


def segment(jpeg, marker, content):
    """The JPEG with one more segment at its start."""
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content + jpeg[2:]


def warned_files():
    """Files that Pillow reads with a warning."""

    def saved(name, **options):
        file = io.BytesIO()
        PIL.Image.new("RGB", (8, 8), "red").save(file, name, **options)
        return file.getvalue()

    tiff = TiffImagePlugin.ImageFileDirectory_v2()
    tiff[270] = "a description that is long enough for a place of its own"
    return {
        "a JPEG with cut EXIF": saved("JPEG", exif=b"Exif\0\0" + DAMAGED["the directory is cut"]),
        "a malformed MPO": segment(saved("JPEG"), 0xE2, b"MPF\0II*\0\x08\0\0\0\x01\0"),
        "an animated PNG without frames": png((4, 1, 8, 0), b"\0" * 5, (b"acTL", b"\0" * 8)),
        "a TIFF whose tag lies behind the end": saved("TIFF", tiffinfo=tiff).replace(
            struct.pack("<HHL", 270, 2, 57), struct.pack("<HHL", 270, 2, 10**6)
        ),
    }


def read_whole(data):
    image = Image.create(data)
    return image.pixels()


@pytest.mark.parametrize("name", warned_files())
def test_a_warning_of_pillow_which_names_no_file_reaches_nobody(name):
    data = warned_files()[name]
    with pytest.warns(UserWarning, match="."):
        PIL.Image.open(io.BytesIO(data)).load()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pixels = read_whole(data)
        warnings.warn("of somebody else", stacklevel=1)
    assert pixels.max() >= 0
    assert [str(one.message) for one in caught] == ["of somebody else"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_reads_images_whatever_the_threads_of_its_parent_are_doing(gradient, encode):
    data = encode(gradient(8, 8), "PNG")
    with pillow_warnings._FILTER._lock:
        child = os.fork()
        if not child:
            signal.alarm(20)  # ends it if it waits for the lock
            read_whole(data)
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_pillow_warns_the_user_again_after_many_threads_have_read_images():
    files = list(warned_files().values()) * 30
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(read_whole, files))
        assert caught == []
        assert list(warnings.filters) == before
        PIL.Image.open(io.BytesIO(files[0])).load()
    assert caught


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(("name", "options"), EVERY_FORMAT)
@pytest.mark.parametrize("part", [0.1, 0.5, 0.95])
def test_a_truncated_file_raises_an_error_with_its_path(name, options, part, tmp_path, gradient, encode):
    data = encode(gradient(80, 100), name, **options)
    path = tmp_path / "truncated ünïcode.img"
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(ImageError, match=r"image '.*truncated ünïcode.img': the file is (truncated|damaged)"):
        decode(str(path))


def test_a_missing_file_raises_an_error_that_says_so(tmp_path):
    with pytest.raises(ImageError, match=r"missing.jpg': there is no such file"):
        read_header(str(tmp_path / "missing.jpg"))


def test_the_error_for_a_folder_names_get_image_files(tmp_path):
    with pytest.raises(ImageError, match="it is a folder; get_image_files"):
        read_header(str(tmp_path))


def test_an_empty_file_raises_an_error_that_says_so():
    with pytest.raises(ImageError, match=r"'<bytes>': it is empty \(0 bytes\)"):
        read_header(b"")


def test_the_error_for_a_text_file_shows_its_first_bytes(tmp_path):
    path = tmp_path / "page.jpg"
    path.write_text("<!DOCTYPE html><html>")
    with pytest.raises(ImageError, match=r"page.jpg': it is not an image .* begins with '<!DOCTYPE html><'"):
        read_header(str(path))


def test_the_error_for_heic_suggests_a_conversion():
    with pytest.raises(ImageError, match=r"HEIC.*convert it to JPEG or PNG"):
        read_header(b"\0\0\0\x1cftypheic\0\0\0\0mif1heic")


def test_postscript_is_refused_as_an_unknown_format():
    with pytest.raises(ImageError, match="not an image in a known format"):
        read_header(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")


def test_a_file_without_read_permission_raises_an_error_that_says_so(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.jpg").touch()
    monkeypatch.setattr("builtins.open", refuse)  # chmod does not stop the root user
    with pytest.raises(ImageError, match="permission denied"):
        read_header(str(tmp_path / "a.jpg"))


def test_a_named_pipe_is_refused_without_blocking(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match=r"a.jpg': it is a pipe, not a file"):
        read_header(str(tmp_path / "a.jpg"))


def test_a_file_name_that_is_too_long_raises_an_error_that_says_so():
    with pytest.raises(ImageError, match="file name too long"):
        read_header("x" * 300)


def test_an_image_with_too_many_pixels_is_refused_before_decoding(monkeypatch):
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("decoded"))
    with pytest.raises(ImageError, match=r"30000 x 30000 pixels, more than the limit of 200,000,000; shrink"):
        read_header(png((30_000, 30_000, 8, 2), b""))


def test_pillows_own_pixel_limit_is_not_used_and_not_changed(monkeypatch):
    before = PIL.Image.MAX_IMAGE_PIXELS
    assert read_header(png((19_000, 10_000, 8, 2), b"")).stored_size == Size(
        10_000, 19_000
    )  # more than twice that limit
    assert before == PIL.Image.MAX_IMAGE_PIXELS
    monkeypatch.setattr(module, "MAX_PIXELS", 99)
    with pytest.raises(ImageError, match="10 x 10 pixels, more than the limit of 99"):
        read_header(png((10, 10, 8, 2), b""))


def test_an_image_above_pillows_warning_limit_is_decoded(encode):
    data = encode(np.full((9_500, 9_500), 77, np.uint8), "JPEG")
    assert np.asarray(decode(data, reduce=8)).mean() == 77


@pytest.mark.parametrize("size", [(8, 8), (9, 17), (31, 64), (333, 50)])
@pytest.mark.parametrize(
    "options", [{"subsampling": 0}, {"subsampling": 2}, {"progressive": True}, {"quality": 20}, {}]
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_plain_jpeg_is_decoded_to_the_same_pixels_as_by_pillow(size, options, mode, encode):
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    data = encode(PIL.Image.fromarray(noise).convert(mode), "JPEG", **options)
    assert read_header(data).plain_jpeg
    for reduce in (1, 2, 4, 8):
        image = PIL.Image.open(io.BytesIO(data))
        if reduce > 1:
            image.draft(None, (size[1] // reduce, size[0] // reduce))
        expected = np.asarray(image.convert("RGB"))
        assert np.array_equal(decode(data, reduce=reduce, plain_jpeg=True), expected)


def test_cmyk_jpegs_and_other_formats_are_not_plain_jpegs(encode):
    image = PIL.Image.new("RGB", (9, 9), "teal")
    assert not read_header(encode(image.convert("CMYK"), "JPEG")).plain_jpeg
    assert not read_header(encode(image, "PNG")).plain_jpeg


def test_a_jpeg_that_was_replaced_by_a_png_is_decoded_as_png(encode):
    data = encode(PIL.Image.new("RGBA", (9, 9), (0, 0, 0, 0)), "PNG")
    assert (decode(data, plain_jpeg=True) == 255).all(), "transparency is composited over white"


def test_a_truncated_plain_jpeg_is_refused(encode):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encode(PIL.Image.fromarray(noise), "JPEG")
    for end in (len(data) // 2, len(data) - 20):
        with pytest.raises(ImageError, match="truncated"):
            decode(data[:end], plain_jpeg=True)


# ------------------------------------------------------------------ 16-bit files with fewer bits


TWELVE = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)


def tiff(grey, **tags):
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        directory[int(tag[1:])] = value
    file = io.BytesIO()
    PIL.Image.fromarray(grey).save(file, "TIFF", tiffinfo=directory)
    return file.getvalue()


def twelve_bit_tiff(values):
    """An uncompressed TIFF with 12 bits for each value, two values in three bytes."""
    pixels = b"".join(
        bytes((a >> 4, (a & 15) << 4 | b >> 8, b & 255)) for a, b in zip(*[iter(values)] * 2, strict=True)
    )
    tags = [
        (256, len(values)),
        (257, 1),
        (258, 12),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, 1),
        (279, len(pixels)),
    ]
    start = 8 + len(pixels) + len(pixels) % 2
    entries = b"".join(struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, value) for tag, value in tags)
    body = pixels.ljust(start - 8, b"\0")
    return b"II*\0" + struct.pack("<I", start) + body + struct.pack("<H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("tag", ["t281", "t341", "t50717"])
def test_a_tiff_is_scaled_from_the_white_level_that_it_states(tag):
    data = tiff(TWELVE, **{tag: 4095})
    assert np.array_equal(decode_pixels(data)[:, :, 0], np.rint(TWELVE * (255 / 4095)))
    assert module.value_range(data) == (4095, 4095)


def test_a_tiff_of_12_bits_is_scaled_from_4095():
    values = [0, 4095, 2048, 100]
    assert decode_pixels(twelve_bit_tiff(values))[0, :, 0].tolist() == [round(value * 255 / 4095) for value in values]


@pytest.mark.parametrize("statistic", [3000, 65535, 255, 0])
def test_a_largest_value_that_is_no_white_level_does_not_change_the_scale(statistic):
    assert np.array_equal(decode_pixels(tiff(TWELVE, t281=statistic)), decode_pixels(tiff(TWELVE)))


def test_the_range_of_values_is_known_for_16_bit_images_only(gradient, encode):
    assert module.value_range(tiff(TWELVE)) == (4095, 65535)
    assert module.value_range(encode(gradient(8, 8), "PNG")) is None


@pytest.mark.parametrize("largest", [1023, 4095, 16383])
@pytest.mark.parametrize("form", ["PNG", "TIFF", "colour", "Pillow"])
def test_an_image_of_10_12_or_14_bits_in_a_file_that_says_16_has_a_note(largest, form):
    grey = np.array([[0, largest]], np.uint16)
    source = PIL.Image.fromarray(grey)
    if form == "colour":
        source = png_of_16_bit_colour(np.dstack([grey, grey // 2, grey // 4]))
    elif form != "Pillow":
        file = io.BytesIO()
        source.save(file, form)
        source = file.getvalue()
    (note,) = Image.create(source).notes_with_range()
    assert f"its largest 16-bit value is {largest:,} of 65,535" in note


@pytest.mark.parametrize("largest", [16640, 65535])
def test_a_16_bit_image_that_uses_its_range_has_no_note(largest):
    grey = np.array([[0, largest]], np.uint16)
    colour = png_of_16_bit_colour(np.dstack([grey] * 3))
    for source in (tiff(grey), PIL.Image.fromarray(grey), colour):
        assert Image.create(source).notes_with_range() == ()


def png_of_16_bit_colour(pixels):
    """Written by OpenCV, since Pillow cannot."""
    return cv2.imencode(".png", pixels[:, :, ::-1])[1].tobytes()


# ------------------------------------------------------------------ notes


@pytest.mark.parametrize("mode", ["F", "I"])
def test_an_image_with_a_scale_of_its_own_is_noted(mode, encode):
    data = io.BytesIO()
    PIL.Image.fromarray(np.arange(200).reshape(10, 20).astype("float32" if mode == "F" else "int32")).save(data, "TIFF")
    assert read_header(data.getvalue()).notes == (OWN_SCALE,)
    assert not read_header(encode(np.zeros((10, 20), np.uint16), "PNG")).notes


@pytest.mark.parametrize("name", ["GIF", "TIFF", "WEBP", "PNG"])
def test_an_image_of_several_frames_is_noted(name, gradient):
    first = PIL.Image.fromarray(gradient(10, 20))
    for others, notes in (([first.rotate(180)], (FIRST_FRAME,)), ([], ())):
        data = io.BytesIO()
        first.save(data, name, save_all=True, append_images=others)
        assert read_header(data.getvalue()).notes == notes


def test_a_pillow_image_of_floats_or_32_bit_integers_has_the_note_of_such_a_file():
    assert Image.create(PIL.Image.new("F", (4, 4), 300.0)).notes == (OWN_SCALE,)
    assert Image.create(PIL.Image.new("RGB", (4, 4))).notes == ()
