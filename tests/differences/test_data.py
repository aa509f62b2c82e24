"""Defects of fastai in data loading; row numbers refer to ``README.md`` in this folder."""

import multiprocessing
import os
import threading
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eyebright.data.block import DataBlock
from eyebright.data.getters import ColReader
from eyebright.errors import DataError, InputError
from eyebright.io.files import get_image_files
from eyebright.sources.checked_split import checked_split
from eyebright.sources.split import RandomSplitter
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.image import ImageBlock
from support.gold import gold
from support.learners import small_learner, squares_block

TRAPS = gold("g08_datablock")["traps"]


def split_at_spaces(row: Any) -> list[str]:
    """The getter of the fastai book."""
    return row["labels"].split(" ")


@pytest.mark.parametrize(
    ("empty", "get_y"),
    [("", split_at_spaces), ("", ColReader("labels", label_delim=" ")), (np.nan, ColReader("labels", label_delim=" "))],
)
def test_an_image_without_labels_adds_no_empty_class(
    folder: Path, table: pd.DataFrame, empty: Any, get_y: Callable[[Any], list[str]]
) -> None:
    """Row 5: ``''.split(' ')`` is ``['']``, which fastai makes a class ''; a missing value is an error."""
    assert gold("g05_split_vocab")["''.split(' ') -> [''] : phantom '' class"]["vocab"] == ["", "a", "b"]
    unlabelled = (table["labels"] == "") & ~table["is_valid"]
    datasets = squares_block(folder, get_y=get_y).datasets(table.replace({"labels": {"": empty}}))
    assert list(datasets.vocab) == ["blue", "green", "red"]
    indices = [i for i, index in enumerate(datasets.train.indices) if bool(unlabelled[index])]
    assert indices
    assert all(not datasets.train[i][1].any() for i in indices)


def test_an_unsupported_sampler_argument_is_refused(folder: Path, table: pd.DataFrame) -> None:
    """Row 7: fastai's ``dataloaders`` ignores unknown keywords, so a sampler has no effect."""
    assert TRAPS["unknown kwargs to dataloaders() are silently ignored"] == {"err": None, "bs": 64}
    with pytest.raises(TypeError, match="no keyword 'sampler'. It has: source, path, bs"):
        squares_block(folder).dataloaders(table, sampler=[0, 1])  # pyright: ignore[reportCallIssue]


def test_an_error_in_a_getter_names_the_image_and_has_a_short_traceback(folder: Path, table: pd.DataFrame) -> None:
    """Row 11: in fastai the error has no path and is 21 frames deep."""
    frames, message, path_in_message = gold("g12_extra")["user get_y error: frames, message"]
    assert (message, path_in_message) == ("ValueError: bad label", "item path in message: False")

    def failing(image: Path) -> str:
        if image.name == "005.png":
            raise ValueError("bad label")
        return "a"

    block = DataBlock((ImageBlock, CategoryBlock), get_items=get_image_files, get_y=failing)
    with pytest.raises(DataError, match=r"005.png': get_y raised ValueError: bad label") as error:
        block.dataloaders(folder)
    assert len(traceback.extract_tb(error.tb)) < frames


def test_summary_works_with_fewer_than_four_training_images(
    folder: Path, table: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row 11: fastai raises an ``IndexError``."""
    assert TRAPS["summary with fewer than 4 train items"] == "IndexError: list index out of range"
    squares_block(folder, splitter=lambda _: ([0, 1, 2], [3])).summary(table)
    assert "One batch: x 3x3x32x32" in capsys.readouterr().out


def test_items_outside_both_sets_are_reported(
    folder: Path, table: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row 11: fastai silently accepts a split that omits most items."""
    assert TRAPS["items in no split: dropped silently"] == {"err": None, "used": 4, "found": 60}
    squares_block(folder, splitter=lambda _: ([0, 1, 2], [3])).summary(table)
    assert "20 items are in neither of them" in capsys.readouterr().out


@pytest.mark.parametrize("options", [{"bs": 1}, {"bs": 17, "drop_last": False}])
def test_a_batch_with_a_single_image_is_an_error_before_training(
    folder: Path, table: pd.DataFrame, options: dict[str, Any]
) -> None:
    """Row 11: in fastai torch raises the error inside the network."""
    assert gold("g13_misc")["bs=1 in train mode"].startswith("ValueError: Expected more than 1 value per channel")
    learner = small_learner(squares_block(folder).dataloaders(table, **options))
    for method in (lambda: learner.fit(1), lambda: learner.lr_find(show_plot=False)):
        with pytest.raises(InputError, match=f"batches of {options['bs']} out of 18 images leave a batch of one image"):
            method()


def test_a_seeded_split_does_not_depend_on_the_order_of_the_file_system(
    folder: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 13: fastai does not sort files, so the same seed gives another split on another machine."""
    assert gold("g05_split_vocab")["get_image_files sorts?"] is False

    def validation_set() -> set[Path]:
        files = get_image_files(folder)
        return {files[i] for i in checked_split(RandomSplitter(seed=42), files)[1]}

    expected, scandir = validation_set(), os.scandir

    @contextmanager
    def reversed_scandir(*arguments: Any) -> Any:
        with scandir(*arguments) as entries:
            yield iter(list(entries)[::-1])

    monkeypatch.setattr(os, "scandir", reversed_scandir)
    assert validation_set() == expected


def test_loading_keeps_its_threads_between_epochs_and_starts_no_process(folder: Path, table: pd.DataFrame) -> None:
    """Row 22: fastai starts new worker processes in each epoch, and has none on macOS and in Windows notebooks."""
    assert gold("g12_extra")["DataLoader defaults"]["persistent"] is False
    lock = threading.Lock()  # makes the getter impossible to pickle

    def get_x(row: Any) -> Path:
        with lock:
            return folder / row["fname"]

    before = reading_threads()
    train = squares_block(folder, get_x=get_x).dataloaders(table, bs=8, num_workers=2).train
    list(train.batches(0))
    first = reading_threads() - before
    list(train.batches(1))
    assert first
    assert first <= reading_threads()
    assert len(reading_threads() - before) <= 2
    assert multiprocessing.active_children() == []


def reading_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("eyebright-loader")}
