import itertools

import numpy as np
import pytest
import torch

from eyebright.errors import InputError
from eyebright.evaluation.thresholds import cross_fitted_score, tune_thresholds
from eyebright.metrics.labels import accuracy_multi, f1, hamming_loss, subset_accuracy

EXACT_PER_CLASS = ("f1_macro", "f1_micro", "hamming_loss", "accuracy_multi")
SEARCHED_PER_CLASS = ("f1_samples", "subset_accuracy")
METRICS = EXACT_PER_CLASS + SEARCHED_PER_CLASS
LOSSES = ("hamming_loss",)


def score(metric, decisions, target):
    """The metric, by the public functions; greater is better."""
    if metric == "hamming_loss":
        return -hamming_loss(decisions, target)
    if metric == "accuracy_multi":
        return float(accuracy_multi(decisions.float(), target, sigmoid=False))
    if metric == "subset_accuracy":
        return subset_accuracy(decisions, target)
    return f1(decisions, target, average=metric.removeprefix("f1_"))


def random_set(seed, images=7, classes=3, *, levels=None, share=0.4, unknown=0.0):
    generator = np.random.default_rng(seed)
    target = generator.random((images, classes)) < share
    target[0] = True  # each class has a positive
    probabilities = np.clip(0.3 * target + 0.7 * generator.random((images, classes)), 0, 1)
    if levels is not None:
        probabilities = np.round(probabilities * levels) / levels
    target = torch.tensor(target)
    if unknown:
        target = target.double()
        target[1:][torch.from_numpy(generator.random((images - 1, classes)) < unknown)] = torch.nan
    return torch.tensor(probabilities, dtype=torch.float32), target


def candidates(probabilities):
    """One threshold for every different way to decide."""
    levels = np.unique(np.append(probabilities.numpy().ravel(), [0, 1]))
    return [*((levels[1:] + levels[:-1]) / 2).tolist(), 1.0]


def best_single(metric, probabilities, target):
    return max(score(metric, probabilities > t, target) for t in candidates(probabilities))


def best_per_class(metric, probabilities, target):
    each = [candidates(probabilities[:, c]) for c in range(probabilities.shape[1])]
    combinations = torch.tensor(list(itertools.product(*each)), dtype=torch.float32)
    return max(score(metric, probabilities > row, target) for row in combinations)


def reached(metric, probabilities, target, *, per_class):
    thresholds = tune_thresholds(probabilities, target, metric=metric, per_class=per_class)
    assert thresholds.metric == metric
    return score(metric, thresholds.decide(probabilities), target)


# ------------------------------------------------------------------------------- against trying everything


KINDS = pytest.mark.parametrize(
    "kind",
    [{}, {"levels": 4}, {"unknown": 0.4}, {"levels": 4, "unknown": 0.4}],
    ids=["all different", "ties", "unknown", "ties and unknown"],
)


@KINDS
@pytest.mark.parametrize("metric", METRICS)
def test_a_single_threshold_equals_the_best_of_an_exhaustive_search(metric, kind):
    for seed in range(10):
        labels = random_set(seed, **kind)
        assert reached(metric, *labels, per_class=False) == pytest.approx(best_single(metric, *labels), abs=1e-9)


@KINDS
@pytest.mark.parametrize("metric", EXACT_PER_CLASS)
def test_thresholds_per_class_equal_the_best_of_an_exhaustive_search(metric, kind):
    for seed in range(5):
        labels = random_set(seed, **kind)
        assert reached(metric, *labels, per_class=True) == pytest.approx(best_per_class(metric, *labels), abs=1e-9)


@pytest.mark.parametrize("unknown", [0, 0.2])
@pytest.mark.parametrize("metric", SEARCHED_PER_CLASS)
def test_coordinate_ascent_is_near_the_best_of_an_exhaustive_search(metric, unknown):
    short = []
    for seed in range(8):
        labels = random_set(seed, unknown=unknown)
        found, best = reached(metric, *labels, per_class=True), best_per_class(metric, *labels)
        assert found <= best + 1e-9
        short.append(best - found)
    assert max(short) <= 1 / 7 + 1e-9  # never more than one of the seven images
    assert np.mean(short) < 0.02


