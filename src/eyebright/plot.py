"""Values drawn on axes: images in a grid, points on an image, and the curves of training and of thresholds.

Values go in and figures come out; nothing is computed here that could be right or wrong. Matplotlib is imported where
it is used, because only drawing needs it. A new figure is made through pyplot, so that it becomes ``plt.gcf()`` and a
notebook shows it by itself.

Axes that `show_images` makes speak the coordinates of `eyebright.types`: the top-left corner of an image is (0, 0),
and the centre of its first pixel is (0.5, 0.5).
"""

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eyebright._optional import import_optional
from eyebright.errors import InputError

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

_INCHES = 3  # for the longer side of each image of a grid
_LETTERS = (12.0, 10.5, 9.0)  # points: the sizes of titles, down to what is still read with ease
_WIDTH, _LEADING = 0.62, 1.3  # of a letter and of its line, as shares of its size
_MOST_LINES = 4  # of a title
_TITLE = 0.45  # inches that titles take where images are wider than high
_SHARE = 0.4  # of the height of a place, that titles of many lines may take


def show_images(
    images: Sequence[Any],
    titles: Sequence[str | Sequence[str]],
    *,
    rows: int | None = None,
    columns: int | None = None,
    figsize: tuple[float, float] | None = None,
    colors: Sequence[str] | None = None,
) -> "matplotlib.figure.Figure":
    """A figure of images in a grid, each under its title; it has one axes for each place of the grid.

    Without ``rows`` and ``columns`` the grid is the book's: ``int(sqrt(n))`` rows, and as many columns as it takes.
    Images for which a given grid has no place are left out. A title that is too wide for its place gets smaller
    letters, then several lines (one that has lines already keeps them), and is cut at last.

    Args:
        images: uint8 arrays of shape (h, w, 3), or Pillow images.
        titles: one for each image; several labels of one image are joined by ``;``.
        rows: number of rows.
        columns: number of columns.
        figsize: width and height in inches; when not given, 3 inches for the longer side of each place of the grid,
            whose shape is that of the images.
        colors: of the titles, one for each image.

    Raises:
        InputError: nothing to show, or not one title (and color) for each image.
    """
    for name, values in (("titles", titles), ("colors", colors)):
        if values is not None and len(values) != len(images):
            raise InputError(f"{len(images)} images need as many {name}, got {len(values)}")
    rows, columns = _grid(len(images), rows, columns)
    every = [np.asarray(image) for image in images]
    words = [title if isinstance(title, str) else ";".join(title) for title in titles]
    ratio = _ratio(every)
    line = _TITLE if any(words) else 0
    width, height = figsize or (columns * _INCHES / max(ratio, 1), rows * min(_INCHES * ratio + line, _INCHES))
    type_ = _type_for(words, (width / columns, height / rows), ratio)
    # Images have a shape of their own, and this layout lets them stand close together.
    figure, axes = _pyplot().subplots(rows, columns, figsize=(width, height), squeeze=False, layout="compressed")
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, pixels, title in zip(axes.flat, every, words, strict=False):
        ax.imshow(pixels, extent=(0, pixels.shape[1], pixels.shape[0], 0))
        ax.set_title(type_.fitted(title), fontsize=type_.letters, parse_math=False)
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
    """Draws points over an image of `show_images`; those that are not visible are left out.

    Args:
        ax: the axes that hold the image; their limits stay.
        xy: (x, y) in the pixels of the image.
        visible: which of them are known; all when not given.
        color: of the points.
        marker: Matplotlib's sign for their shape, for example ``"x"`` for predictions.
    """
    shown = xy if visible is None else xy[visible]
    effects = import_optional("matplotlib.patheffects", extra="report", purpose="drawing a figure")
    ax.autoscale(enable=False)
    drawn = ax.scatter(shown[:, 0].tolist(), shown[:, 1].tolist(), s=45, c=color, marker=marker)
    drawn.set_path_effects([effects.withStroke(linewidth=3, foreground="white")])  # to be seen on any image


