"""Matplotlib figures: grids of images, points on images, and curves of training and thresholds.

The functions draw values that are computed elsewhere. Matplotlib is an optional package and imported when a figure is
drawn. New figures are created with pyplot, so that they become ``plt.gcf()`` and notebooks display them.

The axes of `show_images` use the coordinates of `eyebright.types`: the top-left corner of an image is (0, 0), and the
centre of its first pixel is (0.5, 0.5).
"""

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Num
from torch import Tensor

from eyebright._optional import import_optional
from eyebright.errors import InputError

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
        titles: one per image: a text, or labels that are joined by ``;``.
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
    rows, columns = _grid(len(images), rows, columns)
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
    figure, axes = _pyplot().subplots(rows, columns, figsize=(width, height), squeeze=False, layout="compressed")
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


def plot_loss(
    losses: Sequence[float],
    valid: Sequence[tuple[int, float]] = (),
    *,
    skip_start: int = 5,
    log: bool = False,
    ax: "matplotlib.axes.Axes | None" = None,
) -> "matplotlib.axes.Axes":
    """The axes of a learning curve: the training loss as a line, the validation loss as points.

    Args:
        losses: the (smoothed) training loss after each step.
        valid: (number of steps, validation loss) of each validation.
        skip_start: number of first steps to omit, because the large loss of a new head would hide later changes.
        log: True for a logarithmic loss axis.
        ax: axes to draw on; by default those of a new figure.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    ax = _axes(ax)
    ax.plot(range(skip_start, len(losses)), losses[skip_start:], label="train")
    points = [(step, loss) for step, loss in valid if step >= skip_start]
    if points:
        ax.plot([step for step, _ in points], [loss for _, loss in points], "o-", label="valid")
    ax.set(title="learning curve", xlabel="steps", ylabel="loss", yscale="log" if log else "linear")
    ax.legend()
    return ax


def plot_lr_find(
    lrs: Sequence[float],
    losses: Sequence[float],
    suggestions: Mapping[str, float],
    *,
    ax: "matplotlib.axes.Axes | None" = None,
) -> "matplotlib.axes.Axes":
    """The axes of a learning rate search: the loss over the learning rate, with the suggestions as points.

    Args:
        lrs: learning rates, increasing.
        losses: the (smoothed) loss at each learning rate.
        suggestions: name and learning rate of each suggestion, for example ``{"valley": 1e-3}``.
        ax: axes to draw on; by default those of a new figure.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    ax = _axes(ax)
    ax.plot(lrs, losses)
    for name, rate in suggestions.items():
        loss = float(np.interp(math.log(rate), np.log(lrs), losses))
        ax.plot([rate], [loss], "o", label=f"{name} {rate:.2g}")
    ax.set(xlabel="learning rate", ylabel="loss", xscale="log")
    # The diverging loss at the end would compress the interesting part of the curve.
    until_minimum = losses[: int(np.argmin(losses)) + 1]
    top = min(losses) + 2 * (max(until_minimum) - min(losses))
    if min(losses) < top < max(losses):
        ax.set_ylim(min(losses) - 0.05 * (top - min(losses)), top)
    if suggestions:
        ax.legend()
    return ax


def plot_rates(
    lrs: Sequence[float],
    *,
    ax: "matplotlib.axes.Axes | None" = None,
    figsize: tuple[float, float] | None = None,
) -> "matplotlib.axes.Axes":
    """The axes of the learning rate at each step.

    Args:
        lrs: of each step.
        ax: axes to draw on; by default those of a new figure.
        figsize: width and height of the new figure in inches.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    ax = _axes(ax, figsize)
    ax.plot(lrs)
    ax.set(xlabel="steps", ylabel="learning rate")
    return ax


def plot_threshold_curve(
    thresholds: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    *,
    chosen: float | None = None,
    ax: "matplotlib.axes.Axes | None" = None,
    figsize: tuple[float, float] | None = None,
) -> "matplotlib.axes.Axes":
    """The axes of scores over the decision threshold.

    Args:
        thresholds: in [0, 1], increasing.
        curves: for each score its name and its values at the thresholds.
        chosen: the threshold in use, drawn as a vertical line.
        ax: axes to draw on; by default those of a new figure.
        figsize: width and height of the new figure in inches; by default that of Matplotlib.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    ax = _axes(ax, figsize)
    for name, scores in curves.items():
        ax.plot(thresholds, scores, label=name)
    if chosen is not None:
        ax.axvline(chosen, color="grey", linestyle="--", label=f"in use: {chosen:.2f}")
    ax.set(xlabel="threshold", ylabel="score", xlim=(0, 1), ylim=(0, 1.02))
    ax.legend()
    return ax