@pytest.mark.parametrize("unknown", [0, 0.3])
@pytest.mark.parametrize("metric", METRICS)
def test_thresholds_per_class_are_never_worse_than_a_single_threshold(metric, unknown):
    for seed in range(5):
        labels = random_set(seed, images=120, classes=9, share=0.1, unknown=unknown)
        assert reached(metric, *labels, per_class=True) >= reached(metric, *labels, per_class=False) - 1e-9


@pytest.mark.parametrize("metric", SEARCHED_PER_CLASS)
def test_coordinate_ascent_ends_at_a_local_optimum(metric):
    for seed in range(6):
        probabilities, target = random_set(seed, images=40, classes=8, share=0.2)
        values = torch.tensor(tune_thresholds(probabilities, target, metric=metric).values)
        found = score(metric, probabilities > values, target)
        for c in range(8):
            for threshold in candidates(probabilities[:, c]):
                other = values.clone()
                other[c] = threshold
                assert score(metric, probabilities > other, target) <= found + 1e-9


@pytest.mark.parametrize("per_class", [True, False], ids=["per class", "single"])
@pytest.mark.parametrize("metric", METRICS)
def test_the_order_of_the_images_does_not_matter(metric, per_class):
    probabilities, target = random_set(0, images=40, classes=4)
    order = torch.from_numpy(np.random.default_rng(1).permutation(40))
    before = tune_thresholds(probabilities, target, metric=metric, per_class=per_class)
    after = tune_thresholds(probabilities[order], target[order], metric=metric, per_class=per_class)
    assert before == after


# ------------------------------------------------------------------------------- which of the best thresholds


def test_a_threshold_lies_in_the_middle_of_its_plateau():
    probabilities, target = torch.tensor([[0.9], [0.6], [0.2], [0.1]]), torch.tensor([[1], [1], [0], [0]])
    for metric in set(METRICS) - {"f1_samples"}:
        for per_class in (True, False):
            thresholds = tune_thresholds(probabilities, target, metric=metric, per_class=per_class)
            assert torch.as_tensor(thresholds.values).reshape(-1).tolist() == pytest.approx([0.4])


def test_samples_f1_does_not_penalise_labels_on_images_without_labels():
    probabilities, target = torch.tensor([[0.9], [0.6], [0.2], [0.1]]), torch.tensor([[1], [1], [0], [0]])
    # An unlabelled image counts 0 whatever is predicted, so the plateau reaches from 0.6 down to 0.
    assert tune_thresholds(probabilities, target, metric="f1_samples").values == (pytest.approx(0.3),)


def test_the_fixture_of_the_recipes_gets_the_middle_of_its_plateau():
    probabilities = torch.tensor([[0.9, 0, 0, 0], [0.9, 0, 0.9, 0.9], [0, 0.9, 0, 0], [0.9, 0.9, 0, 0]])
    target = torch.tensor([[1, 0, 0, 1], [1, 1, 1, 1], [0, 1, 0, 0], [1, 1, 1, 0]])
    for metric in ("hamming_loss", "subset_accuracy"):
        assert tune_thresholds(probabilities, target, metric=metric, per_class=False).values == pytest.approx(0.45)


def test_a_class_without_positives_keeps_the_single_threshold_or_gets_a_half_if_most_images_are_above_it():
    for metric in METRICS:
        probabilities, target = random_set(2, images=30, classes=4)
        target[:, 2] = False
        single = tune_thresholds(probabilities, target, metric=metric, per_class=False)
        each = tune_thresholds(probabilities, target, metric=metric)
        often = float((probabilities[:, 2] > single.values).double().mean()) > 0.5
        assert each.values[2] == (max(single.values, 0.5) if often else single.values)


def test_predictions_of_a_class_without_positives_count_against_micro_f1():
    certain, tied = [0.85] * 8, [0.3] * 5 + [0.1] * 3
    probabilities = torch.tensor([certain, tied, [0.9] * 8]).T
    target = torch.tensor([[1] * 8, [1] * 2 + [0] * 6, [0] * 8]).T
    # The third class has 8 false positives, so two hits for three more false positives are still a gain: 20/31 > 16/26.
    thresholds = tune_thresholds(probabilities, target, metric="f1_micro")
    assert thresholds.decide(probabilities).sum(0).tolist() == [8, 5, 8]
    assert f1(thresholds.decide(probabilities), target, average="micro") == pytest.approx(20 / 31)