def plot_loss(
    losses: Sequence[float],
    valid: Sequence[tuple[int, float]] = (),
    *,
    skip_start: int = 5,
    log: bool = False,
    ax: "matplotlib.axes.Axes | None" = None,
) -> "matplotlib.axes.Axes":
    """The learning curve: the training loss as a line, the validation loss as points.

    Args:
        losses: the (smoothed) training loss after each step.
        valid: (number of steps done, validation loss) for each time that it was measured.
        skip_start: number of first steps that are left out, because a fresh head's loss hides all later ones.
        log: loss on a logarithmic axis.
        ax: where to draw; a new figure when not given.
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
    """The loss at each learning rate that was tried, with the suggested rates marked on the curve.

    Args:
        lrs: learning rates, rising.
        losses: the (smoothed) loss at each.
        suggestions: name and rate of each suggestion, for example ``{"valley": 1e-3}``.
        ax: where to draw; a new figure when not given.
    """
    ax = _axes(ax)
    ax.plot(lrs, losses)
    for name, rate in suggestions.items():
        loss = float(np.interp(math.log(rate), np.log(lrs), losses))
        ax.plot([rate], [loss], "o", label=f"{name} {rate:.2g}")
    ax.set(xlabel="learning rate", ylabel="loss", xscale="log")
    # The end, where the loss runs away, would press everything that is to be read into one line.
    before = losses[: int(np.argmin(losses)) + 1]
    top = min(losses) + 2 * (max(before) - min(losses))
    if min(losses) < top < max(losses):
        ax.set_ylim(min(losses) - 0.05 * (top - min(losses)), top)
    if suggestions:
        ax.legend()
    return ax


def plot_threshold_curve(
    thresholds: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    *,
    chosen: float | None = None,
    ax: "matplotlib.axes.Axes | None" = None,
) -> "matplotlib.axes.Axes":
    """Scores against the threshold that turns probabilities into decisions.

    Args:
        thresholds: in [0, 1], rising.
        curves: name of each score and its value at every threshold.
        chosen: the threshold in use, drawn as a vertical line.
        ax: where to draw; a new figure when not given.
    """
    ax = _axes(ax)
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
    """Precision against recall as steps, the way that average precision sums them.

    Args:
        recall: from 0 up to 1.
        precision: at each recall; it holds for the step that ends there.
        label: name of the curve in the legend.
        ax: where to draw; a new figure when not given.
    """
    ax = _axes(ax)
    ax.step(recall, precision, where="pre", label=label)
    ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    if label is not None:
        ax.legend()
    return ax


def plot_function(
    f: Callable[[Tensor], Tensor],
    tx: str | None = None,
    ty: str | None = None,
    title: str | None = None,
    min: float = -2,  # noqa: A002  # the book's names
    max: float = 2,  # noqa: A002
    figsize: tuple[float, float] = (6, 4),
) -> None:
    """Draws a function of one number, as in the book.

    Args:
        f: takes a tensor of numbers and gives as many.
        tx: text under the x axis.
        ty: text beside the y axis.
        title: over the figure.
        min: where x begins.
        max: where x ends.
        figsize: width and height in inches.
    """
    x = torch.linspace(min, max, 100)
    ax = _pyplot().subplots(figsize=figsize)[1]
    ax.plot(x.tolist(), f(x).tolist())
    ax.set(xlabel=tx or "", ylabel=ty or "", title=title or "")


def _grid(n: int, rows: int | None, columns: int | None) -> tuple[int, int]:
    """The book's grid for ``n`` images: (rows, columns)."""
    if n == 0:
        raise InputError("there are no images to show")
    if rows is None:
        rows = int(math.sqrt(n)) if columns is None else math.ceil(n / columns)
    return rows, columns or math.ceil(n / rows)


def _ratio(images: Sequence[Any]) -> float:
    """Height over width of a place for these images: their mean, in which a strip does not count for too much."""
    return float(np.mean([np.clip(pixels.shape[0] / pixels.shape[1], 0.5, 2) for pixels in images]))


class _Type(NamedTuple):
    """How titles are set: the size of letters in points, how many make a line, and how many lines there may be."""

    letters: float
    line: int
    lines: int

    @staticmethod
    def over(place: tuple[float, float], ratio: float, letters: float, lines: int) -> "_Type":
        """So many lines of such letters over an image; arguments as in `_type_for`."""
        left = place[1] - lines * letters * _LEADING / 72 - 0.15
        room = min(place[0], max(left, 0.2) / ratio) - 0.05
        return _Type(letters, max(int(room * 72 / (letters * _WIDTH)), 4), lines)

    def fits(self, title: str) -> bool:
        return len(self._broken(title)) <= max(self.lines, title.count("\n") + 1)

    def fitted(self, title: str) -> str:
        """The title; what is too much for its lines is cut."""
        lines = self._broken(title)
        if "\n" in title:
            lines = title.split("\n")
        elif len(lines) > self.lines:
            lines = [*lines[: self.lines - 1], "".join(lines[self.lines - 1 :])]
        return "\n".join(line if len(line) <= self.line else line[: self.line - 1] + "…" for line in lines)

    def _broken(self, title: str) -> list[str]:
        """Lines that break after a label, or in it where it is longer than a line."""
        spaced = [textwrap.wrap(line.replace(";", "; "), self.line) or [""] for line in title.split("\n")]
        return [line.replace("; ", ";") for lines in spaced for line in lines]


def _type_for(titles: Sequence[str], place: tuple[float, float], ratio: float) -> _Type:
    """The largest letters and the fewest lines in which all titles fit over their images.

    Args:
        titles: some may have lines already.
        place: width and height in inches of a place of the grid; lines of titles take from the image's height.
        ratio: height over width of the images.
    """
    given = max(title.count("\n") for title in titles) + 1
    most = min(_MOST_LINES, int(place[1] * _SHARE * 72 / (_LETTERS[-1] * _LEADING))) if given == 1 else 0
    sizes = [*((letters, given) for letters in _LETTERS), *((_LETTERS[-1], lines) for lines in range(2, most + 1))]
    types = [_Type.over(place, ratio, letters, lines) for letters, lines in sizes]
    return next((one for one in types if all(map(one.fits, titles))), types[-1])


def _axes(given: "matplotlib.axes.Axes | None") -> "matplotlib.axes.Axes":
    return _pyplot().subplots()[1] if given is None else given


def _pyplot() -> Any:
    return import_optional("matplotlib.pyplot", extra="report", purpose="drawing a figure")
