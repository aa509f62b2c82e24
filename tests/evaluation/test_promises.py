"""Laws of `keep_promise`. Where the truth is known, each label is an independent draw of images: many draws at once."""

import json

import numpy as np
import pytest
import torch
from scipy.stats import binom

from eyebright.errors import InputError, LabelError
from eyebright.evaluation.promise import Promise
from eyebright.evaluation.promise_text import label_sentence, summary
from eyebright.evaluation.promises import PromiseResult, keep_promise, keep_promises, thresholds_to_test
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.types import Thresholds
from support.evaluations import logits, make_evaluation

METRICS = ("precision", "recall", "false_positive_rate")


def evaluation_of(probabilities, targets, *, part="promise", prefix="photo"):
    block = MultiCategoryBlock(vocab=[f"label {i}" for i in range(probabilities.shape[1])])
    paths = [f"photos/{prefix} {i}.jpg" for i in range(len(probabilities))]
    outputs, targets = logits(torch.as_tensor(probabilities)), torch.as_tensor(targets, dtype=torch.float32)
    return make_evaluation(block, outputs, targets, paths=paths, part=part)


def draw(seed, images, labels, *, truth=lambda p: p, prefix="photo", part="promise"):
    """Uniform probabilities, and labels that are there with the probability ``truth`` of them."""
    generator = np.random.default_rng(seed)
    probabilities = generator.random((images, labels))
    targets = generator.random((images, labels)) < truth(probabilities)
    return evaluation_of(probabilities, targets, prefix=prefix, part=part)


def true_share(metric, threshold, truth):
    """The share of right answers on all images that `draw` could draw."""
    p = (np.arange(20_000) + 0.5) / 20_000
    yes, positive = p > threshold, truth(p)
    if metric == "precision":
        return positive[yes].mean() if yes.any() else 1.0
    weight = positive if metric == "recall" else 1 - positive
    return (weight * (yes == (metric == "recall"))).sum() / weight.sum()


def broken(result, truth):
    """Of how many labels the threshold breaks the promise."""
    return sum(
        true_share(result.promise.metric, label.threshold, truth) < result.promise.share - 1e-3
        for label in result.labels
        if label.kept
    )


def most(draws, error=0.05):
    """What a promise that is broken with probability ``error`` exceeds once in a million tests."""
    return binom.ppf(1 - 1e-6, draws, error)


TRUTHS = {
    "calibrated": lambda p: p,
    "too sure": lambda p: 0.85 * p,
    "never precise enough": lambda p: np.full_like(p, 0.79),
    "worse where it is surest": lambda p: np.where(p > 0.9, 0.6, p),
}


@pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
@pytest.mark.parametrize("others", [False, True], ids=["alone", "with other images"])
@pytest.mark.parametrize(("metric", "bound"), [("precision", 0.8), ("recall", 0.9), ("false_positive_rate", 0.1)])
def test_a_promise_for_each_label_is_broken_at_most_as_often_as_its_error(metric, bound, others, truth):
    chosen_on = draw(1, 150, 1000, truth=truth, prefix="other") if others else None
    result = keep_promise(draw(0, 200, 1000, truth=truth), Promise(metric, bound), chosen_on=chosen_on)
    assert broken(result, truth) <= most(1000)


@pytest.mark.parametrize("single", [False, True], ids=["chains", "one threshold each"])
def test_a_promise_for_all_labels_at_once_is_broken_at_most_as_often_as_its_error(single):
    truth, promise = TRUTHS["never precise enough"], Promise("precision", 0.8, all_labels=True)
    outcomes = []
    for seed in range(40):
        other = draw(1000 + seed, 60, 8, truth=truth, prefix="other")
        chosen_on = thresholds_to_test(other, promise, n_images=100) if single else other
        result = keep_promise(draw(seed, 100, 8, truth=truth), promise, chosen_on=chosen_on)
        outcomes.append(broken(result, truth) > 0)
    assert sum(outcomes) <= most(40)


def copies(seed, *, groups, labels, size):
    """Each image ``size`` times; (evaluation, groups)."""
    one = draw(seed, groups, labels, truth=TRUTHS["never precise enough"])
    rows = np.repeat(np.arange(groups), size)
    return evaluation_of(one.activated[rows].double(), one.targets[rows]), rows.tolist()


