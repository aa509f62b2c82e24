"""The picture itself."""

from dataclasses import dataclass
from typing import Any, ClassVar

from eyebright.blocks.base import Block
from eyebright.io.images import Picture


@dataclass(frozen=True)
class ImageBlock(Block):
    """The input field: a picture, from a path, bytes, an array, a tensor or a Pillow image."""

    name: ClassVar[str] = "image"

    def read(self, raw: Any) -> Picture:
        """The picture; its header is read, its pixels are not."""
        return raw if isinstance(raw, Picture) else Picture.create(raw)
