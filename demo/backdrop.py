"""Paints an empty pantry: a wall with one or two shelves."""

from dataclasses import dataclass

import numpy as np
from textures import WOODS, Surface, pick, wall, wood


@dataclass(frozen=True)
class Shelf:
    """A shelf on which objects can be placed; rows are in pixels from the top.

    Args:
        back: the row where the shelf's upper side meets the wall.
        front: the row of its front edge.
        clearance: free rows above it.
    """

    back: float
    front: float
    clearance: float


@dataclass(frozen=True)
class Backdrop:
    """An empty pantry: its pixels (h, w, 3), and its shelves from top to bottom."""

    pixels: Surface
    shelves: tuple[Shelf, ...]


def paint_backdrop(size: tuple[int, int], generator: np.random.Generator) -> Backdrop:
    """A wall with one shelf, or in 15 % of the images two.

    Args:
        size: (height, width) in pixels.
        generator: of all random numbers.
    """
    height, _ = size
    pixels = wall(size, generator)
    colour = pick(WOODS, generator)
    if generator.random() < 0.15:
        edges = (generator.uniform(0.43, 0.49) * height, generator.uniform(0.87, 0.92) * height)
    else:
        edges = (generator.uniform(0.74, 0.86) * height,)
    depth = generator.uniform(0.05, 0.09) * height
    thickness = generator.uniform(0.03, 0.055) * height
    shelves: list[Shelf] = []
    ceiling = 0.0
    for front in edges:
        _paint_shelf(pixels, (front - depth, front, front + thickness), colour, generator)
        shelves.append(Shelf(back=front - depth, front=front, clearance=front - depth / 2 - ceiling))
        ceiling = front + thickness
    return Backdrop(pixels=pixels, shelves=tuple(shelves))


def _paint_shelf(
    pixels: Surface, rows: tuple[float, float, float], colour: Surface, generator: np.random.Generator
) -> None:
    back, front, under = (round(row) for row in rows)
    height, width = pixels.shape[:2]
    upper = wood((front - back, width), colour, generator) * 1.08
    upper *= np.linspace(0.72, 1.0, front - back, dtype=np.float32)[:, None, None]
    pixels[back:front] = upper
    face = wood((under - front, width), colour, generator) * 0.86
    face[:2] *= 1.18
    face[-2:] *= 0.8
    pixels[front:under] = face
    fade = min(height - under, round(0.12 * height))
    if fade > 0:
        pixels[under : under + fade] *= np.linspace(0.55, 1.0, fade, dtype=np.float32)[:, None, None]
