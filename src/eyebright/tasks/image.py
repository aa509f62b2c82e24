"""The image, as the input field of a sample."""

from dataclasses import dataclass
from typing import Any, ClassVar

from eyebright.image.image import Image
from eyebright.tasks.base import Block


@dataclass(frozen=True)
class ImageBlock(Block):
    """The input field: an image, from a path, bytes, an array, a tensor or a Pillow image."""

    name: ClassVar[str] = "image"

    def read(self, raw: Any) -> Image:
        """The image; its header is read, its pixels are not decoded yet."""
        return Image.create(raw)
