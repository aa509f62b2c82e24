"""Large JPEGs made from small photographs, and the error of Eyebright's preprocessing against a full decode."""

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
TILE = 500  # maximum size of a tile in pixels: about the size of the photographs


def make_large(files: Sequence[Path], size: tuple[int, int], folder: Path, *, mosaic: bool) -> list[Path]:
    """The paths of new JPEGs of this size, one for each photograph.

    Args:
        files: the photographs.
        size: (width, height) in pixels.
        folder: where the JPEGs are written.
        mosaic: fill each image with tiles of several photographs instead of enlarging one.
    """
    paths: list[Path] = []
    for i in range(len(files)):
        image = mosaic_of(files, i, size) if mosaic else enlarged(files[i], size)
        paths.append(folder / f"{i:05d}.jpg")
        image.save(paths[-1], quality=QUALITY)
    return paths


def enlarged(file: Path, size: tuple[int, int]) -> PIL.Image.Image:
    """The photograph, cropped to the aspect ratio and resized to (width, height)."""
    return ImageOps.fit(PIL.Image.open(file).convert("RGB"), size, PIL.Image.Resampling.LANCZOS)


def mosaic_of(files: Sequence[Path], first: int, size: tuple[int, int]) -> PIL.Image.Image:
    """A grid of photographs, starting with the one at index ``first``."""
    columns, rows = (-(-length // TILE) for length in size)
    width, height = -(-size[0] // columns), -(-size[1] // rows)
    image = PIL.Image.new("RGB", size)
    for i in range(columns * rows):
        tile = enlarged(files[(first + i) % len(files)], (width, height))
        image.paste(tile, (i % columns * width, i // columns * height))
    return image


def difference_to_full_decode(files: Sequence[Path], transforms: Sequence[Transform]) -> list[float]:
    """The mean absolute difference of each preprocessed image to Pillow's, in grey levels (of 255).

    Pillow's image is decoded at full resolution, and the same region is resized with an antialiased bilinear filter.

    Args:
        files: the images.
        transforms: the validation transforms.
    """
    differences: list[float] = []
    for file in files:
        image = Image.create(file)
        warp = draw_all(transforms, image.shape, None).warp
        preprocessed = image.warped(warp)
        height, width = preprocessed.shape[:2]
        corners = torch.tensor([[0.0, 0.0], [width, height]])
        (left, top), (right, bottom) = warp.inverse().points(Points.of(corners)).xy.tolist()
        box = (max(left, 0.0), max(top, 0.0), min(right, image.size[0]), min(bottom, image.size[1]))
        upright = ImageOps.exif_transpose(PIL.Image.open(file)).convert("RGB")
        full = np.asarray(upright.resize((width, height), PIL.Image.Resampling.BILINEAR, box=box))
        differences.append(float(np.abs(preprocessed.astype(float) - full).mean()))
    return differences
