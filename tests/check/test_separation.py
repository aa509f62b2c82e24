"""AUCs against scikit-learn, and intervals against simulations with a known AUC."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, strategies as st

from eyebright.check.separation import (
    N_FOLDS,
    auc_of_categories,
    auc_of_numbers,
    effective_counts,
    interval,
    rank_sum_aucs,
    ranking,
)

metrics = pytest.importorskip("sklearn.metrics")


@given(st.integers(0, 10_000), st.integers(2, 40), st.sampled_from([2, 5, 1000]), st.booleans())
def test_aucs_of_numbers_are_those_of_scikit_learn(seed: int, n: int, levels: int, is_partly_unknown: bool) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, levels, n).astype(float)
    yes = rng.random((n, 3)) < 0.4
    known = (rng.random((n, 3)) < 0.7) if is_partly_unknown else np.ones((n, 3), dtype=bool)
    if is_partly_unknown:
        values[rng.random(n) < 0.2] = np.nan
    found = auc_of_numbers(ranking(values), yes & known, ~yes & known)
    for label in range(3):
        rows = known[:, label] & ~np.isnan(values)
        sides = np.unique(yes[rows, label])
        expected = metrics.roc_auc_score(yes[rows, label], values[rows]) if len(sides) == 2 else 0.5
        assert found.value[label] == pytest.approx(expected)


@given(st.integers(0, 10_000), st.integers(2, 40), st.sampled_from([2, 5, 1000]))
def test_aucs_of_all_properties_at_once_are_those_of_each(seed: int, n: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, levels, (3, n)).astype(float)
    values[1, rng.random(n) < 0.3] = np.nan
    yes = rng.random((n, 4)) < [0.0, 0.1, 0.5, 1.0]
    rankings = [ranking(one) for one in values]
    found = rank_sum_aucs(rankings, yes)
    for each, aucs in zip(rankings, found, strict=True):
        assert aucs == pytest.approx(auc_of_numbers(each, yes, ~yes).value)
    assert rank_sum_aucs([], yes).shape == (0, 4)


def test_variances_are_those_of_delong() -> None:
    """By definition: of each image with the label, the share of the others below it, and the other way round."""
    rng = np.random.default_rng(0)
    values, yes = rng.integers(0, 8, 60).astype(float), rng.random(60) < 0.3
    found = auc_of_numbers(ranking(values), yes[:, None], ~yes[:, None])
    wins = (values[yes][:, None] > values[~yes]) + (values[yes][:, None] == values[~yes]) / 2
    assert found.variance_of_yes[0] == pytest.approx(wins.mean(axis=1).var(ddof=1))
    assert found.variance_of_no[0] == pytest.approx(wins.mean(axis=0).var(ddof=1))


@given(st.integers(0, 1000), st.integers(10, 60), st.integers(1, 12))
def test_aucs_of_categories_are_those_of_shares_in_other_folds(seed: int, n: int, u: int) -> None:
    rng = np.random.default_rng(seed)
    codes, folds = rng.integers(0, u, n), rng.integers(0, N_FOLDS, n)
    yes = rng.random((n, 2)) < [0.5, 0.2]
    known = rng.random((n, 2)) < 0.8
    found = auc_of_categories(codes, folds, yes & known, ~yes & known)
    for label in range(2):
        expected = _out_of_fold(codes[known[:, label]], folds[known[:, label]], yes[known[:, label], label])
        assert found.value[label] == pytest.approx(expected)


def _out_of_fold(codes: np.ndarray, folds: np.ndarray, yes: np.ndarray) -> float:
    prior = yes.mean() if len(yes) else 0.0
    total = weight = 0.0
    for fold in range(N_FOLDS):
        inside = folds == fold
        scores = []
        for code in codes[inside]:
            rest = yes[~inside & (codes == code)]
            scores.append((rest.sum() + prior) / (len(rest) + 1) if len(rest) else prior)
        if len(np.unique(yes[inside])) == 2:
            total += metrics.roc_auc_score(yes[inside], scores) * yes[inside].sum()
            weight += yes[inside].sum()
    return total / weight if weight else 0.5


def test_many_small_categories_do_not_win_by_chance() -> None:
    """200 images in 100 categories: the share in an image's own category, itself included, has an AUC above 0.8."""
    rng = np.random.default_rng(0)
    codes, folds = rng.integers(0, 100, 200), rng.integers(0, N_FOLDS, 200)
    yes = rng.random((200, 200)) < 0.5
    found = auc_of_categories(codes, folds, yes, ~yes).value
    assert abs(found.mean() - 0.5) < 0.01
    assert found.max() < 0.7
    shares = np.bincount(codes, weights=yes[:, 0], minlength=100) / np.maximum(np.bincount(codes, minlength=100), 1)
    assert metrics.roc_auc_score(yes[:, 0], shares[codes]) > 0.8


