"""The batches of a loader: their order, contents and repeatability, for any number of workers."""

from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch

from eyebright.data.batch import Shard
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.getters import ColReader
from eyebright.errors import DataError, ImageError, InputError
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.points import PointBlock
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Resize
from support.images import coloured_squares
from support.learners import squares_block


def epoch(dls: DataLoaders, number: int) -> list[torch.Tensor]:
    return [batch.x for batch in dls.train.batches(number)]


def test_an_epoch_is_the_same_with_any_number_of_threads(folder: Path, table: pd.DataFrame) -> None:
    reference = epoch(squares_block(folder).dataloaders(table, bs=8, num_workers=0), 3)
    for workers in (1, 4):
        batches = epoch(squares_block(folder).dataloaders(table, bs=8, num_workers=workers), 3)
        assert all(torch.equal(x, expected) for x, expected in zip(batches, reference, strict=True))


def test_batches_differ_between_epochs_and_between_seeds(folder: Path, table: pd.DataFrame) -> None:
    dls = squares_block(folder).dataloaders(table, bs=8)
    assert not torch.equal(epoch(dls, 0)[0], epoch(dls, 1)[0])
    assert not torch.equal(epoch(dls, 0)[0], epoch(squares_block(folder).dataloaders(table, bs=8, seed=1), 0)[0])


def test_loading_does_not_change_the_global_generators(folder: Path, table: pd.DataFrame) -> None:
    dls = squares_block(folder).dataloaders(table, bs=8)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    epoch(dls, 0)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


def test_an_epoch_has_each_training_image_at_most_once_and_drops_an_incomplete_batch(
    folder: Path, table: pd.DataFrame
) -> None:
    dls = squares_block(folder).dataloaders(table, bs=8)
    indices = [index for batch in dls.train.batches(0) for index in batch.item_indices]
    assert len(indices) == len(set(indices)) == 24
    assert set(indices) <= set(dls.train_ds.indices)
    assert len(dls.train) == 3


def test_validation_batches_are_complete_in_order_and_the_same_in_every_epoch(
    folder: Path, table: pd.DataFrame
) -> None:
    dls = squares_block(folder).dataloaders(table, bs=8)
    batches = list(dls.valid.batches(0))
    assert [index for batch in batches for index in batch.item_indices] == dls.valid_ds.indices
    assert all(torch.equal(a.x, b.x) for a, b in zip(batches, dls.valid.batches(7), strict=True))


def test_a_batch_has_plain_float32_tensors_in_channels_last_order(folder: Path, table: pd.DataFrame) -> None:
    x, y = squares_block(folder).dataloaders(table, bs=8).one_batch()
    assert type(x) is torch.Tensor
    assert type(y) is torch.Tensor
    assert x.shape == (8, 3, 32, 32)
    assert x.dtype == y.dtype == torch.float32
    assert 0 <= x.min() < x.max() <= 1
    assert x.is_contiguous(memory_format=torch.channels_last)


