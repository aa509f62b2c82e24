"""Batches drawn for people: images with their targets, and with what a model made of them."""

import math
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.data.datasets import Dataset
from eyebright.data.loader import Batch
from eyebright.errors import InputError
from eyebright.image.warp import Warp
from eyebright.plot import draw_points, show_images
from eyebright.tasks.base import NO_LABEL, TargetBlock
from eyebright.transforms.pipeline import to_images
from eyebright.types import Points, Size

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
        unwarped = [Warp.identity(Size(*x.shape[-2:]))] * len(y)
        values = [target.decode(row) for row in target.own_units(y.cpu(), unwarped)]
        marks = [target.marks(value) for value in values]
        titles = ["" if mark else target.words(value) for value, mark in zip(values, marks, strict=True)]
    figure = show_images(list(to_images(x)), titles, rows=grid[0], columns=grid[1], figsize=figsize)
    for ax, mark in zip(figure.axes, marks, strict=False):
        if mark is not None:
            draw_points(ax, mark.xy, mark.visible)


def show_answers(
    dataset: Dataset,
    batch: Batch,
    answers: Sequence[Any],
    *,
    grid: Grid = (None, None),
    figsize: tuple[float, float] | None = None,
) -> None:
    """Draw images with their targets and the answers for them.

    Args:
        dataset: that the batch was read from.
        batch: with targets.
        answers: of the first images of the batch, as `Decision.answers` gives them.
        grid: how they are laid out; for points, in pairs.
        figsize: width and height in inches.

    Raises:
        InputError: there are no targets to compare with.
    """
    target = dataset.fields.target
    if target is None or batch.y is None:
        raise InputError("these images have no targets to show predictions beside")
    if grid[0] and grid[1]:
        answers = answers[: grid[0] * grid[1]]
    values = [dataset.fields.y(dataset.source, batch.indices[i]) for i in range(len(answers))]
    if target.marks(values[0]) is None:
        _show_words(batch, values, answers, target, grid=grid, figsize=figsize)
    else:
        _show_pairs(dataset, batch, values, answers, target, grid=grid, figsize=figsize)


def _show_words(
    batch: Batch,
    values: Sequence[Any],
    answers: Sequence[Any],
    target: TargetBlock,
    *,
    grid: Grid,
    figsize: tuple[float, float] | None,
) -> None:
    """The target's words over the answer's; green when right and red when wrong, where answers are one or the other."""
    titles = [
        f"{target.words(value) or NO_LABEL}\n{target.words(answer) or NO_LABEL}"
        for value, answer in zip(values, answers, strict=True)
    ]
    colors = ["green" if value == answer else "red" for value, answer in zip(values, answers, strict=True)]
    show_images(
        list(to_images(batch.x[: len(answers)])),
        titles,
        rows=grid[0],
        columns=grid[1],
        figsize=figsize,
        colors=colors if target.is_exact else None,
    )


def _show_pairs(
    dataset: Dataset,
    batch: Batch,
    values: Sequence[Any],
    answers: Sequence[Any],
    target: TargetBlock,
    *,
    grid: Grid,
    figsize: tuple[float, float] | None,
) -> None:
    """The user's own image twice: with the target, and with the answer."""
    rows, columns = grid[0], grid[1] or 1
    count = min(len(answers), _MOST_PAIRS if rows is None else rows * columns)
    images, marks = list[object](), list[Points | None]()
    for i in range(count):
        pixels = dataset.fields.x(dataset.source, batch.indices[i]).pixels()
        images += [pixels, pixels]
        marks += [target.marks(values[i]), target.marks(answers[i])]
    rows = rows or math.ceil(count / columns)
    figure = show_images(images, [""] * len(images), rows=rows, columns=2 * columns, figsize=figsize)
    figure.suptitle("Target/Prediction")
    for place, (ax, mark) in enumerate(zip(figure.axes, marks, strict=False)):
        if mark is not None:
            draw_points(ax, mark.xy, mark.visible, marker="o" if place % 2 == 0 else "x")
