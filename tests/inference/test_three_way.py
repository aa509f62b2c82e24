"""Between two thresholds the answer of a saved model is "ask a person": as a value, a table, JSON and a line."""

import csv
import io
import json

import pytest
import torch

from eyebright.inference.prediction_file import PredictionWriter
from eyebright.inference.predictions import Prediction, Predictions
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.types import LabelSet, Thresholds

TARGET = MultiCategoryBlock(vocab=["cat", "dog", "owl"])
PROBABILITIES = torch.tensor([[0.9, 0.5, 0.1], [0.5, 0.6, 0.2], [0.1, 0.1, 0.1]])
DECISION = Decision(TARGET, Thresholds(0.75, lower=0.25))


def predictions(decision: Decision, block: MultiCategoryBlock = TARGET) -> Predictions:
    made: list[Prediction] = []
    for i, row in enumerate(PROBABILITIES):
        decoded = decision.decode(row)
        made.append(Prediction(f"{i}.jpg", decoded, row, ask=decision.abstained_labels(row)))
    return Predictions(made, {}, block)


def written(decision: Decision, file_format: str, block: MultiCategoryBlock = TARGET) -> str:
    file = io.StringIO()
    is_three_way = decision.thresholds.is_three_way
    writer = PredictionWriter(file.write, file_format, block, is_three_way=is_three_way)  # type: ignore[arg-type]
    for prediction in predictions(decision, block):
        writer.add(prediction)
    writer.end()
    return file.getvalue()


def test_labels_between_the_thresholds_are_unknown_in_the_value_and_listed() -> None:
    first, second, third = predictions(DECISION)
    assert first.decoded == LabelSet(["cat"], unknown=["dog"])
    assert [one.ask for one in (first, second, third)] == [("dog",), ("cat", "dog"), ()]


def test_the_table_the_file_and_json_name_the_labels_to_ask_for() -> None:
    frame = predictions(DECISION).to_frame()
    assert list(frame) == ["path", "labels", "cat", "dog", "owl", "ask"]
    assert frame["ask"].tolist() == ["dog", "cat;dog", ""]
    rows = list(csv.DictReader(io.StringIO(written(DECISION, "csv"))))
    assert [row["ask"] for row in rows] == ["dog", "cat;dog", ""]
    assert [entry["ask"] for entry in json.loads(written(DECISION, "json"))] == [["dog"], ["cat", "dog"], []]
    assert [one.line(TARGET) for one in predictions(DECISION)][1:] == [
        "1.jpg: (no label); ask a person: cat, dog",
        "2.jpg: (no label)",
    ]


def test_a_model_with_two_answers_writes_what_it_always_did() -> None:
    two = Decision(TARGET, Thresholds(0.75))
    assert [one.ask for one in predictions(two)] == [None, None, None]
    assert list(predictions(two).to_frame()) == ["path", "labels", "cat", "dog", "owl"]
    assert "ask" not in written(two, "csv") + written(two, "json")


def test_a_class_called_ask_does_not_take_the_column() -> None:
    block = MultiCategoryBlock(vocab=["ask", "cat", "dog"])
    frame = predictions(Decision(block, Thresholds(0.75, lower=0.25)), block).to_frame()
    assert list(frame) == ["path", "labels", "ask", "cat", "dog", "to_ask"]


@pytest.mark.parametrize("lower", [0.25, (0.25, 0.3, 0.0)])
def test_three_way_thresholds_survive_a_round_trip_as_json(lower: float | tuple[float, ...]) -> None:
    decision = Decision(TARGET).with_thresholds(Thresholds((0.75, 0.5, 0.5), lower=lower))
    assert Decision.from_json(json.loads(json.dumps(decision.to_json())), TARGET) == decision