def test_images_of_a_group_count_once_so_copies_do_not_break_the_promise():
    evaluation, groups = copies(0, groups=60, labels=1000, size=8)
    promise, truth = Promise("precision", 0.8), TRUTHS["never precise enough"]
    assert broken(keep_promise(evaluation, promise), truth) > 2 * most(1000)  # what groups are for
    result = keep_promise(evaluation, promise, groups=groups)
    assert broken(result, truth) <= most(1000)
    assert result.n_groups == 60
    assert max(label.total for label in result.labels) <= 60


def test_groups_of_one_image_change_nothing():
    evaluation, promise = draw(0, 200, 5), Promise("recall", 0.8)
    alone = keep_promise(evaluation, promise)
    grouped = keep_promise(evaluation, promise, groups=[f"g{i}" for i in range(200)])
    unknown = keep_promise(evaluation, promise, groups=[None] * 200)
    assert alone.labels == grouped.labels == unknown.labels


def counts(evaluation, result, label, threshold):
    """(right, total), counted one by one."""
    column = evaluation.decision.target.output_names.index(label)
    pairs = [
        (bool(p > np.float32(threshold)), bool(y))
        for p, y in zip(evaluation.activated[:, column].numpy(), evaluation.targets[:, column].tolist(), strict=True)
        if not np.isnan(y)
    ]
    metric = result.promise.metric
    counted = {"precision": lambda yes, y: yes, "recall": lambda yes, y: y, "false_positive_rate": lambda yes, y: not y}
    kept = [(yes, y) for yes, y in pairs if counted[metric](yes, y)]
    return sum(yes == y for yes, y in kept), len(kept)


@pytest.mark.parametrize("levels", [None, 5], ids=["all different", "ties"])
@pytest.mark.parametrize("unknown", [0, 0.3])
@pytest.mark.parametrize("metric", METRICS)
def test_the_counts_are_those_of_the_decision_and_pass_the_exact_test(metric, unknown, levels):
    generator = np.random.default_rng(0)
    probabilities = generator.random((300, 6))
    targets = (generator.random((300, 6)) < probabilities**0.5).astype(float)
    targets[generator.random((300, 6)) < unknown] = np.nan
    probabilities = probabilities if levels is None else np.round(probabilities * levels) / levels
    evaluation = evaluation_of(probabilities, targets)
    result = keep_promise(evaluation, Promise(metric, 0.3 if metric == "false_positive_rate" else 0.7))
    assert result.n_kept
    for label in result.labels:
        assert counts(evaluation, result, label.label, label.tested) == (label.right, label.total)
        p_value = binom.sf(label.right - 1, label.total, result.promise.share)
        assert (p_value <= label.level) == label.kept
        if label.kept:
            assert label.threshold == label.tested
            assert (label.bound <= 0.3) if result.promise.is_upper else (label.bound >= 0.7)


@pytest.mark.parametrize("metric", ["recall", "false_positive_rate"])
def test_no_threshold_further_on_would_pass_if_every_one_is_tested(metric):
    evaluation = draw(0, 300, 6)
    result = keep_promise(evaluation, Promise(metric, 0.1 if metric == "false_positive_rate" else 0.9))
    for column, label in enumerate(result.labels):
        scores = np.unique(evaluation.activated[:, column].numpy())
        further = scores[scores > label.threshold] if metric == "recall" else scores[scores < label.threshold][::-1]
        for score in further[1:] if metric == "false_positive_rate" else further:
            right, total = counts(evaluation, result, label.label, score)
            if (right, total) != (label.right, label.total):
                assert binom.sf(right - 1, total, result.promise.share) > label.level
        gap = np.abs(scores - label.threshold).min()
        assert gap > 0  # not at an observed probability, but between two


