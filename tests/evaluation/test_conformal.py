"""Conformal prediction sets: coverage over many draws with known truth, and MAPIE's sets."""

import json

import numpy as np
import pytest
import torch
from mapie.classification import SplitConformalClassifier
from sklearn.base import BaseEstimator, ClassifierMixin

from eyebright.errors import InputError
from eyebright.evaluation.conformal import PredictionSets, fit_sets
from eyebright.evaluation.risk_control import control_risk
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.regression import RegressionBlock
from support.evaluations import logits, make_evaluation


def single(seed, images, classes=5, *, sharp=2.0):
    """One class per image, drawn from the model's own probabilities."""
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(images, classes, generator=generator) * sharp
    targets = torch.multinomial(outputs.softmax(1), 1, generator=generator)[:, 0]
    return make_evaluation(CategoryBlock(vocab=[f"class {i}" for i in range(classes)]), outputs, targets)


def several(seed, images, labels=4):
    generator = np.random.default_rng(seed)
    probabilities = generator.random((images, labels))
    targets = generator.random((images, labels)) < probabilities**2
    block = MultiCategoryBlock(vocab=[f"label {i}" for i in range(labels)])
    return make_evaluation(block, logits(torch.from_numpy(probabilities)), torch.from_numpy(targets).float())


def covered(sets, evaluation):
    inside = sets.sets(evaluation.activated)
    return inside[torch.arange(len(inside)), evaluation.targets]


SINGLE = {
    "lac": {"method": "lac"},
    "aps": {"method": "aps"},
    "randomised aps": {"method": "aps", "randomised": True},
    "lac by label": {"method": "lac", "by_label": True},
    "aps by label": {"method": "aps", "by_label": True},
}


@pytest.mark.parametrize("options", SINGLE.values(), ids=SINGLE)
def test_the_class_of_a_new_image_is_in_its_set_as_often_as_stated(options):
    new = single(1000, 2000)
    shares = [covered(fit_sets(single(seed, 150), coverage=0.9, **options), new).double().mean() for seed in range(60)]
    assert np.mean(shares) >= 0.9 - 4 * np.std(shares) / np.sqrt(60) - 0.01
    if options["method"] == "lac" or "randomised" in options:
        assert np.mean(shares) <= 0.9 + (0.05 if "by_label" in options else 0.02)


def test_randomised_an_image_has_the_same_set_whatever_images_are_answered_with_it():
    sets, new = fit_sets(single(0, 100), method="aps", randomised=True), single(1, 80)
    whole = sets.sets(new.activated)
    assert torch.equal(whole, sets.sets(new.activated))
    for rows in ([5], [70, 3, 41], list(range(40, 80))):
        assert torch.equal(sets.sets(new.activated[rows], indices=rows), whole[rows])
    assert not torch.equal(sets.sets(new.activated, seed=1), whole)
    same = new.activated[:1].expand(400, -1)
    assert len(set(map(tuple, sets.sets(same).tolist()))) > 1  # the numbers of equal images differ


def test_the_random_numbers_of_a_set_are_not_those_that_it_was_fitted_with():
    """Otherwise the images that it was fitted to would be covered by exactly the stated share of them."""
    fitted = single(0, 400)
    sets = [
        fit_sets(fitted, coverage=0.8, method="aps", randomised=True).sets(fitted.activated, seed=s) for s in (0, 1)
    ]
    shares = [float(each[torch.arange(400), fitted.targets].double().mean()) for each in sets]
    assert all(share == pytest.approx(0.8, abs=0.06) for share in shares)
    assert abs(shares[0] - 321 / 400) > 1e-9


def test_by_label_each_class_is_covered_by_itself():
    new = single(1000, 6000)
    shares = np.zeros((40, 5))
    for seed in range(40):
        inside = covered(fit_sets(single(seed, 400), coverage=0.8, by_label=True), new)
        shares[seed] = [inside[new.targets == c].double().mean() for c in range(5)]
    assert (shares.mean(axis=0) >= 0.8 - 4 * shares.std(axis=0) / np.sqrt(40) - 0.015).all()


