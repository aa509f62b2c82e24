"""`Decision`: raw outputs are activated, calibrated and decided in this order; its JSON."""

import json
from typing import Any

import pytest
import torch
from hypothesis import given, strategies as st

from eyebright.errors import InputError
from eyebright.tasks.calibration import Isotonic, Platt, Temperature
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.types import LabelSet, Points, Thresholds

LABELS = MultiCategoryBlock(vocab=["ant", "bee", "cat"])
OUTPUTS = torch.tensor([[0.0, 2.0, -1.0], [5.0, -5.0, 0.1]])


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


@pytest.mark.parametrize(
    "calibration",
    [Temperature(2.5), Platt((0.1, 1, 2), (0.3, 0, 0)), Isotonic(((0, 1),) * 3, ((0.1, 0.7),) * 3)],
    ids=lambda calibration: calibration.kind,
)
def test_a_calibration_goes_through_json(calibration: Any) -> None:
    decision = Decision(LABELS, calibration=calibration)
    data = json.loads(json.dumps(decision.to_json()))
    assert data["calibration"]["kind"] == calibration.kind
    assert Decision.from_json(data, LABELS) == decision


def test_a_calibration_that_this_version_does_not_know_is_refused() -> None:
    data = {**Decision(LABELS).to_json(), "calibration": {"kind": "spline"}}
    with pytest.raises(InputError, match="unknown calibration 'spline'.*Known: 'none', 'temperature'"):
        Decision.from_json(data, LABELS)


def test_a_calibration_for_another_number_of_labels_is_refused() -> None:
    calibration = Platt((1, 1), (0, 0))
    with pytest.raises(InputError, match="the calibration 'platt' is for 2 labels, not for 3"):
        Decision(LABELS).with_calibration(calibration)
    data = Decision(MultiCategoryBlock(vocab=["ant", "bee"]), calibration=calibration).to_json()
    with pytest.raises(InputError, match="the calibration 'platt' is for 2 labels, not for 3"):
        Decision.from_json(data, LABELS)


@pytest.mark.parametrize(
    ("target", "has"),
    [
        (CategoryBlock(["a", "b"]), "'none', 'temperature'"),
        (OrdinalBlock([1, 2, 3]), "'none', 'temperature'"),
        (PointBlock(1), "'none'"),
        (RegressionBlock(2), "'none'"),
    ],
    ids=["category", "ordinal", "points", "regression"],
)
def test_a_calibration_that_the_target_cannot_have_is_refused(target: Any, has: str) -> None:
    with pytest.raises(InputError, match=f"{type(target).__name__} cannot have the calibration 'platt', only {has}$"):
        Decision(target, calibration=Platt((1, 1), (0, 0)))


def test_the_classes_of_an_image_are_calibrated_before_the_softmax() -> None:
    decision = Decision(CategoryBlock(["ant", "bee", "cat"]), calibration=Temperature(3.0))
    assert torch.equal(decision.activate(OUTPUTS), (OUTPUTS / 3).softmax(dim=1))


def test_saved_thresholds_for_another_number_of_classes_are_refused() -> None:
    data = Decision(LABELS).with_thresholds(Thresholds((0.1, 0.2, 0.3))).to_json()
    with pytest.raises(InputError, match="thresholds for 3 classes, not for 2"):
        Decision.from_json(data, MultiCategoryBlock(vocab=["ant", "bee"]))