def test_holms_method_keeps_what_bonferroni_keeps_and_more():
    promise = Promise("precision", 0.7, all_labels=True)
    evaluation, other = draw(0, 150, 20), draw(1, 400, 20, prefix="other")
    thresholds = thresholds_to_test(other, promise, n_images=150)
    holm = keep_promise(evaluation, promise, chosen_on=thresholds)
    each = keep_promise(evaluation, Promise("precision", 0.7, confidence=1 - 0.05 / 20), chosen_on=thresholds)
    kept = {label.label for label in holm.labels if label.kept}
    assert {label.label for label in each.labels if label.kept} <= kept
    p_values = sorted(binom.sf(label.right - 1, label.total, 0.7) for label in holm.labels)
    expected = next((i for i, p in enumerate(p_values) if p > 0.05 / (20 - i)), 20)
    assert len(kept) == expected


def test_other_images_keep_more_promises_than_thresholds_even_in_probability():
    truth = lambda p: np.where(p > 0.25, 0.99, 0.1)  # even thresholds begin where too little is answered yes
    evaluation, other = draw(0, 150, 300, truth=truth), draw(1, 1000, 300, truth=truth, prefix="other")
    promise = Promise("precision", 0.95)
    assert keep_promise(evaluation, promise, chosen_on=other).n_kept > 1.2 * keep_promise(evaluation, promise).n_kept


