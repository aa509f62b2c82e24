"""Procedural textures: noise, plaster, wallpaper, tiles and wood.

A surface is a float array (h, w, 3) with 1.0 as white. Every function takes a random generator, so that an image
depends on its seed only.
"""

from collections.abc import Callable

import numpy as np
import PIL.Image
from numpy.typing import NDArray

Surface = NDArray[np.floating]
Colour = tuple[float, float, float]

WALLS: tuple[Colour, ...] = (
    (0.93, 0.89, 0.80),
    (0.80, 0.85, 0.78),
    (0.72, 0.80, 0.85),
    (0.86, 0.72, 0.62),
    (0.55, 0.66, 0.64),
    (0.88, 0.88, 0.86),
    (0.91, 0.83, 0.62),
    (0.80, 0.70, 0.74),
    (0.45, 0.50, 0.56),
    (0.62, 0.68, 0.50),
)
WOODS: tuple[Colour, ...] = (
    (0.78, 0.60, 0.41),
    (0.62, 0.43, 0.27),
    (0.45, 0.30, 0.20),
    (0.86, 0.73, 0.56),
    (0.70, 0.66, 0.60),
    (0.90, 0.88, 0.84),
)


def smooth_noise(size: tuple[int, int], cells: tuple[int, int], generator: np.random.Generator) -> Surface:
    """A smooth noise array (h, w) with mean about 0 and standard deviation about 1.

    Args:
        size: (h, w) in pixels.
        cells: (rows, columns) of the grid of random values between which it is interpolated.
        generator: of all random numbers.
    """
    height, width = size
    coarse = generator.standard_normal(cells).astype(np.float32)
    return np.asarray(PIL.Image.fromarray(coarse).resize((width, height), PIL.Image.Resampling.BICUBIC))


def pick(colours: tuple[Colour, ...], generator: np.random.Generator, *, spread: float = 0.04) -> Surface:
    """One of the colours with noise of standard deviation ``spread`` on each channel: (3,) values."""
    colour = np.asarray(colours[generator.integers(len(colours))])
    return np.clip(colour + generator.normal(0, spread, 3), 0.05, 0.98).astype(np.float32)


def wood(size: tuple[int, int], colour: Surface, generator: np.random.Generator) -> Surface:
    """A surface of wood with horizontal grain."""
    height, width = size
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    bend = smooth_noise(size, (3, 4), generator)
    rings = np.sin(2 * np.pi * (rows * generator.uniform(2, 5) + 0.35 * bend))
    streaks = smooth_noise(size, (max(2, height // 2), 6), generator)
    fibres = smooth_noise(size, (height, max(2, width // 12)), generator)
    shade = 1 + 0.05 * rings + 0.05 * streaks + 0.02 * fibres
    return shade[..., None] * colour


def wall(size: tuple[int, int], generator: np.random.Generator) -> Surface:
    """A surface of plaster, striped or dotted wallpaper, tiles, or boards."""
    kinds: tuple[Callable[[tuple[int, int], np.random.Generator], Surface], ...] = (
        _plaster,
        _stripes,
        _dots,
        _tiles,
        _tiles,
        _boards,
    )
    return kinds[generator.integers(len(kinds))](size, generator)


def _plaster(size: tuple[int, int], generator: np.random.Generator) -> Surface:
    clouds = smooth_noise(size, (5, 7), generator)
    grit = smooth_noise(size, (size[0] // 2, size[1] // 2), generator)
    shade = 1 + 0.035 * clouds + 0.02 * grit
    return shade[..., None] * pick(WALLS, generator)


def _stripes(size: tuple[int, int], generator: np.random.Generator) -> Surface:
    columns = np.arange(size[1], dtype=np.float32)
    wave = np.sin(2 * np.pi * columns / generator.uniform(18, 60) + generator.uniform(0, 6))
    stripes = np.clip(wave * 6, -1, 1) * generator.uniform(0.02, 0.07)
    return _plaster(size, generator) * (1 + stripes)[None, :, None]


def _dots(size: tuple[int, int], generator: np.random.Generator) -> Surface:
    step = generator.uniform(22, 40)
    row, across = _courses(size, (step, step), shift=0.5)
    distance = np.hypot(row[:, None] % 1 - 0.5, across % 1 - 0.5) * step
    dots = np.clip(generator.uniform(2.5, 5) - distance, 0, 1) * float(generator.choice((-0.16, 0.12)))
    return _plaster(size, generator) * (1 + dots)[..., None]


def _tiles(size: tuple[int, int], generator: np.random.Generator) -> Surface:
    height = generator.uniform(24, 52)
    width = height * float(generator.choice((1.0, 2.0)))
    row, across = _courses(size, (height, width), shift=0.5 if width > height else 0.0)
    jitter = generator.normal(0, 0.025, (int(row.max()) + 1, int(across.max()) + 1)).astype(np.float32)
    gloss = 0.05 * (0.5 - row % 1)[:, None]
    glaze = 1 + gloss + jitter[row.astype(int)[:, None], across.astype(int)]
    edge = np.minimum(_joint_distance(across, width), _joint_distance(row, height)[:, None])
    joint = np.clip(1.8 - edge, 0, 1)[..., None]
    grout = np.full(3, generator.uniform(0.6, 0.9), np.float32)
    return (glaze[..., None] * pick(WALLS, generator)) * (1 - joint) + joint * grout


def _courses(size: tuple[int, int], pitch: tuple[float, float], *, shift: float) -> tuple[Surface, Surface]:
    """The position of each row in units of tile heights, and of each pixel (h, w) in tile widths; odd rows shifted."""
    row = np.arange(size[0], dtype=np.float32) / pitch[0]
    along = np.arange(size[1], dtype=np.float32) / pitch[1]
    return row, np.stack((along, along + shift)).astype(np.float32)[row.astype(int) % 2]


def _joint_distance(position: Surface, pitch: float) -> Surface:
    """The distance to the nearest joint in pixels."""
    fraction = position % 1
    return np.minimum(fraction, 1 - fraction) * pitch


def _boards(size: tuple[int, int], generator: np.random.Generator) -> Surface:
    height, width = size
    colour = pick(WALLS if generator.random() < 0.5 else WOODS, generator)
    surface = wood((width, height), colour, generator).transpose(1, 0, 2)
    pitch = generator.uniform(34, 70)
    across = (np.arange(width, dtype=np.float32) + generator.uniform(0, pitch)) / pitch
    jitter = generator.normal(0, 0.04, int(across.max()) + 1)[across.astype(int)]
    gap = np.clip(1.6 - _joint_distance(across, pitch), 0, 1)
    return (surface * ((1 + jitter) * (1 - 0.45 * gap))[None, :, None]).astype(np.float32)
