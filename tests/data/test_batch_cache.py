"""Evaluation images are read once, and again only if their files change or the memory is used up."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch

from eyebright.data.batch import Batch
from eyebright.data.batch_cache import BatchCache, FileStates
from eyebright.data.dataloaders import DataLoaders
from eyebright.image import image as images
from support.images import coloured_squares
from support.learners import squares_block


@pytest.fixture
def data(tmp_path: Path) -> tuple[pd.DataFrame, DataLoaders]:
    table = coloured_squares(tmp_path, 24)
    return table, squares_block(tmp_path).dataloaders(table, bs=4, num_workers=0)


@pytest.fixture
def decode_calls(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The sources that are decoded from now on."""
    calls: list[object] = []
    decode: Callable[..., object] = images.decode

    def counted(source: object, **options: object) -> object:
        calls.append(source)
        return decode(source, **options)

    monkeypatch.setattr(images, "decode", counted)
    return calls


def test_validation_images_are_decoded_in_the_first_epoch_only(
    data: tuple[pd.DataFrame, DataLoaders], decode_calls: list[object]
) -> None:
    valid = data[1].valid
    first = list(valid.batches())
    assert len(decode_calls) == len(valid.dataset) == 6
    second = list(valid.batches())
    assert len(decode_calls) == 6
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, b.y)
        assert a.item_indices == b.item_indices


def test_training_images_are_decoded_in_every_epoch(
    data: tuple[pd.DataFrame, DataLoaders], decode_calls: list[object]
) -> None:
    train = data[1].train
    list(train.batches(0))
    once = len(decode_calls)
    list(train.batches(0))
    assert len(decode_calls) == 2 * once > 0


def test_the_batch_of_a_changed_file_is_read_again(
    data: tuple[pd.DataFrame, DataLoaders], decode_calls: list[object]
) -> None:
    table, dls = data
    before = list(dls.valid.batches())
    index = before[0].item_indices[1]
    path = Path(dls.valid.dataset.paths([index])[0] or "")
    PIL.Image.fromarray(np.zeros((48, 64, 3), dtype=np.uint8)).save(path)
    decode_calls.clear()
    after = list(dls.valid.batches())
    assert len(decode_calls) == len(before[0].item_indices)
    assert after[0].x[1].max() == 0 < before[0].x[1].max()
    assert torch.equal(after[0].x[0], before[0].x[0])
    assert len(table) == 24


def test_changing_a_batch_in_place_does_not_change_the_next_epoch(data: tuple[pd.DataFrame, DataLoaders]) -> None:
    valid = data[1].valid
    expected = [(x.clone(), y.clone()) for x, y in valid if y is not None]
    for x, y in valid:
        x.zero_()
        assert y is not None
        y.fill_(77)
    for (x, y), (first_x, first_y) in zip(valid, expected, strict=True):
        assert torch.equal(x, first_x)
        assert y is not None
        assert torch.equal(y, first_y)


def test_other_transforms_are_not_answered_with_the_old_batches(data: tuple[pd.DataFrame, DataLoaders]) -> None:
    valid = data[1].valid
    list(valid.batches())
    valid.pipeline = type(valid.pipeline)((*valid.pipeline.host[:-1],))
    assert all(batch.x.shape[-2:] == valid.pipeline.size for batch in valid.batches())


def test_a_batch_beyond_the_limit_is_not_kept() -> None:
    cache, cpu = BatchCache(limit=100), torch.device("cpu")
    small = Batch(torch.zeros(1, 3, 2, 2), None, [0], [])
    cache.put([0], small, FileStates.of([None]))
    cache.put([1], small, FileStates.of([None]))
    cache.put([2], small, FileStates.of([None]))
    assert [cache.discard_if_changed([i]) for i in range(3)] == [True, True, False]
    assert cache.used_bytes == 96
    kept = cache.get([1], cpu)
    assert kept is not None
    assert torch.equal(kept.x, small.x)


def test_the_targets_of_a_batch_count_for_the_limit() -> None:
    cache = BatchCache(limit=100)
    points = Batch(torch.zeros(1, 3, 2, 2), torch.zeros(1, 7, 2), [0], [])  # 48 + 56 bytes
    cache.put([0], points, FileStates.of([None]))
    assert not cache.discard_if_changed([0])
    assert cache.used_bytes == 0
    cache = BatchCache(limit=104)
    cache.put([0], points, FileStates.of([None]))
    assert cache.discard_if_changed([0])
    assert cache.used_bytes == 104


def test_that_no_image_of_a_batch_can_be_read_is_kept_too() -> None:
    cache = BatchCache(limit=0)
    cache.put([0], None, FileStates.of(["missing.jpg"]))
    assert cache.discard_if_changed([0])
    assert cache.get([0], torch.device("cpu")) is None
