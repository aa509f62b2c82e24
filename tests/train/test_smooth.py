"""The smoothed loss against the book's."""

import json
from pathlib import Path

import pytest

from eyebright.train.smooth import smoothed

GOLD = json.loads((Path(__file__).parents[1] / "gold" / "g03_metrics.json").read_text())


@pytest.mark.parametrize("beta", [0.98, 0.9])
def test_the_smoothed_loss_is_that_of_the_book(beta: float) -> None:
    gold = GOLD[f"AvgSmoothLoss(beta={str(beta).removeprefix('0')})"]
    assert smoothed(gold["losses"], beta=beta) == pytest.approx(gold["values"], rel=1e-5)


def test_a_constant_loss_stays_what_it_is() -> None:
    assert smoothed([0.7] * 50) == pytest.approx([0.7] * 50)
