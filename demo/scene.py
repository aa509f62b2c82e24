"""Renders an image of a pantry: drawings on a shelf, with shadows, light and camera effects."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import PIL.Image
from backdrop import Shelf, paint_backdrop
from clutter import draw_clutter
from numpy.typing import NDArray
from PIL import ImageFilter
from textures import Surface, smooth_noise

# Longest side relative to the largest object's.
SIZES: dict[str, float] = {
    "banana": 0.98,
    "bread": 1.0,
    "carrot": 1.0,
    "cheese": 0.84,
    "coffee": 0.8,
    "grapes": 0.92,
    "honey": 0.9,
    "lemon": 0.66,
    "milk": 0.86,
    "orange": 0.68,
    "tomato": 0.68,
}
LABEL_COUNTS = (0.1, 0.36, 0.36, 0.18)  # probabilities of 0, 1, 2 and 3 labels in an image
MARGIN = 0.06  # fraction of the canvas on each side for camera movement
MIN_VISIBLE = 0.8  # fraction of each labelled object that must be visible
MAX_TRIES = 12


@dataclass(frozen=True)
class Drawing:
    """A drawing of a food.

    Args:
        label: the food.
        vendor: the vendor of the emoji set.
        style: one of the vendor's sets.
        image: RGBA, cropped to its bounding box.
    """

    label: str
    vendor: str
    style: str
    image: PIL.Image.Image


@dataclass(frozen=True)
class Scene:
    """A rendered image and its sorted labels without duplicates."""

    image: PIL.Image.Image
    labels: tuple[str, ...]


@dataclass
class _Canvas:
    """The image during rendering, with a segmentation of its labelled objects.

    Args:
        pixels: (h, w, 3).
        segmentation: (h, w) number of the labelled object at each pixel; 0 for none.
        area: pixels of each labelled object without occlusion.
        visible: visible pixels of each labelled object.
        labels: of the labelled objects.
    """

    pixels: Surface
    segmentation: NDArray[np.int16]
    area: list[int] = field(default_factory=lambda: [0])
    visible: list[int] = field(default_factory=lambda: [0])
    labels: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Placed:
    """An object with the position (column, row) of its bottom centre and its label; None for a distractor."""

    image: PIL.Image.Image
    column: float
    row: float
    label: str | None


def read_drawings(folder: Path) -> list[Drawing]:
    """All drawings in ``folder``, with paths vendor/style/label.png or vendor/style/label-variant.png."""
    return [
        Drawing(
            label=path.stem.split("-")[0],
            vendor=path.parent.parent.name,
            style=path.parent.name,
            image=PIL.Image.open(path).convert("RGBA"),
        )
        for path in sorted(folder.glob("*/*/*.png"))
    ]


def paint_scene(size: tuple[int, int], drawings: list[Drawing], generator: np.random.Generator) -> Scene:
    """An image of a pantry with up to three different foods on its shelves.

    Args:
        size: (height, width) in pixels.
        drawings: the drawings to choose from.
        generator: of all random numbers.
    """
    height, width = (round(length / (1 - 2 * MARGIN)) for length in size)
    backdrop = paint_backdrop((height, width), generator)
    canvas = _Canvas(pixels=backdrop.pixels, segmentation=np.zeros((height, width), np.int16))
    light = float(generator.choice((-1.0, 1.0)))  # -1: from the right, 1: from the left
    chosen = _choose(drawings, generator)
    distractors = generator.choice((0, 1, 2), p=(0.6, 0.35, 0.05))
    objects: list[Drawing | None] = [*chosen, *([None] * distractors)]
    shelves = [backdrop.shelves[index] for index in generator.integers(len(backdrop.shelves), size=len(objects))]
    rows = [generator.uniform(shelf.back + 2, shelf.front - 1) for shelf in shelves]
    for index in np.argsort(rows):  # from back to front
        _place(canvas, objects[index], (shelves[index], rows[index]), light=light, generator=generator)
    image = _photograph(canvas.pixels, size, light=light, generator=generator)
    return Scene(image=image, labels=tuple(sorted(set(canvas.labels))))


def _choose(drawings: list[Drawing], generator: np.random.Generator) -> list[Drawing]:
    """Drawings of different labels, in half of the images all of one style; some of them two or three times."""
    styles = sorted({(drawing.vendor, drawing.style) for drawing in drawings})
    common_style = styles[generator.integers(len(styles))] if generator.random() < 0.5 else None
    labels = generator.permutation(sorted({drawing.label for drawing in drawings}))
    chosen: list[Drawing] = []
    for label in labels[: generator.choice(len(LABEL_COUNTS), p=LABEL_COUNTS)]:
        style = common_style or styles[generator.integers(len(styles))]
        candidates = [d for d in drawings if d.label == label and (d.vendor, d.style) == style]
        drawing = candidates[generator.integers(len(candidates))]
        chosen += [drawing] * int(generator.choice((1, 2, 3), p=(0.8, 0.14, 0.06)))
    return chosen


def _place(
    canvas: _Canvas,
    drawing: Drawing | None,
    shelf_and_row: tuple[Shelf, float],
    *,
    light: float,
    generator: np.random.Generator,
) -> None:
    """Paints the drawing, or a distractor for None, at a random column where all labelled objects stay visible.

    After ``MAX_TRIES`` columns the object is left out.
    """
    shelf, row = shelf_and_row
    height, width = canvas.segmentation.shape
    largest = min(0.97 * shelf.clearance, 0.72 * height) * generator.uniform(0.8, 1.0)
    if drawing is None:
        image = draw_clutter(round(largest * generator.uniform(0.7, 1.0)), generator)
    else:
        image = _pose(drawing.image, largest * SIZES[drawing.label], shelf.clearance * 0.97, generator)
    image = _shade(image, light, generator)
    for _ in range(MAX_TRIES):
        column = generator.uniform(MARGIN + 0.03, 1 - MARGIN - 0.03) * width
        placed = _Placed(image, column, row, drawing.label if drawing else None)
        if _fits(canvas, placed):
            _paint(canvas, placed, light=light)
            return


def _pose(image: PIL.Image.Image, longest: float, clearance: float, generator: np.random.Generator) -> PIL.Image.Image:
    """The drawing, resized and rotated (in 15 % of the cases by up to 110 degrees), and mirrored in half of them."""
    scale = longest / max(image.size)
    stretch = generator.uniform(0.92, 1.08)
    size = (max(4, round(image.width * scale * stretch)), max(4, round(image.height * scale / stretch)))
    posed = image.resize(size, PIL.Image.Resampling.BICUBIC)
    if generator.random() < 0.5:
        posed = posed.transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT)
    angle = generator.uniform(-110, 110) if generator.random() < 0.15 else generator.normal(0, 7)
    # Premultiplied alpha: else the edges would mix with the black of transparent pixels.
    posed = posed.convert("RGBa").rotate(angle, PIL.Image.Resampling.BICUBIC, expand=True).convert("RGBA")
    posed = posed.crop(posed.getchannel("A").point([0] * 24 + [255] * 232).getbbox())
    if posed.height > clearance:
        posed = posed.resize((max(4, round(posed.width * clearance / posed.height)), max(4, int(clearance))))
    return posed


def _shade(image: PIL.Image.Image, light: float, generator: np.random.Generator) -> PIL.Image.Image:
    """The image, brighter towards the light, darker at the bottom, with random brightness, saturation and tint."""
    pixels = np.asarray(image).astype(np.float32)
    across = np.linspace(-1, 1, image.width, dtype=np.float32)[None, :] * light
    down = np.linspace(0, 1, image.height, dtype=np.float32)[:, None] ** 2
    shade = generator.uniform(0.88, 1.06) * (1 - 0.1 * across) * (1 - 0.16 * down)
    grey = pixels[..., :3].mean(axis=2, keepdims=True)
    saturated = grey + (pixels[..., :3] - grey) * generator.uniform(0.82, 1.08)
    tint = generator.normal(1, 0.025, 3)
    pixels[..., :3] = saturated * shade[..., None] * tint.astype(np.float32)
    return PIL.Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _fits(canvas: _Canvas, placed: _Placed) -> bool:
    """Whether enough of the object is inside the image, and enough of the objects behind it stays visible."""
    width = canvas.segmentation.shape[1]
    _, left = _corner(placed)
    inside = min(left + placed.image.width, (1 - MARGIN) * width) - max(left, MARGIN * width)
    if placed.label is not None and inside < 0.75 * placed.image.width:
        return False
    counts = zip(canvas.visible, _covered(canvas, placed), canvas.area, strict=True)
    return all(visible - covered >= MIN_VISIBLE * area for visible, covered, area in counts)


def _covered(canvas: _Canvas, placed: _Placed) -> list[int]:
    """Pixels of each labelled object that the new object would cover."""
    window, mask = _window(canvas, placed)
    covered = np.bincount(canvas.segmentation[window][mask > 0.5], minlength=len(canvas.area))
    covered[0] = 0
    return covered.tolist()


def _paint(canvas: _Canvas, placed: _Placed, *, light: float) -> None:
    _cast_shadow(canvas, placed, light)
    window, mask = _window(canvas, placed)
    top, left = _corner(placed)
    colours = np.asarray(placed.image.convert("RGB")).astype(np.float32) / 255
    rows, columns = window
    colours = colours[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    canvas.pixels[window] += (colours - canvas.pixels[window]) * mask[..., None]
    canvas.visible = [
        visible - covered for visible, covered in zip(canvas.visible, _covered(canvas, placed), strict=True)
    ]
    canvas.segmentation[window][mask > 0.5] = len(canvas.area) if placed.label else 0
    if placed.label:
        canvas.area.append(int((mask > 0.5).sum()))
        canvas.visible.append(canvas.area[-1])
        canvas.labels.append(placed.label)


def _cast_shadow(canvas: _Canvas, placed: _Placed, light: float) -> None:
    """Darkens the wall behind the object, away from the light, and the shelf under it."""
    height, width = canvas.segmentation.shape
    alpha = placed.image.getchannel("A")
    blur = max(4, round(0.07 * max(alpha.size)))
    pad = 4 * blur
    shadow_image = PIL.Image.new("L", (alpha.width + 2 * pad, alpha.height + 2 * pad))
    shadow_image.paste(alpha.point(lambda value: value * 0.34), (pad + round(light * 1.4 * blur), pad + blur // 3))
    contact = PIL.Image.new("L", (max(2, round(alpha.width * 0.86)), max(3, blur)), 150)
    shadow_image.paste(contact, (pad + (alpha.width - contact.width) // 2, pad + alpha.height - blur // 2))
    shadow = np.asarray(shadow_image.filter(ImageFilter.GaussianBlur(blur * 0.75))).astype(np.float32) / 255
    top, left = (corner - pad for corner in _corner(placed))
    rows = slice(max(top, 0), min(top + shadow_image.height, height))
    columns = slice(max(left, 0), min(left + shadow_image.width, width))
    shadow = shadow[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    canvas.pixels[rows, columns] *= (1 - shadow)[..., None]


def _corner(placed: _Placed) -> tuple[int, int]:
    """The row and column of the object's upper left corner."""
    return round(placed.row) - placed.image.height, round(placed.column - placed.image.width / 2)


