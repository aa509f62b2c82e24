import numpy as np
import pytest
from scipy.stats import beta, binom

from eyebright.errors import InputError
from eyebright.evaluation.binomial import fewest_faultless, fewest_right, lower_bound, upper_bound, upper_tail


def grid(most=60):
    right, trials = np.array([(r, n) for n in range(most) for r in range(n + 2)]).T
    return right, trials


@pytest.mark.parametrize("share", [1e-6, 0.01, 0.3, 0.5, 0.8, 0.95, 0.999999])
def test_the_upper_tail_equals_scipys(share):
    right, trials = grid()
    np.testing.assert_allclose(
        upper_tail(right, trials, share), binom.sf(right - 1, trials, share), rtol=1e-9, atol=1e-300
    )


def test_the_upper_tail_of_large_numbers_equals_scipys():
    generator = np.random.default_rng(0)
    trials = generator.integers(1, 2_000_000, size=300)
    share = generator.random(300)
    spread = np.sqrt(trials * share * (1 - share))
    right = np.clip((trials * share + generator.normal(size=300) * 3 * spread).astype(np.int64), 0, trials)
    np.testing.assert_allclose(upper_tail(right, trials, share), binom.sf(right - 1, trials, share), rtol=1e-6)


def test_numbers_have_the_same_tails_alone_as_together():
    right, trials = grid(30)
    alone = [upper_tail(right[i : i + 1], trials[i : i + 1], 0.8)[0] for i in range(len(right))]
    np.testing.assert_allclose(alone, upper_tail(right, trials, 0.8), rtol=1e-12)


def test_the_upper_tail_at_the_ends_of_the_shares_is_0_or_1():
    right, trials = np.array([0, 3, 3, 4]), np.array([3, 3, 0, 3])
    assert upper_tail(right, trials, 0.0).tolist() == [1, 0, 0, 0]
    assert upper_tail(right, trials, 1.0).tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("error", [1e-5, 0.025, 0.05, 0.5])
def test_the_bounds_are_those_of_clopper_and_pearson(error):
    right, trials = (column[grid()[0] <= grid()[1]] for column in grid())
    lower = np.where(right > 0, beta.ppf(error, np.maximum(right, 1), trials - right + 1), 0)
    np.testing.assert_allclose(lower_bound(right, trials, error), lower, atol=1e-9)
    upper = np.where(right < trials, beta.ppf(1 - error, right + 1, np.maximum(trials - right, 1)), 1)
    np.testing.assert_allclose(upper_bound(right, trials, error), upper, atol=1e-9)


@pytest.mark.parametrize("share", [0.2, 0.8, 0.95])
def test_the_fewest_right_answers_are_found_by_trying_all_numbers(share):
    trials = np.arange(200)
    expected = [next((r for r in range(n + 1) if binom.sf(r - 1, n, share) <= 0.05), n + 1) for n in trials]
    assert fewest_right(trials, share, 0.05).tolist() == expected


@pytest.mark.parametrize(("share", "answers"), [(0.8, 14), (0.9, 29), (0.95, 59), (0.99, 299)])
def test_so_many_faultless_answers_are_needed_and_one_less_is_not_enough(share, answers):
    assert fewest_faultless(share, 0.05) == answers
    assert share**answers <= 0.05 < share ** (answers - 1)


def test_shares_and_errors_outside_of_0_and_1_are_refused():
    with pytest.raises(InputError, match=r"a share and an error must be in \(0, 1\), got 1 and 0.05"):
        fewest_faultless(1, 0.05)
