"""Conformal risk control against a search over all thresholds, against MAPIE, and over many draws."""

import json

import numpy as np
import pytest
import torch
from mapie.risk_control import MultiLabelClassificationController
from scipy.stats import binom

from eyebright.errors import InputError
from eyebright.evaluation.risk_control import ControlledRisk, control_risk, hoeffding_bentkus
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from support.evaluations import logits, make_evaluation

RISKS = ("wrong_answers", "missed_labels")


def evaluation_of(probabilities, targets):
    block = MultiCategoryBlock(vocab=[f"label {i}" for i in range(probabilities.shape[1])])
    return make_evaluation(block, logits(torch.as_tensor(probabilities)), torch.as_tensor(targets).float())


def draw(seed, images, labels=4, *, levels=None, unknown=0.0):
    generator = np.random.default_rng(seed)
    probabilities = generator.random((images, labels))
    if levels:
        probabilities = np.round(probabilities * levels) / levels
    targets = (generator.random((images, labels)) < probabilities**2).astype(float)
    targets[generator.random(targets.shape) < unknown] = np.nan
    return evaluation_of(probabilities, targets)


def loss_at(evaluation, risk, threshold):
    """The sum of the images' losses at a threshold, image by image."""
    total = 0.0
    for scores, target in zip(evaluation.activated.numpy(), evaluation.targets.numpy(), strict=True):
        yes, known = scores > np.float32(threshold), ~np.isnan(target)
        if risk == "missed_labels":
            total += (~yes & (target == 1)).sum() / max((target == 1).sum(), 1)
        else:
            total += (yes & (target == 0)).sum() / max((yes & known).sum(), 1)
    return total


def monotone(evaluation, risk, thresholds):
    """The sum at each of the decreasing thresholds of each image's greatest loss so far."""
    if risk == "missed_labels":
        return np.array([loss_at(evaluation, risk, t) for t in thresholds])
    images = [evaluation.take([i]) for i in range(len(evaluation))]
    each = np.array([[loss_at(image, risk, t) for t in thresholds] for image in images])
    return np.maximum.accumulate(each, axis=1).sum(axis=0)


@pytest.mark.parametrize("kind", [{}, {"levels": 4}, {"unknown": 0.4}], ids=["all different", "ties", "unknown"])
@pytest.mark.parametrize("risk", RISKS)
def test_the_threshold_is_the_last_of_all_whose_corrected_mean_is_below_the_bound(risk, kind):
    evaluation = draw(0, 30, **kind)
    known = evaluation.activated.numpy()[~evaluation.targets.isnan().numpy()]
    scores = np.unique(np.append(known, [0, 1]).astype(np.float32))
    thresholds = ((scores[1:] + scores[:-1]) / 2)[::-1]
    sums = monotone(evaluation, risk, thresholds)
    counted = evaluation.targets == 1 if risk == "missed_labels" else ~evaluation.targets.isnan()
    n = int(counted.any(dim=1).sum())
    for bound in (0.1, 0.2, 0.4):
        fine = thresholds[(sums + 1) / (n + 1) <= bound + 1e-12]
        expected = fine.min() if risk == "wrong_answers" else fine.max()
        found = control_risk(evaluation, risk, bound)
        assert found.attained
        assert found.n_images == n
        between = (scores > min(found.threshold, expected)) & (scores <= max(found.threshold, expected))
        assert not between.any()  # the same answers
        assert found.mean == pytest.approx(sums[thresholds == expected][0] / n)


@pytest.mark.parametrize("risk", RISKS)
def test_the_expected_risk_over_many_draws_is_at_most_the_bound(risk):
    population = draw(99, 1000)
    thresholds = [control_risk(draw(seed, 40), risk, 0.2).threshold for seed in range(50)]
    counted = (population.targets == 1).any(dim=1) if risk == "missed_labels" else torch.ones(1000, dtype=torch.bool)
    risks = [loss_at(population, risk, t) / int(counted.sum()) for t in thresholds]
    assert np.mean(risks) <= 0.2 + 4 * np.std(risks) / np.sqrt(len(risks))
    if risk == "missed_labels":
        assert np.mean(risks) > 0.12  # and not much less


def test_the_threshold_of_missed_labels_is_mapies():
    evaluation = draw(1, 50)
    some = evaluation.take(np.flatnonzero((evaluation.targets == 1).any(dim=1).numpy()).tolist())
    scores = np.unique(np.append(some.activated.numpy().astype(np.float64), [0, 1]))
    for bound in (0.05, 0.1, 0.3):
        mapie = MultiLabelClassificationController(
            lambda x: x,
            risk="recall",
            method="crc",
            target_level=1 - bound,
            predict_params=(scores[1:] + scores[:-1]) / 2,
        )
        mapie.calibrate(some.activated.numpy().astype(np.float64), some.targets.numpy())
        expected = float(mapie.best_predict_param[0])
        assert control_risk(some, "missed_labels", bound).threshold == pytest.approx(expected, abs=1e-6)
        found = control_risk(evaluation, "missed_labels", bound)  # of a finer grid: images without labels have scores
        assert torch.equal(some.activated > found.threshold, some.activated > expected)


def test_hoeffding_and_bentkus_is_never_below_the_exact_p_value_of_binary_losses():
    for n in (10, 50, 400):
        for wrong in range(0, n + 1, max(n // 20, 1)):
            for bound in (0.05, 0.1, 0.5):
                assert hoeffding_bentkus(wrong / n, n, bound) >= binom.cdf(wrong, n, bound) - 1e-12


@pytest.mark.parametrize("risk", RISKS)
def test_too_few_images_give_the_trivial_threshold_and_say_how_many_it_takes(risk):
    every = draw(0, 60)
    rows = np.flatnonzero((every.targets == 1).any(dim=1).numpy()).tolist()
    found = control_risk(every.take(rows[:18]), risk, 0.05)
    assert (found.attained, found.threshold) == (False, 1.0 if risk == "wrong_answers" else 0.0)
    assert "at least 19 are needed, got 18 images" in found.sentence
    assert control_risk(every.take(rows[:19]), risk, 0.05).attained


@pytest.mark.parametrize("risk", RISKS)
@pytest.mark.parametrize("cell", [0.0, 1.0, np.nan], ids=["all no", "all yes", "all unknown"])
def test_targets_of_one_kind_get_an_answer_that_survives_json(risk, cell):
    found = control_risk(evaluation_of(np.linspace(0, 1, 40)[:, None], np.full((40, 1), cell)), risk, 0.1)
    assert found.sentence
    again = ControlledRisk.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False)))
    assert repr(again) == repr(found)


def test_the_sentence_says_that_it_is_an_expectation():
    sentence = control_risk(draw(0, 100), "wrong_answers", 0.2).sentence
    assert "in expectation (conformal risk control, not a probability)" in sentence


def test_wrong_arguments_are_refused():
    evaluation = draw(0, 10)
    with pytest.raises(InputError, match=r"unknown risk 'missed'.* Known: 'wrong_answers', 'missed_labels'"):
        control_risk(evaluation, "missed", 0.1)
    with pytest.raises(InputError, match="the bound of a risk must be between 0 and 1"):
        control_risk(evaluation, "wrong_answers", 1)
    single = make_evaluation(CategoryBlock(vocab=["a", "b"]), torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(InputError, match="thresholds exist only for multi-label targets"):
        control_risk(single, "wrong_answers", 0.1)
