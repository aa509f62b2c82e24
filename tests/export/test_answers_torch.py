"""The answers of an exported torch program are those of the saved decision, for every kind and every calibration."""

import pytest
import torch

from eyebright._choices import CalibrationKind
from eyebright.export.answers_graph import ANSWERS
from eyebright.export.answers_torch import TORCH_ANSWERS, torch_answers
from eyebright.export.pixels_torch import PlacedAxis
from eyebright.image.warp import Warp
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.types import Size, Thresholds
from support.outputs import CALIBRATION, LABELS, encoded, random_outputs

SIZE = 32, 40
WHOLE = tuple(PlacedAxis(*(torch.tensor(float(one)) for one in (side, side, 0))) for side in SIZE)
ONE_CLASS = [CategoryBlock(LABELS), OrdinalBlock(["1", "2", "3", "4"])]


def answers(decision: Decision, outputs: torch.Tensor) -> dict[str, torch.Tensor]:
    rows, columns = WHOLE
    return torch_answers(outputs, decision, (rows, columns), SIZE)


def test_every_kind_has_its_function() -> None:
    assert set(TORCH_ANSWERS) == set(ANSWERS)


@pytest.mark.parametrize("kind", CALIBRATION)
@pytest.mark.parametrize(
    "thresholds", [Thresholds((0.2, 0.5, 0.9)), Thresholds((0.6, 0.5, 0.9), lower=(0.1, 0.5, 0.3))]
)
def test_labels_have_calibrated_probabilities_and_decisions(kind: CalibrationKind, thresholds: Thresholds) -> None:
    decision = Decision(MultiCategoryBlock(vocab=LABELS), thresholds, CALIBRATION[kind])
    outputs = random_outputs(decision.target)
    found, activated = answers(decision, outputs), decision.activate(outputs)
    torch.testing.assert_close(found["probabilities"], activated)
    assert found["decisions"].tolist() == encoded(decision, activated).nan_to_num(-1).tolist()
    assert found["decisions"].dtype == torch.int64


@pytest.mark.parametrize("block", ONE_CLASS, ids=["class", "rating"])
@pytest.mark.parametrize("thresholds", [Thresholds(), Thresholds(0.6, lower=0.0)], ids=["answers", "asks"])
def test_one_class_has_its_index_and_asks_where_it_is_not_probable(block: TargetBlock, thresholds: Thresholds) -> None:
    decision = Decision(block, thresholds, CALIBRATION["temperature"])
    outputs = random_outputs(block)
    found, activated = answers(decision, outputs), decision.activate(outputs)
    torch.testing.assert_close(found["probabilities"], activated)
    assert found["decisions"].tolist() == encoded(decision, activated).tolist()
    assert ("asks" in found) == thresholds.is_three_way
    if thresholds.is_three_way:
        assert found["asks"].bool().tolist() == decision.abstains(activated).any(dim=1).tolist()


@pytest.mark.parametrize(
    "block",
    [
        RegressionBlock(names=("age", "mass"), standardize=True, center=(40.0, 1e5), scale=(12.0, 3e4)),
        RegressionBlock(2),
        PointBlock(3),
    ],
    ids=["standardized", "as they are", "points"],
)
def test_numbers_and_points_are_in_the_unit_of_the_user(block: TargetBlock) -> None:
    outputs = random_outputs(block)
    [found] = answers(Decision(block), outputs).values()
    expected = block.to_user_units(outputs, [Warp.identity(Size(*SIZE))] * len(outputs))
    torch.testing.assert_close(found.flatten(1), expected.flatten(1), rtol=1e-6, atol=1e-4)
