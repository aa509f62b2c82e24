"""Weak segments: planted ones are found without a name, and nothing is claimed where there is none."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import permutation_test, ttest_ind

from eyebright.errors import DataError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.image_errors import image_errors
from eyebright.evaluation.segment_properties import segment_properties
from eyebright.evaluation.weak_segments import SURE, WeakSegment, _first_half, _Half, _p_values, find_weak_segments
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from support.evaluations import make_evaluation

N = 400
LABELS = ["a", "b", "c", "d"]


def made(wrong: np.ndarray, columns: dict[str, Any], seed: int = 0, groups: Any = ()) -> Evaluation:
    """An evaluation of four labels, of which these cells are wrong."""
    targets = torch.from_numpy((np.random.default_rng(1000 + seed).random((len(wrong), 4)) < 0.4).astype(np.float32))
    outputs = torch.where(torch.from_numpy(wrong), 1 - targets, targets) * 8 - 4
    evaluation = make_evaluation(MultiCategoryBlock(vocab=LABELS), outputs, targets)
    return replace(evaluation, columns=pd.DataFrame(columns), groups=tuple(groups))


def random_columns(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "site": rng.choice(list("xyz"), N),
        "camera": rng.choice(["old", "new"], N),
        "hour": rng.integers(0, 24, N),
        "age": rng.normal(50, 20, N),
    }


def test_a_planted_segment_of_two_values_is_found_first() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        columns = random_columns(rng)
        planted = (columns["site"] == "y") & (columns["camera"] == "old")
        wrong = rng.random((N, 4)) < np.where(planted, 0.5, 0.05)[:, None]
        first = find_weak_segments(made(wrong, columns, seed))[0]
        assert set(first.values) == {("site", "y"), ("camera", "old")}
        assert first.name in ("site: y and camera: old", "camera: old and site: y")
        assert first.count == planted.sum()
        assert set(first.rows) == set(np.flatnonzero(planted))
        assert first.p_value < 0.01
        assert first.interval.low < 4 * 0.5 < first.interval.high
        assert first.others < first.interval.low


def test_the_images_with_the_most_mistakes_come_first() -> None:
    rng = np.random.default_rng(0)
    columns = random_columns(rng)
    wrong = rng.random((N, 4)) < np.where(columns["site"] == "y", 0.5, 0.05)[:, None]
    (first, *_) = find_weak_segments(made(wrong, columns))
    counts = wrong.sum(axis=1)[list(first.rows)]
    assert (np.diff(counts) <= 0).all()


def test_a_planted_combination_of_labels_is_found() -> None:
    rng = np.random.default_rng(1)
    evaluation = made(np.zeros((N, 4), dtype=bool), random_columns(rng), 1)
    both = ((evaluation.targets[:, 0] == 1) & (evaluation.targets[:, 1] == 1)).numpy()
    wrong = rng.random((N, 4)) < np.where(both, 0.6, 0.05)[:, None]
    first = find_weak_segments(made(wrong, random_columns(rng), 1))[0]
    assert set(first.values) == {("label", "a"), ("label", "b")}


@pytest.mark.slow
def test_nothing_is_claimed_of_errors_of_chance_in_more_than_five_per_cent_of_the_cases() -> None:
    claimed = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        wrong = rng.random((N, 4)) < rng.choice([0.02, 0.1, 0.6], N)[:, None]
        claimed += bool(find_weak_segments(made(wrong, random_columns(rng), seed), seed=seed))
    # 5 % of 200, and what chance adds to it in one of a thousand cases
    assert claimed <= 200 * SURE + 3.1 * np.sqrt(200 * SURE * (1 - SURE))


def test_errors_of_whole_groups_are_no_segments() -> None:
    claimed = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        group = rng.integers(0, 40, N)
        columns = {"person": group % 8, "site": rng.choice(list("xy"), 40)[group]}
        wrong = rng.random((N, 4)) < rng.choice([0.02, 0.5], 40)[group][:, None]
        claimed += bool(find_weak_segments(made(wrong, columns, seed, [f"g{i}" for i in group]), seed=seed))
    assert claimed <= 100 * SURE + 3.1 * np.sqrt(100 * SURE * (1 - SURE))


def test_the_p_value_is_that_of_a_permutation_test() -> None:
    rng = np.random.default_rng(0)
    errors, has = rng.exponential(1, 60), rng.random((60, 1)) < 0.4
    errors[has[:, 0]] += 0.4
    (found,) = _p_values(_Half(errors, has, np.arange(60)), [(0,)], rng)
    expected = permutation_test(
        (errors[has[:, 0]], errors[~has[:, 0]]),
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        alternative="greater",
        n_resamples=4000,
        vectorized=True,
        rng=1,
    ).pvalue
    assert found == pytest.approx(expected, abs=0.02)
    assert found == pytest.approx(
        ttest_ind(errors[has[:, 0]], errors[~has[:, 0]], alternative="greater").pvalue, abs=0.03
    )


def test_groups_are_never_divided() -> None:
    groups = np.random.default_rng(0).integers(0, 30, 300)
    finds = _first_half(groups, np.random.default_rng(1))
    assert not set(groups[finds]) & set(groups[~finds])
    assert 0.3 < finds.mean() < 0.7


def test_the_answer_is_the_same_again() -> None:
    rng = np.random.default_rng(0)
    columns = random_columns(rng)
    wrong = rng.random((N, 4)) < np.where(columns["site"] == "y", 0.5, 0.05)[:, None]
    assert find_weak_segments(made(wrong, columns)) == find_weak_segments(made(wrong, columns))


# ------------------------------------------------------------------ every kind of target


def bad_site(block: Any, outputs: torch.Tensor, targets: torch.Tensor, site: np.ndarray) -> list[WeakSegment]:
    evaluation = make_evaluation(block, outputs, targets)
    return find_weak_segments(replace(evaluation, columns=pd.DataFrame({"site": site})))


def test_every_kind_has_segments() -> None:
    rng = np.random.default_rng(0)
    site = rng.choice(list("xyz"), N)
    is_bad = torch.from_numpy(site == "y")
    noise = torch.from_numpy(rng.normal(0, 1, (N, 4)).astype(np.float32)) * torch.where(is_bad, 8, 1)[:, None]
    classes = torch.from_numpy(rng.integers(0, 3, N))
    outputs = 3 * torch.nn.functional.one_hot(classes, 3) + noise[:, :3]
    found = [
        bad_site(CategoryBlock(["a", "b", "c"]), outputs, classes, site),
        bad_site(RegressionBlock(1, names=("price",)), 50 + noise[:, :1], torch.full((N, 1), 50.0), site),
        bad_site(PointBlock(2, names=("eye", "nose")), 50 + noise, torch.full((N, 2, 2), 50.0), site),
    ]
    for segments in found:
        assert ("site", "y") in segments[0].values
    assert [one[0].error_name for one in found] == [
        "share of wrong classes", "absolute error", "error in % of the diagonal",
    ]  # fmt: skip


# ------------------------------------------------------------------ the errors and the properties


def test_unknown_labels_and_targets_are_no_errors() -> None:
    targets = torch.tensor([[1.0, torch.nan], [0.0, 1.0], [torch.nan, torch.nan]])
    evaluation = make_evaluation(MultiCategoryBlock(vocab=["a", "b"]), torch.full((3, 2), -3.0), targets)
    np.testing.assert_array_equal(image_errors(evaluation).values, [1, 1, np.nan])
    classes = make_evaluation(CategoryBlock(["a", "b"]), torch.eye(2)[[0, 0, 1]], torch.tensor([0, 1, -1]))
    np.testing.assert_array_equal(image_errors(classes).values, [0, 1, np.nan])
    numbers = make_evaluation(
        RegressionBlock(2, names=("x", "y")), torch.zeros(2, 2), torch.tensor([[1.0, 10.0], [torch.nan, 10.0]])
    )
    np.testing.assert_allclose(image_errors(numbers).values, [1, 1])


def test_ordered_classes_count_how_far_off_they_are() -> None:
    block = OrdinalBlock(["1", "2", "3"])
    evaluation = make_evaluation(block, torch.full((2, block.n_out), -9.0), torch.tensor([0, 2]))
    assert image_errors(evaluation).values.tolist() == [0, 2]


def test_outputs_that_are_not_finite_are_an_error() -> None:
    evaluation = make_evaluation(MultiCategoryBlock(vocab=["a"]), torch.full((50, 1), torch.nan), torch.ones(50, 1))
    with pytest.raises(DataError, match="are NaN or infinite"):
        find_weak_segments(evaluation)


def test_few_images_and_images_without_properties_have_no_segments() -> None:
    rng = np.random.default_rng(0)
    assert find_weak_segments(made(rng.random((39, 4)) < 0.5, {"site": rng.choice(list("xy"), 39)})) == []
    same = make_evaluation(CategoryBlock(["a", "b"]), torch.eye(2)[[0] * 60], torch.zeros(60, dtype=torch.int64))
    assert segment_properties(same) == []
    assert find_weak_segments(same) == []


def test_values_that_are_missing_are_no_value_and_numbers_have_thirds() -> None:
    site = np.array(["x", "", None] * 20, dtype=object)
    evaluation = made(
        np.zeros((60, 4), dtype=bool), {"site": site, "age": np.arange(60) / 7, "name": [f"n{i}" for i in range(60)]}
    )
    named = [(one.name, one.value, int(one.has.sum())) for one in segment_properties(evaluation)]
    assert [one for one in named if one[0] == "site"] == [("site", "x", 20)]
    assert [one[2] for one in named if one[0] == "age"] == [20, 20, 20]
    assert not any(one[0] == "name" for one in named)


def test_a_thousand_labels_take_seconds() -> None:
    rng = np.random.default_rng(0)
    targets = torch.from_numpy((rng.random((5000, 1000)) < 0.02).astype(np.float32))
    outputs = 4 * targets - 2 + torch.from_numpy(rng.normal(0, 1.5, (5000, 1000)).astype(np.float32))
    evaluation = make_evaluation(MultiCategoryBlock(vocab=[f"l{i}" for i in range(1000)]), outputs, targets)
    assert len(find_weak_segments(evaluation)) <= 10
