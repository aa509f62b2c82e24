"""Decoding of image files to 8-bit RGB.

Pillow reads the files, and `eyebright.image.rgb` converts the result. Plain JPEGs, the most common case, are decoded by
OpenCV: both libraries use libjpeg-turbo and give the same pixels, and OpenCV makes fewer copies. If OpenCV fails,
Pillow decodes the file or explains the error. The format is detected from the first bytes, never from the file name,
and only a fixed list of formats is tried, so that no dataset can start Ghostscript. Pillow's readers are called
directly and not through ``PIL.Image.open``, which applies a pixel limit of the whole process; `MAX_PIXELS` is checked
here instead, before any pixel is decoded.
"""

import io
import os
import re
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import cv2
import numpy as np
import PIL.Image
from PIL.ImageFile import ImageFile

from eyebright.errors import ImageError, InputError
from eyebright.image import png_check, tiff_check
from eyebright.image.decode_memory import decode_memory
from eyebright.image.exif import DAMAGED_EXIF, read_exif
from eyebright.image.jpeg_check import jpeg_damage, lacks_only_end_marker
from eyebright.image.pillow_warnings import without_pillow_warnings
from eyebright.image.rgb import (
    OWN_SCALE,
    Pixels,
    black_and_white,
    has_own_scale,
    is_16_bit,
    is_16_bit_colour,
    to_rgb,
    value_range_of,
)
from eyebright.image.value_range import ValueRange
from eyebright.io.containers import container_of, read_member
from eyebright.types import Size

MAX_PIXELS = 200_000_000
"""Images with more pixels are refused. A decoded pixel takes 3 bytes, and 1 to 5 more while it is decoded, or 6 in a
progressive JPEG: at this limit 0.6 GB, and at most 1.6 GB or 1.8 GB together."""

FIRST_FRAME = "it has several frames or pages, of which the first is read"

PathOrBytes = str | bytes
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
        noted = {DAMAGED_EXIF: exif.damaged, OWN_SCALE: has_own_scale(image), FIRST_FRAME: frames}
        notes = tuple(note for note, applies in noted.items() if applies)
        has_16_bits = is_16_bit(image) or is_16_bit_colour(image)
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
            _check_rows(source, file, image)
            return _by_strips(image, reduce)


def value_range(source: PathOrBytes) -> ValueRange | None:
    """The range of values of an image with 16-bit grey or colour; None for other images.

    Raises:
        ImageError: the image cannot be read, is truncated or damaged.
    """
    with _image_errors(source), _open(source) as file:
        image = _identify(source, file)
        is_colour = is_16_bit_colour(image)
        if not is_16_bit(image) and not is_colour:
            return None
        with decode_memory((image.height, image.width)):
            image.load()
            return value_range_of(image, is_colour=is_colour)


def read_bytes(path: str) -> bytes:
    """The content of a file.

    Raises:
        ImageError: the file cannot be read.
    """
    with _image_errors(path), _open(path) as file:
        return file.read()


def source_name(source: PathOrBytes) -> str:
    """The name of an image in error messages: its path, or ``"<bytes>"``."""
    return source if isinstance(source, str) else "<bytes>"


# Pillow's names. AVIF needs Pillow 11.3 or newer, HEIF needs the package pillow-heif, registered by the user.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "HEIF")
_JPEG_FORMATS = ("JPEG", "MPO")
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


def _check_rows(source: PathOrBytes, file: _File, image: ImageFile) -> None:
    """Raises `ImageError` for a PNG or TIFF that lacks its last rows, which are black in the loaded image."""
    if image.format not in ("PNG", "TIFF"):
        return
    if np.asarray(image.crop((0, image.height - 1, image.width, image.height))).any():
        return

    def read(offset: int, size: int) -> bytes:
        file.seek(offset)
        return file.read(size)

    tags = getattr(image, "tag_v2", {})
    if png_check.lacks_rows(file) if image.format == "PNG" else tiff_check.lacks_rows(tags, read):
        raise ImageError(source_name(source), "the file is truncated (it has fewer rows than its header says)")


def _by_strips(image: ImageFile, reduce: int) -> Pixels:
    """The pixels of a loaded image as RGB; large images are converted in strips, to copy only a part at a time."""
    rows = max(_STRIP_PIXELS // image.width // reduce, 1) * reduce
    if rows >= image.height:
        return np.asarray(to_rgb(image) if reduce == 1 else to_rgb(image).reduce(reduce))
    limits = None
    if has_own_scale(image):  # it is scaled by all values
        limits = black_and_white(np.asarray(strip) for _, strip in _strips(image, rows))
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
        return "it is an address, but only files are read: download it first" if is_address else "there is no such file"
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
