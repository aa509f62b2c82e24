"""The next action is the one that sets the most cells for each key press or click that is expected."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from eyebright.evaluation.next_action import GRID_SIZE, NextAction, next_action, next_class_action

Array = NDArray[np.float64]
NOTHING = np.zeros(0, dtype=np.int64)


def cost(action: NextAction, p: Array, unknown: NDArray[np.bool_]) -> float:
    """The expected answers: those of the action, and one for each cell that it gets wrong."""
    if action.kind == "image":
        row = int(action.rows[0])
        return 1 + float(np.minimum(p, 1 - p)[row][unknown[row]].sum())
    wrong = 1 - p[action.rows, action.label] if action.answer else p[action.rows, action.label]
    return 1 + float(wrong.sum())


def cells(action: NextAction, unknown: NDArray[np.bool_]) -> int:
    return int(unknown[action.rows].sum()) if action.kind == "image" else len(action.rows)


@settings(max_examples=60)
@given(st.integers(1, 60), st.integers(1, 4), st.integers(0, 2**16))
def test_no_single_image_and_no_grid_of_sorted_images_sets_more_cells_for_each_answer(
    n: int, k: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    p = generator.uniform(0.02, 0.98, (n, k))
    targets = np.where(generator.random((n, k)) < 0.5, np.nan, generator.integers(0, 2, (n, k)))
    unknown = np.isnan(targets)
    action = next_action(p, targets, NOTHING)
    if not unknown.any():
        assert action.kind == "done"
        return
    best = cells(action, unknown) / cost(action, p, unknown)
    assert action.cells_per_answer == pytest.approx(best)
    for row in range(n):
        image = NextAction("image", np.array([row]), -1, False, 0.0)
        assert cells(image, unknown) / cost(image, p, unknown) <= best + 1e-9
    for label in range(k):
        for answer in (True, False):
            rows = np.flatnonzero(unknown[:, label])
            ordered = rows[np.argsort(-p[rows, label] if answer else p[rows, label])]
            for size in range(1, min(len(rows), GRID_SIZE) + 1):
                grid = NextAction("grid", ordered[:size], label, answer, 0.0)
                assert size / cost(grid, p, unknown) <= best + 1e-9


def test_without_a_model_images_come_one_by_one_in_teaching_order() -> None:
    targets = np.full((40, 2), np.nan)
    order = np.array([7, 3])
    assert next_action(None, targets, order).rows.tolist() == [7]
    assert next_action(np.full((40, 2), 0.01), targets, order).kind == "image", "a model of no image is not asked"


def test_sure_images_are_a_whole_grid_and_the_last_unsure_one_comes_alone() -> None:
    targets = np.full((100, 2), np.nan)
    targets[:20] = 0
    p = np.full((100, 2), 0.5)
    p[50:, 1] = 0.99
    grid = next_action(p, targets, NOTHING)
    assert (grid.kind, grid.label, grid.answer, len(grid.rows)) == ("grid", 1, True, GRID_SIZE)
    assert set(grid.rows.tolist()) <= set(range(50, 100))
    targets[:99], targets[99] = 0, np.nan
    assert next_action(np.full((100, 2), 0.5), targets, NOTHING).kind == "image"


def test_nothing_is_left_to_do_when_all_is_known() -> None:
    action = next_action(np.full((3, 2), 0.5), np.zeros((3, 2)), NOTHING)
    assert (action.kind, len(action.rows)) == ("done", 0)


def test_a_model_that_says_nothing_of_a_label_is_taken_as_unsure() -> None:
    p = np.full((30, 2), np.nan)
    p[:, 0] = 0.02
    targets = np.full((30, 2), np.nan)
    targets[:20, 1] = 0
    action = next_action(p, targets, NOTHING)
    assert (action.kind, action.label, action.answer) == ("grid", 0, False)
    assert np.isfinite(action.cells_per_answer)


@settings(max_examples=60)
@given(st.integers(1, 60), st.integers(1, 4), st.integers(0, 2**16))
def test_of_classes_no_image_and_no_grid_sets_more_for_each_answer(n: int, k: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    p = generator.dirichlet(np.ones(k), n).clip(0, 0.98)
    known = generator.random(n) < 0.5
    action = next_class_action(p, known, NOTHING, elsewhere=20)
    rows = np.flatnonzero(~known)
    if not len(rows):
        assert action.kind == "done"
        return
    worth = [1 / (1 + 1 - p[row].max()) for row in rows]  # the class by its key where the proposed one is wrong
    for label in range(k):
        ordered = np.sort(p[rows, label])[::-1]
        worth += [ordered[:size].sum() / (1 + (1 - ordered[:size]).sum()) for size in range(1, GRID_SIZE + 1)]
    assert action.cells_per_answer == pytest.approx(max(worth))
    assert not known[action.rows].any()
    assert action.answer == (action.kind == "grid")


def test_classes_come_one_by_one_until_there_is_a_model_that_has_seen_some() -> None:
    p, known = np.full((40, 2), 0.5), np.zeros(40, dtype=np.bool_)
    assert next_class_action(None, known, np.array([7, 3]), elsewhere=30).rows.tolist() == [7]
    assert next_class_action(p, known, np.array([7, 3])).rows.tolist() == [7]
    p[5:25] = [0.98, 0.02]
    grid = next_class_action(p, known, NOTHING, elsewhere=20)
    assert (grid.kind, grid.label, grid.rows.tolist()) == ("grid", 0, list(range(5, 25)))
    assert next_class_action(p, ~known, NOTHING).kind == "done"


def test_images_that_are_labelled_elsewhere_count_for_the_first_ones() -> None:
    p, targets = np.full((30, 1), 0.02), np.full((30, 1), np.nan)
    assert next_action(p, targets, np.arange(30)).kind == "image"
    assert next_action(p, targets, np.arange(30), elsewhere=20).kind == "grid"
