"""The next action of a person who labels images with a model that proposes: a whole grid, or one image.

A grid shows up to 30 images, all of which get the same answer for one label, except those that are clicked: this takes
one answer and one click for each exception. A single image shows the proposed labels: one key for each that is wrong,
and one that confirms them. The action with the most cells for each expected key press or click comes first. Expected
exceptions come from the model's own probabilities, so that the rule needs no threshold.

Axes: n images, k labels or classes, u images without an answer in their order, r images of an action.
"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

GRID_SIZE = 30
START = 20
"""The number of images that are labelled one by one before a model is used."""

_MIN_UNCERTAINTY = 0.02  # a model of few images is not trusted when it claims to be more certain than this


class NextAction(NamedTuple):
    """The next step of a review.

    Args:
        kind: a grid of one label, or one image with all its labels; "done" if every cell is known.
        rows: the images, the most certain first.
        label: the column of the label of a grid; -1 for one image.
        answer: the answer for all images of a grid except those that are clicked.
        cells_per_answer: how many unknown cells each key press or click is expected to set.
    """

    kind: Literal["grid", "image", "done"]
    rows: Int[np.ndarray, " r"]
    label: int
    answer: bool
    cells_per_answer: float


def next_action(
    probabilities: Float[np.ndarray, "n k"] | None,
    targets: Float[np.ndarray, "n k"],
    order: Int[np.ndarray, " u"],
    *,
    size: int = GRID_SIZE,
    elsewhere: int = 0,
) -> NextAction:
    """The action that sets the most unknown cells for each expected key press or click.

    Args:
        probabilities: the probability of each label; NaN where the model has none; None: there is no model yet.
        targets: 0, 1 or NaN (unknown).
        order: the images without any known target, most informative first.
        size: the maximum number of images of a grid.
        elsewhere: the number of labelled images that are not among these.
    """
    unknown = np.isnan(targets)
    if not unknown.any():
        return _NO_ACTION
    few = elsewhere + (~unknown).all(axis=1).sum() < START
    if len(order) and (few or probabilities is None):
        return _alone(int(order[0]), 1.0)
    p = np.full(targets.shape, 0.5) if probabilities is None else np.nan_to_num(probabilities, nan=0.5)
    p = p.clip(_MIN_UNCERTAINTY, 1 - _MIN_UNCERTAINTY)
    candidates = [_image(p, unknown)]
    for label in range(targets.shape[1]):
        rows = np.flatnonzero(unknown[:, label])
        wrong = p[rows, label]
        candidates += [_grid(rows, 1 - wrong, (label, True), size), _grid(rows, wrong, (label, False), size)]
    return max(candidates, key=lambda action: action.cells_per_answer)


def next_class_action(
    probabilities: Float[np.ndarray, "n k"] | None,
    known: Bool[np.ndarray, " n"],
    order: Int[np.ndarray, " u"],
    *,
    size: int = GRID_SIZE,
    elsewhere: int = 0,
) -> NextAction:
    """The same for one class per image: exceptions of a grid stay unknown, and a class is set by one key and confirmed.

    Args:
        probabilities: the probability of each class; NaN where the model has none; None: there is no model yet.
        known: True for images whose class is known.
        order: the other images, most informative first.
        size: the maximum number of images of a grid.
        elsewhere: the number of labelled images that are not among these.
    """
    rows = np.flatnonzero(~known)
    if not len(rows):
        return _NO_ACTION
    if probabilities is None or elsewhere + known.sum() < START:
        return _alone(int(order[0]) if len(order) else int(rows[0]), 1.0)
    p = np.nan_to_num(probabilities[rows], nan=0.0).clip(0, 1 - _MIN_UNCERTAINTY)
    worth = 1 / (2 - p.max(axis=1, initial=0))
    best = int(worth.argmax())
    candidates = [_alone(int(rows[best]), float(worth[best]))]
    candidates += [_grid(rows, 1 - p[:, k], (k, True), size, is_left=True) for k in range(p.shape[1])]
    return max(candidates, key=lambda action: action.cells_per_answer)


_NO_ACTION = NextAction("done", np.zeros(0, dtype=np.int64), -1, answer=False, cells_per_answer=0.0)


def _alone(row: int, worth: float) -> NextAction:
    return NextAction("image", np.array([row], dtype=np.int64), -1, answer=False, cells_per_answer=worth)


def _image(p: Float[np.ndarray, "n k"], unknown: Bool[np.ndarray, "n k"]) -> NextAction:
    """The image whose unknown cells take the fewest key presses."""
    cells = unknown.sum(axis=1)
    answers = 1 + (np.minimum(p, 1 - p) * unknown).sum(axis=1)
    worth = cells / answers
    row = int(worth.argmax())
    return _alone(row, float(worth[row]))


def _grid(
    rows: Int[np.ndarray, " u"],
    wrong: Float[np.ndarray, " u"],
    cell: tuple[int, bool],
    size: int,
    *,
    is_left: bool = False,
) -> NextAction:
    """The grid of the images that most surely have an answer.

    Args:
        rows: the images whose answer is unknown.
        wrong: the probability of each that it has another answer.
        cell: the column of the label, and the answer.
        size: the maximum number of images.
        is_left: whether exceptions stay unknown.
    """
    first = np.argpartition(wrong, size)[:size] if len(wrong) > size else np.arange(len(wrong))
    chosen = first[np.lexsort((first, wrong[first]))]
    counts = np.arange(1, len(chosen) + 1)
    exceptions = wrong[chosen].cumsum()
    worth = (counts - exceptions if is_left else counts) / (1 + exceptions)
    most = int(worth.argmax()) + 1 if len(worth) else 0
    best = float(worth[most - 1]) if most else 0.0
    return NextAction("grid", rows[chosen[:most]], cell[0], answer=cell[1], cells_per_answer=best)
