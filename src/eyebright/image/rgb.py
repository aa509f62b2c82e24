"""Converts images of any mode to 8-bit RGB.

* greyscale and black-and-white: three equal channels;
* palettes: the colours of the palette;
* transparency (an alpha channel, a transparent palette entry or colour): composited over white;
* CMYK, YCbCr, LAB: Pillow's conversion; colour profiles are not applied;
* 16 bits: 0 to 65,535 is scaled to 0 to 255 (16-bit colour is an exception: Pillow keeps the high byte). A TIFF that
  states that it uses fewer bits is scaled from its own white level: BitsPerSample 12, or a MaxSampleValue,
  SMaxSampleValue or WhiteLevel of 2^9 - 1 to 2^15 - 1; other values of these tags are statistics of one image. A PNG
  is not scaled by its sBIT chunk, since the standard asks for the full range whatever sBIT states. The values of a
  single image never change its scale: images whose range is hardly used are reported (`range_notes`);
* floats: 0 is black and 1 is white; an image with values outside of [0, 1] is scaled from its minimum to its maximum;
  NaN is black;
* 32-bit integers: scaled from minimum to maximum, because their white level is unknown;
* animations and multi-page files: the first frame.
"""

import math
from collections.abc import Iterable
from typing import Any, cast

import numpy as np
import PIL.Image
from jaxtyping import Num, Shaped, UInt8
from PIL.TiffImagePlugin import TiffImageFile

from eyebright.errors import ImageError
from eyebright.image.value_range import ValueRange, range_notes

OWN_SCALE = (
    "it holds 32-bit integers or floats, which are scaled from its own minimum to its maximum unless they are floats "
    "between 0 and 1, so its brightness cannot be compared with that of other images"
)
Pixels = UInt8[np.ndarray, "h w 3"]
"""Upright 8-bit RGB."""


def pillow_notes(image: PIL.Image.Image) -> tuple[str, ...]:
    """A remark for the user on how `to_rgb` converts a loaded Pillow image; usually empty."""
    if is_16_bit(image):
        return range_notes(value_range_of(image, is_colour=False))
    return (OWN_SCALE,) if has_own_scale(image) else ()


def value_range_of(image: PIL.Image.Image, *, is_colour: bool) -> ValueRange:
    """The range of values of a loaded image with 16-bit grey or colour."""
    largest = int(np.asarray(image).max())
    return ValueRange(largest * 256 + 255, 65535) if is_colour else ValueRange(largest, _white_level(image))


def to_rgb(image: PIL.Image.Image, limits: tuple[float, float] | None = None) -> PIL.Image.Image:
    """A loaded Pillow image of any mode as 8-bit RGB, by the rules in the module's docstring.

    Args:
        image: the image.
        limits: the values of floats or 32-bit integers that become black and white; None: found in the image.
    """
    if is_16_bit(image):
        return _from_16_bit(np.asarray(image), image.info.get("transparency"), _white_level(image))
    if image.mode in ("I", "F"):
        return _scale_to_8_bit(np.asarray(image), limits)
    if image.has_transparency_data:
        return _over_white(image.convert("RGBA"))
    return image.convert("RGB")


_FORMATS_WITH_16_BIT_IN_MODE_I = ("PNG", "PPM")
_MAX_SAMPLE_TAGS = (281, 341, 50717)  # MaxSampleValue, SMaxSampleValue, and WhiteLevel of DNG
_WHITE_LEVELS = tuple(2**bits - 1 for bits in range(9, 16))


def is_16_bit(image: PIL.Image.Image) -> bool:
    """Whether a Pillow image is 16-bit grey."""
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format in _FORMATS_WITH_16_BIT_IN_MODE_I)


def has_own_scale(image: PIL.Image.Image) -> bool:
    """Whether a Pillow image holds 32-bit integers or floats, see `OWN_SCALE`."""
    return image.mode in ("I", "F") and not is_16_bit(image)


def is_16_bit_colour(image: PIL.Image.Image) -> bool:
    """Whether a Pillow image that has not been loaded is stored as 16-bit colour, which Pillow reads as 8-bit."""
    arguments = [tile[3] for tile in getattr(image, "tile", ())]
    modes = [given[0] if isinstance(given, tuple) and given else given for given in arguments]
    return any(isinstance(mode, str) and ";16" in mode for mode in modes) and not image.mode.startswith("I")


def _white_level(image: PIL.Image.Image) -> int:
    """The white level: from the TIFF, otherwise 65,535."""
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


def black_and_white(parts: Iterable[Num[np.ndarray, "h w"]]) -> tuple[float, float]:
    """(black, white): 0 and 1 if all values are floats in [0, 1], else the minimum and the maximum."""
    low, high, floats = math.inf, -math.inf, True
    for part in parts:
        finite = part[np.isfinite(part)]
        floats = part.dtype.kind == "f"
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (0.0, 1.0) if low > high or (floats and low >= 0 and high <= 1) else (low, high)


def _scale_to_8_bit(grey: Num[np.ndarray, "h w"], limits: tuple[float, float] | None = None) -> PIL.Image.Image:
    """Values scaled so that ``limits`` become 0 and 255, by default as `black_and_white` finds them; NaN is black."""
    low, high = limits or black_and_white([grey])
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
