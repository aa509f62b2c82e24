"""Large JPEGs out of small photographs, and how far Eyebright's view of an image is from a full decode."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from PIL import ImageOps

from eyebright import Image
from eyebright.transforms.draw import Transform, draw_all
from eyebright.types import Points

QUALITY = 90
TILE = 500  # pixels, at most: about what the photographs have


def make_large(files: Sequence[Path], size: tuple[int, int], folder: Path, *, mosaic: bool) -> list[Path]:
    """As many JPEGs of this (width, height) as there are files.

    Args:
        files: photographs.
        size: width and height.
        folder: where they are written.
        mosaic: tiles of as many photographs as are needed, instead of one that is enlarged.
    """
    made: list[Path] = []
    for i in range(len(files)):
        image = tiles(files, i, size) if mosaic else enlarged(files[i], size)
        made.append(folder / f"{i:05d}.jpg")
        image.save(made[-1], quality=QUALITY)
    return made


def enlarged(file: Path, size: tuple[int, int]) -> PIL.Image.Image:
    """The photograph's middle at this size."""
    return ImageOps.fit(PIL.Image.open(file).convert("RGB"), size, PIL.Image.Resampling.LANCZOS)


def tiles(files: Sequence[Path], first: int, size: tuple[int, int]) -> PIL.Image.Image:
    """Photographs side by side, from the first one on."""
    columns, rows = (-(-side // TILE) for side in size)
    across, down = -(-size[0] // columns), -(-size[1] // rows)
    whole = PIL.Image.new("RGB", size)
    for i in range(columns * rows):
        tile = enlarged(files[(first + i) % len(files)], (across, down))
        whole.paste(tile, (i % columns * across, i // columns * down))
    return whole


def difference_to_full_decode(files: Sequence[Path], transforms: Sequence[Transform]) -> list[float]:
    """The mean difference of each image's validation view, in grey levels of 255.

    The other view is Pillow's: everything decoded, then the same part of the image resized with its antialiased
    bilinear filter.
    """
    differences: list[float] = []
    for file in files:
        image = Image.create(file)
        warp = draw_all(transforms, image.shape, None).warp
        ours = image.warped(warp)
        height, width = ours.shape[:2]
        corners = torch.tensor([[0.0, 0.0], [width, height]])
        (left, top), (right, bottom) = warp.inverse().points(Points.of(corners)).xy.tolist()
        box = (max(left, 0.0), max(top, 0.0), min(right, image.size[0]), min(bottom, image.size[1]))
        upright = ImageOps.exif_transpose(PIL.Image.open(file)).convert("RGB")
        full = np.asarray(upright.resize((width, height), PIL.Image.Resampling.BILINEAR, box=box))
        differences.append(float(np.abs(ours.astype(float) - full).mean()))
    return differences
