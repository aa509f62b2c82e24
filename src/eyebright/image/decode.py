"""Decoding of image files to 8-bit RGB.

Pillow reads the files; this module converts the result. Plain JPEGs, the most common case, are decoded by OpenCV: both
libraries use libjpeg-turbo and give the same pixels, and OpenCV makes fewer copies. If OpenCV fails, Pillow decodes the
file or explains the error. The format is detected from the first bytes, never from the file name, and only a fixed list
of formats is tried, so that no dataset can start Ghostscript. Pillow's readers are called directly and not through
``PIL.Image.open``, which applies a pixel limit of the whole process; `MAX_PIXELS` is checked here instead, before any
pixel is decoded.

Conversion to 8-bit RGB:

* greyscale and black-and-white: three equal channels;
* palettes: the colours of the palette;
* transparency (an alpha channel, a transparent palette entry or colour): composited over white;
* CMYK, YCbCr, LAB: Pillow's conversion; colour profiles are not applied;
* 16 bits: 0 to 65,535 is scaled to 0 to 255 (16-bit colour is an exception: Pillow keeps the high byte). A TIFF that
  says that it uses fewer bits is scaled from its own white level: BitsPerSample 12, or a MaxSampleValue,
  SMaxSampleValue or WhiteLevel of 2^9 - 1 to 2^15 - 1; other values of these tags are statistics of one image. A PNG
  is not scaled by its sBIT chunk, since the standard asks for the full range whatever sBIT says. The values of a
  single image never change its scale: images whose range is hardly used are reported (`range_notes`);
* floats: 0 is black and 1 is white; an image with values outside of [0, 1] is scaled from its minimum to its maximum;
  NaN is black;
* 32-bit integers: scaled from minimum to maximum, because their white level is unknown;
* animations and multi-page files: the first frame.
"""

import io
import math
import os
import re
import stat
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
import PIL.Image
from jaxtyping import Num, Shaped, UInt8
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from eyebright.errors import ImageError, InputError
from eyebright.image.decode_memory import decode_memory
from eyebright.image.exif import DAMAGED_EXIF, read_exif
from eyebright.image.jpeg_check import jpeg_damage, lacks_only_end_marker
from eyebright.image.pillow_warnings import without_pillow_warnings
from eyebright.image.value_range import ValueRange, range_notes
from eyebright.io.containers import container_of, read_member
from eyebright.types import Size

MAX_PIXELS = 200_000_000
"""Images with more pixels are refused. A decoded pixel takes 3 bytes, and 1 to 5 more while it is decoded, or 6 in a
progressive JPEG: at this limit 0.6 GB, and at most 1.6 GB or 1.8 GB together."""

OWN_SCALE = (
    "it holds 32-bit integers or floats, which are scaled from its own minimum to its maximum unless they are floats "
    "between 0 and 1, so its brightness cannot be compared with that of other images"
)
FIRST_FRAME = "it has several frames or pages, of which the first is read"

PathOrBytes = str | bytes
Pixels = UInt8[np.ndarray, "h w 3"]
"""Upright 8-bit RGB."""
"""A path, or the content of an image file."""

_File = io.BufferedReader | io.BytesIO


class Header(NamedTuple):
    """The properties of an image file that are known without decoding its pixels.

    Args:
        stored_size: (height, width) of the pixels in the file, before the EXIF orientation is applied.
        orientation: EXIF orientation, 1 (upright) to 8.
        notes: what a user should know of how the image is read, such as `eyebright.image.exif.DAMAGED_EXIF`.
        plain_jpeg: True for a greyscale or RGB JPEG, False for a CMYK JPEG and other formats.
        has_16_bits: True for 16-bit grey or colour.
        format: Pillow's name of the format, such as ``"JPEG"``.
        mode: Pillow's mode of the pixels, such as ``"RGB"``, ``"L"`` (grey) and ``"P"`` (a palette).
        camera: maker and model by the EXIF data; empty where they are not known.
    """

    stored_size: Size
    orientation: int
    notes: tuple[str, ...]
    plain_jpeg: bool
    has_16_bits: bool = False
    format: str = ""
    mode: str = ""
    camera: str = ""


