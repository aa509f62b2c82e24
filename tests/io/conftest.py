"""Small pictures for the tests of reading."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

Encode = Callable[..., bytes]


@pytest.fixture(scope="session")
def gradient() -> Callable[[int, int], np.ndarray[Any, Any]]:
    """A smooth picture without any symmetry: red grows to the right, green downwards, blue is a blob."""

    def make(height: int, width: int) -> np.ndarray[Any, Any]:
        y, x = np.mgrid[0:height, 0:width]
        blob = np.exp(-(((x - 0.3 * width) / (0.2 * width)) ** 2) - ((y - 0.6 * height) / (0.15 * height)) ** 2)
        return np.stack([255 * x / (width - 1), 255 * y / (height - 1), 255 * blob], axis=-1).astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def encode() -> Encode:
    """The bytes of a picture file: ``encode(array or Pillow picture, "PNG", **Pillow's options)``."""

    def make(image: Image.Image | np.ndarray[Any, Any], format_name: str, **options: Any) -> bytes:
        file = io.BytesIO()
        picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
        picture.save(file, format_name, **options)
        return file.getvalue()

    return make
