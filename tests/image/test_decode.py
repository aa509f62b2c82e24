"""Every kind of pixel becomes 8-bit RGB, checked against Pillow's own conversions or arithmetic done by hand."""

import io
import os
import struct
import zlib

import numpy as np
import PIL.Image
import pytest

from eyebright.errors import ImageError
from eyebright.image import decode as module
from eyebright.image.decode import decode, read_header, rgb_of_array, to_rgb
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


def pixels_of(data):
    return np.asarray(decode(data))


def png(ihdr, rows, *chunks, late=()):
    """A PNG by hand, for what Pillow does not write. ihdr: width, height, bit depth, colour type."""
    every = [(b"IHDR", struct.pack(">IIBBBBB", *ihdr, 0, 0, 0)), *chunks, (b"IDAT", zlib.compress(rows)), *late]
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in [*every, (b"IEND", b"")]
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


# ------------------------------------------------------------------ formats


@pytest.mark.parametrize(("name", "options"), LOSSLESS)
def test_a_lossless_format_gives_back_the_pixels_that_were_written(name, options, gradient, encode):
    assert np.array_equal(pixels_of(encode(gradient(31, 47), name, **options)), gradient(31, 47))


@pytest.mark.parametrize(("name", "options"), EVERY_FORMAT)
def test_every_format_gives_what_pillow_decodes(name, options, gradient, encode):
    data = encode(gradient(31, 47), name, **options)
    assert np.array_equal(pixels_of(data), np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB")))
    assert read_header(data).stored == Size(31, 47)


def test_an_animation_gives_its_first_frame(gradient, encode):
    first, second = PIL.Image.fromarray(gradient(20, 30)), PIL.Image.new("RGB", (30, 20), "black")
    for name, options in [("GIF", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("PNG", {})]:
        data = encode(first, name, save_all=True, append_images=[second], **options)
        expected = np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"))
        assert np.array_equal(pixels_of(data), expected)
        assert expected.mean() > 50


def test_the_first_bytes_tell_the_format_not_the_name(tmp_path, gradient, encode):
    path = tmp_path / "actually_a_png.jpg"
    path.write_bytes(encode(gradient(10, 12), "PNG"))
    assert np.array_equal(np.asarray(decode(str(path))), gradient(10, 12))


# ------------------------------------------------------------------ modes


@pytest.mark.parametrize("name", ["JPEG", "PNG", "BMP", "TIFF"])
def test_grey_becomes_three_equal_channels(name, gradient, encode):
    grey = gradient(20, 30)[:, :, 0]
    rgb = pixels_of(encode(grey, name)).astype(int)
    assert np.abs(rgb - grey[:, :, None]).max() <= (2 if name == "JPEG" else 0)


@pytest.mark.parametrize("name", ["PNG", "TIFF", "BMP"])
def test_one_bit_becomes_black_and_white(name, encode):
    bits = np.array([[True, False, True, True], [False, False, True, False]])
    assert np.array_equal(pixels_of(encode(bits, name)), np.repeat(bits[:, :, None] * np.uint8(255), 3, axis=2))


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_laid_over_white(name, gradient, encode):
    rgb = gradient(16, 16)
    alpha = np.linspace(0, 255, 256).astype(np.uint8).reshape(16, 16, 1)
    options = {"lossless": True, "exact": True} if name == "WEBP" else {}
    expected = rgb * (alpha / 255) + 255 * (1 - alpha / 255)
    got = pixels_of(encode(np.concatenate([rgb, alpha], axis=2), name, **options))
    assert np.abs(got - expected).max() <= 1


def test_grey_with_alpha_is_laid_over_white(encode):
    data = encode(np.array([[[0, 255], [0, 0], [100, 51]]], dtype=np.uint8), "PNG")
    assert PIL.Image.open(io.BytesIO(data)).mode == "LA"
    assert pixels_of(data)[0, :, 0].tolist() == pytest.approx([0, 255, 100 * 0.2 + 255 * 0.8], abs=1)


@pytest.mark.parametrize("name", ["PNG", "GIF", "BMP", "TIFF"])
def test_a_palette_gives_its_colours(name, encode):
    image = PIL.Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 200, 100, 50, 1, 2, 3])
    image.putdata([0, 1, 2])
    assert pixels_of(encode(image, name)).tolist() == [[[10, 20, 30], [200, 100, 50], [1, 2, 3]]]


