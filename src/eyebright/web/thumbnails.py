"""Thumbnails that are embedded in a page."""

import io

from eyebright import _html as html
from eyebright.errors import ImageError
from eyebright.image.image import Image
from eyebright.web.blocks import Thumbnail

SIDE = 360  # pixels; sharp at the size of a card
SMALL_SIDE = 240  # for galleries behind a click, which are many; about 10 kB per thumbnail
_QUALITY = 78  # JPEG quality; about 20 kB per thumbnail


def thumbnail(path: str, size: tuple[int, int] | None = None, *, side: int = SIDE) -> Thumbnail:
    """The thumbnail of an image; if it cannot be shown, a thumbnail with the reason, so that no page fails.

    Args:
        path: the path of the image.
        size: the (height, width) that the image must have, since another one is another image; None: any.
        side: the longer side of the thumbnail, in pixels.
    """
    try:
        image = Image.create(path)
        if size is not None and image.shape != size:
            found, expected = (f"{width} x {height}" for height, width in (image.shape, size))
            return Thumbnail("", 0, 0, error=f"it has {found} pixels, and the evaluated image had {expected}")
        small = image.to_thumb(side)
    except ImageError as error:
        return Thumbnail("", 0, 0, error=error.reason)
    file = io.BytesIO()
    small.save(file, format="JPEG", quality=_QUALITY, optimize=True)
    return Thumbnail(html.data_url(file.getvalue()), small.width, small.height, scale=small.width / image.shape.width)
