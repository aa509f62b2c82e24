"""The answers of a graph are those of the saved decision, for every kind of target and every calibration."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from eyebright._choices import CalibrationKind
from eyebright.export.answers_graph import ANSWERS, ImagePlace, add_answers
from eyebright.export.calibration_graph import CALIBRATIONS
from eyebright.export.graph import OPSET, Graph
from eyebright.export.parity import Answer, Comparison
from eyebright.image.warp import Warp
from eyebright.tasks import calibration as kinds
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.registry import TARGET_BLOCKS
from eyebright.tasks.regression import RegressionBlock
from eyebright.types import Size, Thresholds
from support.outputs import CALIBRATION, LABELS, encoded, random_outputs


def answers(decision: Decision, outputs: torch.Tensor) -> list[Any]:
    graph = Graph()
    made = add_answers(graph, "outputs", decision, ImagePlace((32, 40)))
    info = onnx.helper.make_tensor_value_info
    types = [onnx.helper.np_dtype_to_tensor_dtype(np.dtype(one.dtype)) for one in made]
    proto = onnx.helper.make_graph(
        graph.nodes,
        "answers",
        [info("outputs", onnx.TensorProto.FLOAT, ["batch", decision.target.n_out])],
        [info(one.value, kind, ["batch", *one.shape]) for one, kind in zip(made, types, strict=True)],
        graph.constants,
    )
    model = onnx.helper.make_model(proto, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    session: Any = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"outputs": outputs.numpy()})


def test_every_kind_and_every_calibration_has_its_nodes() -> None:
    assert set(ANSWERS) == set(TARGET_BLOCKS)
    assert set(CALIBRATIONS) == set(kinds.CALIBRATIONS) == set(CALIBRATION)


@pytest.mark.parametrize("kind", CALIBRATION)
@pytest.mark.parametrize(
    "thresholds",
    [
        Thresholds(),
        Thresholds((0.2, 0.5, 0.9)),
        Thresholds((0.6, 0.5, 0.9), lower=(0.1, 0.5, 0.3)),
        Thresholds(0.7, lower=0.2),
    ],
    ids=["one", "each", "three-way", "one three-way"],
)
def test_labels_have_calibrated_probabilities_and_decisions(kind: CalibrationKind, thresholds: Thresholds) -> None:
    decision = Decision(MultiCategoryBlock(vocab=LABELS), thresholds, CALIBRATION[kind])
    outputs = random_outputs(decision.target)
    probabilities, decisions = answers(decision, outputs)
    activated = decision.activate(outputs)
    np.testing.assert_allclose(probabilities, activated.numpy(), rtol=0, atol=2e-6)
    expected = encoded(decision, activated).nan_to_num(-1).numpy()
    near = ANSWERS["multicategory"].margins(activated.numpy(), decision) < 1e-5  # type: ignore[misc]
    assert ((decisions == expected) | near).all()
    assert near.mean() < 0.01
    assert (-1 in decisions) == thresholds.is_three_way


@pytest.mark.parametrize("block", [CategoryBlock(LABELS), OrdinalBlock(["1", "2", "3", "4"])], ids=["class", "rating"])
@pytest.mark.parametrize("kind", ["none", "temperature"])
def test_one_class_has_probabilities_and_its_index(block: TargetBlock, kind: CalibrationKind) -> None:
    decision = Decision(block, calibration=CALIBRATION[kind])
    outputs = random_outputs(block)
    probabilities, decisions = answers(decision, outputs)
    activated = decision.activate(outputs)
    np.testing.assert_allclose(probabilities, activated.numpy(), rtol=0, atol=2e-6)
    assert decisions.tolist() == encoded(decision, activated).tolist()


@pytest.mark.parametrize("block", [CategoryBlock(LABELS), OrdinalBlock(["1", "2", "3", "4"])], ids=["class", "rating"])
@pytest.mark.parametrize("kind", ["none", "temperature"])
def test_one_class_that_is_not_probable_enough_asks_a_person(block: TargetBlock, kind: CalibrationKind) -> None:
    decision = Decision(block, Thresholds(0.6, lower=0.0), CALIBRATION[kind])
    outputs = random_outputs(block)
    _, decisions, asks = answers(decision, outputs)
    activated = decision.activate(outputs)
    near = ANSWERS[block.name].margins(activated.numpy(), decision) < 1e-5  # type: ignore[misc]
    assert decisions.tolist() == encoded(decision, activated).tolist()
    assert ((asks == decision.abstains(activated).any(dim=1).numpy()) | near).all()
    assert near.mean() < 0.01
    assert set(asks.tolist()) == {0, 1}


def test_an_answer_near_the_threshold_of_a_class_is_near_to_change() -> None:
    decision = Decision(CategoryBlock(LABELS), Thresholds(0.6, lower=0.0))
    margins: Any = ANSWERS["category"].margins
    assert margins(np.array([[0.61, 0.2, 0.19], [0.9, 0.06, 0.04]]), decision) == pytest.approx([0.01, 0.3])


def test_a_graph_that_asks_otherwise_than_python_is_not_kept() -> None:
    decision, image = Decision(CategoryBlock(LABELS), Thresholds(0.6, lower=0.0)), np.zeros((8, 8, 3), np.uint8)
    first = np.array([0.7, 0.2, 0.1])
    answer = Answer("x.png", first, np.array([0, 0]))

    def given(asks: int) -> dict[str, Any]:
        return {"probabilities": first[None], "decisions": np.array([0]), "asks": np.array([asks])}

    for asks, kept in ((0, True), (1, False)):
        compared = Comparison(decision, lambda _, asks=asks: given(asks))
        compared.add(image, answer)
        assert compared.result.is_kept is kept
        assert (compared.result.answers, compared.result.changed_far) == (1, int(not kept))


def test_of_equal_classes_the_first_is_answered() -> None:
    outputs = torch.zeros(2, 3)
    assert answers(Decision(CategoryBlock(LABELS)), outputs)[1].tolist() == [0, 0]


@pytest.mark.parametrize(
    "block",
    [
        RegressionBlock(names=("age", "mass"), standardize=True, center=(40.0, 1e5), scale=(12.0, 3e4)),
        RegressionBlock(2),
    ],
    ids=["standardized", "as they are"],
)
def test_numbers_are_in_the_unit_of_the_user(block: RegressionBlock) -> None:
    outputs = random_outputs(block)
    [values] = answers(Decision(block), outputs)
    expected = block.to_user_units(outputs, [Warp.identity(Size(32, 40))] * len(outputs))
    np.testing.assert_allclose(values, expected.numpy(), rtol=1e-6)


def test_points_of_the_fixed_graph_are_in_pixels_of_its_input() -> None:
    block = PointBlock(3)
    outputs = random_outputs(block)
    [points] = answers(Decision(block), outputs)
    warps = [Warp.identity(Size(32, 40))] * len(outputs)
    expected = block.to_user_units(outputs, warps).reshape(-1, 3, 2)
    np.testing.assert_allclose(points, expected.numpy(), rtol=0, atol=1e-4)