def plot_precision_recall(
    recall: Sequence[float],
    precision: Sequence[float],
    *,
    label: str | None = None,
    ax: "matplotlib.axes.Axes | None" = None,
) -> "matplotlib.axes.Axes":
    """The axes of a precision-recall curve as steps, so that the area under it is the average precision.

    Args:
        recall: increasing, from 0 to 1.
        precision: at each recall; constant from the previous recall to this one.
        label: name of the curve in the legend.
        ax: axes to draw on; by default those of a new figure.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    ax = _axes(ax)
    ax.step(recall, precision, where="pre", label=label)
    ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    if label is not None:
        ax.legend()
    return ax


def figure_of_matrices(
    count: int, *, figsize: tuple[float, float] | None = None, dpi: float | None = None
) -> tuple["matplotlib.figure.Figure", list["matplotlib.axes.Axes"]]:
    """A figure with a grid of axes for `plot_matrix`; those without a matrix are not shown.

    Args:
        count: number of matrices.
        figsize: width and height of the figure in inches.
        dpi: pixels per inch.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    rows, columns = _grid(count, None, None)
    figure, axes = _pyplot().subplots(rows, columns, figsize=figsize, dpi=dpi, squeeze=False, layout="constrained")
    for ax in list(axes.flat)[count:]:
        ax.set_axis_off()
    return figure, list(axes.flat)


def plot_matrix(
    ax: "matplotlib.axes.Axes",
    values: Num[np.ndarray, "k k"],
    names: Sequence[str],
    *,
    title: str,
    cmap: str,
    text: str | None,
) -> None:
    """Draw a confusion matrix: rows are the targets, columns the predictions.

    Args:
        ax: the axes.
        values: numbers of images, or fractions.
        names: of the rows and columns.
        title: of the axes.
        cmap: Matplotlib's colour map.
        text: format of the numbers in the cells; None for no numbers.
    """
    ax.imshow(values, interpolation="nearest", cmap=cmap)
    ax.set_title(title, parse_math=False)
    ax.set_xticks(range(len(names)), names, rotation=90 if len(names) > 2 else 0, parse_math=False)
    ax.set_yticks(range(len(names)), names, parse_math=False)
    ax.set(xlabel="Predicted", ylabel="Actual")
    for (row, column), value in np.ndenumerate(values) if text is not None else ():
        color = "white" if value > values.max() / 2 else "black"
        ax.text(column, row, f"{value:{text}}", ha="center", va="center", color=color)


def plot_metric_histories(
    train: Mapping[str, Sequence[float]], valid: Mapping[str, Sequence[float]]
) -> "matplotlib.figure.Figure":
    """A figure with one axes per metric: its values on the training and the validation set over the epochs.

    Args:
        train: the name of each metric, and its value on the training set in each epoch.
        valid: the same for the validation set.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    figure, axes = _pyplot().subplots(1, len(train), figsize=(5 * len(train), 4), squeeze=False)
    for ax, name in zip(axes.flat, train, strict=True):
        ax.plot(train[name], "o-", label="train")
        ax.plot(valid[name], "o-", label="valid")
        ax.set(title=name, xlabel="epoch")
        ax.legend()
    return figure


def plot_function(
    f: Callable[[Tensor], Tensor],
    tx: str | None = None,
    ty: str | None = None,
    title: str | None = None,
    min: float = -2,  # noqa: A002  # fastai's names
    max: float = 2,  # noqa: A002
    figsize: tuple[float, float] = (6, 4),
) -> None:
    """Plot a function of one variable.

    Args:
        f: an element-wise function of a tensor.
        tx: label of the x axis.
        ty: label of the y axis.
        title: title of the figure.
        min: minimum of x.
        max: maximum of x.
        figsize: width and height of the figure in inches.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    x = torch.linspace(min, max, 100)
    ax = _pyplot().subplots(figsize=figsize)[1]
    ax.plot(x.tolist(), f(x).tolist())
    ax.set(xlabel=tx or "", ylabel=ty or "", title=title or "")


def _grid(n: int, rows: int | None, columns: int | None) -> tuple[int, int]:
    """(rows, columns) of the grid for ``n`` images, as in fastai."""
    if n == 0:
        raise InputError("there are no images to show")
    if rows is None:
        rows = int(math.sqrt(n)) if columns is None else math.ceil(n / columns)
    return rows, columns or math.ceil(n / rows)


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


def _axes(ax: "matplotlib.axes.Axes | None", figsize: tuple[float, float] | None = None) -> "matplotlib.axes.Axes":
    return _pyplot().subplots(figsize=figsize)[1] if ax is None else ax


def _pyplot() -> Any:
    return import_optional("matplotlib.pyplot", extra="plot", purpose="drawing a figure")
