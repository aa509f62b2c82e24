"""Confusion matrices."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Num

from eyebright.plot.figure import grid_shape, pyplot

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure


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
    rows, columns = grid_shape(count)
    figure, axes = pyplot().subplots(rows, columns, figsize=figsize, dpi=dpi, squeeze=False, layout="constrained")
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
    values_format: str | None,
) -> None:
    """Draw a confusion matrix: rows are the targets, columns the predictions.

    Args:
        ax: the axes.
        values: numbers of images, or fractions.
        names: the names of the rows and columns.
        title: the title of the axes.
        cmap: Matplotlib's colour map.
        values_format: the format specification of the numbers in the cells; None for no numbers.
    """
    ax.imshow(values, interpolation="nearest", cmap=cmap)
    ax.set_title(title, parse_math=False)
    ax.set_xticks(range(len(names)), names, rotation=90 if len(names) > 2 else 0, parse_math=False)
    ax.set_yticks(range(len(names)), names, parse_math=False)
    ax.set(xlabel="Predicted", ylabel="Actual")
    for (row, column), value in np.ndenumerate(values) if values_format is not None else ():
        color = "white" if value > values.max() / 2 else "black"
        ax.text(column, row, f"{value:{values_format}}", ha="center", va="center", color=color)
