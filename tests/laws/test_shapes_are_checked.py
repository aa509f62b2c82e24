"""Law: the shapes in annotations hold. `support.shapes` checks them in all tests; here, that it does."""

import inspect
import random
import subprocess
import sys

import pytest
import torch
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from eyebright.image.warp import Warp, warp_batch
from eyebright.losses import BCEWithLogitsLossFlat
from eyebright.types import Points, Size, Thresholds
from support.shapes import check_shapes, once_per_shape


def test_an_argument_of_another_shape_is_an_error_that_names_it() -> None:
    with pytest.raises(TypeCheckError, match="parameter 'probabilities'"):
        Thresholds(0.5).decide(torch.zeros(3, dtype=torch.int64))
    with pytest.raises(TypeCheckError, match="problem arose whilst typechecking parameter 'images'"):
        warp_batch(torch.zeros(3, 8, 8), [Warp.identity(Size(8, 8))])


def test_arguments_that_do_not_fit_together_are_an_error() -> None:
    with pytest.raises(TypeCheckError, match="parameter 'target'"):
        BCEWithLogitsLossFlat().terms(torch.zeros(4, 3), torch.zeros(4, 2))


def test_a_field_of_another_shape_is_an_error() -> None:
    with pytest.raises(TypeCheckError, match="parameter 'known'"):
        Points(torch.zeros(3, 2), torch.ones(2, dtype=torch.bool))


def test_a_result_of_another_shape_is_an_error() -> None:
    @once_per_shape(typechecker=check_shapes)
    def halves(x: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        return x[:, : x.shape[1] // 2]

    with pytest.raises(TypeCheckError, match="checking the return value"):
        halves(torch.zeros(2, 4))


def test_a_call_unlike_the_earlier_ones_is_checked_too() -> None:
    loss = BCEWithLogitsLossFlat()
    for _ in range(2):
        loss.terms(torch.zeros(4, 3), torch.zeros(4, 3))
    for target in (torch.zeros(4, 2), torch.zeros(3, 3), torch.zeros(12)):
        with pytest.raises(TypeCheckError, match="parameter 'target'"):
            loss.terms(torch.zeros(4, 3), target)
        with pytest.raises(TypeCheckError, match="parameter 'target'"):
            loss.terms(torch.zeros(4, 3), target=target)


def test_a_result_unlike_the_earlier_ones_is_checked_too() -> None:
    @once_per_shape(typechecker=check_shapes)
    def first(x: Float[Tensor, "b k"], count: int) -> tuple[Float[Tensor, "b k"], int]:
        return x[:count], count

    for count in (2, 2):
        assert first(torch.zeros(2, 4), count)[1] == 2
    for _ in range(2):
        with pytest.raises(TypeCheckError, match="checking the return value"):
            first(torch.zeros(2, 4), 1)
    with pytest.raises(TypeCheckError, match="checking the return value"):
        first(torch.zeros(3, 4), 2)


def test_annotations_without_a_shape_are_not_checked() -> None:
    def repeats(text: str, times: int) -> str:
        return text * times

    assert check_shapes(repeats) is repeats


def test_the_check_draws_no_random_numbers() -> None:
    state = random.getstate()
    for _ in range(20):
        BCEWithLogitsLossFlat(pos_weight=[1.0, 2.0])
    assert random.getstate() == state


def test_signatures_and_modules_stay_as_they_are() -> None:
    assert inspect.signature(warp_batch).parameters["pad_mode"].default == "reflection"
    assert warp_batch.__module__ == "eyebright.image.warp"


@pytest.mark.slow
def test_without_the_tests_nothing_is_checked() -> None:
    program = """
import torch
from eyebright.types import Points
import sys
points = Points(torch.zeros(3, 2), torch.ones(2, dtype=torch.bool))
sys.exit("beartype" in sys.modules)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.wrong_shapes
def test_a_test_that_reads_the_librarys_own_error_turns_the_check_off() -> None:
    assert Points(torch.zeros(3, 2), torch.ones(2, dtype=torch.bool)).known.shape == (2,)
