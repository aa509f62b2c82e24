"""The laws that every kind of target keeps; a new kind is one more line in CASES."""

import json
from collections.abc import Callable
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
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.registry import TARGET_BLOCKS, block_from_json, block_to_json
from eyebright.tasks.regression import RegressionBlock
from eyebright.types import Points, Size

SIZE = Size(60, 80)
WARP = Warp.rotate(SIZE, 20).then(Warp.flip(SIZE)).then(Warp.resize(SIZE, Size(32, 48)))


def confident(rows: torch.Tensor) -> torch.Tensor:
    """Logits of 50 for 1 and of -50 for 0."""
    return 50 * (2 * rows.float() - 1)


def one_hot_logits(targets: torch.Tensor, width: int) -> torch.Tensor:
    return confident(torch.nn.functional.one_hot(targets, width))


def above_logits(targets: torch.Tensor, width: int) -> torch.Tensor:
    return confident(torch.arange(width) < targets[:, None])


def as_they_are(targets: torch.Tensor, width: int) -> torch.Tensor:
    return targets.flatten(1)


@dataclass(frozen=True)
class Case:
    """A block, what getters give it, the best leading score, and a perfect model's outputs for encoded targets."""

    block: TargetBlock
    raws: list[Any]
    best: float
    outputs: Callable[[torch.Tensor, int], torch.Tensor]


CASES = {
    "category": Case(CategoryBlock(), ["cat", "dog", "ant", "dog"], 1.0, one_hot_logits),
    "multicategory": Case(
        MultiCategoryBlock(), [["b", "a"], ["c"], [], ["a", "b", "c"]], 1.0, lambda targets, _: confident(targets)
    ),
    "ordinal": Case(OrdinalBlock(), [3, "1", 10.0, "3"], 0.0, above_logits),
    "points": Case(
        PointBlock(mirror=(1, 0, 2)),
        [[[30.0, 20], [50, 20], [40, 40]], [[31, 22], [52, 25], [41, 44]]],
        0.0,
        as_they_are,
    ),
    "regression": Case(RegressionBlock(), [(1.5, -2.0), (0.0, 7.0)], 0.0, as_they_are),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def fitted(case: Case) -> tuple[TargetBlock, list[Any]]:
    values = [case.block.read(raw) for raw in case.raws]
    return case.block.fit(values), values


def perfect_outputs(case: Case, block: TargetBlock, targets: torch.Tensor) -> torch.Tensor:
    return case.outputs(targets, block.n_out)


def same(value: Any, expected: Any) -> bool:
    if isinstance(value, Points):
        return torch.equal(value.known, expected.known) and torch.allclose(value.xy, expected.xy, atol=1e-3)
    return value == (pytest.approx(expected) if isinstance(expected, tuple) else expected)


def test_every_kind_of_target_is_held_to_the_laws() -> None:
    assert set(CASES) == set(TARGET_BLOCKS)


@pytest.mark.parametrize("warp", [None, Warp.identity(SIZE), WARP], ids=["no warp", "identity", "turned"])
def test_what_was_encoded_decodes_to_itself(case: Case, warp: Warp | None) -> None:
    block, values = fitted(case)
    for value in values:
        encoded = block.encode(value, warp)
        own = encoded if warp is None else block.to_user_units(encoded[None], [warp])[0]
        assert same(block.decode(own), value)


def test_perfect_outputs_give_the_best_score_and_decode_to_the_truth(case: Case) -> None:
    block, values = fitted(case)
    targets = torch.stack([block.encode(value, WARP) for value in values])
    decision = Decision(block)
    warps = [WARP] * len(values)
    scores = decision.activate(block.to_user_units(perfect_outputs(case, block, targets), warps))
    leading = block.metrics()[0]
    own = torch.stack([block.encode(value) for value in values])
    assert leading.takes in ("logits", "probabilities", "values")
    if leading.takes != "logits":
        assert leading(scores, own) == pytest.approx(case.best, abs=1e-3)
    for row, value in zip(scores, values, strict=True):
        assert same(decision.decode(row), value)


def test_perfect_outputs_have_a_smaller_loss_than_others(case: Case) -> None:
    block, values = fitted(case)
    targets = torch.stack([block.encode(value, WARP) for value in values])
    outputs = perfect_outputs(case, block, targets)
    assert block.loss()(outputs, targets) < 1e-6
    assert block.loss()(1 - outputs, targets) > 0.1


def test_the_training_loss_without_options_is_the_loss_and_options_are_offered_or_refused(case: Case) -> None:
    block, values = fitted(case)
    targets = torch.stack([block.encode(value, WARP) for value in values])
    outputs = torch.randn(len(values), block.n_out, generator=torch.Generator().manual_seed(0))
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
        outputs = torch.randn(len(values), block.n_out, generator=torch.Generator().manual_seed(0))
        soft = block.soft_targets(targets)
        assert soft.shape == (len(values), len(block.target_names))
        torch.testing.assert_close(block.loss()(outputs, soft), block.loss()(outputs, targets))


def test_the_head_is_as_wide_as_there_are_names_of_outputs(case: Case) -> None:
    block, values = fitted(case)
    assert len(block.activate(torch.zeros(3, block.n_out))) == 3
    assert block.n_out == len(block.output_names) == len(set(block.output_names))
    assert len(block.target_row(block.encode(values[0]))) == len(block.target_names) == len(set(block.target_names))
    assert len(set(block.value_names)) == len(block.value_names)


def test_an_encoded_target_goes_through_its_row_of_numbers(case: Case) -> None:
    block, values = fitted(case)
    for value in values:
        encoded = block.encode(value)
        back = block.target_of_row(block.target_row(encoded))
        assert torch.equal(back, encoded)
        assert back.dtype == encoded.dtype


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
    assert block.text(values[0])
    block.points_of(values[0])
    assert torch.equal(block.encode(values[0]), before)
