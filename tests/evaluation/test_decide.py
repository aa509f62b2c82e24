import pytest
import torch

from eyebright.errors import InputError
from eyebright.evaluation.decide import check_has_thresholds, fit_decision
from eyebright.evaluation.thresholds import tune_thresholds
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.regression import RegressionBlock
from support.evaluations import evaluation_of
from support.label_sets import LABEL_SETS, UNKNOWN_SETS

SETS = {name: {**LABEL_SETS, **UNKNOWN_SETS}[name] for name in ("plain", "many ties", "some unknown")}


def evaluation(labels):
    vocab = [f"class {c}" for c in range(labels.target.shape[1])]
    return evaluation_of(MultiCategoryBlock(vocab=vocab), labels.scores.logit(), labels.target.float())


@pytest.mark.parametrize("per_class", [True, False], ids=["per class", "single"])
@pytest.mark.parametrize("metric", ["f1_macro", "f1_micro", "subset_accuracy"])
@pytest.mark.parametrize("name", SETS)
def test_thresholds_are_tuned_on_the_evaluation(name, metric, per_class):
    given = evaluation(SETS[name])
    decision = fit_decision(given, metric=metric, per_class=per_class)
    assert decision.thresholds == tune_thresholds(given.scores, given.targets, metric=metric, per_class=per_class)
    assert decision.thresholds.metric == metric
    assert decision.target is given.decision.target


def test_thresholds_for_each_class_know_its_name():
    assert fit_decision(evaluation(LABEL_SETS["plain"])).thresholds.names == tuple(f"class {c}" for c in range(6))


def test_the_evaluation_itself_stays_as_it_was():
    given = evaluation(LABEL_SETS["plain"])
    before = given.decision
    fit_decision(given)
    assert given.decision is before


@pytest.mark.parametrize(
    ("task", "targets"),
    [(CategoryBlock(["a", "b"]), torch.tensor([0, 1])), (RegressionBlock(2), torch.tensor([[1.0, 2], [3, 4]]))],
    ids=["classes", "numbers"],
)
def test_a_task_without_thresholds_keeps_its_decision(task, targets):
    given = evaluation_of(task, torch.zeros(2, 2), targets)
    assert fit_decision(given) is given.decision
    with pytest.raises(InputError, match=f"a {type(task).__name__} has none"):
        check_has_thresholds(given.decision)


def test_labels_have_thresholds():
    check_has_thresholds(Decision(MultiCategoryBlock(vocab=["a"])))


def test_what_cannot_be_tuned_is_refused():
    with pytest.raises(InputError, match="thresholds cannot be tuned for 'f2'"):
        fit_decision(evaluation(LABEL_SETS["plain"]), metric="f2")
    with pytest.raises(InputError, match="none of these images has a label"):
        fit_decision(evaluation(LABEL_SETS["no positives at all"]))
