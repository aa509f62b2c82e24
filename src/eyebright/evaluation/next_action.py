"""The next action of a person who labels images with a model that proposes: a whole grid, or one image.

A grid shows up to 30 images, all of which get the same answer for one label, but for those that are clicked: it takes
one answer and one click for each exception. A single image shows the proposed labels: one key for each that is wrong,
and one that confirms them. The action with the most cells for each expected key press or click comes first. Expected
exceptions come from the model's own probabilities, so that the rule needs no threshold.

Axes: n images, k labels.
"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

GRID_SIZE = 30
_START = 20  # images that are labelled one by one before a model is asked
_MOST_SURE = 0.02  # what a model of few images says to be more certain than this is not believed


class NextAction(NamedTuple):
    """What to do next.

    Args:
        kind: a grid of one label, or one image with all its labels; "done" if every cell is known.
        rows: the images, the most certain first.
        label: the column of the label of a grid; -1 for one image.
        answer: what all images of a grid are, but for the exceptions.
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
) -> NextAction:
    """The action that sets the most unknown cells for each expected key press or click.

    Args:
        probabilities: of each label; NaN where the model says nothing; None: there is no model yet.
        targets: 0, 1 or NaN (unknown).
        order: the images without any known target in the order in which labelling them teaches most.
        size: the most images of a grid.
    """
    unknown = np.isnan(targets)
    nothing = np.zeros(0, dtype=np.int64)
    if not unknown.any():
        return NextAction("done", nothing, -1, answer=False, cells_per_answer=0.0)
    few = (~unknown).all(axis=1).sum() < _START
    if len(order) and (few or probabilities is None):
        return NextAction("image", order[:1].astype(np.int64), -1, answer=False, cells_per_answer=1.0)
    p = np.full(targets.shape, 0.5) if probabilities is None else np.nan_to_num(probabilities, nan=0.5)
    p = p.clip(_MOST_SURE, 1 - _MOST_SURE)
    candidates = [_image(p, unknown)]
    candidates += [_grid(p, unknown, (k, answer), size) for k in range(targets.shape[1]) for answer in (True, False)]
    return max(candidates, key=lambda one: one.cells_per_answer)


def _image(p: Float[np.ndarray, "n k"], unknown: Bool[np.ndarray, "n k"]) -> NextAction:
    """The image whose unknown cells are the cheapest."""
    cells = unknown.sum(axis=1)
    answers = 1 + (np.minimum(p, 1 - p) * unknown).sum(axis=1)
    worth = cells / answers
    row = int(worth.argmax())
    return NextAction("image", np.array([row]), -1, answer=False, cells_per_answer=float(worth[row]))


def _grid(
    p: Float[np.ndarray, "n k"], unknown: Bool[np.ndarray, "n k"], cell: tuple[int, bool], size: int
) -> NextAction:
    """The grid of the images whose label (of a column) is unknown and most surely has the answer."""
    label, answer = cell
    rows = np.flatnonzero(unknown[:, label])
    wrong = 1 - p[rows, label] if answer else p[rows, label]
    chosen = np.argsort(wrong, kind="stable")[:size]
    counts = np.arange(1, len(chosen) + 1)
    worth = counts / (1 + wrong[chosen].cumsum())
    most = int(worth.argmax()) + 1 if len(worth) else 0
    best = float(worth[most - 1]) if most else 0.0
    return NextAction("grid", rows[chosen[:most]], label, answer=answer, cells_per_answer=best)
