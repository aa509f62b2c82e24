"""How cost grows: work with the images and no faster, memory with them and not with epochs, threads with nothing."""

import gc
import threading
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eyebright.data.block import DataBlock
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.datasets import Dataset
from eyebright.data.loader import Loader
from eyebright.data.sample_spec import SampleSpec
from eyebright.sources.checked_split import checked_split
from eyebright.sources.split import LabelSplitter, MaskSplitter, RandomSplitter
from eyebright.transforms.pipeline import Pipeline
from support.images import coloured_squares
from support.learners import small_learner, squares_block

MILLION = 1_000_000


@pytest.fixture(scope="module")
def table(folder: Path) -> pd.DataFrame:
    return coloured_squares(folder, 24)


def loaders(folder: Path, table: pd.DataFrame, **changes: Any) -> DataLoaders:
    return squares_block(folder, **changes).dataloaders(table, bs=4, num_workers=2)


@pytest.mark.parametrize("times", [1, 5])
def test_every_image_is_looked_at_once_an_epoch_however_many_there_are(
    folder: Path, table: pd.DataFrame, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[str] = Counter()
    for owner, name in ((Pipeline, "preprocess"), (Dataset, "sample")):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name), calls, name))
    asked: list[str] = []

    def labels(row: pd.Series) -> list[str]:
        asked.append(row["fname"])
        return row["labels"].split()

    several = pd.concat([table] * times)
    dls = loaders(folder, several, get_y=labels)
    assert len(asked) == len(several)  # each target is read once, to find the classes
    for epochs in (1, 2):
        for side in dls:
            sum(1 for _ in side)
        seen = epochs * len(dls.train) * 4 + len(dls.valid_ds)  # the validation set is looked at once
        assert calls == {"preprocess": seen, "sample": seen}
    assert len(asked) == len(several)


def counted(function: Any, calls: Counter[str], name: str) -> Any:
    def call(*args: Any) -> Any:
        calls[name] += 1
        return function(*args)

    return call


def test_a_million_positions_are_split_and_grouped_in_a_few_bytes_each() -> None:
    items = range(MILLION)
    tracemalloc.start()
    train, valid = checked_split(RandomSplitter(seed=0), items)
    split, most_split = tracemalloc.get_traced_memory()
    loader = Loader(Dataset(items, train, SampleSpec()), Pipeline(), bs=64, training=True, shuffle=True)
    images = sum(len(batch) for batch in loader.index_batches(0))
    loaded, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert images == len(train) == MILLION - len(valid)
    assert split < 9 * MILLION  # eight for each index
    assert most_split < 40 * MILLION
    assert loaded - split < 5 * len(train)  # four for the number of each target
    assert most - split < 20 * len(train)  # and eight for the order of an epoch, while it lasts


def test_a_million_rows_are_stratified_in_a_few_bytes_each() -> None:
    labels = [("a",), ("a", "b"), (), ("c", "b")] * (MILLION // 40)
    splitter = LabelSplitter(labels, 0.2, seed=0)
    splitter(labels)
    tracemalloc.start()
    LabelSplitter(labels, 0.2, seed=0)(labels)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 200 * len(labels)


def test_the_classes_do_not_multiply_the_work_of_stratifying() -> None:
    compared: Counter[str] = Counter()

    class Name(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            compared["equal"] += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    items, counts = list(range(3_000)), []
    for classes in (10, 1_000):
        compared.clear()
        LabelSplitter([(Name(f"l{i % classes}"),) for i in items], seed=0)(items)
        counts.append(compared["equal"])
    assert max(counts) < 10 * len(items)


@pytest.mark.slow
def test_objects_and_threads_stay_as_many_over_epochs(folder: Path, table: pd.DataFrame) -> None:
    others = set(threading.enumerate())
    dls = loaders(folder, table)
    objects, threads = [], []
    for _ in range(6):
        for side in dls:
            sum(len(x) for x, _ in side)
        gc.collect()
        objects.append(len(gc.get_objects()))
        threads.append(set(threading.enumerate()) - others)
    assert max(objects[2:]) - min(objects[2:]) < 20
    assert threads[0] <= threads[1] <= threads[5]  # those of the first epoch still read in the last one
    assert 2 <= len(threads[5]) <= 4  # two at most for each side, started when there is work


@pytest.mark.slow
def test_objects_stay_as_many_over_epochs_of_training_but_for_the_history(folder: Path, table: pd.DataFrame) -> None:
    learner = small_learner(loaders(folder, table))
    objects = []
    for _ in range(5):
        learner.fit(1, 1e-3)
        gc.collect()
        objects.append(len(gc.get_objects()))
    growth = np.diff(objects[2:])
    assert (growth < 60).all(), growth


def test_batches_of_a_huge_table_begin_at_once_and_no_group_waits_in_memory() -> None:
    items = range(10 * MILLION)
    block = DataBlock(splitter=MaskSplitter(np.zeros(len(items), dtype=bool)))
    datasets = block.datasets(items)
    loader = Loader(datasets.train, Pipeline(), bs=64, training=False)
    tracemalloc.start()
    groups = loader.index_batches(0)
    assert next(groups) == list(range(64))
    assert next(groups) == list(range(64, 128))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 50_000
