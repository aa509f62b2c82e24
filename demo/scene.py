"""One image of a pantry: drawings set on a shelf, with shadows, light and a camera."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import PIL.Image
from backdrop import Shelf, paint_backdrop
from clutter import draw_clutter
from numpy.typing import NDArray
from PIL import ImageFilter
from textures import Surface, smooth_noise

# Longest side against the largest thing's.
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
COUNTS = (0.1, 0.36, 0.36, 0.18)  # chance of 0, 1, ... 3 labels in an image
MARGIN = 0.06  # of the canvas, on each side, for the camera to move in
LEAST_VISIBLE = 0.8  # of a labelled thing, or it is not put there
TRIES = 12


@dataclass(frozen=True)
class Drawing:
    """One thing as one hand draws it.

    Args:
        label: what it is.
        house: who drew it.
        style: which of the house's sets it is from.
        image: RGBA, cut to its edges.
    """

    label: str
    house: str
    style: str
    image: PIL.Image.Image


@dataclass(frozen=True)
class Scene:
    """A finished image and what is on it, each label once and in order."""

    image: PIL.Image.Image
    labels: tuple[str, ...]


@dataclass
class _Canvas:
    """The image while it is painted, and what its pixels show.

    Args:
        pixels: h w 3.
        owner: for each pixel the number of the labelled thing that it shows; 0: none.
        area: of each labelled thing, in pixels, before anything stood in front of it.
        visible: of each labelled thing, in pixels, now.
        labels: of the labelled things.
    """

    pixels: Surface
    owner: NDArray[np.int16]
    area: list[int] = field(default_factory=lambda: [0])
    visible: list[int] = field(default_factory=lambda: [0])
    labels: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Piece:
    """What stands somewhere: its image, its lower middle (column, row), and its label; None for clutter."""

    image: PIL.Image.Image
    column: float
    row: float
    label: str | None


def read_drawings(folder: Path) -> list[Drawing]:
    """All drawings below ``folder``, laid out as house/style/label.png or house/style/label-kind.png."""
    return [
        Drawing(
            label=path.stem.split("-")[0],
            house=path.parent.parent.name,
            style=path.parent.name,
            image=PIL.Image.open(path).convert("RGBA"),
        )
        for path in sorted(folder.glob("*/*/*.png"))
    ]


def paint_scene(size: tuple[int, int], drawings: list[Drawing], generator: np.random.Generator) -> Scene:
    """A pantry of ``size`` (height, width) with none to three kinds of things on its shelves.

    Args:
        size: of the image, in pixels.
        drawings: to choose from.
        generator: decides everything.
    """
    height, width = (round(side / (1 - 2 * MARGIN)) for side in size)
    backdrop = paint_backdrop((height, width), generator)
    canvas = _Canvas(pixels=backdrop.pixels, owner=np.zeros((height, width), np.int16))
    side = float(generator.choice((-1.0, 1.0)))
    chosen = _choose(drawings, generator)
    clutter = generator.choice((0, 1, 2), p=(0.6, 0.35, 0.05))
    wanted: list[Drawing | None] = [*chosen, *([None] * clutter)]
    shelves = [backdrop.shelves[index] for index in generator.integers(len(backdrop.shelves), size=len(wanted))]
    rows = [generator.uniform(shelf.back + 2, shelf.front - 1) for shelf in shelves]
    for index in np.argsort(rows):
        _stand(canvas, wanted[index], (shelves[index], rows[index]), side=side, generator=generator)
    image = _photograph(canvas.pixels, size, side=side, generator=generator)
    return Scene(image=image, labels=tuple(sorted(set(canvas.labels))))


def _choose(drawings: list[Drawing], generator: np.random.Generator) -> list[Drawing]:
    """Drawings of different labels, by one hand in half of the images; some of them twice or three times."""
    hands = sorted({(drawing.house, drawing.style) for drawing in drawings})
    same = hands[generator.integers(len(hands))] if generator.random() < 0.5 else None
    labels = generator.permutation(sorted({drawing.label for drawing in drawings}))
    chosen: list[Drawing] = []
    for label in labels[: generator.choice(len(COUNTS), p=COUNTS)]:
        hand = same or hands[generator.integers(len(hands))]
        these = [d for d in drawings if d.label == label and (d.house, d.style) == hand]
        drawing = these[generator.integers(len(these))]
        chosen += [drawing] * int(generator.choice((1, 2, 3), p=(0.8, 0.14, 0.06)))
    return chosen


def _stand(
    canvas: _Canvas,
    drawing: Drawing | None,
    place: tuple[Shelf, float],
    *,
    side: float,
    generator: np.random.Generator,
) -> None:
    """Paint the drawing, or clutter for None, where nothing labelled is hidden too far; else leave it out."""
    shelf, row = place
    height, width = canvas.owner.shape
    largest = min(0.97 * shelf.room, 0.72 * height) * generator.uniform(0.8, 1.0)
    if drawing is None:
        image = draw_clutter(round(largest * generator.uniform(0.7, 1.0)), generator)
    else:
        image = _pose(drawing.image, largest * SIZES[drawing.label], shelf.room * 0.97, generator)
    image = _shade(image, side, generator)
    for _ in range(TRIES):
        column = generator.uniform(MARGIN + 0.03, 1 - MARGIN - 0.03) * width
        piece = _Piece(image, column, row, drawing.label if drawing else None)
        if _fits(canvas, piece):
            _paint(canvas, piece, side=side)
            return


def _pose(image: PIL.Image.Image, longest: float, room: float, generator: np.random.Generator) -> PIL.Image.Image:
    """The drawing at its size, perhaps mirrored, leaning a little or lying."""
    scale = longest / max(image.size)
    stretch = generator.uniform(0.92, 1.08)
    size = (max(4, round(image.width * scale * stretch)), max(4, round(image.height * scale / stretch)))
    posed = image.resize(size, PIL.Image.Resampling.BICUBIC)
    if generator.random() < 0.5:
        posed = posed.transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT)
    angle = generator.uniform(-110, 110) if generator.random() < 0.15 else generator.normal(0, 7)
    # Premultiplied, or the edges would take in the black of what is transparent.
    posed = posed.convert("RGBa").rotate(angle, PIL.Image.Resampling.BICUBIC, expand=True).convert("RGBA")
    posed = posed.crop(posed.getchannel("A").point([0] * 24 + [255] * 232).getbbox())
    if posed.height > room:
        posed = posed.resize((max(4, round(posed.width * room / posed.height)), max(4, int(room))))
    return posed


def _shade(image: PIL.Image.Image, side: float, generator: np.random.Generator) -> PIL.Image.Image:
    """The image brighter towards the light, darker below, and a little off in brightness and colour."""
    pixels = np.asarray(image).astype(np.float32)
    across = np.linspace(-1, 1, image.width, dtype=np.float32)[None, :] * side
    down = np.linspace(0, 1, image.height, dtype=np.float32)[:, None] ** 2
    shade = generator.uniform(0.88, 1.06) * (1 - 0.1 * across) * (1 - 0.16 * down)
    grey = pixels[..., :3].mean(axis=2, keepdims=True)
    coloured = grey + (pixels[..., :3] - grey) * generator.uniform(0.82, 1.08)
    tint = generator.normal(1, 0.025, 3)
    pixels[..., :3] = coloured * shade[..., None] * tint.astype(np.float32)
    return PIL.Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _fits(canvas: _Canvas, piece: _Piece) -> bool:
    """Whether enough stays visible: of the piece inside the image, and of every labelled thing behind it."""
    width = canvas.owner.shape[1]
    _, left = _corner(piece)
    inside = min(left + piece.image.width, (1 - MARGIN) * width) - max(left, MARGIN * width)
    if piece.label is not None and inside < 0.75 * piece.image.width:
        return False
    left_over = zip(canvas.visible, _hidden(canvas, piece), canvas.area, strict=True)
    return all(visible - hidden >= LEAST_VISIBLE * area for visible, hidden, area in left_over)


def _hidden(canvas: _Canvas, piece: _Piece) -> list[int]:
    """Pixels of each labelled thing that the piece would cover."""
    window, mask = _window(canvas, piece)
    hidden = np.bincount(canvas.owner[window][mask > 0.5], minlength=len(canvas.area))
    hidden[0] = 0
    return hidden.tolist()


def _paint(canvas: _Canvas, piece: _Piece, *, side: float) -> None:
    _cast_shadow(canvas, piece, side)
    window, mask = _window(canvas, piece)
    top, left = _corner(piece)
    colours = np.asarray(piece.image.convert("RGB")).astype(np.float32) / 255
    rows, columns = window
    colours = colours[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    canvas.pixels[window] += (colours - canvas.pixels[window]) * mask[..., None]
    canvas.visible = [visible - less for visible, less in zip(canvas.visible, _hidden(canvas, piece), strict=True)]
    canvas.owner[window][mask > 0.5] = len(canvas.area) if piece.label else 0
    if piece.label:
        canvas.area.append(int((mask > 0.5).sum()))
        canvas.visible.append(canvas.area[-1])
        canvas.labels.append(piece.label)


def _cast_shadow(canvas: _Canvas, piece: _Piece, side: float) -> None:
    """Darken the wall behind the piece, away from the light, and the shelf under it."""
    height, width = canvas.owner.shape
    alpha = piece.image.getchannel("A")
    reach = max(4, round(0.07 * max(alpha.size)))
    pad = 4 * reach
    sheet = PIL.Image.new("L", (alpha.width + 2 * pad, alpha.height + 2 * pad))
    sheet.paste(alpha.point(lambda value: value * 0.34), (pad + round(side * 1.4 * reach), pad + reach // 3))
    foot = PIL.Image.new("L", (max(2, round(alpha.width * 0.86)), max(3, reach)), 150)
    sheet.paste(foot, (pad + (alpha.width - foot.width) // 2, pad + alpha.height - reach // 2))
    shadow = np.asarray(sheet.filter(ImageFilter.GaussianBlur(reach * 0.75))).astype(np.float32) / 255
    top, left = (corner - pad for corner in _corner(piece))
    rows = slice(max(top, 0), min(top + sheet.height, height))
    columns = slice(max(left, 0), min(left + sheet.width, width))
    shadow = shadow[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    canvas.pixels[rows, columns] *= (1 - shadow)[..., None]


def _corner(piece: _Piece) -> tuple[int, int]:
    """Row and column of the piece's upper left corner."""
    return round(piece.row) - piece.image.height, round(piece.column - piece.image.width / 2)


