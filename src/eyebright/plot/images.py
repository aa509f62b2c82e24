"""Grids of images under their titles, and points on images.

The axes use the coordinates of `eyebright.types`: the top-left corner of an image is (0, 0), and the centre of its
first pixel is (0.5, 0.5).
"""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from eyebright._optional import import_optional
from eyebright.errors import InputError
from eyebright.plot.figure import grid_shape, pyplot

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

_CELL_INCHES = 3  # longer side of a cell of the grid
_FONT_SIZES = (12.0, 10.5, 9.0)  # of titles, in points; smaller ones are hard to read
_CHARACTER_WIDTH, _LINE_HEIGHT = 0.62, 1.3  # relative to the font size
_MAX_LINES = 4  # of a title
_TITLE_INCHES = 0.45  # added to a row for its titles, if images are wider than high
_MAX_TITLE_HEIGHT = 0.4  # of titles of several lines, as a fraction of the cell height


def show_images(
    images: Sequence[Any],
    titles: Sequence[str | Sequence[str]],
    *,
    rows: int | None = None,
    columns: int | None = None,
    figsize: tuple[float, float] | None = None,
    colors: Sequence[str] | None = None,
) -> "matplotlib.figure.Figure":
    """A figure with a grid of images under their titles; it has one axes per cell of the grid.

    Without ``rows`` and ``columns`` the grid is that of fastai: ``int(sqrt(n))`` rows and as many columns as needed.
    If ``rows * columns`` is smaller than the number of images, the last images are omitted. A title that is too wide
    gets a smaller font, then line breaks (unless it has some already), and is truncated at last.

    Args:
        images: uint8 arrays of shape (h, w, 3), or Pillow images.
        titles: one per image: a string, or labels that are joined by ``;``.
        rows: number of rows.
        columns: number of columns.
        figsize: width and height of the figure in inches; by default the longer side of each cell is 3 inches, and the
            cells have the mean aspect ratio of the images.
        colors: colours of the titles, one per image.

    Raises:
        InputError: there are no images, or the number of titles or colours differs from the number of images.
        MissingExtraError: Matplotlib is not installed.
    """
    for name, values in (("titles", titles), ("colors", colors)):
        if values is not None and len(values) != len(images):
            raise InputError(f"expected {len(images)} {name} for {len(images)} images, got {len(values)}")
    rows, columns = grid_shape(len(images), rows, columns)
    arrays = [np.asarray(image) for image in images]
    texts = [title if isinstance(title, str) else ";".join(title) for title in titles]
    ratio = _cell_ratio(arrays)
    title_height = _TITLE_INCHES if any(texts) else 0
    width, height = figsize or (
        columns * _CELL_INCHES / max(ratio, 1),
        rows * min(_CELL_INCHES * ratio + title_height, _CELL_INCHES),
    )
    layout = _title_layout(texts, (width / columns, height / rows), ratio)
    # The layout "compressed" is made for axes of fixed aspect ratio and leaves little space between them.
    figure, axes = pyplot().subplots(rows, columns, figsize=(width, height), squeeze=False, layout="compressed")
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, pixels, title in zip(axes.flat, arrays, texts, strict=False):
        ax.imshow(pixels, extent=(0, pixels.shape[1], pixels.shape[0], 0))
        ax.set_title(layout.fit(title), fontsize=layout.font_size, parse_math=False)
    for ax, color in zip(axes.flat, colors or (), strict=False):
        ax.title.set_color(color)
    return figure


def draw_points(
    ax: "matplotlib.axes.Axes",
    xy: Float[Tensor, "n 2"],
    visible: Bool[Tensor, " n"] | None = None,
    *,
    color: str = "red",
    marker: str = "o",
) -> None:
    """Draw points on an image of `show_images`.

    Args:
        ax: the axes of the image; their limits are not changed.
        xy: (x, y) in pixels of the image.
        visible: False for points that are not drawn; by default all are drawn.
        color: colour of the points.
        marker: Matplotlib's marker, for example ``"x"`` for predictions.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    shown = xy if visible is None else xy[visible]
    effects = import_optional("matplotlib.patheffects", extra="plot", purpose="drawing a figure")
    ax.autoscale(enable=False)
    markers = ax.scatter(shown[:, 0].tolist(), shown[:, 1].tolist(), s=45, c=color, marker=marker)
    markers.set_path_effects([effects.withStroke(linewidth=3, foreground="white")])  # visible on any image


def _cell_ratio(images: Sequence[Any]) -> float:
    """Height / width of a cell: the mean of the images, each clipped to [0.5, 2]."""
    return float(np.mean([np.clip(pixels.shape[0] / pixels.shape[1], 0.5, 2) for pixels in images]))


class _TitleLayout(NamedTuple):
    """The font size of titles in points, their maximum line length in characters, and their maximum number of lines."""

    font_size: float
    line_length: int
    max_lines: int

    @staticmethod
    def create(cell: tuple[float, float], ratio: float, font_size: float, max_lines: int) -> "_TitleLayout":
        """The layout for a font size and a number of lines; other arguments as in `_title_layout`."""
        image_height = cell[1] - max_lines * font_size * _LINE_HEIGHT / 72 - 0.15
        width = min(cell[0], max(image_height, 0.2) / ratio) - 0.05
        return _TitleLayout(font_size, max(int(width * 72 / (font_size * _CHARACTER_WIDTH)), 4), max_lines)

    def fits(self, title: str) -> bool:
        return len(self._wrap(title)) <= max(self.max_lines, title.count("\n") + 1)

    def fit(self, title: str) -> str:
        """The title with line breaks, truncated if it is too long."""
        lines = self._wrap(title)
        if "\n" in title:
            lines = title.split("\n")
        elif len(lines) > self.max_lines:
            lines = [*lines[: self.max_lines - 1], "".join(lines[self.max_lines - 1 :])]
        n = self.line_length
        return "\n".join(line if len(line) <= n else line[: n - 1] + "…" for line in lines)

    def _wrap(self, title: str) -> list[str]:
        """Lines broken after a label, or within a label that is longer than a line."""
        wrapped = [textwrap.wrap(line.replace(";", "; "), self.line_length) or [""] for line in title.split("\n")]
        return [line.replace("; ", ";") for lines in wrapped for line in lines]


def _title_layout(titles: Sequence[str], cell: tuple[float, float], ratio: float) -> _TitleLayout:
    """The layout with the largest font and the fewest lines in which all titles fit.

    Args:
        titles: the titles; those that contain line breaks keep them.
        cell: width and height of a cell of the grid in inches; titles reduce the height of the image.
        ratio: height / width of the images.
    """
    lines = max(title.count("\n") for title in titles) + 1
    smallest = _FONT_SIZES[-1]
    max_lines = min(_MAX_LINES, int(cell[1] * _MAX_TITLE_HEIGHT * 72 / (smallest * _LINE_HEIGHT))) if lines == 1 else 0
    options = [*((size, lines) for size in _FONT_SIZES), *((smallest, n) for n in range(2, max_lines + 1))]
    layouts = [_TitleLayout.create(cell, ratio, size, n) for size, n in options]
    return next((layout for layout in layouts if all(map(layout.fits, titles))), layouts[-1])
