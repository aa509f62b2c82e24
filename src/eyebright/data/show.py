"""Batches drawn for people: images with their targets, and with what a model made of them."""

import math

from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.data.datasets import Dataset
from eyebright.data.loader import Batch
from eyebright.errors import InputError
from eyebright.image.warp import Warp
from eyebright.plot import draw_points, show_images
from eyebright.tasks.base import NO_LABEL, TargetBlock
from eyebright.transforms.pipeline import to_images
from eyebright.types import Points, Size, Thresholds

Grid = tuple[int | None, int | None]
"""(rows, columns); None leaves it open."""

_MOST_PAIRS = 6  # images beside themselves, when no grid is given


def show_targets(
    x: Float[Tensor, "b c h w"],
    y: Shaped[Tensor, "b ..."] | None,
    target: TargetBlock | None,
    *,
    grid: Grid = (None, None),
    figsize: tuple[float, float] | None = None,
) -> None:
    """Draw images as the network sees them, with their targets as titles or as points.

    Args:
        x: in [0, 1].
        y: encoded targets; None where there are none.
        target: the fitted block that encoded them; None where there are none.
        grid: how they are laid out.
        figsize: width and height in inches.
    """
    titles, marks = [""] * len(x), list[Points | None]()
    if y is not None and target is not None:
        values = [target.decode(row.cpu(), warp=Warp.identity(Size(*x.shape[-2:]))) for row in y]
        marks = [target.marks(value) for value in values]
        titles = ["" if mark else target.words(value) for value, mark in zip(values, marks, strict=True)]
    figure = show_images(list(to_images(x)), titles, rows=grid[0], columns=grid[1], figsize=figsize)
    for ax, mark in zip(figure.axes, marks, strict=False):
        if mark is not None:
            draw_points(ax, mark.xy, mark.visible)


def show_answers(
    dataset: Dataset,
    batch: Batch,
    predictions: Float[Tensor, "b ..."],
    *,
    thresholds: Thresholds,
    most: int,
    grid: Grid = (None, None),
    figsize: tuple[float, float] | None = None,
) -> None:
    """Draw images with their targets and the predictions for them.

    Args:
        dataset: that the batch was read from.
        batch: with targets.
        predictions: activated, one row for each image of the batch.
        thresholds: from probabilities to decisions.
        most: how many images at most.
        grid: how they are laid out; for points, in pairs.
        figsize: width and height in inches.

    Raises:
        InputError: there are no targets to compare with.
    """
    target = dataset.fields.target
    if target is None or batch.y is None:
        raise InputError("these images have no targets to show predictions beside")
    if grid[0] and grid[1]:
        most = min(most, grid[0] * grid[1])
    if target.marks(dataset.fields.y(dataset.source, batch.indices[0])) is None:
        _show_words(batch, predictions[:most], target, thresholds, grid=grid, figsize=figsize)
    else:
        _show_pairs(dataset, batch, predictions[:most], target, grid=grid, figsize=figsize)


def _show_words(
    batch: Batch,
    predictions: Tensor,
    target: TargetBlock,
    thresholds: Thresholds,
    *,
    grid: Grid,
    figsize: tuple[float, float] | None,
) -> None:
    """The target's words over the prediction's; where they are names, green when right and red when wrong."""
    assert batch.y is not None
    right = [target.decode(row.cpu()) for row in batch.y[: len(predictions)]]
    given = [target.decode(row, thresholds=thresholds) for row in predictions]
    titles = [
        f"{target.words(truth) or NO_LABEL}\n{target.words(answer) or NO_LABEL}"
        for truth, answer in zip(right, given, strict=True)
    ]
    colors = ["green" if truth == answer else "red" for truth, answer in zip(right, given, strict=True)]
    show_images(
        list(to_images(batch.x[: len(predictions)])),
        titles,
        rows=grid[0],
        columns=grid[1],
        figsize=figsize,
        colors=None if target.classes is None else colors,
    )


def _show_pairs(
    dataset: Dataset,
    batch: Batch,
    predictions: Tensor,
    target: TargetBlock,
    *,
    grid: Grid,
    figsize: tuple[float, float] | None,
) -> None:
    """The user's own image twice: with the target, and with the prediction."""
    rows, columns = grid[0], grid[1] or 1
    count = min(len(predictions), _MOST_PAIRS if rows is None else rows * columns)
    images, marks = list[object](), list[Points | None]()
    for i in range(count):
        index = batch.indices[i]
        pixels = dataset.fields.x(dataset.source, index).pixels()
        images += [pixels, pixels]
        marks.append(target.marks(dataset.fields.y(dataset.source, index)))
        marks.append(target.marks(target.decode(predictions[i], warp=batch.warps[i])))
    rows = rows or math.ceil(count / columns)
    figure = show_images(images, [""] * len(images), rows=rows, columns=2 * columns, figsize=figsize)
    figure.suptitle("Target/Prediction")
    for place, (ax, mark) in enumerate(zip(figure.axes, marks, strict=False)):
        if mark is not None:
            draw_points(ax, mark.xy, mark.visible, marker="o" if place % 2 == 0 else "x")
