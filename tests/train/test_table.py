"""The table of epochs."""

import pytest

from eyebright.train.table import EpochRow, clock, epoch_cells, epoch_columns, history_rows, text_table

ROWS = [
    EpochRow(0, {"train_loss": 0.85, "valid_loss": 0.7}, 65.4),
    EpochRow(1, {"train_loss": 0.5, "valid_loss": 0.25, "error_rate": 1.0}, 3.0),
]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "00:00"), (59.6, "01:00"), (65, "01:05"), (3599, "59:59"), (3665, "1:01:05")]
)
def test_times_are_minutes_and_seconds(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_a_score_that_only_some_epochs_have_leaves_an_empty_cell_in_the_others() -> None:
    columns = epoch_columns(ROWS)
    assert columns == ["epoch", "train_loss", "valid_loss", "error_rate", "time"]
    assert epoch_cells(ROWS[0], columns) == ["0", "0.850000", "0.700000", "", "01:05"]
    assert epoch_cells(ROWS[1], columns) == ["1", "0.500000", "0.250000", "1.000000", "00:03"]


def test_the_columns_of_the_text_stand_under_each_other() -> None:
    assert text_table(ROWS).splitlines() == [
        "   epoch  train_loss  valid_loss  error_rate      time",
        "       0    0.850000    0.700000                 01:05",
        "       1    0.500000    0.250000    1.000000     00:03",
    ]


def test_a_history_becomes_rows() -> None:
    history = [{"epoch": 0, "train_loss": 0.85, "valid_loss": 0.7, "seconds": 65.4}]
    assert history_rows(history) == ROWS[:1]
