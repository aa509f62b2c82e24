"""`RegressionBlock`: unknown numbers, and standardization."""

import json

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from eyebright.errors import DataError, InputError
from eyebright.image.warp import Warp
from eyebright.tasks.registry import block_from_json, block_to_json
from eyebright.tasks.regression import RegressionBlock
from eyebright.types import Size

IDENTITY = Warp.identity(Size(8, 8))  # with a warp, `encode` gives the network's units; without, the user's
NAN = float("nan")
PRICES = [(300_000.0, 0.2), (450_000.0, 0.1), (NAN, 0.4), (275_000.5, NAN)]


def test_from_columns_standardizes_like_sklearn_standard_scaler() -> None:
    block = RegressionBlock.from_columns(["price", "share"]).fit(PRICES)
    encoded = torch.stack([block.encode(row, IDENTITY) for row in PRICES])
    np.testing.assert_allclose(encoded, StandardScaler().fit_transform(np.array(PRICES)), atol=1e-5)


def test_to_user_units_undoes_the_standardization() -> None:
    block = RegressionBlock.from_columns(["price", "share"]).fit(PRICES)
    encoded = torch.stack([block.encode(row, IDENTITY) for row in PRICES])
    own = block.to_user_units(encoded, [IDENTITY] * len(PRICES))
    torch.testing.assert_close(own, torch.tensor(PRICES), equal_nan=True)
    torch.testing.assert_close(block.encode(PRICES[0]), torch.tensor(PRICES[0]))


def test_a_constant_number_is_only_centred() -> None:
    block = RegressionBlock.from_columns([]).fit([(7.0, 1.0), (7.0, 3.0)])
    assert block.encode((7.0, 1.0), IDENTITY).tolist() == [0.0, -1.0]
    assert block.to_user_units(torch.tensor([[0.5, 0.0]]), [IDENTITY]).tolist() == [[7.5, 2.0]]


@pytest.mark.parametrize("raw", [float("inf"), [1.0, -1e39], np.array([1e300]), 10**400])
def test_numbers_that_a_model_cannot_hold_are_an_error(raw: object) -> None:
    with pytest.raises(
        InputError, match=r"^a number must be at most 3.4e\+38, |^a RegressionBlock takes numbers, got 1"
    ):
        RegressionBlock().read(raw)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([3.5, 3.5, 3.5], "^nothing can be learnt, since it is the same or unknown in every training image: 'value1'"),
        ([float("nan")] * 3, "^no training image has known numbers, so nothing can be learnt"),
        (
            [1.7e9 + i for i in range(20)],
            "^the numbers 'value1' are around 17.* but float32 has steps of 128",
        ),
    ],
)
def test_a_block_that_standardizes_refuses_numbers_that_cannot_be_learnt(values: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        RegressionBlock(standardize=True).fit([(value,) for value in values])


def test_a_block_made_directly_does_not_standardize_as_in_fastai() -> None:
    block = RegressionBlock().fit(PRICES)
    torch.testing.assert_close(block.encode(PRICES[0], IDENTITY), torch.tensor(PRICES[0]))
    assert (block.n_out, block.center) == (2, None)


def test_the_scale_is_saved_with_the_block_and_older_files_have_none() -> None:
    block = RegressionBlock.from_columns(["price", "share"]).fit(PRICES)
    assert block_from_json(json.loads(json.dumps(block_to_json(block)))) == block
    assert RegressionBlock.from_json({"n_out": 2, "names": None}) == RegressionBlock(2)


@pytest.mark.parametrize("row", [PRICES[0], PRICES[2]])
def test_target_row_round_trips_unstandardized_numbers(row: tuple[float, ...]) -> None:
    block = RegressionBlock.from_columns(["price", "share"]).fit(PRICES)
    target = block.encode(row)
    torch.testing.assert_close(block.target_of_row(block.target_row(target)), target, equal_nan=True)
