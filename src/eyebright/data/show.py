"""Draws batches for people: images with their targets, or with targets and predictions."""

import math
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.data.batch import Batch
from eyebright.data.datasets import Dataset
from eyebright.errors import InputError
from eyebright.image.warp import Warp
from eyebright.plot.images import draw_points, show_images
from eyebright.tasks.base import NO_LABEL_CAPTION, TargetBlock
from eyebright.transforms.pipeline import to_images
from eyebright.types import Points, Size

Grid = tuple[int | None, int | None]
"""(rows, columns); None: as many as are needed."""

_MAX_PAIRS = 6  # most pairs of an image with its target and the same image with its prediction, without a given grid


def show_targets(
    x: Float[Tensor, "b c h w"],
    y: Shaped[Tensor, "b ..."] | None,
    block: TargetBlock | None,
    *,
    grid: Grid = (None, None),
    figsize: tuple[float, float] | None = None,
) -> None:
    """Draw images as the network sees them, with their targets as titles or as points.

    Args:
        x: the pixels, in [0, 1].
        y: encoded targets; None where there are none.
        block: the fitted block that encoded them; None where there is none.
        grid: rows and columns.
        figsize: width and height in inches.
    """
    titles, points = [""] * len(x), list[Points | None]()
    if y is not None and block is not None:
        unwarped = [Warp.identity(Size(*x.shape[-2:]))] * len(y)
        values = [block.decode(row) for row in block.to_user_units(y.cpu(), unwarped)]
        points = [block.points_of(value) for value in values]
        titles = ["" if drawn else block.text(value) for value, drawn in zip(values, points, strict=True)]
    figure = show_images(list(to_images(x)), titles, rows=grid[0], columns=grid[1], figsize=figsize)
    for ax, drawn in zip(figure.axes, points, strict=False):
        if drawn is not None:
            draw_points(ax, drawn.xy, drawn.known)


def show_predictions(
    dataset: Dataset,
    batch: Batch,
    decoded: Sequence[Any],
    *,
    grid: Grid = (None, None),
    figsize: tuple[float, float] | None = None,
) -> None:
    """Draw the first images of a batch with their targets and predictions.

    Args:
        dataset: that the batch was read from.
        batch: a batch with targets.
        decoded: the predicted values of its first images, as `Decision.decode_batch` returns them.
        grid: rows and columns; for points, columns of pairs.
        figsize: width and height in inches.

    Raises:
        InputError: there are no targets to compare with.
        ImageError: an image cannot be read.
    """
    block = dataset.target
    if block is None or batch.y is None:
        raise InputError("these images have no targets to compare predictions with")
    if grid[0] and grid[1]:
        decoded = decoded[: grid[0] * grid[1]]
    read_y = dataset.spec.y_reader(dataset.all_items)
    values = [read_y(batch.item_indices[i]) for i in range(len(decoded))]
    if block.points_of(values[0]) is None:
        _show_titles(batch, values, decoded, block, grid=grid, figsize=figsize)
    else:
        _show_pairs(dataset, batch, values, decoded, block, grid=grid, figsize=figsize)


def _show_titles(
    batch: Batch,
    values: Sequence[Any],
    decoded: Sequence[Any],
    block: TargetBlock,
    *,
    grid: Grid,
    figsize: tuple[float, float] | None,
) -> None:
    """Each title is the target above the prediction; green if equal, red if not, where that is known."""
    pairs = list(zip(values, decoded, strict=True))
    titles = [
        f"{block.text(value) or NO_LABEL_CAPTION}\n{block.text(predicted) or NO_LABEL_CAPTION}"
        for value, predicted in pairs
    ]
    colors = ["green" if value == predicted else "red" for value, predicted in pairs]
    show_images(
        list(to_images(batch.x[: len(decoded)])),
        titles,
        rows=grid[0],
        columns=grid[1],
        figsize=figsize,
        colors=colors if block.is_categorical else None,
    )


def _show_pairs(
    dataset: Dataset,
    batch: Batch,
    values: Sequence[Any],
    decoded: Sequence[Any],
    block: TargetBlock,
    *,
    grid: Grid,
    figsize: tuple[float, float] | None,
) -> None:
    """The user's own image twice: with the points of the target, and with those of the prediction."""
    rows, columns = grid[0], grid[1] or 1
    count = min(len(decoded), _MAX_PAIRS if rows is None else rows * columns)
    read_x = dataset.spec.x_reader(dataset.all_items)
    images, points = list[object](), list[Points | None]()
    for i in range(count):
        pixels = read_x(batch.item_indices[i]).pixels()
        images += [pixels, pixels]
        points += [block.points_of(values[i]), block.points_of(decoded[i])]
    rows = rows or math.ceil(count / columns)
    figure = show_images(images, [""] * len(images), rows=rows, columns=2 * columns, figsize=figsize)
    figure.suptitle("Target/Prediction")
    for i, (ax, drawn) in enumerate(zip(figure.axes, points, strict=False)):
        if drawn is not None:
            draw_points(ax, drawn.xy, drawn.known, marker="o" if i % 2 == 0 else "x")