def _window(canvas: _Canvas, piece: _Piece) -> tuple[tuple[slice, slice], Surface]:
    """The part of the canvas that the piece covers, and its opacity there."""
    height, width = canvas.owner.shape
    top, left = _corner(piece)
    rows = slice(max(top, 0), min(top + piece.image.height, height))
    columns = slice(max(left, 0), min(left + piece.image.width, width))
    alpha = np.asarray(piece.image.getchannel("A")).astype(np.float32) / 255
    return (rows, columns), alpha[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def _photograph(
    pixels: Surface, size: tuple[int, int], *, side: float, generator: np.random.Generator
) -> PIL.Image.Image:
    """The canvas as a camera sees it: from a little aside, under some light, not quite sharp, with noise."""
    height, width = size
    lit = pixels * _light(pixels.shape[:2], side, generator)
    whole = PIL.Image.fromarray((np.clip(lit, 0, 1) * 255).astype(np.uint8))
    corners = np.array([[0, 0], [0, 1], [1, 1], [1, 0]], np.float64)
    corners = MARGIN + (1 - 2 * MARGIN) * corners + generator.uniform(-MARGIN, MARGIN, (4, 2)) * 0.8
    quad = (corners * (whole.width, whole.height)).ravel().tolist()
    seen = whole.transform((width, height), PIL.Image.Transform.QUAD, quad, PIL.Image.Resampling.BILINEAR)
    if generator.random() < 0.4:
        seen = seen.filter(ImageFilter.GaussianBlur(generator.uniform(0.3, 0.9)))
    grain = generator.uniform(1, 4) * generator.standard_normal((height, width, 1), np.float32)
    return PIL.Image.fromarray(np.clip(np.asarray(seen) + grain, 0, 255).astype(np.uint8))


def _light(size: tuple[int, int], side: float, generator: np.random.Generator) -> Surface:
    """How bright each pixel is lit, and in which colour: h w 3."""
    height, width = size
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :] * side
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    slope = generator.uniform(0.0, 0.16)
    corner = generator.uniform(0.05, 0.2)
    bright = generator.uniform(0.88, 1.12) * (1 - slope * across - corner * (across**2 + down**2) / 2)
    bright = bright * (1 + 0.03 * smooth_noise(size, (3, 4), generator))
    warm = generator.normal(0.015, 0.035)
    return bright[..., None] * np.array([1 + warm, 1.0, 1 - 1.4 * warm], np.float32)
