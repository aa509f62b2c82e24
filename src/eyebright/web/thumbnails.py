"""Small images that lie inside the page itself, as ``data:`` addresses."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

from eyebright import _html as html
from eyebright.errors import ImageError
from eyebright.image.image import Image
from eyebright.web.blocks import Thumbnail

_SIDE = 360  # pixels; sharp at the size that a card has
_QUALITY = 78  # of the JPEG: about 20 kB for each thumbnail


def thumbnail(path: str) -> Thumbnail:
    """The image made small, or the reason why it cannot be shown: a report is written even when images are gone."""
    try:
        image = Image.create(path)
        small = image.to_thumb(_SIDE)
    except ImageError as error:
        return Thumbnail("", 0, 0, error=error.reason)
    file = io.BytesIO()
    small.save(file, format="JPEG", quality=_QUALITY, optimize=True)
    return Thumbnail(html.data_url(file.getvalue()), small.width, small.height, scale=small.width / image.shape.width)


def short_names(paths: Sequence[str], chosen: Sequence[int]) -> list[str]:
    """The paths at ``chosen``, without the folder that all ``paths`` share."""
    folders = {str(Path(path).parent) for path in paths}
    try:
        common = os.path.commonpath(folders)
    except ValueError:  # absolute and relative ones, or several drives
        return [str(paths[i]) for i in chosen]
    return [os.path.relpath(paths[i], common) if common else str(paths[i]) for i in chosen]
