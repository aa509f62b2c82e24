"""Three-way answers: two thresholds for each label, each with its promise."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from eyebright.errors import InputError
from eyebright.evaluation.promise import Promise
from eyebright.evaluation.promises import keep_promise
from eyebright.evaluation.three_way import AbstentionCurve, ThreeWay, abstention_curves, keep_two_promises
from eyebright.tasks.multicategory import MultiCategoryBlock
from support.evaluations import logits, make_evaluation

PRECISION, RECALL = Promise("precision", 0.8), Promise("recall", 0.9)


def draw(seed, images, labels=5, *, sharp=1.0):
    """Probabilities whose distance from 0.5 is raised to a power: the smaller ``sharp``, the surer they are."""
    generator = np.random.default_rng(seed)
    uniform = 2 * generator.random((images, labels)) - 1
    probabilities = (1 + np.sign(uniform) * np.abs(uniform) ** sharp) / 2
    targets = generator.random((images, labels)) < probabilities
    block = MultiCategoryBlock(vocab=[f"label {i}" for i in range(labels)])
    paths = [f"photos/{seed}/{i}.jpg" for i in range(images)]
    outputs = logits(torch.from_numpy(probabilities))
    return make_evaluation(block, outputs, torch.from_numpy(targets).float(), paths=paths, part="promise")


@pytest.mark.parametrize("sharp", [1.0, 0.3, 0.02])
def test_the_answers_keep_both_promises_as_each_does_alone(sharp):
    evaluation = draw(0, 300, sharp=sharp)
    both = keep_two_promises(evaluation, PRECISION, RECALL)
    assert both.yes == keep_promise(evaluation, PRECISION)
    alone = keep_promise(evaluation, RECALL)
    for low, own, up in zip(both.no.labels, alone.labels, both.yes.labels, strict=True):
        assert low == replace(own, threshold=min(own.threshold, up.threshold))
    thresholds = both.thresholds(evaluation.decision)
    yes, abstained = thresholds.decide(evaluation.activated), thresholds.abstains(evaluation.activated)
    positive = evaluation.targets == 1
    for column, (found, missed) in enumerate(zip(both.yes.labels, both.no.labels, strict=True)):
        assert both.lower[column] <= both.upper[column]
        if found.kept:
            assert int(yes[:, column].sum()) == found.total
        not_no = (yes | abstained)[positive[:, column], column]
        assert int(not_no.sum()) >= missed.right


def test_where_one_threshold_keeps_both_promises_nobody_is_asked():
    evaluation = draw(0, 300, sharp=0.02)
    both = keep_two_promises(evaluation, PRECISION, RECALL)
    assert both.lower == both.upper
    assert not both.thresholds(evaluation.decision).abstains(evaluation.activated).any()


def test_where_nothing_can_be_promised_every_answer_asks():
    evaluation = draw(0, 5)
    both = keep_two_promises(evaluation, PRECISION, RECALL)
    assert (both.lower, both.upper) == ((0.0,) * 5, (1.0,) * 5)
    assert both.thresholds(evaluation.decision).abstains(evaluation.activated).all()


def test_labels_without_these_promises_keep_their_threshold_and_do_not_ask():
    evaluation = draw(0, 300)
    one = [Promise(promise.metric, promise.bound, label="label 2") for promise in (PRECISION, RECALL)]
    thresholds = keep_two_promises(evaluation, *one).thresholds(evaluation.decision)
    abstained = thresholds.abstains(evaluation.activated)
    assert abstained[:, 2].any()
    assert not abstained[:, [0, 1, 3, 4]].any()
    for values in (thresholds.lower, thresholds.values):
        assert [value for i, value in enumerate(values) if i != 2] == [0.5] * 4


@pytest.mark.parametrize("yes", [PRECISION, Promise("false_positive_rate", 0.2)], ids=str)
def test_the_more_is_promised_the_more_images_ask(yes):
    evaluation, other = draw(0, 400, sharp=0.3), draw(1, 400, sharp=0.3)
    for chosen_on in (None, other):
        curves = abstention_curves(evaluation, yes, RECALL, shares=(0.5, 0.7, 0.9, 0.99), chosen_on=chosen_on)
        assert [curve.metric for curve in curves] == [yes.metric, "recall"]
        for curve in curves:
            assert curve.images[0] < curve.images[-1]
            assert curve.kept[0] == 1
            assert curve.kept[-1] < 1
            assert all(a <= i for a, i in zip(curve.answers, curve.images, strict=True))
            assert AbstentionCurve.from_json(json.loads(json.dumps(curve.to_json()))) == curve


def test_both_curves_pass_through_the_promises_that_were_asked_for():
    evaluation = draw(0, 400, sharp=0.3)
    thresholds = keep_two_promises(evaluation, PRECISION, RECALL).thresholds(evaluation.decision)
    abstained = thresholds.abstains(evaluation.activated)
    for promise, curve in zip((PRECISION, RECALL), abstention_curves(evaluation, PRECISION, RECALL), strict=True):
        at = curve.bounds.index(promise.bound)
        assert curve.images[at] == pytest.approx(float(abstained.any(dim=1).double().mean()))
        assert curve.answers[at] == pytest.approx(float(abstained.double().mean()))


def test_three_way_thresholds_survive_json():
    both = keep_two_promises(draw(0, 50), PRECISION, RECALL)
    assert ThreeWay.from_json(json.loads(json.dumps(both.to_json(), allow_nan=False))) == both


def test_promises_of_other_metrics_or_for_different_labels_are_refused():
    with pytest.raises(InputError, match="three-way answers need a promise of precision or false positive rate for"):
        keep_two_promises(draw(0, 20), RECALL, PRECISION)
    with pytest.raises(InputError, match="the two promises of three-way answers are for the same labels, got None"):
        keep_two_promises(draw(0, 20), PRECISION, Promise("recall", 0.9, label="label 1"))