def test_a_transparent_palette_entry_is_white(encode):
    image = PIL.Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 200, 100, 50, 1, 2, 3])
    image.putdata([0, 1, 2])
    for data in (encode(image, "PNG", transparency=1), encode(image, "GIF", transparency=1)):
        assert pixels_of(data).tolist() == [[[10, 20, 30], [255, 255, 255], [1, 2, 3]]]


def test_palette_entries_may_be_half_transparent(encode):
    image = PIL.Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    got = pixels_of(encode(image, "PNG", transparency=bytes([255, 51])))
    assert got[0, 0].tolist() == [10, 20, 30]
    assert got[0, 1].tolist() == pytest.approx([255 - 0.2 * 55, 255 - 0.2 * 155, 255 - 0.2 * 205], abs=1)


def test_one_transparent_colour_is_white(encode):
    colours = np.array([[[10, 20, 30], [200, 100, 50]]], dtype=np.uint8)
    data = encode(colours, "PNG", transparency=(200, 100, 50))
    assert pixels_of(data).tolist() == [[[10, 20, 30], [255, 255, 255]]]


@pytest.mark.parametrize("name", ["JPEG", "TIFF"])
def test_cmyk_is_converted(name, encode):
    ink = PIL.Image.new("CMYK", (8, 8), (255, 0, 0, 0))  # pure cyan
    assert np.abs(pixels_of(encode(ink, name)).astype(int) - [0, 255, 255]).max() <= 2


SIXTEEN = np.array([[0, 128, 129, 257, 1000, 32768, 65535]], dtype=np.uint16)


@pytest.mark.parametrize("name", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_scaled_not_clipped(name, encode):
    expected = np.rint(SIXTEEN / 257).astype(int)
    assert np.array_equal(pixels_of(encode(PIL.Image.fromarray(SIXTEEN), name))[:, :, 1], expected)


def test_big_endian_sixteen_bit_grey_is_scaled_too(encode):
    image = PIL.Image.frombytes("I;16B", (7, 1), SIXTEEN.astype(">u2").tobytes())
    assert np.array_equal(pixels_of(encode(image, "TIFF"))[:, :, 1], np.rint(SIXTEEN / 257).astype(int))


def test_sixteen_bit_colour_is_scaled_to_within_one_level():
    values = np.array([[[0, 1000, 65535], [32768, 128, 40000]]], dtype=">u2")
    got = pixels_of(png((2, 1, 16, 2), b"\0" + values.tobytes()))
    assert np.abs(got - values / 257).max() <= 1


def test_the_transparent_value_of_sixteen_bit_grey_is_white():
    values = np.array([0, 1000, 1001], dtype=">u2")
    data = png((3, 1, 16, 0), b"\0" + values.tobytes(), (b"tRNS", struct.pack(">H", 1000)))
    assert pixels_of(data)[0, :, 0].tolist() == [0, 255, 4]


def test_floats_run_from_black_at_0_to_white_at_1(encode):
    data = encode(np.array([[0.0, 0.25, 0.5, 1.0]], dtype=np.float32), "TIFF")
    assert pixels_of(data)[0, :, 0].tolist() == [0, 64, 128, 255]


def test_floats_outside_of_0_and_1_are_stretched_and_nan_is_black(encode):
    data = encode(np.array([[-50.0, 0.0, 150.0, np.nan, np.inf]], dtype=np.float32), "TIFF")
    assert pixels_of(data)[0, :, 0].tolist() == [0, 64, 255, 0, 0]


def test_a_float_image_of_one_value_and_one_of_only_nan_do_not_divide_by_zero(encode):
    assert pixels_of(encode(np.full((2, 2), 7.0, dtype=np.float32), "TIFF")).max() == 0
    assert pixels_of(encode(np.full((2, 2), np.nan, dtype=np.float32), "TIFF")).max() == 0


def test_32_bit_integers_are_stretched(encode):
    data = encode(np.array([[-1000, 0, 3000]], dtype=np.int32), "TIFF")
    assert pixels_of(data)[0, :, 0].tolist() == [0, 64, 255]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "I"])