def test_pixels_and_points_of_a_batch_agree(folder: Path, table: pd.DataFrame) -> None:
    marked = table[table["x"].notna()].reset_index(drop=True)
    white = folder / "white"
    white.mkdir(exist_ok=True)
    for row in marked.itertuples():
        yy, xx = np.mgrid[:48, :64] + 0.5
        blob = 255 * np.exp(-((xx - row.x) ** 2 + (yy - row.y) ** 2) / 4.5)
        PIL.Image.fromarray(np.repeat(blob[:, :, None], 3, 2).round().astype(np.uint8)).save(white / row.fname)
    points = squares_block(
        white,
        blocks=(ImageBlock, PointBlock),
        get_y=ColReader(["x", "y"]),
        item_tfms=Resize((48, 64)),
        batch_tfms=aug_transforms(size=(48, 64), max_lighting=0, pad_mode="zeros"),
    )
    batch = next(points.dataloaders(marked, bs=8).train.batches(0))
    grid_y, grid_x = torch.meshgrid(torch.arange(48) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    compared = 0
    for x, y in zip(batch.x, batch.y, strict=True):
        mass = x[0].sum()
        center = torch.stack([(x[0] * grid_x).sum() / mass, (x[0] * grid_y).sum() / mass])
        point = (y[0] + 1) * torch.tensor([64, 48]) / 2
        inside = (point > 10).all() and point[0] < 54 and point[1] < 38  # the whole blob is on the image
        if inside:
            compared += 1
            assert torch.allclose(center, point, atol=0.1)  # 8-bit pixels; a tilt moves a blob's centre a little
    assert compared >= 3


def test_the_error_for_images_of_different_sizes_advises_a_resize(tmp_path: Path) -> None:
    table = pd.concat([coloured_squares(tmp_path / "a", 8), coloured_squares(tmp_path / "b", 8, size=(40, 40))])
    table["fname"] = ["a/" + name for name in table["fname"][:8]] + ["b/" + name for name in table["fname"][8:]]
    dls = squares_block(tmp_path, item_tfms=None, batch_tfms=None).dataloaders(table, bs=8)
    with pytest.raises(DataError, match=r"different sizes \(40x40, 48x64.*Resize\(224\)"):
        list(dls.train.batches(0))


def broken(tmp_path: Path) -> pd.DataFrame:
    table = coloured_squares(tmp_path, 16)
    (tmp_path / "002.png").write_bytes((tmp_path / "002.png").read_bytes()[:200])
    return table


@pytest.mark.parametrize("name", ["gpu", "CPU", "", "cuda:99", "meta", "xla"])
def test_the_error_for_a_missing_device_is_one_line(name: str, folder: Path, table: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=rf"cannot use the device '{name}'; there is 'cpu'.* \(.+\)") as caught:
        squares_block(folder).dataloaders(table, device=name)
    assert len(str(caught.value).splitlines()) == 1


def test_the_error_for_an_unreadable_image_names_its_path(tmp_path: Path) -> None:
    dls = squares_block(tmp_path).dataloaders(broken(tmp_path), bs=4)
    with pytest.raises(ImageError, match="002.png"):
        list(dls.train.batches(0))


def test_with_skip_bad_unreadable_images_are_skipped_and_listed(tmp_path: Path) -> None:
    dls = squares_block(tmp_path).dataloaders(broken(tmp_path), bs=4, skip_bad=True)
    indices = [index for batch in dls.train.batches(0) for index in batch.item_indices]
    assert 2 not in indices
    assert len(indices) == 11
    assert [Path(path).name for path in dls.skipped] == ["002.png"]


def test_a_training_batch_with_one_readable_image_is_dropped(tmp_path: Path) -> None:
    table = coloured_squares(tmp_path, 9)
    table["is_valid"] = [False] * 8 + [True]
    for name in table["fname"][1:8]:
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:100])
    dls = squares_block(tmp_path).dataloaders(table, bs=8, skip_bad=True)
    assert list(dls.train.batches()) == []
    assert len(dls.skipped) == 7
    assert [len(batch.x) for batch in dls.valid.batches()] == [1]


def test_images_are_drawn_in_proportion_to_their_weights(folder: Path, table: pd.DataFrame) -> None:
    weights = np.where(table.index % 3 == 0, 4.0, 1.0)
    weights[5] = 0.0
    train = squares_block(folder).dataloaders(table, bs=8, drop_last=False, sample_weights=weights).train
    drawn = [train.dataset.indices[i % 30] for epoch in range(200) for i in chain(*train.index_batches(epoch))]
    assert len(drawn) == 200 * 30
    shares = np.bincount(drawn, minlength=40) / len(drawn)
    expected = np.where(table["is_valid"], 0.0, weights)
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=0.01)
    assert shares[5] == 0


def test_weighted_epochs_are_the_same_for_the_same_seed_and_for_each_of_several_processes(
    folder: Path, table: pd.DataFrame
) -> None:
    block, weights = squares_block(folder), [1.0 + i % 5 for i in range(len(table))]
    first, again, other_seed = (
        block.dataloaders(table, bs=6, seed=seed, sample_weights=weights).train for seed in (0, 0, 1)
    )
    assert list(first.index_batches(3)) == list(again.index_batches(3)) != list(first.index_batches(4))
    assert list(first.index_batches(3)) != list(other_seed.index_batches(3))
    shards = [list(first.index_batches(3, Shard(index, 2))) for index in range(2)]
    assert [[*a, *b] for a, b in zip(*shards, strict=True)] == list(first.index_batches(3))