def test_two_categories_that_are_the_labels_have_an_auc_of_1() -> None:
    yes = np.arange(100) % 2 == 0
    found = auc_of_categories(yes.astype(int), np.arange(100) // 2 % N_FOLDS, yes[:, None], ~yes[:, None])
    assert found.value[0] == 1


def _drawn(kind: str, auc: float, yes: int, no: int, rng: np.random.Generator) -> np.ndarray:
    """Values of images with and then without a label, for which the AUC is known."""
    shift, first = NormalDist().inv_cdf(auc), rng.standard_normal(yes)
    if kind == "normal":
        first = first + shift * np.sqrt(2)
    elif kind == "wide":
        first = 3 * first + shift * np.sqrt(10)
    else:  # some are far above all others, the rest are like them
        first = first + np.where(rng.random(yes) < 2 * auc - 1, 20, 0)
    return np.concatenate([first, rng.standard_normal(no)])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "wide", "two kinds"])
@pytest.mark.parametrize(("yes", "no"), [(30, 100), (100, 100)])
def test_the_lower_end_is_rarely_above_the_true_auc(kind: str, yes: int, no: int) -> None:
    """It should be in 2.5 % of the cases; with 1,000 of them, at most 4 % by chance."""
    rng = np.random.default_rng(1)
    is_yes = (np.arange(yes + no) < yes)[:, None]
    n_yes, n_no = np.array([float(yes)]), np.array([float(no)])
    too_high = 0
    for _ in range(1000):
        found = auc_of_numbers(ranking(_drawn(kind, 0.75, yes, no, rng)), is_yes, ~is_yes)
        too_high += int(interval(found, n_yes, n_no, level=0.05)[0][0] > 0.75)
    assert too_high <= 40


def test_an_interval_has_a_width_where_all_images_are_told_apart_and_is_mirrored() -> None:
    yes = (np.arange(60) < 20)[:, None]
    n_yes, n_no = np.array([20.0]), np.array([40.0])
    ends = [interval(auc_of_numbers(ranking(values), yes, ~yes), n_yes, n_no, level=0.05) for values in _both_ways()]
    (low, high), (mirrored_low, mirrored_high) = ends
    assert 0.85 < low[0] < 0.95
    assert high[0] == 1
    assert (1 - mirrored_high[0], mirrored_low[0]) == (pytest.approx(low[0]), 0)


def _both_ways() -> tuple[np.ndarray, np.ndarray]:
    values = np.arange(60.0)
    return -values, values


def test_the_ends_are_as_many_standard_errors_away_as_the_level_says() -> None:
    """The equation that Newcombe's method 5 solves, with the standard error of the end."""
    rng = np.random.default_rng(2)
    yes = (rng.random(300) < 0.3)[:, None]
    found = auc_of_numbers(ranking(rng.standard_normal(300) + yes[:, 0]), yes, ~yes)
    n_yes, n_no = np.array([80.0]), np.array([200.0])
    for end in interval(found, n_yes, n_no, level=0.01):
        theta = end[0]
        terms = (1 - theta) / (2 - theta) + theta / (1 + theta)
        variance = theta * (1 - theta) * (1 + (280 / 2 - 1) * terms) / (80 * 200)
        assert abs(found.value[0] - theta) / np.sqrt(variance) == pytest.approx(2.5758, rel=0.05)


def test_images_of_equally_large_groups_are_worth_as_much_as_the_groups() -> None:
    groups = np.repeat(np.arange(6), 10)
    cells = np.stack([np.arange(60) < 30, np.ones(60, dtype=bool), np.zeros(60, dtype=bool)], axis=1)
    assert effective_counts(cells, groups).tolist() == [3, 6, 0]
    assert effective_counts(cells, None).tolist() == [30, 60, 0]
    uneven = np.array([0] * 59 + [1])
    assert effective_counts(np.ones((60, 1), dtype=bool), uneven)[0] == pytest.approx(60**2 / (59**2 + 1))
