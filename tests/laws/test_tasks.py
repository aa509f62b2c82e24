"""The laws that every kind of answer keeps; a new kind is one more line in CASES."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from eyebright.errors import InputError
from eyebright.image.warp import Warp
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.registry import TARGET_BLOCKS, block_from_json, block_to_json
from eyebright.tasks.regression import RegressionBlock
from eyebright.types import Points, Size

SIZE = Size(60, 80)
WARP = Warp.rotate(SIZE, 20).then(Warp.flip(SIZE)).then(Warp.resize(SIZE, Size(32, 48)))


@dataclass(frozen=True)
class Case:
    """A block, what getters give it, and which outputs would be a perfect model's for an encoded target."""

    block: TargetBlock
    raws: list[Any]
    best: float
    sure: float  # from encoded targets to outputs: outputs = sure * (2 * target - 1), or the target itself for 0


CASES = {
    "category": Case(CategoryBlock(), ["cat", "dog", "ant", "dog"], best=1.0, sure=50),
    "multicategory": Case(MultiCategoryBlock(), [["b", "a"], ["c"], [], ["a", "b", "c"]], best=1.0, sure=50),
    "points": Case(
        PointBlock(mirror=(1, 0, 2)), [[[30.0, 20], [50, 20], [40, 40]], [[31, 22], [52, 25], [41, 44]]], 0.0, 0
    ),
    "regression": Case(RegressionBlock(), [(1.5, -2.0), (0.0, 7.0)], best=0.0, sure=0),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def fitted(case: Case) -> tuple[TargetBlock, list[Any]]:
    values = [case.block.read(raw) for raw in case.raws]
    return case.block.fit(values), values


def perfect_outputs(case: Case, block: TargetBlock, targets: torch.Tensor) -> torch.Tensor:
    if case.sure == 0:
        return targets.flatten(1)
    rows = torch.nn.functional.one_hot(targets, block.width).float() if targets.ndim == 1 else targets
    return case.sure * (2 * rows - 1)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Points):
        return torch.equal(one.visible, other.visible) and torch.allclose(one.xy, other.xy, atol=1e-3)
    return one == (pytest.approx(other) if isinstance(other, tuple) else other)


def test_every_kind_of_target_is_held_to_the_laws() -> None:
    assert set(CASES) == set(TARGET_BLOCKS)


@pytest.mark.parametrize("warp", [None, Warp.identity(SIZE), WARP], ids=["no warp", "identity", "turned"])
def test_what_was_encoded_decodes_to_itself(case: Case, warp: Warp | None) -> None:
    block, values = fitted(case)
    for value in values:
        encoded = block.encode(value, warp)
        own = encoded if warp is None else block.own_units(encoded[None], [warp])[0]
        assert same(block.decode(own), value)


def test_perfect_outputs_give_the_best_score_and_decode_to_the_truth(case: Case) -> None:
    block, values = fitted(case)
    targets = torch.stack([block.encode(value, WARP) for value in values])
    decision = Decision(block)
    warps = [WARP] * len(values)
    scores = decision.scores(block.own_units(perfect_outputs(case, block, targets), warps))
    leading = block.metrics()[0]
    own = torch.stack([block.encode(value) for value in values])
    assert leading.takes in ("logits", "probabilities", "values")
    if leading.takes != "logits":
        assert leading(scores, own) == pytest.approx(case.best, abs=1e-3)
    for row, value in zip(scores, values, strict=True):
        assert same(decision.answer(row), value)


def test_perfect_outputs_have_a_smaller_loss_than_others(case: Case) -> None:
    block, values = fitted(case)
    targets = torch.stack([block.encode(value, WARP) for value in values])
    outputs = perfect_outputs(case, block, targets)
    assert block.loss()(outputs, targets) < 1e-6
    assert block.loss()(1 - outputs, targets) > 0.1


def test_the_training_loss_without_options_is_the_loss_and_options_are_offered_or_refused(case: Case) -> None:
    block, values = fitted(case)
    targets = torch.stack([block.encode(value, WARP) for value in values])
    outputs = torch.randn(len(values), block.width, generator=torch.Generator().manual_seed(0))
    assert torch.equal(block.training_loss(values)(outputs, targets), block.loss()(outputs, targets))
    for options in ({"label_smoothing": 0.1}, {"balance": "pos_weight"}, {"balance": "effective_number"}):
        if block.label_names:
            changed = block.training_loss([values[0], values[0], *values], **options)(outputs, targets)
            assert changed.isfinite()
            assert changed != block.loss()(outputs, targets)
        else:
            with pytest.raises(InputError, match="`label_smoothing` and `balance` are for labels and classes"):
                block.training_loss(values, **options)


def test_soft_targets_mean_what_encoded_ones_do(case: Case) -> None:
    block, values = fitted(case)
    assert block.can_mix == bool(block.label_names)
    if block.can_mix:
        targets = torch.stack([block.encode(value, WARP) for value in values])
        outputs = torch.randn(len(values), block.width, generator=torch.Generator().manual_seed(0))
        soft = block.soft_targets(targets)
        assert soft.shape == outputs.shape
        torch.testing.assert_close(block.loss()(outputs, soft), block.loss()(outputs, targets))


def test_the_head_is_as_wide_as_the_outputs_it_decodes(case: Case) -> None:
    block, _ = fitted(case)
    activated = block.activate(torch.zeros(3, block.width))
    assert len(activated) == 3
    assert block.width == len(block.output_names)


def test_a_block_goes_through_json_and_comes_back_equal(case: Case) -> None:
    block, values = fitted(case)
    back = block_from_json(json.loads(json.dumps(block_to_json(block))))
    assert back == block
    assert torch.equal(back.encode(values[0], WARP), block.encode(values[0], WARP))


def test_fitting_gives_a_new_block_and_leaves_the_old_one_alone(case: Case) -> None:
    before = block_to_json(case.block)
    block, _ = fitted(case)
    assert block is not case.block
    assert block_to_json(case.block) == before
    assert block.fit([]) == block, "a fitted block needs no values and stays as it is"


def test_wording_and_marks_change_nothing(case: Case) -> None:
    block, values = fitted(case)
    before = block.encode(values[0])
    assert block.words(values[0])
    block.marks(values[0])
    assert torch.equal(block.encode(values[0]), before)
