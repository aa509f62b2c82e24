"""Matplotlib, imported when a figure is drawn, and the shape of a grid of axes.

Matplotlib is an optional package. Figures are created with pyplot, so that they become ``plt.gcf()`` and notebooks
display them.
"""

import math
from typing import Any

from eyebright._optional import import_optional
from eyebright.errors import InputError


def pyplot() -> Any:
    """The module ``matplotlib.pyplot``.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    return import_optional("matplotlib.pyplot", extra="plot", purpose="drawing a figure")


def grid_shape(n: int, rows: int | None = None, columns: int | None = None) -> tuple[int, int]:
    """(rows, columns) of a grid: as in fastai ``int(sqrt(n))`` rows, and as many columns as needed.

    Args:
        n: number of images or matrices.
        rows: number of rows, if it is given.
        columns: number of columns, if it is given.

    Raises:
        InputError: ``n`` is 0.
    """
    if n == 0:
        raise InputError("there are no images to show")
    if rows is None:
        rows = int(math.sqrt(n)) if columns is None else math.ceil(n / columns)
    return rows, columns or math.ceil(n / rows)
