"""Where the threshold of each label comes from."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from eyebright.errors import DataError
from eyebright.evaluation.promise import Promise
from eyebright.evaluation.promises import keep_promise
from eyebright.evaluation.three_way import keep_two_promises
from eyebright.evaluation.threshold_origins import origins_text, threshold_origins
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.types import Thresholds
from support.evaluations import make_evaluation

TITLES = {"f1_macro": "macro F1"}
BEFORE = {"before": {"metric": "f1_macro", "values": [0.3, 0.4, 0.5]}}


def evaluation() -> Any:
    outputs = 4 * torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    targets = (torch.rand(300, 3, generator=torch.Generator().manual_seed(1)) < outputs.sigmoid()).float()
    made = make_evaluation(MultiCategoryBlock(vocab=["cat", "dog", "eel"]), outputs, targets, part="promise")
    return made.with_decision(made.decision.with_thresholds(Thresholds((0.3, 0.4, 0.5), metric="f1_macro")))


def promised(label: str | None) -> tuple[Decision, dict[str, Any]]:
    made = evaluation()
    result = keep_promise(made, Promise("precision", 0.8, label=label))
    return result.decision(made.decision), {**BEFORE, "promises": [result.to_json()]}


def test_each_label_has_its_origin() -> None:
    decision, tuning = promised("dog")
    tuned, kept = "tuned for macro F1 before", "set for precision >= 0.8"
    assert threshold_origins(decision, tuning, TITLES) == [tuned, kept, tuned]
    assert origins_text(decision, tuning, TITLES) == f"2 {tuned} ('cat', 'eel'), 1 {kept} ('dog')"
    changed = replace(decision.thresholds, values=(0.31, 0.2, 0.5))
    assert threshold_origins(decision.with_thresholds(changed), tuning, TITLES) == ["set by hand"] * 2 + [tuned]
    assert threshold_origins(decision, {**tuning, "before": {**BEFORE["before"], "metric": None}}, TITLES)[0] == (
        "set by hand"
    )


def test_labels_of_one_origin_are_not_listed() -> None:
    assert origins_text(*promised(None), TITLES) == "set for precision >= 0.8"


def test_a_label_that_kept_its_former_threshold_is_tuned_as_before() -> None:
    made = evaluation()
    result = keep_promise(made, Promise("precision", 0.999), keep_former=True)
    tuning = {**BEFORE, "promises": [result.to_json()]}
    assert result.n_kept == 0
    assert origins_text(result.decision(made.decision), tuning, TITLES) == "tuned for macro F1 before"


def test_of_three_answers_both_thresholds_count() -> None:
    made = evaluation()
    both = keep_two_promises(made, Promise("precision", 0.9), Promise("recall", 0.9))
    decision = made.decision.with_thresholds(both.thresholds(made.decision))
    tuning = {**BEFORE, "promises": [both.yes.to_json(), both.no.to_json()]}
    assert origins_text(decision, tuning, TITLES) == "set for precision >= 0.9 and recall >= 0.9"
    lower = (0.0, *both.lower[1:])
    by_hand = decision.with_thresholds(replace(decision.thresholds, lower=lower))
    assert threshold_origins(by_hand, tuning, TITLES)[0] == "set by hand"


def test_another_format_is_an_error() -> None:
    with pytest.raises(DataError, match="the entry 'tuning' of the saved model has the wrong form"):
        origins_text(evaluation().decision, {"promises": [{"promise": 1}]}, TITLES)
