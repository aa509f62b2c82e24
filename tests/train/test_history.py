"""The table of epochs as text, and the smoothed training loss against the book's."""

import json
from pathlib import Path

import pytest

from eyebright.train.history import (
    EpochRow,
    epoch_cells,
    epoch_columns,
    format_duration,
    history_rows,
    smoothed,
    text_table,
)

GOLD = json.loads((Path(__file__).parents[1] / "gold" / "g03_metrics.json").read_text())

ROWS = [
    EpochRow(0, {"train_loss": 0.85, "valid_loss": 0.7}, 65.4),
    EpochRow(1, {"train_loss": 0.5, "valid_loss": 0.25, "error_rate": 1.0}, 3.0),
]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "00:00"), (59.6, "01:00"), (65, "01:05"), (3599, "59:59"), (3665, "1:01:05")]
)
def test_durations_are_written_as_minutes_and_seconds(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_a_cell_is_empty_if_its_epoch_lacks_the_score() -> None:
    columns = epoch_columns(ROWS)
    assert columns == ["epoch", "train_loss", "valid_loss", "error_rate", "time"]
    assert epoch_cells(ROWS[0], columns) == ["0", "0.850000", "0.700000", "", "01:05"]
    assert epoch_cells(ROWS[1], columns) == ["1", "0.500000", "0.250000", "1.000000", "00:03"]


def test_the_cells_of_the_text_table_are_aligned_with_their_column_names() -> None:
    assert text_table(ROWS).splitlines() == [
        "   epoch  train_loss  valid_loss  error_rate      time",
        "       0    0.850000    0.700000                 01:05",
        "       1    0.500000    0.250000    1.000000     00:03",
    ]


def test_the_rows_are_made_from_the_history_of_a_run() -> None:
    history = [{"epoch": 0, "train_loss": 0.85, "valid_loss": 0.7, "seconds": 65.4}]
    assert history_rows(history) == ROWS[:1]


@pytest.mark.parametrize("beta", [0.98, 0.9])
def test_the_smoothed_loss_equals_that_of_the_book(beta: float) -> None:
    gold = GOLD[f"AvgSmoothLoss(beta={str(beta).removeprefix('0')})"]
    assert smoothed(gold["losses"], beta=beta) == pytest.approx(gold["values"], rel=1e-5)


def test_smoothing_does_not_change_a_constant_loss() -> None:
    assert smoothed([0.7] * 50) == pytest.approx([0.7] * 50)