def _window(canvas: _Canvas, placed: _Placed) -> tuple[tuple[slice, slice], Surface]:
    """The part of the canvas that the object covers, and the object's opacity there."""
    height, width = canvas.segmentation.shape
    top, left = _corner(placed)
    rows = slice(max(top, 0), min(top + placed.image.height, height))
    columns = slice(max(left, 0), min(left + placed.image.width, width))
    alpha = np.asarray(placed.image.getchannel("A")).astype(np.float32) / 255
    return (rows, columns), alpha[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def _photograph(
    pixels: Surface, size: tuple[int, int], *, light: float, generator: np.random.Generator
) -> PIL.Image.Image:
    """The canvas after lighting, a random perspective, blur and noise."""
    height, width = size
    lit = pixels * _lighting(pixels.shape[:2], light, generator)
    canvas_image = PIL.Image.fromarray((np.clip(lit, 0, 1) * 255).astype(np.uint8))
    corners = np.array([[0, 0], [0, 1], [1, 1], [1, 0]], np.float64)
    corners = MARGIN + (1 - 2 * MARGIN) * corners + generator.uniform(-MARGIN, MARGIN, (4, 2)) * 0.8
    quad = (corners * (canvas_image.width, canvas_image.height)).ravel().tolist()
    image = canvas_image.transform((width, height), PIL.Image.Transform.QUAD, quad, PIL.Image.Resampling.BILINEAR)
    if generator.random() < 0.4:
        image = image.filter(ImageFilter.GaussianBlur(generator.uniform(0.3, 0.9)))
    noise = generator.uniform(1, 4) * generator.standard_normal((height, width, 1), np.float32)
    return PIL.Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def _lighting(size: tuple[int, int], light: float, generator: np.random.Generator) -> Surface:
    """The factor (h, w, 3) of brightness and colour temperature for each pixel."""
    height, width = size
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :] * light
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    gradient = generator.uniform(0.0, 0.16)
    vignette = generator.uniform(0.05, 0.2)
    brightness = generator.uniform(0.88, 1.12) * (1 - gradient * across - vignette * (across**2 + down**2) / 2)
    brightness = brightness * (1 + 0.03 * smooth_noise(size, (3, 4), generator))
    warmth = generator.normal(0.015, 0.035)
    return brightness[..., None] * np.array([1 + warmth, 1.0, 1 - 1.4 * warmth], np.float32)
