"""`image_facts`: what one reading of an image file tells of it, for checks of a dataset before anything is trained.

A file is read once, and decoded once at the smallest scale of the JPEG decoder at which its shorter side still has 96
pixels.
"""

import hashlib
import json
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Num, UInt8

from eyebright.errors import ImageError
from eyebright.image.cache import ImageCache
from eyebright.image.decode import read_bytes
from eyebright.image.image import Image
from eyebright.image.perceptual_hash import SIDE, Hashes, hashes
from eyebright.image.rgb import Pixels
from eyebright.types import Size

_SHORTER_SIDE = 96  # pixels that are decoded at least, where the image has them
_EXTREME_SHARE = 0.02  # share of the pixels that are the darkest and the lightest ones
_BORDER_MASK = np.pad(np.zeros((SIDE - 4, SIDE - 4), np.uint8), 2, constant_values=1)
"""1 in the outermost two of 64 rows and columns."""


class ImageFacts(NamedTuple):
    """Properties of one image file.

    Args:
        size: (height, width) in pixels, after the EXIF orientation is applied.
        size_bytes: the size of the file.
        digest: 16 bytes, equal where two files have the same content.
        format: Pillow's name of the format, such as ``"JPEG"``.
        mode: Pillow's mode of the stored pixels, such as ``"RGB"``, ``"L"`` (grey) and ``"P"`` (a palette).
        camera: maker and model by the EXIF data; empty where they are not known.
        colour: mean red, green and blue, in [0, 1].
        brightness: mean of the luma, in [0, 1].
        contrast: standard deviation of the luma, in [0, 0.5].
        darkest: the luma that 2 % of 64 x 64 pixels do not exceed, in [0, 1].
        lightest: the luma that 98 % of them do not exceed, in [0, 1].
        saturation: mean difference between the largest and the smallest of red, green and blue, in [0, 1].
        sharpness: variance of the Laplacian of the luma in 128 x 128 pixels, the luma in [0, 1].
        border: mean red, green and blue, in [0, 1], of the outermost 3 % of the image's height and width.
        border_spread: standard deviation of the luma in that border, in [0, 0.5]; 0 for a frame of one colour.
        hashes: perceptual hashes of parts of the image.
    """

    size: Size
    size_bytes: int
    digest: bytes
    format: str
    mode: str
    camera: str
    colour: tuple[float, float, float]
    brightness: float
    contrast: float
    darkest: float
    lightest: float
    saturation: float
    sharpness: float
    border: tuple[float, float, float]
    border_spread: float
    hashes: Hashes


def image_facts(path: str) -> ImageFacts:
    """The facts of an image file.

    Raises:
        ImageError: the file does not exist, cannot be read, is truncated or damaged.
    """
    return _facts(path, read_bytes(path))


def _facts(path: str, data: bytes) -> ImageFacts:
    try:
        image = Image.create(data)
        pixels = image.pixels(_reduction(image.shape))
    except ImageError as error:
        raise ImageError(path, error.reason) from error
    header = image.header
    assert header is not None  # only pixels in memory have none
    shrunk = _shrunk(pixels)
    small = cv2.resize(shrunk, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    mean, spread = _mean_and_spread(grey)
    darkest, lightest = _darkest_and_lightest(grey)
    return ImageFacts(
        size=image.shape,
        size_bytes=len(data),
        digest=hashlib.blake2b(data, digest_size=16).digest(),
        format=header.format,
        mode=header.mode,
        camera=header.camera,
        colour=_mean_colour(small),
        brightness=mean,
        contrast=spread,
        darkest=darkest,
        lightest=lightest,
        saturation=_saturation(small),
        sharpness=_mean_and_spread(cv2.Laplacian(cv2.cvtColor(shrunk, cv2.COLOR_RGB2GRAY), cv2.CV_32F))[1] ** 2,
        border=_mean_colour(small, _BORDER_MASK),
        border_spread=_mean_and_spread(grey, _BORDER_MASK)[1],
        hashes=hashes(grey),
    )


def cached_facts(path: str, cache: ImageCache) -> ImageFacts:
    """The facts of an image file, from a cache if it has them.

    Raises:
        ImageError: as in `image_facts`; unreadable images are not cached.
    """
    data = read_bytes(path)  # what is hashed is also decoded, although the file may change in between
    key = f"{cache.digest(data)}-facts-{_VERSION}"
    known = cache.features(key)
    if known is not None:
        return _from_bytes(known.tobytes())
    facts = _facts(path, data)
    cache.put_features(key, np.frombuffer(_to_bytes(facts), np.float32))
    return facts


_VERSION = 2  # increase it when a fact is computed in another way


def _to_bytes(facts: ImageFacts) -> bytes:
    """The facts as JSON, with a length that four divides."""
    values = facts._asdict()
    values |= {"digest": facts.digest.hex(), "hashes": [column.tolist() for column in facts.hashes]}
    text = json.dumps(values).encode()
    return text.ljust(-(-len(text) // 4) * 4)


def _from_bytes(data: bytes) -> ImageFacts:
    values: dict[str, Any] = json.loads(data)
    signs, magnitudes = (np.array(column, np.uint64) for column in values["hashes"])
    values |= {"hashes": Hashes(signs, magnitudes), "digest": bytes.fromhex(values["digest"])}
    values |= {"size": Size(*values["size"]), "colour": tuple(values["colour"]), "border": tuple(values["border"])}
    return ImageFacts(**values)


def _reduction(size: Size) -> int:
    """The largest factor of the decoder that leaves the shorter side long enough."""
    return next((factor for factor in (8, 4, 2) if min(size) >= factor * _SHORTER_SIDE), 1)


def _shrunk(pixels: Pixels) -> UInt8[np.ndarray, "128 128 3"]:
    """128 x 128 pixels; up to a factor of two, bilinear interpolation leaves out no pixel and is eight times faster."""
    is_near = max(pixels.shape[:2]) <= 4 * SIDE
    return cv2.resize(pixels, (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_LINEAR if is_near else cv2.INTER_AREA)


def _mean_and_spread(grey: Num[np.ndarray, "h w"], mask: UInt8[np.ndarray, "h w"] | None = None) -> tuple[float, float]:
    mean, spread = cv2.meanStdDev(grey, mask=mask)
    return float(mean[0, 0]) / 255, float(spread[0, 0]) / 255


def _darkest_and_lightest(grey: UInt8[np.ndarray, "64 64"]) -> tuple[float, float]:
    """The percentiles 2 and 98: what is added to all pixels, or a factor, moves them more surely than the mean."""
    counts = np.cumsum(cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel())
    darkest, lightest = np.searchsorted(counts, [_EXTREME_SHARE * grey.size, (1 - _EXTREME_SHARE) * grey.size]).tolist()
    return darkest / 255, lightest / 255


def _mean_colour(pixels: Pixels, mask: UInt8[np.ndarray, "h w"] | None = None) -> tuple[float, float, float]:
    red, green, blue, _ = cv2.mean(pixels, mask)
    return red / 255, green / 255, blue / 255


def _saturation(pixels: Pixels) -> float:
    red, green, blue = cv2.split(pixels)
    most, least = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    return cv2.mean(cv2.subtract(most, least))[0] / 255