class Prefit(ClassifierMixin, BaseEstimator):
    """An estimator whose input are the probabilities."""

    def __init__(self, classes=5):
        self.classes = classes
        self.classes_ = np.arange(classes)

    def fit(self, x, y):
        return self

    def predict_proba(self, x):
        return x

    def predict(self, x):
        return x.argmax(axis=1)

    def __sklearn_is_fitted__(self):
        return True


@pytest.mark.parametrize("coverage", [0.7, 0.9, 0.95])
def test_the_sets_of_lac_are_mapies(coverage):
    evaluation, new = single(0, 101), single(1, 300)
    known = [each.activated.double() / each.activated.double().sum(1, keepdim=True) for each in (evaluation, new)]
    mapie = SplitConformalClassifier(Prefit(), confidence_level=coverage, conformity_score="lac", prefit=True)
    mapie.conformalize(known[0].numpy(), evaluation.targets.numpy())
    expected = mapie.predict_set(known[1].numpy())[1][:, :, 0]
    found = fit_sets(evaluation, coverage=coverage).sets(new.activated).numpy()
    assert (found == expected).mean() > 0.999  # float32 probabilities against normalised float64 ones


def test_sets_of_aps_that_are_not_randomised_are_never_empty_and_follow_the_order_of_the_probabilities():
    new = single(1, 500)
    inside = fit_sets(single(0, 200), method="aps").sets(new.activated)
    assert inside.any(dim=1).all()
    outside = torch.where(inside, -1.0, new.activated).amax(dim=1)
    assert (torch.where(inside, new.activated, 2.0).amin(dim=1) >= outside).all()


def missed(sets, evaluation):
    """The mean share of the labels that the sets of images with labels lack."""
    positive = evaluation.targets == 1
    lacks = (positive & ~sets.sets(evaluation.activated)).sum(1) / positive.sum(1).clamp(min=1)
    return float(lacks[positive.any(1)].double().mean())


def test_the_sets_of_crc_are_those_of_controlled_missed_labels():
    evaluation, new = several(0, 200), several(1, 300)
    threshold = control_risk(evaluation, "missed_labels", 0.1).threshold
    inside = fit_sets(evaluation, coverage=0.9).sets(new.activated)
    assert torch.equal(inside, new.activated > np.float32(threshold))


def test_crc_misses_at_most_the_stated_share_of_images_with_labels_in_expectation():
    new = several(1000, 3000)
    assert ((new.targets == 1).sum(dim=1) == 0).any()
    shares = [missed(fit_sets(several(seed, 60), coverage=0.9), new) for seed in range(80)]
    assert np.mean(shares) <= 0.1 + 4 * np.std(shares) / np.sqrt(80)


def test_images_without_labels_do_not_count():
    some = several(0, 300)
    rows = np.flatnonzero((some.targets == 1).any(dim=1).numpy()).tolist()
    assert len(rows) < 300
    assert fit_sets(some) == fit_sets(some.take(rows))
    assert fit_sets(some, confidence=0.9) == fit_sets(some.take(rows), confidence=0.9)


def test_rcps_misses_more_than_stated_at_most_as_often_as_its_confidence_allows():
    new = several(1000, 3000)
    shares = [missed(fit_sets(several(seed, 150), coverage=0.8, confidence=0.9), new) for seed in range(50)]
    assert np.mean(np.array(shares) > 0.2) <= 0.1 + 4 * np.sqrt(0.1 * 0.9 / 50)
    assert np.mean(shares) > 0.08  # and not far more cautious than that


def test_labels_are_covered_one_by_one():
    new = several(1000, 4000)
    shares = np.zeros((50, 4))
    for seed in range(50):
        inside = fit_sets(several(seed, 100), coverage=0.8, by_label=True).sets(new.activated)
        shares[seed] = [inside[new.targets[:, c] == 1, c].double().mean() for c in range(4)]
    assert (shares.mean(axis=0) >= 0.8 - 4 * shares.std(axis=0) / np.sqrt(50)).all()
    assert (shares.mean(axis=0) <= 0.88).all()


