"""The history as a CSV file."""

import math
from pathlib import Path

import pandas as pd
import pytest

from eyebright.errors import ArtifactError, InputError, TrainingError
from eyebright.io.files import check_replaceable
from eyebright.train.loop import watch
from eyebright.train.observers.checkpoint import checkpoint
from eyebright.train.observers.history import history_csv, read_history, write_history
from eyebright.train.state import load_checkpoint
from support.training import tiny_plans, tiny_run, train_all


def test_the_file_has_a_row_per_epoch_including_those_before_a_resume(tmp_path: Path) -> None:
    file, path = tmp_path / "logs" / "history.csv", tmp_path / "run.safetensors"
    run = tiny_run()
    run.begin(*tiny_plans())
    for _, event in zip(range(14), train_all(run, validate=lambda: {"f1": 0.5}), strict=False):
        checkpoint(run, path)(event)
    resumed = tiny_run()
    load_checkpoint(resumed, path)
    watch(train_all(resumed, validate=lambda: {"f1": 0.5}), [history_csv(resumed, file)])
    table = pd.read_csv(file)
    assert list(table) == ["epoch", "train_loss", "f1", "seconds"]
    assert table["epoch"].tolist() == [0, 1, 2, 3]
    assert table["train_loss"].tolist() == pytest.approx([row["train_loss"] for row in resumed.history])


def test_epochs_can_have_different_scores(tmp_path: Path) -> None:
    write_history([{"epoch": 0, "a": 1.0}, {"epoch": 1, "b": 2.0}], tmp_path / "history.csv")
    assert (tmp_path / "history.csv").read_text() == "epoch,a,b\n0,1.0,\n1,,2.0\n"


def test_an_error_in_writing_the_history_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"cannot write the history '.*file/history.csv'"):
        write_history([{"epoch": 0}], tmp_path / "file" / "history.csv")


def test_numbers_survive_a_round_trip_exactly(tmp_path: Path) -> None:
    history = [{"epoch": 0, "loss": 1 / 3, "seconds": 1e-17}, {"epoch": 1, "loss": math.inf, "f1": 0.1 + 0.2}]
    write_history(history, tmp_path / "history.csv")
    again = read_history(tmp_path / "history.csv")
    assert again == history
    assert [type(row["epoch"]) for row in again] == [int, int]
    assert read_history(tmp_path / "none.csv") == []
    write_history([{"epoch": 0, "f1": math.nan}], tmp_path / "history.csv")
    assert math.isnan(read_history(tmp_path / "history.csv")[0]["f1"])


@pytest.mark.parametrize("text", ["epoch,loss\n0,low\n", "epoch\n0,1,2\n"])
def test_a_history_with_other_values_than_numbers_is_an_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(ArtifactError, match=r"cannot read the history '.*history.csv'"):
        read_history(tmp_path / "history.csv")


def test_a_row_with_more_cells_than_the_header_is_said(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text("epoch,loss\n1,0.5,3\n")
    with pytest.raises(ArtifactError, match="cannot read the history '.*': a row has more cells than the header"):
        read_history(tmp_path / "history.csv")


def test_a_history_without_an_epoch_is_no_empty_file_that_may_be_replaced(tmp_path: Path) -> None:
    write_history([], tmp_path / "history.csv")
    assert read_history(tmp_path / "history.csv") == []
    with pytest.raises(InputError, match="history.csv' exists and holds no predictions"):
        check_replaceable(tmp_path / "history.csv", ["path,"], "predictions")
