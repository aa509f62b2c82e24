"""Distractors without a label: jars, tins, boxes, bowls, bottles, plates and pots of herbs.

Without them a model could solve part of the task by detecting any object.
"""

from collections.abc import Callable

import numpy as np
import PIL.Image
from PIL import ImageDraw

SUPERSAMPLING = 3  # drawn at this many times the size and reduced, for smooth edges
Colour = tuple[int, int, int, int]
DARK: Colour = (104, 96, 90, 255)

COLOURS: tuple[tuple[int, int, int], ...] = (
    (178, 74, 62),
    (66, 105, 120),
    (214, 190, 150),
    (92, 120, 84),
    (222, 164, 76),
    (120, 92, 120),
    (236, 232, 222),
    (70, 74, 84),
    (196, 128, 112),
    (150, 176, 184),
)


def draw_clutter(height: int, generator: np.random.Generator) -> PIL.Image.Image:
    """A random distractor as an RGBA image.

    Args:
        height: in pixels; some kinds are lower.
        generator: of all random numbers.
    """
    kinds: tuple[Callable[[int, np.random.Generator], PIL.Image.Image], ...] = (
        _jar,
        _tin,
        _box,
        _bowl,
        _bottle,
        _plates,
        _herbs,
    )
    large = kinds[generator.integers(len(kinds))](height * SUPERSAMPLING, generator)
    size = (max(1, large.width // SUPERSAMPLING), max(1, large.height // SUPERSAMPLING))
    return large.resize(size, PIL.Image.Resampling.BOX)


def _jar(height: int, generator: np.random.Generator) -> PIL.Image.Image:
    width = round(height * generator.uniform(0.55, 0.75))
    image, draw = _canvas(width, height)
    lid = round(height * 0.16)
    draw.rounded_rectangle((0, lid * 0.8, width - 1, height - 1), radius=width // 7, fill=(228, 238, 240, 190))
    filled = round(height * generator.uniform(0.3, 0.7))
    inside = (width // 14, filled, width - width // 14, height - height // 24)
    draw.rounded_rectangle(inside, radius=width // 8, fill=_colour(generator))
    draw.rounded_rectangle((width // 12, 0, width - width // 12, lid), radius=lid // 4, fill=_colour(generator))
    return _shade_as_cylinder(image)


def _tin(height: int, generator: np.random.Generator) -> PIL.Image.Image:
    width = round(height * generator.uniform(0.6, 0.85))
    image, draw = _canvas(width, height)
    rim = height // 12
    draw.rounded_rectangle((0, 0, width - 1, height - 1), radius=rim, fill=(190, 194, 198, 255))
    draw.rectangle((0, rim, width - 1, height - rim), fill=_colour(generator))
    draw.rectangle((0, height * 0.36, width - 1, height * generator.uniform(0.5, 0.72)), fill=_colour(generator))
    return _shade_as_cylinder(image)


def _box(height: int, generator: np.random.Generator) -> PIL.Image.Image:
    width = round(height * generator.uniform(0.55, 0.9))
    image, draw = _canvas(width, height)
    red, green, blue, _ = _colour(generator)
    draw.rectangle((0, 0, width - 1, height - 1), fill=(red, green, blue, 255))
    side = round(width * generator.uniform(0.12, 0.25))
    draw.rectangle((0, 0, side, height - 1), fill=(red * 3 // 4, green * 3 // 4, blue * 3 // 4, 255))
    top, bottom = height * generator.uniform(0.1, 0.3), height * generator.uniform(0.45, 0.8)
    draw.rectangle((side + width * 0.08, top, width * 0.92, bottom), fill=_colour(generator))
    for row in range(3):
        line = height * (0.84 + 0.045 * row)
        draw.rectangle((side + width * 0.08, line, width * (0.9 - 0.12 * row), line + height * 0.018), fill=DARK)
    return image


def _bowl(height: int, generator: np.random.Generator) -> PIL.Image.Image:
    width, height = round(height * 1.1), round(height * 0.55)
    image, draw = _canvas(width, height)
    colour = _colour(generator)
    draw.pieslice((0, -height, width - 1, height * 0.94), 0, 180, fill=colour)
    draw.rectangle((width * 0.34, height * 0.86, width * 0.66, height - 1), fill=colour)
    draw.rectangle((width * 0.02, height * 0.14, width * 0.98, height * 0.22), fill=_colour(generator))
    return _shade_as_cylinder(image)


def _bottle(height: int, generator: np.random.Generator) -> PIL.Image.Image:
    width = round(height * generator.uniform(0.28, 0.36))
    image, draw = _canvas(width, height)
    colour = _colour(generator)
    neck = (width * 0.34, height * 0.06, width * 0.66, height * 0.5)
    draw.rounded_rectangle((0, height * 0.32, width - 1, height - 1), radius=width // 3, fill=colour)
    draw.rectangle((0, height * 0.7, width - 1, height * 0.97), fill=colour)
    draw.rectangle(neck, fill=colour)
    draw.rectangle((width * 0.3, 0, width * 0.7, height * 0.09), fill=(60, 52, 48, 255))
    draw.rectangle((0, height * 0.54, width - 1, height * 0.8), fill=_colour(generator))
    return _shade_as_cylinder(image)


def _plates(height: int, generator: np.random.Generator) -> PIL.Image.Image:
    width, height = round(height * 1.2), round(height * 0.42)
    image, draw = _canvas(width, height)
    colour = _colour(generator)
    layers = int(generator.integers(3, 6))
    thick = height / (layers + 1)
    for layer in range(layers):
        low = height - 1 - layer * thick
        box = (layer % 2 * width * 0.02, low - 1.9 * thick, width - 1 - layer % 2 * width * 0.02, low)
        draw.ellipse(box, fill=colour, outline=DARK, width=SUPERSAMPLING // 2)
    return _shade_as_cylinder(image)


def _herbs(height: int, generator: np.random.Generator) -> PIL.Image.Image:
    width = round(height * 0.8)
    image, draw = _canvas(width, height)
    for _ in range(26):
        x, y = generator.uniform(0.16, 0.84) * width, generator.uniform(0.12, 0.5) * height
        size = generator.uniform(0.07, 0.13) * width
        shade = int(generator.integers(-28, 28))
        draw.ellipse(
            (x - size, y - size * 0.8, x + size, y + size * 0.8), fill=(84 + shade, 132 + shade, 66 + shade, 255)
        )
    rim = height * 0.5
    draw.polygon(
        ((width * 0.2, rim), (width * 0.8, rim), (width * 0.7, height), (width * 0.3, height)), fill=_colour(generator)
    )
    draw.rectangle((width * 0.16, rim, width * 0.84, rim + height * 0.09), fill=_colour(generator))
    return _shade_as_cylinder(image)


def _canvas(width: int, height: int) -> tuple[PIL.Image.Image, ImageDraw.ImageDraw]:
    image = PIL.Image.new("RGBA", (width, height))
    return image, ImageDraw.Draw(image)


def _colour(generator: np.random.Generator) -> Colour:
    colour = np.asarray(COLOURS[generator.integers(len(COLOURS))]) + generator.normal(0, 12, 3)
    red, green, blue = np.clip(colour, 0, 255).astype(int).tolist()
    return red, green, blue, 255


def _shade_as_cylinder(image: PIL.Image.Image) -> PIL.Image.Image:
    """The image shaded like a cylinder lit from the left."""
    across = np.linspace(0, 1, image.width, dtype=np.float32)
    shade = 0.72 + 0.5 * np.exp(-(((across - 0.3) / 0.32) ** 2)) - 0.16 * across
    pixels = np.asarray(image).astype(np.float32)
    pixels[..., :3] *= shade[None, :, None]
    return PIL.Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
