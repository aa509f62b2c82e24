"""Thumbnails that are embedded in a page."""

import io

from eyebright import _html as html
from eyebright.errors import ImageError
from eyebright.image.image import Image
from eyebright.web.blocks import Thumbnail

_SIDE = 360  # pixels; sharp at the size of a card
_QUALITY = 78  # JPEG quality; about 20 kB per thumbnail


def thumbnail(path: str) -> Thumbnail:
    """The thumbnail of an image; if the image cannot be read, a thumbnail with the error, so that no page fails."""
    try:
        image = Image.create(path)
        small = image.to_thumb(_SIDE)
    except ImageError as error:
        return Thumbnail("", 0, 0, error=error.reason)
    file = io.BytesIO()
    small.save(file, format="JPEG", quality=_QUALITY, optimize=True)
    return Thumbnail(html.data_url(file.getvalue()), small.width, small.height, scale=small.width / image.shape.width)
