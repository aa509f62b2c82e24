"""From the bytes of an image to 8-bit RGB, with one sentence for whatever can be wrong with them.

Pillow decodes; this file decides what its answers mean. Plain JPEGs, which most images are, go through OpenCV: both
have libjpeg-turbo, so the pixels are the same, and OpenCV hands them over with fewer copies; where it cannot read one,
Pillow says why. The format is told by the first bytes, never by the name, and
only the formats below are tried: a data set has no business starting Ghostscript. The readers are called directly,
not through ``PIL.Image.open``, because that one warns or raises by a process-wide pixel limit of its own; `MAX_PIXELS`
is
checked here, before any pixel is decoded.

What becomes 8-bit RGB, and how:

* grey and black-and-white: three equal channels;
* palettes: their colours;
* transparency (an alpha channel, a transparent palette entry or colour): laid over white;
* CMYK, YCbCr, LAB: Pillow's conversion, colour profiles are not applied;
* 16 bits: all of 0 to 65,535 is scaled to 0 to 255 (Pillow itself keeps the high byte of 16-bit colour);
* floats: 0 is black and 1 is white; an image that leaves [0, 1] is stretched from its lowest to its highest value,
  NaN is black;
* 32-bit integers: stretched in the same way, as nothing says what their white is;
* animations and multi-page files: the first image.
"""

import io
import os
import stat
import struct
from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple

import cv2
import numpy as np
import PIL.Image
from jaxtyping import Num, Shaped, UInt8
from PIL import ExifTags
from PIL.ImageFile import ImageFile

from eyebright.errors import ImageError
from eyebright.types import Size

MAX_PIXELS = 200_000_000
"""An image of more pixels is never decoded: 200 million are 600 MB."""

Source = str | bytes
"""A path, or the bytes of a whole file."""

_File = io.BufferedReader | io.BytesIO


class Header(NamedTuple):
    """What is known of an image before its pixels are decoded.

    Args:
        stored: the size of the pixels as they lie in the file.
        orientation: EXIF's number for how they are turned, 1 (upright) to 8.
        plain_jpeg: a JPEG, grey or in colour, that is not made for a printer (CMYK).
    """

    stored: Size
    orientation: int
    plain_jpeg: bool


def read_header(source: Source) -> Header:
    """Size and orientation of an image; its pixels are not decoded.

    Raises:
        ImageError: there is no such image, it is of no known format, or it has more than `MAX_PIXELS`.
    """
    with _reading(source), _bytes_of(source) as file:
        image = _identify(source, file)
        plain_jpeg = image.format in _REDUCIBLE and image.mode in ("RGB", "L")
        return Header(Size(image.height, image.width), _orientation(image, file), plain_jpeg)


def decode(source: Source, *, reduce: int = 1, plain_jpeg: bool = False) -> UInt8[np.ndarray, "h w 3"]:
    """The pixels of an image as 8-bit RGB, not yet turned upright.

    Args:
        source: a path, or the bytes of a whole file.
        reduce: 1, 2, 4 or 8; the image has at least ``reduce`` pixels along both sides. ``reduce`` pixels become
            exactly one, sizes are rounded up. A JPEG is shrunk while it is decoded, which saves most of the work;
            of other formats the mean of each square is taken.
        plain_jpeg: what the header says; it only makes decoding faster.

    Raises:
        ImageError: the image cannot be read, is cut off or damaged.
    """
    with _reading(source), _bytes_of(source) as file:
        if plain_jpeg:
            if (pixels := _by_opencv(file.read(), reduce)) is not None:
                return pixels
            file.seek(0)
        image = _identify(source, file)
        if reduce > 1 and image.format in _REDUCIBLE:
            image.draft(None, (image.width // reduce, image.height // reduce))
            reduce = 1
        image.load()
        return np.asarray(to_rgb(image) if reduce == 1 else to_rgb(image).reduce(reduce))


def read_bytes(path: str) -> bytes:
    """All bytes of a file.

    Raises:
        ImageError: it cannot be read.
    """
    with _reading(path), _bytes_of(path) as file:
        return file.read()


def to_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    """A loaded Pillow image of any mode as 8-bit RGB, by the rules at the top of this file."""
    if image.mode.startswith("I;16"):
        return _from_16_bit(np.asarray(image), image.info.get("transparency"))
    if image.mode == "I" and image.format in _SIXTEEN_BIT_IN_I:
        return _from_16_bit(np.asarray(image), image.info.get("transparency"))
    if image.mode in ("I", "F"):
        return _stretched(np.asarray(image))
    if image.has_transparency_data:
        return _on_white(image.convert("RGBA"))
    return image.convert("RGB")


def describe_source(source: Source) -> str:
    """The path, or ``"<bytes>"``: how an error names the image."""
    return source if isinstance(source, str) else "<bytes>"


# Pillow's names. AVIF is there since Pillow 11.3, HEIF when the package pillow-heif was registered by the user.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "HEIF")
_REDUCIBLE = ("JPEG", "MPO")
_SIXTEEN_BIT_IN_I = ("PNG", "PPM")
_AS_STORED_RGB = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
_OPENCV = {1: _AS_STORED_RGB, 2: _AS_STORED_RGB | 16, 4: _AS_STORED_RGB | 32, 8: _AS_STORED_RGB | 64}


def _by_opencv(data: bytes, reduce: int) -> UInt8[np.ndarray, "h w 3"] | None:
    """The pixels of a plain JPEG; None where OpenCV does not read it to its end.

    For damaged data libjpeg writes a warning to the terminal, which OpenCV does not let anybody stop.
    """
    if not data.startswith(b"\xff\xd8"):  # it has changed since it was looked at
        return None
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), _OPENCV[reduce])
    except cv2.error:
        return None