@pytest.mark.parametrize("grouped", [False, True])
def test_promises_that_are_kept_together_are_those_that_are_kept_alone(grouped):
    evaluation, other = draw(0, 300, 4), draw(1, 300, 4, prefix="other")
    options = {"chosen_on": other, "groups": [i // 2 for i in range(300)] if grouped else None, "keep_former": True}
    promises = [Promise("precision", bound) for bound in (0.6, 0.8, 0.99)] + [Promise("recall", 0.9)]
    together = keep_promises(evaluation, promises, **options)
    assert together == [keep_promise(evaluation, promise, **options) for promise in promises]


def test_promises_that_are_kept_together_are_for_the_same_labels():
    for promises in ([], [Promise("recall", 0.9), Promise("recall", 0.9, label="label 1")]):
        with pytest.raises(InputError, match="promises that are kept together are for the same labels"):
            keep_promises(draw(0, 30, 3), promises)


def test_a_result_survives_json():
    for metric in METRICS:
        result = keep_promise(draw(0, 50, 4), Promise(metric, 0.5))
        assert PromiseResult.from_json(json.loads(json.dumps(result.to_json(), allow_nan=False))) == result


def test_the_decision_answers_with_the_new_thresholds_and_keeps_those_of_other_labels():
    evaluation = draw(0, 300, 3)
    result = keep_promise(evaluation, Promise("precision", 0.7, label="label 1"))
    thresholds = result.decision(evaluation.decision).thresholds
    assert [label.label for label in result.labels] == ["label 1"]
    assert thresholds.values == (0.5, result.labels[0].threshold, 0.5)
    assert thresholds.metric == "precision >= 0.7"


@pytest.mark.parametrize(("metric", "trivial"), [("precision", 1.0), ("recall", 0.0), ("false_positive_rate", 1.0)])
def test_a_label_without_evidence_gets_the_trivial_threshold_or_keeps_its_own(metric, trivial):
    evaluation = draw(0, 5, 2)
    promise = Promise(metric, 0.01 if metric == "false_positive_rate" else 0.99)
    result = keep_promise(evaluation, promise)
    assert [(label.kept, label.threshold, label.former) for label in result.labels] == [(False, trivial, False)] * 2
    assert all(label.faultless == 299 for label in result.labels if label.level == 0.05)
    former = keep_promise(evaluation, promise, keep_former=True)
    assert [(label.kept, label.threshold, label.former) for label in former.labels] == [(False, 0.5, True)] * 2
    assert "keeps its threshold 0.5, for which nothing is promised" in label_sentence(former, former.labels[0])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("cell", [0.0, 1.0, torch.nan], ids=["all no", "all yes", "all unknown"])
def test_labels_of_one_class_or_without_known_targets_get_an_answer(metric, cell):
    evaluation = evaluation_of(np.linspace(0, 1, 7)[:, None], np.full((7, 1), cell))
    for chosen_on in (None, evaluation_of(np.zeros((3, 1)), np.full((3, 1), cell), prefix="other")):
        result = keep_promise(evaluation, Promise(metric, 0.9), chosen_on=chosen_on)
        assert summary(result)
        assert label_sentence(result, result.labels[0])
        assert result.labels[0].missing is None or result.labels[0].missing > 0


def test_the_sentences_of_an_estimate_do_not_use_the_word_promise():
    for part in ("valid", "out_of_fold"):
        for metric in METRICS:
            result = keep_promise(draw(0, 30, 4, part=part), Promise(metric, 0.6))
            assert not result.is_promise
            text = " ".join([summary(result), *(label_sentence(result, label) for label in result.labels)])
            assert "promise" not in text.lower()


def test_a_kept_promise_says_its_threshold_its_evidence_and_its_confidence():
    scores, targets = np.linspace(0.01, 0.99, 200)[:, None], np.array([[0]] * 100 + [[1]] * 100)
    result = keep_promise(evaluation_of(scores, targets), Promise("precision", 0.9))
    label = result.labels[0]
    assert label_sentence(result, label) == (
        f"label 0: yes above {label.threshold:.4g}: precision at least 0.9, promised with 95 % confidence "
        f"({label.right} of {label.total} yes answers were right, exact lower bound {label.bound:.3f})"
    )
    assert summary(result).startswith(
        "promise: precision >= 0.9 with 95 % confidence for 1 of 1 label (each label separately), from 200 images of "
        "the part 'promise', which were held out, by exact binomial bounds (Clopper-Pearson), tested in the order of"
    )


def test_a_promise_that_is_not_kept_says_how_many_images_it_would_take():
    scores, targets = np.linspace(0.01, 0.99, 80)[:, None], np.array([[0]] * 40 + [[1]] * 40)
    result = keep_promise(
        evaluation_of(scores, targets), Promise("precision", 0.95), chosen_on=Thresholds(0.5), independent=True
    )
    assert label_sentence(result, result.labels[0]) == (
        "label 0: never answered yes, because nothing is promised; 40 of 40 yes answers above 0.5 were right, exact "
        "lower bound 0.928; it takes 59 yes answers, all right, which is about 37 more labelled images"
    )


def test_the_part_says_whether_it_is_a_promise_unless_the_caller_knows_better():
    promise = Promise("recall", 0.5)
    assert keep_promise(draw(0, 30, 2), promise).is_promise
    assert not keep_promise(draw(0, 30, 2), promise, independent=False).is_promise
    assert not keep_promise(draw(0, 30, 2, part="valid"), promise).is_promise
    assert keep_promise(draw(0, 30, 2, part="valid"), promise, independent=True).is_promise
    with pytest.raises(
        InputError,
        match="out-of-fold predictions are from other models than the saved one, so they give only",
    ):
        keep_promise(draw(0, 30, 2, part="out_of_fold"), promise, independent=True)


def test_images_that_choose_the_thresholds_cannot_test_them():
    evaluation = draw(0, 30, 2)
    with pytest.raises(InputError, match=r"30 images \(such as .*\) choose the thresholds and test them"):
        keep_promise(evaluation, Promise("precision", 0.5), chosen_on=evaluation)


def test_other_labels_targets_without_thresholds_and_wrong_groups_are_refused():
    evaluation, promise = draw(0, 30, 2), Promise("precision", 0.5)
    with pytest.raises(InputError, match="the images that choose the thresholds have other labels"):
        keep_promise(evaluation, promise, chosen_on=draw(1, 30, 3, prefix="other"))
    with pytest.raises(InputError, match="a promise needs the group of each image: got 2 groups for 30 images"):
        keep_promise(evaluation, promise, groups=[1, 2])
    with pytest.raises(LabelError, match="unknown label 'label 9'"):
        keep_promise(evaluation, Promise("precision", 0.5, label="label 9"))
    single = make_evaluation(CategoryBlock(vocab=["a", "b"]), torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(InputError, match="thresholds exist only for multi-label targets"):
        keep_promise(single, promise)
    broken_outputs = evaluation_of(np.full((3, 1), 0.5), np.ones((3, 1)))
    broken_outputs.outputs[1] = torch.nan
    with pytest.raises(InputError, match="the outputs of 1 of 3 images are NaN"):
        keep_promise(broken_outputs, promise)
