"""Slices: the scores of parts of the images, and how sure it is that one is worse."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, strategies as st
from sklearn.metrics import average_precision_score

from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.slices import FILE_TYPE, IMAGE_SIZE, MAX_VALUES, MIN_IMAGES, find_slices, holm
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from support.evaluations import make_evaluation

N = 600


def classes(share_right: Any, columns: dict[str, Any], seed: int = 0) -> Evaluation:
    """An evaluation of two classes, of which a share of each image's site is right."""
    rng = np.random.default_rng(seed)
    targets = torch.from_numpy(rng.integers(0, 2, N))
    right = torch.from_numpy(rng.random(N) < share_right)
    predicted = torch.where(right, targets, 1 - targets)
    outputs = torch.nn.functional.one_hot(predicted, 2).float() * 4
    return replace(make_evaluation(CategoryBlock(["a", "b"]), outputs, targets), columns=pd.DataFrame(columns))


def of_column(evaluation: Evaluation, column: str = "site") -> dict[str, Any]:
    return {one.value: one for one in find_slices(evaluation) if one.column == column}


def test_the_score_of_a_slice_is_that_of_its_images_and_its_error_that_of_a_proportion() -> None:
    sites = np.array(["x", "y", "z"])[np.arange(N) % 3]
    evaluation = classes(np.where(sites == "y", 0.6, 0.9), {"site": sites})
    found = of_column(evaluation)
    assert set(found) == {"x", "y", "z"}
    predicted = evaluation.outputs.argmax(dim=1)
    for value, one in found.items():
        right = (predicted == evaluation.targets).double().numpy()
        inside = sites == value
        share, others = right[inside].mean(), right[~inside].mean()
        assert one.score == pytest.approx(share, abs=1e-6)
        assert one.others == pytest.approx(others, abs=1e-6)
        error = math.sqrt(share * (1 - share) / inside.sum())
        assert one.interval.high - one.interval.low == pytest.approx(2 * 1.96 * error, rel=0.15)
        assert one.is_worse == (share < others)
    assert found["y"].p_value < 1e-6
    assert next(iter(find_slices(evaluation))).value == "y"


@pytest.mark.slow
def test_slices_of_chance_are_seldom_sure() -> None:
    sure = 0
    for seed in range(60):
        evaluation = classes(0.8, {"site": np.random.default_rng(seed).choice(list("abcde"), N)}, seed)
        sure += any(one.p_value < 0.05 for one in find_slices(evaluation))
    assert sure <= 7  # of 60 with a rate of 0.05 more than 7 have a probability of 0.007


def test_map_is_that_of_scikit_learn_and_unknown_cells_stay_out_of_it() -> None:
    rng = np.random.default_rng(0)
    targets = torch.from_numpy((rng.random((N, 3)) < 0.4).astype(np.float32))
    outputs = torch.from_numpy(rng.normal(size=(N, 3)).astype(np.float32)) + targets
    targets[rng.random((N, 3)) < 0.2] = math.nan
    sites = rng.choice(["x", "y"], N)
    evaluation = make_evaluation(MultiCategoryBlock(vocab=["a", "b", "c"]), outputs, targets)
    [one] = of_column(
        replace(evaluation, columns=pd.DataFrame({"site": sites}))
    ).values()  # of two values the second is the others of the first
    inside = sites == one.value
    expected = []
    for column in range(3):
        known = inside & ~targets[:, column].isnan().numpy()
        expected.append(average_precision_score(targets[known, column], outputs[known, column]))
    assert one.score == pytest.approx(np.mean(expected), abs=1e-5)


def test_columns_of_many_values_of_few_images_and_of_one_value_have_no_slices() -> None:
    columns = {
        "id": [str(i) for i in range(N)],
        "rare": ["usual"] * (N - MIN_IMAGES + 1) + ["odd"] * (MIN_IMAGES - 1),
        "same": ["x"] * N,
        "many": [str(i % (MAX_VALUES + 1)) for i in range(N)],
        "empty": [None] * N,
        "partly": [None if i % 3 == 0 else "ab"[i % 3 - 1] for i in range(N)],
    }
    found = {one.column for one in find_slices(classes(0.8, columns))}
    assert found == {"partly"}


def test_images_are_sliced_by_size_and_type_too() -> None:
    evaluation = classes(0.8, {})
    sizes = torch.tensor([[100, 100], [200, 200], [400, 400]])[torch.arange(N) % 3]
    files = tuple(f"{i}.{'jpg' if i % 4 else 'PNG'}" for i in range(N))
    found = {(one.column, one.count) for one in find_slices(replace(evaluation, sizes=sizes, files=files))}
    assert {count for column, count in found if column == IMAGE_SIZE} == {200}
    assert [count for column, count in found if column == FILE_TYPE] in ([150], [450])


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_its_definition(p_values: list[float]) -> None:
    corrected = holm(p_values)
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(p_values[i] * (len(p_values) - rank), 1.0))
        assert corrected[i] == pytest.approx(largest)
    assert all(corrected[i] <= corrected[j] for i, j in pairwise(order))


def test_an_unknown_p_value_counts_for_no_test() -> None:
    assert holm([0.01, math.nan, 0.02])[::2] == [0.02, 0.02]
    assert math.isnan(holm([0.01, math.nan])[1])
