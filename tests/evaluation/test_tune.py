"""Tuned thresholds carry the score of the images that chose them, and the score to expect on others."""

import json
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from eyebright.errors import DataError, InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.threshold_evidence import LITTLE_EVIDENCE
from eyebright.evaluation.threshold_objectives import KNOWN_OBJECTIVES, Budget, Costs, TopK
from eyebright.evaluation.thresholds import tune_thresholds
from eyebright.evaluation.tune import tune
from eyebright.metrics.decisions import false_alarms_per_1000, labels_per_image
from eyebright.metrics.labels import f1, recall
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.types import Thresholds
from support.evaluations import logits, make_evaluation


def evaluation_of(probabilities: Tensor, target: Tensor) -> Evaluation:
    vocab = [f"class {c}" for c in range(target.shape[1])]
    return make_evaluation(MultiCategoryBlock(vocab=vocab), logits(probabilities), target.float())


def random_evaluation(images: int, shares: list[float], *, seed: int = 0, signal: float = 0.4) -> Evaluation:
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(images, len(shares), generator=generator) < torch.tensor(shares)
    noise = torch.rand(images, len(shares), generator=generator)
    return evaluation_of(0.001 + 0.998 * (signal * target + (1 - signal) * noise), target)


def test_with_much_evidence_the_thresholds_are_the_best_ones_of_these_images() -> None:
    evaluation = random_evaluation(300, [0.3, 0.5, 0.4])
    for objective in ("f1_macro", "f2_micro", "cost fn=5,fp=1", "budget 100/1000"):
        for per_class in (True, False):
            tuned = tune(evaluation, objective, per_class=per_class)
            expected = tune_thresholds(evaluation.activated, evaluation.targets, metric=objective, per_class=per_class)
            assert tuned.thresholds == expected
            assert tuned.thresholds.names == (evaluation.decision.target.output_names if per_class else None)
            assert tuned.pulled == ()


def test_the_optimistic_score_is_that_of_these_images_and_before_that_of_the_thresholds_in_use() -> None:
    evaluation = random_evaluation(200, [0.3, 0.1, 0.02])
    tuned = tune(evaluation, "f1_macro")
    decisions = tuned.thresholds.decide(evaluation.activated)
    assert tuned.score.optimistic == f1(decisions, evaluation.targets, average="macro")
    assert tuned.score.before == f1(evaluation.activated > 0.5, evaluation.targets, average="macro")
    assert (tuned.score.name, tuned.score.title, tuned.score.higher_is_better) == ("f1_macro", "macro F1", True)


def test_the_honest_score_of_a_large_set_is_that_of_new_images_and_that_of_noise_is_below_the_optimistic_one() -> None:
    evaluation, fresh = (random_evaluation(6000, [0.3, 0.05], seed=seed) for seed in (1, 2))
    tuned = tune(evaluation)
    on_new = f1(tuned.thresholds.decide(fresh.activated), fresh.targets, average="macro")
    assert tuned.score.honest == pytest.approx(on_new, abs=0.03)
    noise = tune(random_evaluation(100, [0.2] * 8, signal=0))
    assert noise.score.honest < noise.score.optimistic


def test_the_honest_score_of_copies_in_groups_is_not_that_of_their_own_copies() -> None:
    generator = torch.Generator().manual_seed(3)
    target = torch.rand(40, 6, generator=generator) < 0.3
    probabilities = 0.001 + 0.998 * torch.rand(40, 6, generator=generator)
    copies = evaluation_of(probabilities.repeat_interleave(5, 0), target.repeat_interleave(5, 0))
    groups = torch.arange(40).repeat_interleave(5)
    honest = [tune(copies, groups=codes, folds=10).score.honest for codes in (None, groups)]
    assert honest[1] < honest[0]
    assert tune(copies, groups=groups).grouped
    assert not tune(copies).grouped


def test_a_budget_shows_the_false_alarms_and_a_number_of_labels_the_labels() -> None:
    evaluation = random_evaluation(200, [0.3, 0.1, 0.2])
    budget, labels = tune(evaluation, Budget(50)), tune(evaluation, TopK(1))
    decisions = budget.thresholds.decide(evaluation.activated)
    assert [score.name for score in budget.scores] == ["recall_micro", "false_alarms_per_1000"]
    assert budget.scores[0].optimistic == recall(decisions, evaluation.targets, average="micro")
    assert budget.scores[1].optimistic == false_alarms_per_1000(decisions, evaluation.targets) <= 50
    decisions = labels.thresholds.decide(evaluation.activated)
    assert [score.name for score in labels.scores] == ["recall_micro", "labels_per_image"]
    assert labels.scores[1].optimistic == labels_per_image(decisions, evaluation.targets) == 1
    assert labels.scores[1].honest == pytest.approx(1, abs=0.1)
    assert any("one threshold for all labels" in note for note in labels.notes)


# ------------------------------------------------------------------------------- little evidence


def test_a_label_with_little_evidence_lies_between_its_own_threshold_and_the_common_one() -> None:
    evaluation = random_evaluation(300, [0.4, 0.3, 0.03, 0.97])
    own = tune_thresholds(evaluation.activated, evaluation.targets).values
    single = tune_thresholds(evaluation.activated, evaluation.targets, per_class=False).values
    tuned = tune(evaluation)
    assert [label.label for label in tuned.pulled] == ["class 2", "class 3"]
    for label, c in zip(tuned.pulled, (2, 3), strict=True):
        has = int((evaluation.targets[:, c] == 1).sum())
        assert (label.positives, label.negatives) == (has, 300 - has)
        assert label.weight == pytest.approx(min(has, 300 - has) / LITTLE_EVIDENCE)
        assert (label.own, label.common) == (own[c], single)
        assert label.threshold == tuned.thresholds.values[c]
        # Up to the gap between two probabilities, in which the threshold keeps its distance from both.
        assert min(own[c], single) - 0.02 <= label.threshold <= max(own[c], single) + 0.02
        column = evaluation.activated[:, c]
        assert (column - label.threshold).abs().min() > 0
    assert tuned.thresholds.values[:2] == own[:2]
    assert "because there are only" in str(tuned.pulled[0])
    assert f"{tuned.pulled[0].positives} images with it" in str(tuned.pulled[0])
    assert "images known to be without it" in str(tuned.pulled[1])


