"""Thresholds for costs, budgets, a number of labels and F scores equal those of trying everything."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from sklearn import metrics as oracle
from torch import Tensor

from eyebright.errors import InputError
from eyebright.evaluation.threshold_objectives import (
    KNOWN_OBJECTIVES,
    Budget,
    Costs,
    Objective,
    TopK,
    check_metric,
    parsed_budget,
    parsed_costs,
    parsed_objective,
)
from eyebright.evaluation.thresholds import cross_fitted_score, tune_thresholds
from eyebright.metrics.decisions import false_alarms_per_1000, fbeta

Labels = tuple[Tensor, Tensor]


@st.composite
def small_sets(draw: st.DrawFn) -> Labels:
    """Few images and classes, with ties, unknown cells and classes without positives; at least one label."""
    images, classes = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    cells = images * classes
    levels = draw(st.lists(st.sampled_from([0, 0.1, 0.25, 0.4, 0.5, 0.8, 1]), min_size=cells, max_size=cells))
    values = draw(st.lists(st.sampled_from([0.0, 0.0, 1.0, np.nan]), min_size=cells, max_size=cells))
    values[draw(st.integers(0, cells - 1))] = 1.0
    return torch.tensor(levels).reshape(images, classes).float(), torch.tensor(values).reshape(images, classes)


def candidates(probabilities: Tensor) -> list[float]:
    levels = np.unique(np.append(probabilities.numpy().ravel(), [0, 1]))
    return [*((levels[1:] + levels[:-1]) / 2).tolist(), 1.0]


def decided(probabilities: Tensor, rows: list[tuple[float, ...]]) -> list[Tensor]:
    return [probabilities > torch.tensor(row).float() for row in rows]


def choices(probabilities: Tensor, found: tuple[float, ...], target: Tensor) -> list[tuple[float, ...]]:
    """Every different choice of thresholds; a class without positives keeps the threshold that was found."""
    absent = ~(target == 1).any(dim=0)
    each = [
        [found[c]] if absent[c] else candidates(probabilities[~target[:, c].isnan(), c]) for c in range(target.shape[1])
    ]
    return list(itertools.product(*each))


def cost(decisions: Tensor, target: Tensor, costs: Costs) -> float:
    table = {(True, True): costs.tp, (True, False): costs.fp, (False, True): costs.fn, (False, False): costs.tn}
    cells = zip(decisions.flatten().tolist(), target.flatten().tolist(), strict=True)
    return sum(table[d, t == 1] for d, t in cells if not np.isnan(t))


def hits_and_alarms(decisions: Tensor, target: Tensor) -> tuple[int, int]:
    return int((decisions & (target == 1)).sum()), int((decisions & (target == 0)).sum())


def tuned(labels: Labels, objective: Objective, *, per_class: bool) -> tuple[Tensor, list[Tensor]]:
    """(the decisions at the tuned thresholds, all decisions that other thresholds would give)."""
    probabilities, target = labels
    thresholds = tune_thresholds(probabilities, target, metric=objective, per_class=per_class)
    assert thresholds.metric == str(parsed_objective(objective))
    assert all(0 <= value <= 1 for value in thresholds.per_class(target.shape[1]).tolist())
    if per_class:
        assert isinstance(thresholds.values, tuple)
        rows = choices(probabilities, thresholds.values, target)
    else:
        rows = [(t,) * target.shape[1] for t in candidates(probabilities)]
    return thresholds.decide(probabilities), decided(probabilities, rows)


COSTS = [Costs(fn=5, fp=1), Costs(fn=1, fp=3, tp=-1, tn=0.5), Costs(fn=0.7)]
BY_CLASS = pytest.mark.parametrize("per_class", [True, False], ids=["per class", "single"])


@BY_CLASS
@pytest.mark.parametrize("costs", COSTS, ids=str)
@given(labels=small_sets())
@settings(max_examples=60, deadline=None)
def test_no_other_thresholds_cost_less(labels: Labels, costs: Costs, per_class: bool) -> None:
    found, others = tuned(labels, costs, per_class=per_class)
    least = min(cost(decisions, labels[1], costs) for decisions in others)
    assert cost(found, labels[1], costs) == pytest.approx(least, abs=1e-9)


@BY_CLASS
@pytest.mark.parametrize("budget", [Budget(0), Budget(1, 3), Budget(500, 1000), Budget(3, 2)], ids=str)
@given(labels=small_sets())
@settings(max_examples=80, deadline=None)
def test_no_other_thresholds_within_the_budget_find_more_or_as_many_with_fewer_false_alarms(
    labels: Labels, budget: Budget, per_class: bool
) -> None:
    found, others = tuned(labels, budget, per_class=per_class)
    images = int((~labels[1].isnan()).any(dim=1).sum())
    allowed = budget.false_alarms * images / budget.images
    hits, alarms = hits_and_alarms(found, labels[1])
    assert alarms <= allowed + 1e-9
    assert false_alarms_per_1000(found, labels[1]) <= 1000 * budget.false_alarms / budget.images + 1e-6
    possible = [pair for pair in (hits_and_alarms(d, labels[1]) for d in others) if pair[1] <= allowed + 1e-9]
    assert (hits, -alarms) == max((h, -a) for h, a in possible)


@pytest.mark.parametrize("seed", range(25))
def test_a_budget_is_spent_as_well_as_dynamic_programming_over_all_choices_spends_it(seed: int) -> None:
    generator = np.random.default_rng(seed)
    images, classes = int(generator.integers(20, 60)), int(generator.integers(4, 12))
    target = torch.from_numpy(generator.random((images, classes)) < generator.uniform(0.02, 0.4, classes)).double()
    target[0, 0] = 1
    noisy = 0.3 * target + 0.7 * torch.from_numpy(generator.random((images, classes)))
    probabilities = (noisy * 20).round().float() / 20
    budget = Budget(float(generator.integers(0, 4000)))
    thresholds = tune_thresholds(probabilities, target, metric=budget)
    best = {0: 0}  # the most hits for each number of false alarms
    for c, value in enumerate(thresholds.per_class(classes).tolist()):
        cuts = candidates(probabilities[:, c]) if target[:, c].any() else [value]
        pairs = {hits_and_alarms(probabilities[:, c] > t, target[:, c]) for t in cuts}
        best_before, best = best, {}
        for (before, found), (hits, alarms) in itertools.product(best_before.items(), pairs):
            best[before + alarms] = max(best.get(before + alarms, 0), found + hits)
    within = [(found, -alarms) for alarms, found in best.items() if alarms <= budget.allowed(images)]
    hits, alarms = hits_and_alarms(thresholds.decide(probabilities), target)
    assert (hits, -alarms) == max(within)


@BY_CLASS
@pytest.mark.parametrize("k", [0.5, 1, 2])
@given(labels=small_sets())
@settings(max_examples=60, deadline=None)
def test_at_most_k_labels_are_predicted_for_an_image_on_average_and_one_more_step_is_too_many(
    labels: Labels, k: float, per_class: bool
) -> None:
    probabilities, target = labels
    thresholds = tune_thresholds(probabilities, target, metric=TopK(k), per_class=per_class)
    assert isinstance(thresholds.values, float)
    decisions = thresholds.decide(probabilities)
    assert decisions.sum() <= k * len(target)
    further = probabilities[~decisions & (probabilities > 0)]
    if len(further):
        assert (probabilities >= further.max()).sum() > k * len(target)


@BY_CLASS
@pytest.mark.parametrize("average", ["macro", "micro"])
@pytest.mark.parametrize("beta", [0.25, 0.5, 2, 3])
@given(labels=small_sets())
@settings(max_examples=40, deadline=None)
def test_no_other_thresholds_have_a_greater_f_score(labels: Labels, beta: float, average, per_class: bool) -> None:
    found, others = tuned(labels, f"f{beta:g}_{average}", per_class=per_class)
    greatest = max(fbeta(decisions, labels[1], beta=beta, average=average) for decisions in others)
    assert fbeta(found, labels[1], beta=beta, average=average) == pytest.approx(greatest, abs=1e-9)


@given(labels=small_sets(), beta=st.sampled_from([0.5, 2]))
@settings(max_examples=60, deadline=None)
def test_a_samples_f_score_per_class_is_at_least_that_of_the_best_single_threshold(labels: Labels, beta: float) -> None:
    each, _ = tuned(labels, f"f{beta:g}_samples", per_class=True)
    _, others = tuned(labels, f"f{beta:g}_samples", per_class=False)
    best = max(fbeta(decisions, labels[1], beta=beta, average="samples") for decisions in others)
    absent = bool((~(labels[1] == 1).any(dim=0)).any())  # such a class may get a higher threshold than the others
    assert absent or fbeta(each, labels[1], beta=beta, average="samples") >= best - 1e-9


def test_with_calibrated_probabilities_the_cheapest_threshold_is_near_the_break_even_point() -> None:
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(40_000, 1, generator=generator)
    target = (torch.rand(40_000, 1, generator=generator) < probabilities).double()
    for costs in (Costs(fn=5, fp=1), Costs(fn=1, fp=3, tp=-1)):
        thresholds = tune_thresholds(probabilities, target, metric=costs)
        assert thresholds.values[0] == pytest.approx(costs.break_even, abs=0.05)
    assert Costs(fn=5, fp=1).break_even == pytest.approx(1 / 6)
    assert Costs(fn=1, fp=3, tp=-1).break_even == pytest.approx(3 / 5)


def test_costs_of_one_make_thresholds_of_the_best_accuracy() -> None:
    generator = torch.Generator().manual_seed(1)
    target = torch.rand(60, 4, generator=generator) < 0.3
    probabilities = (0.4 * target + 0.6 * torch.rand(60, 4, generator=generator)).float()
    for per_class in (True, False):
        found = tune_thresholds(probabilities, target, metric=Costs(), per_class=per_class).values
        assert found == tune_thresholds(probabilities, target, metric="accuracy_multi", per_class=per_class).values


def test_the_cross_fitted_score_of_costs_is_the_cost_of_an_image() -> None:
    probabilities, target = torch.tensor([[0.9, 0.1], [0.8, 0.3]]).repeat(10, 1), torch.tensor([[1.0, 0], [1, 1]])
    assert cross_fitted_score(probabilities, target.repeat(10, 1), metric="cost fn=4,fp=1,tp=1,tn=0.5") == (
        pytest.approx((1 + 0.5 + 1 + 1) / 2)
    )


@pytest.mark.parametrize("average", ["macro", "micro", "samples"])
def test_the_name_of_an_f_score_is_that_of_scikit_learns_average(average: str) -> None:
    generator = np.random.default_rng(0)
    target, decisions = generator.random((2, 30, 4)) < 0.4
    objective = parsed_objective(f"f2_{average}")
    expected = oracle.fbeta_score(target, decisions, beta=2, average=average, zero_division=0)
    assert objective.score(torch.from_numpy(decisions), torch.from_numpy(target)) == pytest.approx(expected)


# ------------------------------------------------------------------------------- texts


@pytest.mark.parametrize("text", KNOWN_OBJECTIVES)
def test_the_text_of_an_objective_gives_the_same_objective(text: str) -> None:
    check_metric(text)
    objective = parsed_objective(text)
    assert str(objective) == text
    if not hasattr(objective, "score"):
        assert parsed_objective(str(objective)) == objective


def test_costs_of_single_labels_take_what_is_not_given_from_the_others() -> None:
    costs = parsed_costs("fn=5, fp=2,cat:fn=50,a:b:fp=9")
    assert costs.of(["dog", "cat", "a:b"]) == [costs, Costs(fn=50, fp=2), Costs(fn=5, fp=9)]
    assert str(costs) == "cost fn=5,fp=2,cat:fn=50,a:b:fp=9"
    assert parsed_objective(str(costs)) == costs
    with pytest.raises(InputError, match=r"costs are given for 'cta', which is not a label\. Did you mean 'cat'"):
        parsed_costs("fn=5,cta:fp=3").of(["dog", "cat"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f1_makro", r"'f1_makro'\. Did you mean 'f1_macro'\? Known: f1_macro, f1_micro"),
        ("f0_macro", "`beta` of the F score must be a positive number, got 0"),
        ("cost", "costs are written like 'fn=5,fp=1'"),
        ("cost fn=five", "costs are written like 'fn=5,fp=1' or 'fn=5,fp=1,LABEL:fn=50', got 'fn=five'"),
        ("cost fn=5,fn=6", "the cost 'fn' is given twice"),
        ("cost fn=nan", "the cost `fn` must be a finite number, got nan"),
        ("cost fn=0", "a wrong decision must cost more than the right one: `fn` is 0 and `tp` is 0"),
        ("cost fp=1,tn=2", "`fp` is 1 and `tn` is 2"),
        ("budget 100", r"a budget is written like '100/1000' \(at most 100 false alarms in 1,000 images\), got '100'"),
        ("budget 1/x", "a budget is written like '100/1000'"),
        ("budget -1/1000", "a number of false alarms .* got -1/1000"),
        ("budget 5/0", "in a number of images"),
        ("top_k many", "top_k takes a number of labels per image, such as 'top_k 3', got 'many'"),
        ("top_k 0", "the number of labels per image must be more than 0, got 0"),
    ],
)
def test_what_is_no_objective_is_an_error_that_says_how_to_write_it(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_metric(text)


def test_a_budget_can_be_given_for_any_number_of_images() -> None:
    assert parsed_budget("1/20") == Budget(1, 20)
    assert [Budget(100).allowed(images) for images in (9, 10, 1000)] == [0, 1, 100]
    assert Budget(3, 10).allowed(10) == 3
