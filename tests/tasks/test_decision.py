"""`Decision`: raw outputs are activated, calibrated and decided in this order; its JSON."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor

from eyebright.errors import InputError
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import CALIBRATIONS, Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.types import LabelSet, Points, Thresholds

LABELS = MultiCategoryBlock(vocab=["ant", "bee", "cat"])
OUTPUTS = torch.tensor([[0.0, 2.0, -1.0], [5.0, -5.0, 0.1]])


@dataclass(frozen=True)
class Temperature:
    """A calibration as a later one could be: outputs are divided by a number before the activation."""

    kind: ClassVar[str] = "temperature"
    value: float

    def __call__(self, outputs: Tensor, activate: Callable[[Tensor], Tensor]) -> Tensor:
        return activate(outputs / self.value)

    def to_json(self) -> dict[str, Any]:
        return {"value": self.value}


# ------------------------------------------------------------------------------- decoded values


def test_without_calibration_scores_are_the_activated_outputs() -> None:
    assert torch.equal(Decision(LABELS).activate(OUTPUTS), OUTPUTS.sigmoid())
    category = CategoryBlock(["ant", "bee", "cat"])
    assert torch.equal(Decision(category).activate(OUTPUTS), OUTPUTS.softmax(dim=1))


def test_answers_are_decided_by_the_thresholds() -> None:
    decision = Decision(LABELS, Thresholds((0.4, 0.9, 0.5)))
    scores = decision.activate(OUTPUTS)
    assert decision.decide(scores).tolist() == [[True, False, False], [True, False, True]]
    assert decision.decode_batch(scores) == [LabelSet(["ant"]), LabelSet(["ant", "cat"])]
    assert decision.decode_batch(scores) == [decision.decode(row) for row in scores]


@pytest.mark.parametrize(
    ("task", "outputs", "value"),
    [
        (CategoryBlock(["ant", "bee", "cat"]), [0.0, 2.0, -1.0], "bee"),
        (OrdinalBlock([1, 2, 3]), [5.0, -5.0], "2"),
        (PointBlock(1), [3.0, 4.0], Points.of([3.0, 4.0])),
        (RegressionBlock(2), [3.0, 4.0], (3.0, 4.0)),
    ],
    ids=["category", "ordinal", "points", "regression"],
)
def test_each_kind_decodes_its_own_values(task: Any, outputs: list[float], value: Any) -> None:
    decision = Decision(task)
    assert decision.decode_batch(decision.activate(torch.tensor([outputs]))) == [value]


def test_thresholds_apply_to_calibrated_probabilities() -> None:
    decision = Decision(LABELS, Thresholds(0.7), Temperature(4.0))
    scores = decision.activate(OUTPUTS)
    assert torch.equal(scores, (OUTPUTS / 4).sigmoid())
    assert decision.decode_batch(scores) == [LabelSet(), LabelSet(["ant"])]
    assert decision.with_thresholds(Thresholds(0.6)).activate(OUTPUTS).equal(scores)


def test_thresholds_for_each_class_get_the_names_of_the_classes() -> None:
    decision = Decision(LABELS).with_thresholds(Thresholds((0.1, 0.2, 0.3), "f1_macro"))
    assert decision.thresholds.names == ("ant", "bee", "cat")
    assert Decision(LABELS).with_thresholds(Thresholds(0.3)).thresholds.names is None


def test_thresholds_for_another_number_of_classes_are_refused() -> None:
    with pytest.raises(InputError, match="thresholds for 2 classes, not for 3"):
        Decision(LABELS).with_thresholds(Thresholds((0.1, 0.2)))


# ------------------------------------------------------------------------------- JSON

SHARES = st.floats(0, 1)


@given(
    values=st.one_of(SHARES, st.tuples(SHARES, SHARES, SHARES)),
    metric=st.one_of(st.none(), st.sampled_from(["f1_macro", "subset_accuracy"])),
)
def test_a_decision_goes_through_json_and_comes_back_equal(values: Any, metric: str | None) -> None:
    decision = Decision(LABELS).with_thresholds(Thresholds(values, metric))
    back = Decision.from_json(json.loads(json.dumps(decision.to_json())), LABELS)
    assert back == decision
    assert back.thresholds.names == decision.thresholds.names
    scores = decision.activate(OUTPUTS)
    assert torch.equal(back.activate(OUTPUTS), scores)
    assert back.decode_batch(scores) == decision.decode_batch(scores)


def test_a_calibration_goes_through_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CALIBRATIONS, "temperature", Temperature)
    decision = Decision(LABELS, calibration=Temperature(2.5))
    data = json.loads(json.dumps(decision.to_json()))
    assert data["calibration"] == {"kind": "temperature", "value": 2.5}
    assert Decision.from_json(data, LABELS) == decision


def test_a_calibration_that_this_version_does_not_know_is_refused() -> None:
    data = replace(Decision(LABELS), calibration=Temperature(2.5)).to_json()
    with pytest.raises(InputError, match="unknown calibration 'temperature'.*Known: 'none'"):
        Decision.from_json(data, LABELS)


def test_saved_thresholds_for_another_number_of_classes_are_refused() -> None:
    data = Decision(LABELS).with_thresholds(Thresholds((0.1, 0.2, 0.3))).to_json()
    with pytest.raises(InputError, match="thresholds for 3 classes, not for 2"):
        Decision.from_json(data, MultiCategoryBlock(vocab=["ant", "bee"]))