def test_repeats_of_an_image_are_augmented_differently(folder: Path, table: pd.DataFrame) -> None:
    weights = [float(i == 1) for i in range(len(table))]
    dls = squares_block(folder).dataloaders(table, bs=8, sample_weights=weights)
    batch = next(dls.train.batches(0))
    assert batch.item_indices == [1] * 8
    assert len({tensor.numpy().tobytes() for tensor in batch.x}) == 8
    assert torch.equal(
        batch.x[0], squares_block(folder).dataloaders(table, bs=8).train.collate([dls.train.sample(1, 0)]).x[0]
    )
    assert [batch.item_indices for batch in dls.valid.batches()] == [dls.valid_ds.indices[:8], dls.valid_ds.indices[8:]]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0] * 3, "`sample_weights` has 3 numbers, for 40 items"),
        ([float("inf")] * 40, "`sample_weights` must be finite numbers, 0 or more and not all 0"),
        ([0.0] * 40, "`sample_weights` must be finite numbers, 0 or more and not all 0"),
        ([-1.0] * 40, "`sample_weights` must be finite numbers"),
        ([float("nan")] * 40, "`sample_weights` must be finite numbers"),
    ],
)
def test_invalid_sample_weights_are_an_error(
    weights: list[float], message: str, folder: Path, table: pd.DataFrame
) -> None:
    with pytest.raises(InputError, match=message):
        squares_block(folder).dataloaders(table, sample_weights=weights)


@pytest.mark.parametrize(
    "numbers", [{"val_bs": 0}, {"val_bs": 2.0}, {"num_workers": -1}, {"num_workers": 1.5}, {"seed": 1.5}]
)
def test_a_number_that_is_too_small_or_not_whole_is_an_error(
    numbers: dict[str, Any], folder: Path, table: pd.DataFrame
) -> None:
    [(name, value)] = numbers.items()
    with pytest.raises(InputError, match=rf"`{name}` must be a whole number of \d or more, got {value}"):
        squares_block(folder).dataloaders(table, **numbers)


@pytest.mark.parametrize("bs", [0, 2.5, True, "4"])
def test_a_batch_size_that_is_no_whole_number_is_an_error(bs: Any, folder: Path, table: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=f"a batch is a whole number of images, at least one, got `bs={bs!r}`"):
        squares_block(folder).dataloaders(table, bs=bs)


def test_sample_weights_whose_sum_is_beyond_a_float_are_shares_of_each_other(folder: Path, table: pd.DataFrame) -> None:
    block = squares_block(folder)
    [equal, huge] = [block.dataloaders(table, bs=8, sample_weights=[one] * 40).train for one in (1.0, 1e308)]
    assert list(equal.index_batches()) == list(huge.index_batches())


def test_one_image_is_augmented_differently_in_each_epoch(folder: Path, table: pd.DataFrame) -> None:
    train = squares_block(folder).dataloaders(table, bs=8).train
    x, y, *_ = train.collate([train.sample(0, number) for number in range(4)])
    assert all(torch.equal(row, y[0]) for row in y)
    assert not torch.equal(x[0], x[1])


def test_test_images_are_preprocessed_as_validation_images_are(folder: Path, table: pd.DataFrame) -> None:
    dls = squares_block(folder).dataloaders(table, bs=8)
    rows = table[table["is_valid"]].reset_index(drop=True)
    test = dls.test_dl(rows)
    assert next(iter(test))[1] is None
    assert torch.equal(next(iter(test))[0], next(iter(dls.valid))[0])


def test_batch_indices_have_each_image_once_in_a_new_order_each_epoch(folder: Path, table: pd.DataFrame) -> None:
    dls = squares_block(folder).dataloaders(table, bs=8, drop_last=False)
    first, again, next_epoch = (list(dls.train.index_batches(epoch)) for epoch in (0, 0, 1))
    assert first == again != next_epoch
    assert [len(batch) for batch in first] == [8, 8, 8, 6]
    assert sorted(chain(*first)) == sorted(chain(*next_epoch)) == list(range(30))
    item_indices = [batch.item_indices for batch in dls.train.batches(0)]
    assert item_indices == [[dls.train_ds.indices[i] for i in batch] for batch in first]
    assert list(chain(*dls.valid.index_batches(3))) == list(range(10))