def test_a_label_that_no_image_has_gets_the_common_threshold_and_says_so() -> None:
    evaluation = random_evaluation(200, [0.4, 0.3, 0.0])
    tuned = tune(evaluation, "hamming_loss")
    single = tune_thresholds(evaluation.activated, evaluation.targets, metric="hamming_loss", per_class=False).values
    assert [(label.label, label.own, label.weight) for label in tuned.pulled] == [("class 2", None, 0)]
    assert tuned.thresholds.values[2] == tuned.pulled[0].common
    assert tuned.pulled[0].common in (single, 0.5)
    assert str(tuned.pulled[0]).endswith("because no image has it")


def test_pulled_thresholds_keep_the_budget() -> None:
    for seed in range(30):
        evaluation = random_evaluation(60, [0.3, 0.05, 0.1, 0.0, 0.02], seed=seed)
        for budget in (Budget(0), Budget(20), Budget(300)):
            assert tune(evaluation, budget).scores[1].optimistic <= budget.false_alarms


def test_with_costs_of_single_labels_a_rare_label_is_pulled_to_its_own_break_even_point() -> None:
    evaluation = random_evaluation(200, [0.4, 0.02])
    costs = Costs(fn=1, fp=1, labels={"class 1": Costs(fn=9, fp=1)})
    label = tune(evaluation, costs).pulled[0]
    assert label.common == pytest.approx(0.1)
    assert tune(evaluation, "cost fn=1,fp=1,class 1:fn=9").pulled[0] == label


# ------------------------------------------------------------------------------- every input


@pytest.mark.parametrize("per_class", [True, False], ids=["per class", "single"])
@pytest.mark.parametrize("objective", KNOWN_OBJECTIVES)
def test_unknown_targets_and_outputs_beside_them_change_nothing_and_all_is_json(
    objective: str, per_class: bool
) -> None:
    evaluation = random_evaluation(80, [0.3, 0.1, 0.0])
    target = evaluation.targets.clone()
    target[torch.rand(target.shape, generator=torch.Generator().manual_seed(5)) < 0.3] = math.nan
    target[:4] = math.nan
    tuned = [
        tune(
            evaluation_of(torch.where(target.isnan(), value, evaluation.activated), target),
            objective,
            per_class=per_class,
        )
        for value in (0.2, 0.9)
    ]
    if not objective.startswith("top_k"):
        assert tuned[0].thresholds == tuned[1].thresholds
        assert [score.honest for score in tuned[0].scores] == [score.honest for score in tuned[1].scores]
        assert tuned[0].images == int((~target.isnan()).any(dim=1).sum())
    plain = json.loads(json.dumps(tuned[0].to_json(), allow_nan=False))
    values = tuned[0].thresholds.values
    assert plain["thresholds"] == (list(values) if isinstance(values, tuple) else values)
    assert plain["objective"] == objective == tuned[0].thresholds.metric
    assert [score["optimistic"] for score in plain["scores"]] == [score.optimistic for score in tuned[0].scores]
    assert len(plain["pulled"]) == len(tuned[0].pulled)


def test_too_few_images_have_no_honest_score_and_say_so() -> None:
    probabilities, target = torch.tensor([[0.9], [0.2], [0.3]]), torch.tensor([[1.0], [0], [0]])
    tuned = tune(evaluation_of(probabilities, target))
    assert math.isnan(tuned.score.honest)
    assert (tuned.folds, tuned.score.optimistic) == (0, 1)
    assert any("too few images with a label" in note for note in tuned.notes)
    assert tuned.to_json()["scores"][0]["honest"] is None
    assert "unknown to expect on new images" in str(tuned.score)
    one = tune(evaluation_of(probabilities[:1], target[:1]))
    assert math.isnan(one.score.honest)


def test_thresholds_are_tuned_for_labels_with_finite_outputs_only() -> None:
    numbers = make_evaluation(RegressionBlock(1), torch.rand(3, 1), torch.rand(3, 1))
    with pytest.raises(InputError, match="thresholds exist only for multi-label targets"):
        tune(numbers)
    broken = random_evaluation(10, [0.5])
    broken.outputs[0, 0] = math.nan
    with pytest.raises(DataError, match="NaN or infinite"):
        tune(broken)
    with pytest.raises(InputError, match="none of these images has a label"):
        tune(evaluation_of(torch.rand(5, 2), torch.zeros(5, 2)))
    with pytest.raises(InputError, match="groups are one whole number for each of 10 images"):
        tune(random_evaluation(10, [0.5]), groups=np.arange(4))


def test_an_unchanged_threshold_scores_the_same_before_and_after() -> None:
    evaluation = random_evaluation(200, [0.3, 0.4])
    tuned = tune(evaluation)
    again = tune(evaluation.with_decision(evaluation.decision.with_thresholds(Thresholds(tuned.thresholds.values))))
    assert again.score.before == again.score.optimistic == tuned.score.optimistic