def test_a_class_on_every_image_is_always_predicted():
    probabilities, target = random_set(3, images=30)
    target[:, 1] = True
    for metric in ("f1_macro", "hamming_loss"):
        thresholds = tune_thresholds(probabilities, target, metric=metric)
        assert thresholds.decide(probabilities)[:, 1].all()


def test_positives_with_a_probability_of_zero_cannot_be_predicted():
    probabilities, target = torch.tensor([[0.0], [0.0], [0.5]]), torch.tensor([[1], [1], [0]])
    thresholds = tune_thresholds(probabilities, target, metric="hamming_loss")
    assert thresholds.values == (0.75,)
    assert tune_thresholds(torch.zeros(2, 1), torch.ones(2, 1)).values == (0.5,)


def test_one_image_and_one_class_are_enough():
    for metric in METRICS:
        thresholds = tune_thresholds(torch.tensor([[0.3]]), torch.tensor([[1]]), metric=metric)
        assert thresholds.values == (pytest.approx(0.15),)


def test_neighbouring_float32_probabilities_can_be_separated():
    low = torch.tensor(0.7)
    high = torch.nextafter(low, torch.tensor(1.0))
    probabilities, target = torch.stack([low, high])[:, None], torch.tensor([[0], [1]])
    thresholds = tune_thresholds(probabilities, target)
    assert thresholds.decide(probabilities).tolist() == [[False], [True]]


# ------------------------------------------------------------------------------- unknown cells


@pytest.mark.parametrize("per_class", [True, False], ids=["per class", "single"])
@pytest.mark.parametrize("metric", METRICS)
def test_probabilities_of_unknown_targets_do_not_change_the_thresholds(metric, per_class):
    probabilities, target = random_set(1, images=40, classes=4, unknown=0.3)
    before = tune_thresholds(probabilities, target, metric=metric, per_class=per_class)
    for value in (0.0, 0.37, 1.0):
        changed = torch.where(target.isnan(), value, probabilities)
        assert tune_thresholds(changed, target, metric=metric, per_class=per_class) == before


@pytest.mark.parametrize("metric", ["f1_macro", "hamming_loss", "accuracy_multi"])
def test_independent_classes_are_tuned_on_their_known_targets(metric):
    probabilities, target = random_set(2, images=40, classes=4, unknown=0.3)
    each = tune_thresholds(probabilities, target, metric=metric).values
    for c in range(4):
        known = ~target[:, c].isnan()
        alone = tune_thresholds(probabilities[known][:, [c]], target[known][:, [c]], metric=metric)
        assert alone.values == (each[c],)


@pytest.mark.parametrize("per_class", [True, False], ids=["per class", "single"])
@pytest.mark.parametrize("metric", METRICS)
def test_images_and_classes_without_known_targets_do_not_change_the_thresholds(metric, per_class):
    probabilities, target = random_set(3, images=30, classes=3)
    before = tune_thresholds(probabilities, target, metric=metric, per_class=per_class)
    more = torch.nn.functional.pad(target.double(), (0, 1, 0, 2), value=torch.nan)
    after = tune_thresholds(
        torch.nn.functional.pad(probabilities, (0, 1, 0, 2), value=0.6), more, metric=metric, per_class=per_class
    )
    assert (after.values[:3] if per_class else after.values) == before.values
    if per_class:
        assert after.values[3] == tune_thresholds(probabilities, target, metric=metric, per_class=False).values


def test_float_and_boolean_targets_give_identical_thresholds():
    for metric in METRICS:
        probabilities, target = random_set(4, images=60, classes=5)
        for per_class in (True, False):
            known, plain = (
                tune_thresholds(probabilities, t, metric=metric, per_class=per_class) for t in (target.double(), target)
            )
            assert known == plain


def test_without_known_targets_tuning_is_an_error():
    probabilities, target = torch.rand(3, 2), torch.full((3, 2), torch.nan)
    with pytest.raises(InputError, match="none of these images has a label"):
        tune_thresholds(probabilities, target)
    with pytest.raises(InputError, match="two images and two folds, got 0 and 5"):
        cross_fitted_score(probabilities, target)