def test_every_mode_of_pillow_becomes_rgb(mode):
    assert to_rgb(PIL.Image.new(mode, (4, 3))).mode == "RGB"


# ------------------------------------------------------------------ arrays


def test_arrays_of_each_shape_and_number_become_rgb(gradient):
    rgb = gradient(9, 11)
    assert np.array_equal(rgb_of_array(rgb, "<array>"), rgb)
    assert np.array_equal(rgb_of_array(rgb / 255.0, "<array>"), rgb)
    assert np.array_equal(rgb_of_array(rgb[:, :, 0], "<array>"), rgb[:, :, [0, 0, 0]])
    assert np.array_equal(rgb_of_array(rgb[:, :, :1], "<array>"), rgb[:, :, [0, 0, 0]])
    assert np.array_equal(rgb_of_array(rgb[:, :, 0] > 100, "<array>"), (rgb[:, :, [0, 0, 0]] > 100) * 255)
    clear = np.concatenate([rgb, np.zeros((9, 11, 1), np.uint8)], axis=2)
    assert np.array_equal(rgb_of_array(clear, "<array>"), np.full((9, 11, 3), 255))


def test_an_array_is_copied(gradient):
    array = gradient(9, 11)
    rgb = rgb_of_array(array, "<array>")
    array[:] = 0
    assert np.array_equal(rgb, gradient(9, 11))


@pytest.mark.parametrize("shape", [(3, 20, 30), (4,), (2, 3, 4, 3), (0, 4, 3)])
def test_an_array_of_another_shape_is_refused(shape):
    with pytest.raises(ImageError, match=r"'<array>': an array of h w.* was expected, got \("):
        rgb_of_array(np.zeros(shape, np.uint8), "<array>")


@pytest.mark.parametrize("array", [np.full((2, 2), 300.0), np.full((2, 2), np.nan), np.zeros((2, 2), np.int64)])
def test_an_array_of_other_numbers_is_refused(array):
    with pytest.raises(ImageError, match="uint8 or floats in"):
        rgb_of_array(array, "<array>")


# ------------------------------------------------------------------ orientation


def exif(orientation):
    block = PIL.Image.Exif()
    block[0x0112] = orientation
    return block


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_the_header_knows_the_orientation_without_decoding(name, orientation, gradient, encode, monkeypatch):
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("decoded"))
    data = encode(gradient(10, 20), name, exif=exif(orientation))
    assert read_header(data)[:2] == (Size(10, 20), orientation)


def test_an_orientation_behind_the_pixels_of_a_png_is_found():
    late = (b"eXIf", exif(6).tobytes().removeprefix(b"Exif\0\0"))
    assert read_header(png((4, 1, 8, 0), b"\0" * 5, late=[late])).orientation == 6
    assert read_header(png((4, 1, 8, 0), b"\0" * 5)).orientation == 1


@pytest.mark.parametrize("nonsense", [0, 9, 1000])
def test_an_orientation_that_makes_no_sense_is_upright(nonsense, gradient, encode):
    assert read_header(encode(gradient(10, 20), "JPEG", exif=exif(nonsense))).orientation == 1


def test_damaged_exif_does_not_spoil_a_good_image(gradient, encode):
    data = encode(gradient(10, 20), "PNG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff damaged")
    assert read_header(data).orientation == 1
    assert np.array_equal(pixels_of(data), gradient(10, 20))


# ------------------------------------------------------------------ what can go wrong


@pytest.mark.parametrize(("name", "options"), EVERY_FORMAT)
@pytest.mark.parametrize("part", [0.1, 0.5, 0.95])
def test_a_file_that_is_cut_off_is_an_error_with_its_path(name, options, part, tmp_path, gradient, encode):
    data = encode(gradient(80, 100), name, **options)
    path = tmp_path / "cut off ünïcode.img"
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(ImageError, match=r"image '.*cut off ünïcode.img': the file is (cut off|damaged)"):
        decode(str(path))


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(ImageError, match=r"missing.jpg': there is no such file"):
        read_header(str(tmp_path / "missing.jpg"))


def test_a_folder_says_how_to_list_its_images(tmp_path):
    with pytest.raises(ImageError, match="it is a folder; get_image_files"):
        read_header(str(tmp_path))