def test_too_few_images_give_sets_of_everything_and_say_so():
    sets = fit_sets(single(0, 5))
    assert sets.sets(single(1, 20).activated).all()
    assert sets.sentence == "too few images for a coverage of 90 % (5): each set contains all labels"
    by_label = fit_sets(single(0, 40), by_label=True)
    assert "too few images of 'class" in by_label.sentence
    assert fit_sets(several(0, 8)).sets(several(1, 20).activated).all()
    assert fit_sets(several(0, 20), coverage=0.9, confidence=0.95).sets(several(1, 20).activated).all()


def test_unknown_classes_and_labels_do_not_count():
    evaluation = single(0, 100)
    unknown = make_evaluation(
        evaluation.decision.target,
        torch.cat([evaluation.outputs, torch.zeros(30, 5)]),
        torch.cat([evaluation.targets, torch.full((30,), -1)]),
    )
    assert fit_sets(unknown) == fit_sets(evaluation)
    labels = several(0, 100)
    more = make_evaluation(
        labels.decision.target,
        torch.cat([labels.outputs, torch.zeros(30, 4)]),
        torch.cat([labels.targets, torch.full((30, 4), torch.nan)]),
    )
    assert fit_sets(more) == fit_sets(labels)
    new = several(1, 50).activated
    assert torch.equal(fit_sets(more).sets(new), fit_sets(labels).sets(new))


def test_prediction_sets_survive_json():
    for evaluation, options in ((single(0, 40), {"by_label": True}), (several(0, 40), {"confidence": 0.9})):
        sets = fit_sets(evaluation, **options)
        assert PredictionSets.from_json(json.loads(json.dumps(sets.to_json(), allow_nan=False))) == sets


def test_the_sentences_say_what_is_covered():
    assert fit_sets(single(0, 100), method="aps", randomised=True).sentence == (
        "the set of an image contains its class with a probability of at least 90 %, on average over all classes "
        "(APS, randomised), from 100 images"
    )
    sentence = fit_sets(several(0, 100)).sentence
    assert "in expectation, the set of an image that has labels contains at least 90 % of them" in sentence
    assert "with 95 % confidence, the sets of images that have labels contain on average at least 80 % of them" in (
        fit_sets(several(0, 200), coverage=0.8, confidence=0.95).sentence
    )
    assert "each label is in the set of an image that has it" in fit_sets(several(0, 99), by_label=True).sentence


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "raps"}, r"unknown method of prediction sets 'raps'.* Known: 'lac', 'aps', 'crc', 'rcps'"),
        ({"method": "lac"}, "for any number of labels per image are computed by crc or rcps, got 'lac'"),
        ({"coverage": 90}, "the coverage of prediction sets must be between 0 and 1"),
        ({"confidence": 0}, "the confidence of prediction sets must be between 0 and 1"),
        ({"method": "rcps"}, "only the method rcps takes `confidence`, and needs it; got None for 'rcps'"),
        ({"method": "crc", "confidence": 0.9}, "only the method rcps takes `confidence`, and needs it; got 0.9"),
        ({"randomised": True}, "only aps can be randomised, got 'crc'"),
        (
            {"by_label": True, "confidence": 0.9},
            "rcps does not cover each label separately: use crc",
        ),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        fit_sets(several(0, 10), **options)


def test_one_class_per_image_takes_no_methods_of_labels_and_numbers_have_no_sets():
    randomised = fit_sets(single(0, 20), method="aps", randomised=True)
    for indices in ([0], [-1, 1], [0.5, 1]):
        with pytest.raises(InputError, match="`indices` must be one whole number of at least 0 for each of 2 images"):
            randomised.sets(single(0, 2).activated, indices=indices)
    with pytest.raises(InputError, match="for one class per image are computed by lac or aps, got 'crc'"):
        fit_sets(single(0, 10), method="crc")
    numbers = make_evaluation(RegressionBlock(n_out=1).fit([[1.0], [2.0]]), torch.zeros(3, 1), torch.zeros(3, 1))
    with pytest.raises(InputError, match="prediction sets exist only for targets with classes"):
        fit_sets(numbers)