# ------------------------------------------------------------------------------- cross-fitted scores


@pytest.mark.parametrize("unknown", [0, 0.3])
@pytest.mark.parametrize("metric", METRICS)
def test_the_cross_fitted_score_uses_thresholds_of_the_other_folds(metric, unknown):
    probabilities, target = random_set(4, images=31, classes=3, unknown=unknown)
    fold = np.random.default_rng(7).permutation(31) % 4
    decisions = torch.zeros(31, 3, dtype=torch.bool)
    for i in range(31):
        others = torch.from_numpy(fold != fold[i])
        values = tune_thresholds(probabilities[others], target[others], metric=metric).values
        decisions[i] = probabilities[i] > torch.tensor(values)
    expected = score(metric, decisions, target) * (-1 if metric in LOSSES else 1)
    found = cross_fitted_score(probabilities, target, metric=metric, folds=4, seed=7)
    assert found == pytest.approx(expected)


def test_the_cross_fitted_score_of_noise_is_lower_than_the_tuned_score():
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(80, 10, generator=generator)
    target = torch.rand(80, 10, generator=generator) < 0.1
    tuned = reached("f1_macro", probabilities, target, per_class=True)
    cross_fitted = cross_fitted_score(probabilities, target)
    assert cross_fitted < tuned - 0.03


def test_the_cross_fitted_score_of_a_large_set_is_near_the_tuned_score():
    probabilities, target = random_set(5, images=4000, classes=3)
    tuned = reached("f1_macro", probabilities, target, per_class=True)
    assert cross_fitted_score(probabilities, target) == pytest.approx(tuned, abs=0.01)


def test_the_folds_depend_on_the_seed_and_not_on_global_generators():
    probabilities, target = random_set(6, images=60, classes=4)
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    first, again, other = (cross_fitted_score(probabilities, target, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_there_are_at_most_as_many_folds_as_images():
    probabilities, target = torch.tensor([[0.9], [0.8], [0.7]]), torch.ones(3, 1)
    assert cross_fitted_score(probabilities, target, folds=5) == 1


# ------------------------------------------------------------------------------- what is refused


def test_an_unknown_metric_is_an_error_that_suggests_the_nearest_one():
    with pytest.raises(InputError, match=r"'f1_makro'\. Did you mean 'f1_macro'\? Known: f1_macro, f1_micro"):
        tune_thresholds(*random_set(0), metric="f1_makro")


def test_logits_are_an_error():
    with pytest.raises(InputError, match=r"probabilities must be in \[0, 1\]"):
        tune_thresholds(torch.tensor([[2.5]]), torch.tensor([[1]]))
    with pytest.raises(InputError, match=r"probabilities must be in \[0, 1\]"):
        tune_thresholds(torch.tensor([[torch.nan]]), torch.tensor([[1]]))


def test_images_without_any_label_are_an_error():
    with pytest.raises(InputError, match="none of these images has a label"):
        tune_thresholds(torch.rand(3, 2), torch.zeros(3, 2))


@pytest.mark.wrong_shapes
def test_targets_of_another_shape_or_value_are_an_error():
    with pytest.raises(InputError, match=r"got \(3, 7\) and \(7, 3\)"):
        tune_thresholds(random_set(0)[0], random_set(0)[1].T)
    with pytest.raises(InputError, match="targets must be 0 or 1"):
        tune_thresholds(torch.rand(2, 1), torch.tensor([[1], [2]]))


def test_a_cross_fitted_score_of_one_image_is_an_error():
    with pytest.raises(InputError, match="two images and two folds, got 1 and 5"):
        cross_fitted_score(torch.rand(1, 2), torch.ones(1, 2))


def test_a_class_without_positives_is_not_given_to_most_images_by_the_threshold_of_the_others():
    probabilities = torch.tensor([[0.02, 0.4], [0.03, 0.3], [0.9, 0.2], [0.8, 0.45]])
    target = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert tune_thresholds(probabilities, target, per_class=False).values < 0.02
    thresholds = tune_thresholds(probabilities, target)
    assert thresholds.per_class(2)[1] == 0.5
    assert not thresholds.decide(probabilities)[:, 1].any()
