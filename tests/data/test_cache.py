"""Batches are the same with and without a cache of decoded images."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch

from eyebright.data.dataloaders import DataLoaders
from eyebright.image import image as images
from eyebright.image.cache import ImageCache
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Resize
from support.images import coloured_squares
from support.learners import squares_block


@pytest.fixture(scope="module")
def table(folder: Path) -> pd.DataFrame:
    """Half of the images are JPEGs, half PNGs."""
    table = coloured_squares(folder, 24, size=(150, 200))
    for i in range(0, 24, 2):
        PIL.Image.open(folder / f"{i:03}.png").save(folder / f"{i:03}.jpg")
        table.loc[i, "fname"] = f"{i:03}.jpg"
    return table


def loaders(folder: Path, table: pd.DataFrame, **options: Any) -> DataLoaders:
    block = squares_block(
        folder, batch_tfms=aug_transforms(size=32, min_scale=0.3)
    )  # images are decoded at different scales
    return block.dataloaders(table, bs=6, **options)


def choice(kind: str, tmp_path: Path) -> str | Path:
    return "memory" if kind == "memory" else tmp_path


@pytest.mark.parametrize("kind", ["memory", "folder"])
@pytest.mark.parametrize("threads", [0, 3])
def test_batches_are_the_same_with_and_without_a_cache(
    kind: str, threads: int, folder: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    plain = loaders(folder, table, num_workers=0)
    cached = loaders(folder, table, num_workers=threads, cache=choice(kind, tmp_path))
    for epoch in range(3):
        for loader, cached_loader in zip(plain, cached, strict=True):
            for expected, batch in zip(loader.batches(epoch), cached_loader.batches(epoch), strict=True):
                assert torch.equal(batch.x, expected.x)
                assert torch.equal(batch.y, expected.y)
    before = cached.cache.hits, cached.cache.lookups
    for epoch in range(3):  # the same epochs again: everything that they decode is in the cache
        list(cached.train.batches(epoch))
    assert cached.cache.hits - before[0] == cached.cache.lookups - before[1] == 3 * 18
    assert cached.cache.store.problem is None


@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_later_epochs_decode_nothing(
    kind: str, folder: Path, table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = squares_block(folder, item_tfms=Resize(140), batch_tfms=aug_transforms(size=120, min_scale=0.8))
    dls = block.dataloaders(
        table, bs=6, shuffle=False, cache=choice(kind, tmp_path)
    )  # without shuffling no batch is dropped
    first = list(dls.train.batches(0))
    monkeypatch.setattr(images, "decode", None)
    second = list(dls.train.batches(1))
    assert len(first) == len(second) == 3
    assert not torch.equal(first[0].x, second[0].x)  # each epoch has its own augmentation
    assert dls.cache.summary.startswith("18 of 36 lookups of images were hits in")


def test_loaders_of_the_same_dataset_share_the_cache_and_test_images_do_not_fill_it(
    folder: Path, table: pd.DataFrame
) -> None:
    dls = loaders(folder, table, cache="memory")
    list(dls.valid.batches())
    used_bytes = dls.cache.store.used_bytes
    assert used_bytes > 0
    list(dls.evaluation_loader(1).batches())
    list(dls.random_batch_loader(1, 3).batches())
    list(dls.test_dl(table).batches())
    # 6 images each of the validation set and of the random batch; evaluation_loader has the batches of the first.
    assert (dls.cache.store.used_bytes, dls.cache.lookups) == (used_bytes, 9)


def test_a_full_cache_changes_no_batch(folder: Path, table: pd.DataFrame) -> None:
    plain, cached = loaders(folder, table), loaders(folder, table, cache=ImageCache.in_memory(200_000))
    for epoch in range(2):
        for expected, batch in zip(plain.train.batches(epoch), cached.train.batches(epoch), strict=True):
            assert torch.equal(batch.x, expected.x)
    assert 0 < cached.cache.hits < cached.cache.lookups / 2
    assert "it is full" in cached.cache.summary


def test_an_image_file_that_changes_between_epochs_is_read_again(tmp_path: Path) -> None:
    table = coloured_squares(tmp_path, 8)
    dls = squares_block(tmp_path).dataloaders(table, bs=6, cache="memory")
    before = dls.valid.one_batch()[0]
    PIL.Image.fromarray(np.zeros((48, 64, 3), dtype=np.uint8)).save(tmp_path / "003.png")
    after = dls.valid.one_batch()[0]
    assert before[0].max() > 0
    assert after[0].max() == 0
    assert torch.equal(before[1], after[1])


def test_unreadable_images_are_skipped_with_and_without_a_cache(tmp_path: Path) -> None:
    table = coloured_squares(tmp_path, 16)
    (tmp_path / "002.png").write_bytes((tmp_path / "002.png").read_bytes()[:200])
    skipped = []
    for cache in (None, "memory"):
        dls = squares_block(tmp_path).dataloaders(table, bs=4, skip_bad=True, cache=cache)
        for epoch in range(2):
            assert sum(len(batch.item_indices) for batch in dls.train.batches(epoch)) == 11
        skipped.append(dls.skipped)
    assert skipped[0] == skipped[1] != {}
