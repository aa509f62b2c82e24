import numpy as np
import pytest

from eyebright.evaluation.cuts import Cuts


def numbers(*values):
    return np.array(values, dtype=np.float32)


def staircase(cuts, scores):
    """The score at each threshold in steps of 0.001."""
    return np.asarray(scores)[cuts.index_at(np.linspace(0, 1, 1001))]


def test_there_is_a_cut_per_distinct_probability_and_one_without_predictions():
    cuts = Cuts.of(numbers(0.5, 0.9, 0.5, 0.1))
    assert cuts.levels.tolist() == pytest.approx([0.9, 0.5, 0.1])
    assert cuts.counts.tolist() == [0, 1, 3, 4]


def test_the_total_of_a_cut_sums_the_values_of_its_predictions():
    cuts = Cuts.of(numbers(0.5, 0.9, 0.5, 0.1))
    assert cuts.sums(np.array([1, 10, 100, 1000])).tolist() == [0, 10, 111, 1111]


def test_the_cut_of_a_threshold_has_the_probabilities_strictly_above_it():
    generator = np.random.default_rng(0)
    probabilities = np.round(generator.random(40), 1).astype(np.float32)
    cuts = Cuts.of(probabilities)
    thresholds = np.append(np.linspace(0, 1, 101), probabilities)
    counts = [int((probabilities > np.float32(threshold)).sum()) for threshold in thresholds]
    assert cuts.counts[cuts.index_at(thresholds)].tolist() == counts


def test_a_probability_of_zero_is_never_predicted():
    cuts = Cuts.of(numbers(0, 0.4, 0))
    assert cuts.counts.tolist() == [0, 1]
    assert Cuts.of(numbers(0, 0)).counts.tolist() == [0]


def test_the_best_threshold_lies_in_the_middle_of_its_step():
    cuts = Cuts.of(numbers(0.8, 0.6, 0.2))
    assert cuts.best_threshold(np.array([0, 0, 1, 0])) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("scores", "middle"), [([1, 0, 0, 0], 0.9), ([0, 0, 0, 1], 0.1), ([1, 1, 1, 1], 0.5), ([0, 1, 1, 0], 0.5)]
)
def test_a_plateau_spans_equal_steps_and_can_reach_zero_or_one(scores, middle):
    assert Cuts.of(numbers(0.8, 0.6, 0.2)).best_threshold(np.array(scores)) == pytest.approx(middle)


def test_the_widest_of_several_best_plateaus_is_chosen():
    cuts = Cuts.of(numbers(0.95, 0.9, 0.5, 0.4))
    assert cuts.best_threshold(np.array([0, 1, 0, 1, 0])) == pytest.approx(0.45)
    assert cuts.best_threshold(np.array([0, 1, 1, 0, 1])) == pytest.approx((0.95 + 0.5) / 2)


def test_scores_that_differ_by_rounding_only_form_one_plateau():
    assert Cuts.of(numbers(0.8, 0.4)).best_threshold(np.array([0.1 + 0.2, 0.3, 0])) == pytest.approx(0.7)


def test_a_threshold_separates_two_neighbouring_floats():
    low = np.float32(0.3)
    for _ in range(20):
        high = np.nextafter(low, np.float32(1))
        threshold = Cuts.of(numbers(high, low)).best_threshold(np.array([0, 1, 0]))
        assert high > np.float32(threshold) >= low
        low = high


def test_a_probability_of_one_can_be_rejected():
    assert Cuts.of(numbers(1, 1)).best_threshold(np.array([1, 0])) == 1


def test_the_best_threshold_is_as_good_as_the_best_on_a_fine_grid():
    generator = np.random.default_rng(0)
    for _ in range(50):
        cuts = Cuts.of(np.round(generator.random(12), 2).astype(np.float32))
        scores = generator.integers(4, size=len(cuts.counts))
        at_best = scores[cuts.index_at(np.array([cuts.best_threshold(scores)]))]
        assert at_best == scores.max() >= staircase(cuts, scores).max()