def read_header(source: PathOrBytes) -> Header:
    """The header of an image: size and orientation, without decoding its pixels.

    Raises:
        ImageError: the file does not exist or cannot be read, its format is unknown, or it has more than `MAX_PIXELS`.
    """
    with _image_errors(source), _open(source) as file:
        image = _identify(source, file)
        plain_jpeg = image.format in _JPEG_FORMATS and image.mode in ("RGB", "L")
        size = Size(image.height, image.width)
        frames = image.format not in _JPEG_FORMATS and bool(getattr(image, "is_animated", False))
        exif = read_exif(image, file)
        noted = {DAMAGED_EXIF: exif.damaged, OWN_SCALE: _has_own_scale(image), FIRST_FRAME: frames}
        notes = tuple(note for note, applies in noted.items() if applies)
        has_16_bits = _is_16_bit(image) or _is_16_bit_colour(image)
        return Header(
            size, exif.orientation, notes, plain_jpeg, has_16_bits, image.format or "", image.mode, exif.camera
        )


def decode(source: PathOrBytes, *, reduce: int = 1, plain_jpeg: bool = False) -> Pixels:
    """The pixels of an image as 8-bit RGB, before the EXIF orientation is applied.

    Args:
        source: a path, or the content of an image file.
        reduce: 1, 2, 4 or 8, at most the shorter side of the image: the factor by which height and width are divided
            (rounded up). A JPEG is reduced by the decoder, which saves most of the work; in other formats each square
            of pixels is averaged.
        plain_jpeg: `Header.plain_jpeg`; True selects the faster decoder.

    Raises:
        ImageError: the image cannot be read, is truncated or damaged.
    """
    with _image_errors(source), _open(source) as file:
        if plain_jpeg:
            data = file.read()
            if not jpeg_damage(data) and (pixels := _decode_with_opencv(data, reduce)) is not None:
                return pixels
            file.seek(0)
        image = _identify(source, file)
        if image.format in _JPEG_FORMATS:
            _check_jpeg(source, file)
        with decode_memory((image.height, image.width)):
            if reduce > 1 and image.format in _JPEG_FORMATS:
                image.draft(None, (image.width // reduce, image.height // reduce))
                reduce = 1
            image.load()
            return _by_strips(image, reduce)


def value_range(source: PathOrBytes) -> ValueRange | None:
    """The range of values of an image with 16-bit grey or colour; None for other images.

    Raises:
        ImageError: the image cannot be read, is truncated or damaged.
    """
    with _image_errors(source), _open(source) as file:
        image = _identify(source, file)
        is_colour = _is_16_bit_colour(image)
        if not _is_16_bit(image) and not is_colour:
            return None
        with decode_memory((image.height, image.width)):
            image.load()
            return _value_range(image, is_colour=is_colour)


def pillow_notes(image: PIL.Image.Image) -> tuple[str, ...]:
    """What a user should know of how `to_rgb` converts a loaded Pillow image; usually nothing."""
    if _is_16_bit(image):
        return range_notes(_value_range(image, is_colour=False))
    return (OWN_SCALE,) if _has_own_scale(image) else ()


def _value_range(image: PIL.Image.Image, *, is_colour: bool) -> ValueRange:
    largest = int(np.asarray(image).max())
    return ValueRange(largest * 256 + 255, 65535) if is_colour else ValueRange(largest, _white_level(image))


def read_bytes(path: str) -> bytes:
    """The content of a file.

    Raises:
        ImageError: the file cannot be read.
    """
    with _image_errors(path), _open(path) as file:
        return file.read()


def to_rgb(image: PIL.Image.Image, limits: tuple[float, float] | None = None) -> PIL.Image.Image:
    """A loaded Pillow image of any mode as 8-bit RGB, by the rules in the module's docstring.

    Args:
        image: the image.
        limits: the values of floats or 32-bit integers that become black and white; None: found in the image.
    """
    if _is_16_bit(image):
        return _from_16_bit(np.asarray(image), image.info.get("transparency"), _white_level(image))
    if image.mode in ("I", "F"):
        return _scale_to_8_bit(np.asarray(image), limits)
    if image.has_transparency_data:
        return _over_white(image.convert("RGBA"))
    return image.convert("RGB")


def source_name(source: PathOrBytes) -> str:
    """The name of an image in error messages: its path, or ``"<bytes>"``."""
    return source if isinstance(source, str) else "<bytes>"


# Pillow's names. AVIF needs Pillow 11.3 or newer, HEIF needs the package pillow-heif, registered by the user.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "HEIF")
_JPEG_FORMATS = ("JPEG", "MPO")
_FORMATS_WITH_16_BIT_IN_MODE_I = ("PNG", "PPM")
_STRIP_PIXELS = 4_000_000
_AS_STORED_RGB = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
_OPENCV_FLAGS = {1: _AS_STORED_RGB, 2: _AS_STORED_RGB | 16, 4: _AS_STORED_RGB | 32, 8: _AS_STORED_RGB | 64}


def _decode_with_opencv(data: bytes, reduce: int) -> Pixels | None:
    """The pixels of a plain JPEG, or None if OpenCV cannot decode it completely.

    For damaged data libjpeg prints a warning to the terminal, which cannot be turned off through OpenCV.
    """
    if not data.startswith(b"\xff\xd8"):  # the file has changed since its header was read
        return None
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), _OPENCV_FLAGS[reduce])
    except cv2.error:
        return None


