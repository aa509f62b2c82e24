"""Fixtures that make small image files."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import PIL.Image
import pytest

from eyebright.image import image as images

Encode = Callable[..., bytes]


@pytest.fixture(scope="session")
def gradient() -> Callable[[int, int], np.ndarray[Any, Any]]:
    """Makes a smooth image without symmetry: red grows to the right, green downwards, blue is a blob."""

    def make(height: int, width: int) -> np.ndarray[Any, Any]:
        y, x = np.mgrid[0:height, 0:width]
        blob = np.exp(-(((x - 0.3 * width) / (0.2 * width)) ** 2) - ((y - 0.6 * height) / (0.15 * height)) ** 2)
        return np.stack([255 * x / (width - 1), 255 * y / (height - 1), 255 * blob], axis=-1).astype(np.uint8)

    return make


@pytest.fixture
def decode_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ``reduce`` argument of every call of `decode`."""
    reductions: list[int] = []
    decode = images.decode

    def spy(source: str | bytes, *, reduce: int, plain_jpeg: bool) -> np.ndarray[Any, Any]:
        reductions.append(reduce)
        return decode(source, reduce=reduce, plain_jpeg=plain_jpeg)

    monkeypatch.setattr(images, "decode", spy)
    return reductions


@pytest.fixture(scope="session")
def encode() -> Encode:
    """Makes the content of an image file: ``encode(array or Pillow image, "PNG", **Pillow's options)``."""

    def make(pillow: PIL.Image.Image | np.ndarray[Any, Any], format_name: str, **options: Any) -> bytes:
        file = io.BytesIO()
        image = pillow if isinstance(pillow, PIL.Image.Image) else PIL.Image.fromarray(pillow)
        image.save(file, format_name, **options)
        return file.getvalue()

    return make