def _identify(source: Source, file: _File) -> ImageFile:
    """The image in ``file`` with its header read."""
    prefix = file.read(16)
    name = describe_source(source)
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
            raise ImageError(name, f"it has {size} pixels, more than the {MAX_PIXELS:,} that are read; shrink it")
        return image
    raise ImageError(name, _not_a_image(prefix))


def _not_a_image(prefix: bytes) -> str:
    if prefix[4:8] == b"ftyp":
        return "it is a HEIC, AVIF or video file that cannot be read here; convert it to JPEG or PNG"
    begins = prefix.decode("ascii", errors="replace").replace("\ufffd", ".")
    return f"it is not an image in a known format (JPEG, PNG, WebP, BMP, GIF, TIFF); it begins with {begins!r}"


def _orientation(image: ImageFile, file: _File) -> int:
    """EXIF's orientation, 1 where there is none or it makes no sense."""
    if image.format == "TIFF":
        return 1  # Pillow turns the pixels of a TIFF upright itself, and gives their upright size
    try:
        # Not the PNG reader's own getexif: it decodes the whole image to look for a chunk behind the pixels.
        exif = PIL.Image.Image.getexif(image)
        if image.format == "PNG" and "exif" not in image.info and (late := _exif_chunk(file)):
            exif.load(late)
    except Exception:  # damaged EXIF raises nearly anything; the image itself can be fine
        return 1
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in range(1, 9) else 1


def _exif_chunk(file: _File) -> bytes | None:
    """The EXIF block of a PNG wherever it stands: it may come behind the pixels (PNG 3rd edition, 11.3.3.1)."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name == b"eXIf":
            return file.read(length)
        file.seek(length + 4, os.SEEK_CUR)
    return None


# ---------------------------------------------------------------------- kinds of pixels


def _from_16_bit(grey: Num[np.ndarray, "h w"], transparent: int | None) -> PIL.Image.Image:
    """0 to 65,535 as 0 to 255, rounded; pixels of the ``transparent`` value are white."""
    scaled = ((grey.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if transparent is not None:
        scaled[grey == transparent] = 255
    return PIL.Image.fromarray(scaled).convert("RGB")


def _stretched(grey: Num[np.ndarray, "h w"]) -> PIL.Image.Image:
    """Values in [0, 1] as 0 to 255, any other range from its own lowest to its own highest value."""
    values = grey.astype(np.float64)
    finite = np.isfinite(values)
    low, high = (values[finite].min(), values[finite].max()) if finite.any() else (0.0, 1.0)
    if grey.dtype.kind == "f" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scaled = (np.where(finite, values, low) - low) / max(high - low, np.finfo(np.float64).tiny)
    return PIL.Image.fromarray(np.rint(scaled * 255).astype(np.uint8)).convert("RGB")


def _on_white(image: PIL.Image.Image) -> PIL.Image.Image:
    white = PIL.Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white.convert("RGB")


def rgb_of_array(array: Shaped[np.ndarray, "..."], name: str) -> UInt8[np.ndarray, "h w 3"]:
    """Pixels that are already in memory, as 8-bit RGB; the array is copied.

    Args:
        array: h w, h w 1, h w 3 or h w 4; uint8, bool, or floats in [0, 1].
        name: how an error names it.

    Raises:
        ImageError: another shape or kind of number.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.size == 0 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError(name, f"an array of h w, h w 1, h w 3 or h w 4 was expected, got {array.shape}")
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif array.dtype.kind == "f" and np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1:
        array = np.rint(array * 255.0).astype(np.uint8)
    if array.dtype != np.uint8:
        raise ImageError(name, f"uint8 or floats in [0, 1] were expected, got {array.dtype} outside of them")
    return np.array(to_rgb(PIL.Image.fromarray(np.ascontiguousarray(array))))


# ---------------------------------------------------------------------- what can go wrong


@contextmanager
def _bytes_of(source: Source) -> Generator[_File]:
    if isinstance(source, str) and stat.S_ISFIFO(os.stat(source).st_mode):  # noqa: PTH116 - as fast as can be
        raise ImageError(source, "it is a pipe, not a file")  # opening it would wait for ever
    with open(source, "rb") if isinstance(source, str) else io.BytesIO(source) as file:  # noqa: PTH123 - as fast
        yield file


@contextmanager
def _reading(source: Source) -> Generator[None]:
    """Whatever goes wrong inside becomes an `ImageError` with the path."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:  # damaged files make Pillow's readers raise nearly anything
        raise ImageError(describe_source(source), _reason(source, error)) from error


def _reason(source: Source, error: Exception) -> str:
    if isinstance(source, str) and os.path.isdir(source):  # noqa: PTH112 - Path.is_dir raises where a name is too long
        return "it is a folder; get_image_files(folder) lists the images inside"
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, PermissionError):
        return "there is no permission to read it"
    if isinstance(error, MemoryError):
        return "there is not enough memory to decode it"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    kind = "cut off" if "truncated" in str(error).lower() else "damaged"
    return f"the file is {kind} ({str(error) or type(error).__name__})"