def _check_jpeg(source: PathOrBytes, file: _File) -> None:
    """Raises `ImageError` for a JPEG with missing or damaged data, before it is decoded."""
    place = file.tell()
    file.seek(0)
    damage = jpeg_damage(file.read())
    file.seek(place)
    if damage and not lacks_only_end_marker(damage):
        raise ImageError(source_name(source), f"the file is damaged ({damage})")


def _by_strips(image: ImageFile, reduce: int) -> Pixels:
    """The pixels of a loaded image as RGB; large images are converted in strips, to copy only a part at a time."""
    rows = max(_STRIP_PIXELS // image.width // reduce, 1) * reduce
    if rows >= image.height:
        return np.asarray(to_rgb(image) if reduce == 1 else to_rgb(image).reduce(reduce))
    limits = None
    if _has_own_scale(image):  # it is scaled by all values
        limits = _limits(np.asarray(strip) for _, strip in _strips(image, rows))
    pixels = np.empty((-(-image.height // reduce), -(-image.width // reduce), 3), np.uint8)
    for top, strip in _strips(image, rows):
        converted = to_rgb(strip, limits) if reduce == 1 else to_rgb(strip, limits).reduce(reduce)
        pixels[top // reduce : top // reduce + converted.height] = np.asarray(converted)
    return pixels


def _strips(image: ImageFile, rows: int) -> Iterator[tuple[int, PIL.Image.Image]]:
    """(first row, strip) of each strip of so many rows."""
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        strip.info = image.info
        strip.format = image.format  # pyright: ignore[reportAttributeAccessIssue]
        yield top, strip


def _identify(source: PathOrBytes, file: _File) -> ImageFile:
    """The image in ``file`` as a Pillow image whose header has been read."""
    prefix = file.read(16)
    name = source_name(source)
    if not prefix:
        raise ImageError(name, "it is empty (0 bytes)")
    PIL.Image.init()
    for format_name in _FORMATS:
        factory, accept = PIL.Image.OPEN.get(format_name, (None, None))
        if factory is None or accept is None or accept(prefix) is not True:
            continue
        file.seek(0)
        image = factory(file, "")
        if image.width * image.height > MAX_PIXELS:
            size = f"{image.width} x {image.height}"
            raise ImageError(name, f"it has {size} pixels, more than the limit of {MAX_PIXELS:,}; shrink it")
        return image
    raise ImageError(name, _unknown_format(prefix))


def _unknown_format(prefix: bytes) -> str:
    if prefix[4:8] == b"ftyp":
        return "it is a HEIC, AVIF or video file that cannot be read here; convert it to JPEG or PNG"
    begins = prefix.decode("ascii", errors="replace").replace("\ufffd", ".")
    return f"it is not an image in a known format (JPEG, PNG, WebP, BMP, GIF, TIFF); it begins with {begins!r}"


# ---------------------------------------------------------------------- pixel formats


_MAX_SAMPLE_TAGS = (281, 341, 50717)  # MaxSampleValue, SMaxSampleValue, and WhiteLevel of DNG
_WHITE_LEVELS = tuple(2**bits - 1 for bits in range(9, 16))


def _is_16_bit(image: PIL.Image.Image) -> bool:
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format in _FORMATS_WITH_16_BIT_IN_MODE_I)


def _has_own_scale(image: PIL.Image.Image) -> bool:
    return image.mode in ("I", "F") and not _is_16_bit(image)


def _is_16_bit_colour(image: PIL.Image.Image) -> bool:
    """Whether a Pillow image that has not been loaded is stored as 16-bit colour, which Pillow reads as 8-bit."""
    arguments = [tile[3] for tile in getattr(image, "tile", ())]
    modes = [given[0] if isinstance(given, tuple) and given else given for given in arguments]
    return any(isinstance(mode, str) and ";16" in mode for mode in modes) and not image.mode.startswith("I")


def _white_level(image: PIL.Image.Image) -> int:
    """The value that is white: what a TIFF says, else 65,535."""
    if not isinstance(image, TiffImageFile):
        return 65535
    bits = _numbers(image, 258)
    if bits and 8 < bits[0] < 16:
        return 2 ** bits[0] - 1
    return next((value for tag in _MAX_SAMPLE_TAGS for value in _numbers(image, tag) if value in _WHITE_LEVELS), 65535)


def _numbers(image: TiffImageFile, tag: int) -> tuple[int, ...]:
    value: Any = image.tag_v2.get(tag, ())
    values = cast("tuple[Any, ...]", value) if isinstance(value, tuple) else (value,)
    return tuple(int(number) for number in values if isinstance(number, (int, float)))


def _from_16_bit(grey: Num[np.ndarray, "h w"], transparent: int | None, white: int) -> PIL.Image.Image:
    """16-bit grey scaled to 8 bits, rounded; pixels with the ``transparent`` value become white."""
    scaled = ((grey.astype(np.uint32).clip(max=white) * 255 + white // 2) // white).astype(np.uint8)
    if transparent is not None:
        scaled[grey == transparent] = 255
    return PIL.Image.fromarray(scaled).convert("RGB")


def _limits(parts: Iterable[Num[np.ndarray, "h w"]]) -> tuple[float, float]:
    """(black, white): 0 and 1 if all values are floats in [0, 1], else the minimum and the maximum."""
    low, high, floats = math.inf, -math.inf, True
    for part in parts:
        finite = part[np.isfinite(part)]
        floats = part.dtype.kind == "f"
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (0.0, 1.0) if low > high or (floats and low >= 0 and high <= 1) else (low, high)


def _scale_to_8_bit(grey: Num[np.ndarray, "h w"], limits: tuple[float, float] | None = None) -> PIL.Image.Image:
    """Values scaled so that ``limits`` become 0 and 255, by default as `_limits` finds them; NaN is black."""
    low, high = limits or _limits([grey])
    values = grey.astype(np.float64)
    scaled = (np.where(np.isfinite(values), values, low) - low) / max(high - low, np.finfo(np.float64).tiny)
    return PIL.Image.fromarray(np.rint(scaled * 255).astype(np.uint8)).convert("RGB")


def _over_white(image: PIL.Image.Image) -> PIL.Image.Image:
    white = PIL.Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white.convert("RGB")


def array_to_rgb(array: Shaped[np.ndarray, "..."], name: str) -> Pixels:
    """A copy of an array as 8-bit RGB.

    Args:
        array: shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4); uint8, bool, or floats in [0, 1].
        name: the name of the array in error messages.

    Raises:
        ImageError: the array has another shape, dtype or range.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.size == 0 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError(
            name, f"expected an array of shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4), got {array.shape}"
        )
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif array.dtype.kind == "f" and np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1:
        array = np.rint(array * 255.0).astype(np.uint8)
    if array.dtype != np.uint8:
        values = " with values outside of [0, 1]" if array.dtype.kind == "f" else ""
        raise ImageError(name, f"expected uint8, bool or floats in [0, 1], got {array.dtype}{values}")
    return np.array(to_rgb(PIL.Image.fromarray(np.ascontiguousarray(array))))


# ---------------------------------------------------------------------- files and errors


@contextmanager
def _open(source: PathOrBytes) -> Generator[_File]:
    if isinstance(source, str) and (found := container_of(source)) is not None:
        source = read_member(*found)
    if isinstance(source, str) and stat.S_ISFIFO(os.stat(source).st_mode):  # noqa: PTH116 - faster than Path
        raise ImageError(source, "it is a pipe, not a file")  # open() would block
    with open(source, "rb") if isinstance(source, str) else io.BytesIO(source) as file:  # noqa: PTH123
        yield file


@contextmanager
def _image_errors(source: PathOrBytes) -> Generator[None]:
    """A context manager that turns any exception into an `ImageError` with the path; Pillow's warnings have none."""
    try:
        with without_pillow_warnings():
            yield
    except ImageError:
        raise
    except InputError as error:  # of a container
        raise ImageError(source_name(source), str(error)) from error
    except Exception as error:  # for damaged files Pillow can raise almost any exception
        raise ImageError(source_name(source), _reason(source, error)) from error


def _reason(source: PathOrBytes, error: Exception) -> str:
    if isinstance(source, str) and os.path.isdir(source):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        return "it is a folder; get_image_files(folder) lists the images in it"
    if isinstance(error, FileNotFoundError):
        is_address = isinstance(source, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", source) is not None
        return "it is an address, and only files are read: download it first" if is_address else "there is no such file"
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, UnicodeEncodeError):
        return (
            f"file names are read as {sys.getfilesystemencoding()}, which has not all of its characters; PYTHONUTF8=1"
        )
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    problem = "truncated" if "truncated" in str(error).lower() else "damaged"
    return f"the file is {problem} ({str(error) or type(error).__name__})"