def test_zero_bytes_say_so():
    with pytest.raises(ImageError, match=r"'<bytes>': it is empty \(0 bytes\)"):
        read_header(b"")


def test_text_named_jpg_shows_how_it_begins(tmp_path):
    path = tmp_path / "page.jpg"
    path.write_text("<!DOCTYPE html><html>")
    with pytest.raises(ImageError, match=r"page.jpg': it is not an image .* begins with '<!DOCTYPE html><'"):
        read_header(str(path))


def test_a_phone_image_says_what_to_do():
    with pytest.raises(ImageError, match=r"HEIC.*convert it to JPEG or PNG"):
        read_header(b"\0\0\0\x1cftypheic\0\0\0\0mif1heic")


def test_postscript_is_never_given_to_an_interpreter():
    with pytest.raises(ImageError, match="not an image in a known format"):
        read_header(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")


def test_a_file_without_permission_says_so(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.jpg").touch()
    monkeypatch.setattr("builtins.open", refuse)  # chmod does not stop the root user
    with pytest.raises(ImageError, match="there is no permission to read it"):
        read_header(str(tmp_path / "a.jpg"))


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match=r"a.jpg': it is a pipe, not a file"):
        read_header(str(tmp_path / "a.jpg"))


def test_a_name_that_is_too_long_says_so():
    with pytest.raises(ImageError, match="file name too long"):
        read_header("x" * 300)


def test_a_gigantic_image_is_refused_from_its_header(monkeypatch):
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("decoded"))
    with pytest.raises(ImageError, match=r"30000 x 30000 pixels, more than the 200,000,000 that are read; shrink"):
        read_header(png((30_000, 30_000, 8, 2), b""))


def test_pillows_own_pixel_limit_neither_warns_nor_changes(monkeypatch):
    before = PIL.Image.MAX_IMAGE_PIXELS
    assert read_header(png((19_000, 10_000, 8, 2), b"")).stored == Size(10_000, 19_000)  # more than twice that limit
    assert before == PIL.Image.MAX_IMAGE_PIXELS
    monkeypatch.setattr(module, "MAX_PIXELS", 99)
    with pytest.raises(ImageError, match="10 x 10 pixels, more than the 99"):
        read_header(png((10, 10, 8, 2), b""))


def test_a_image_above_pillows_warning_limit_is_decoded(encode):
    data = encode(np.full((9_500, 9_500), 77, np.uint8), "JPEG")
    assert np.asarray(decode(data, reduce=8)).mean() == 77


@pytest.mark.parametrize("size", [(8, 8), (9, 17), (31, 64), (333, 50)])
@pytest.mark.parametrize("how", [{"subsampling": 0}, {"subsampling": 2}, {"progressive": True}, {"quality": 20}, {}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_plain_jpeg_has_the_very_pixels_that_pillow_gives(size, how, mode, encode):
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    data = encode(PIL.Image.fromarray(noise).convert(mode), "JPEG", **how)
    assert read_header(data).plain_jpeg
    for reduce in (1, 2, 4, 8):
        image = PIL.Image.open(io.BytesIO(data))
        if reduce > 1:
            image.draft(None, (size[1] // reduce, size[0] // reduce))
        expected = np.asarray(image.convert("RGB"))
        assert np.array_equal(decode(data, reduce=reduce, plain_jpeg=True), expected)


def test_jpegs_for_printers_and_other_formats_are_not_plain(encode):
    image = PIL.Image.new("RGB", (9, 9), "teal")
    assert not read_header(encode(image.convert("CMYK"), "JPEG")).plain_jpeg
    assert not read_header(encode(image, "PNG")).plain_jpeg


def test_what_is_no_jpeg_any_more_is_decoded_as_what_it_is(encode):
    data = encode(PIL.Image.new("RGBA", (9, 9), (0, 0, 0, 0)), "PNG")
    assert (decode(data, plain_jpeg=True) == 255).all(), "transparency lies over white"


def test_a_plain_jpeg_that_is_cut_off_is_not_taken_for_a_whole_one(encode):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encode(PIL.Image.fromarray(noise), "JPEG")
    for end in (len(data) // 2, len(data) - 20):
        with pytest.raises(ImageError, match="cut off"):
            decode(data[:end], plain_jpeg=True)
