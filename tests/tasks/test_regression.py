"""Numbers: unknown ones, and the scale in which a model learns them."""

import json

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from eyebright.image.warp import Warp
from eyebright.tasks.registry import block_from_json, block_to_json
from eyebright.tasks.regression import RegressionBlock
from eyebright.types import Size

SEEN = Warp.identity(Size(8, 8))
NAN = float("nan")
PRICES = [(300_000.0, 0.2), (450_000.0, 0.1), (NAN, 0.4), (275_000.5, NAN)]


def test_numbers_of_a_table_are_learnt_with_the_mean_and_deviation_of_scikit_learn() -> None:
    block = RegressionBlock.from_columns(["price", "share"]).fit(PRICES)
    encoded = torch.stack([block.encode(row, SEEN) for row in PRICES])
    np.testing.assert_allclose(encoded, StandardScaler().fit_transform(np.array(PRICES)), atol=1e-5)


def test_predictions_are_in_the_unit_of_the_user() -> None:
    block = RegressionBlock.from_columns(["price", "share"]).fit(PRICES)
    encoded = torch.stack([block.encode(row, SEEN) for row in PRICES])
    own = block.own_units(encoded, [SEEN] * len(PRICES))
    torch.testing.assert_close(own, torch.tensor(PRICES), equal_nan=True)
    torch.testing.assert_close(block.encode(PRICES[0]), torch.tensor(PRICES[0]))


def test_a_number_that_never_varies_is_learnt_as_the_difference_from_it() -> None:
    block = RegressionBlock.from_columns([]).fit([(7.0,), (7.0,)])
    assert block.encode((7.0,), SEEN).tolist() == [0.0]
    assert block.own_units(torch.tensor([[0.5]]), [SEEN]).tolist() == [[7.5]]


def test_numbers_of_a_notebook_are_learnt_as_they_are_as_in_the_book() -> None:
    block = RegressionBlock().fit(PRICES)
    torch.testing.assert_close(block.encode(PRICES[0], SEEN), torch.tensor(PRICES[0]))
    assert (block.n_out, block.center) == (2, None)


def test_the_scale_is_saved_with_the_block_and_older_files_have_none() -> None:
    block = RegressionBlock.from_columns(["price", "share"]).fit(PRICES)
    assert block_from_json(json.loads(json.dumps(block_to_json(block)))) == block
    assert RegressionBlock.from_json({"n_out": 2, "names": None}) == RegressionBlock(2)


@pytest.mark.parametrize("row", [PRICES[0], PRICES[2]])
def test_a_file_keeps_numbers_in_their_own_unit(row: tuple[float, ...]) -> None:
    block = RegressionBlock.from_columns(["price", "share"]).fit(PRICES)
    target = block.encode(row)
    torch.testing.assert_close(block.target_of_row(block.target_row(target)), target, equal_nan=True)
