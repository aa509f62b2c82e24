"""What each of several processes reads: together every image once, in the order of one."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from eyebright.data.batch import Shard
from eyebright.data.loader import Loader
from eyebright.errors import DataError
from support.images import coloured_squares
from support.learners import squares_block


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("squares")
    return folder, coloured_squares(folder, 24, size=(24, 24))


def loader(squares: tuple[Path, pd.DataFrame], images: int, side: int = 0, **how: int | bool) -> Loader:
    """A side of that many images."""
    folder, table = squares
    table = table.assign(is_valid=[(i < images) == bool(side) for i in range(len(table))])
    options = {"bs": 1, "num_workers": 0, **how}
    return squares_block(folder).dataloaders(table, **options)[side]


def indices(loader: Loader, parts: int, epoch: int = 3) -> list[list[list[int]]]:
    return [[batch.item_indices for batch in loader.batches(epoch, Shard(i, parts))] for i in range(parts)]


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize(("images", "bs", "parts"), [(7, 3, 2), (8, 4, 4), (11, 5, 3), (6, 6, 2), (5, 4, 3)])
def test_the_shards_of_a_training_batch_make_up_the_batch_of_one_process(
    squares: tuple[Path, pd.DataFrame], images: int, bs: int, parts: int, drop_last: bool
) -> None:
    side = loader(squares, images, bs=bs, drop_last=drop_last)
    [whole] = indices(side, 1)
    if not drop_last and 0 < images % bs < parts:
        with pytest.raises(DataError, match="no image can be read in shard . of . of a batch"):
            indices(side, parts)
        return
    shares = indices(side, parts)
    assert all(len(share) == len(side) for share in shares)
    assert [[one for piece in pieces for one in piece] for pieces in zip(*shares, strict=True)] == whole
    sizes = [len(share[0]) for share in shares]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("images", "bs", "parts"), [(7, 3, 2), (8, 2, 3), (11, 4, 4), (2, 4, 3)])
def test_evaluation_reads_each_image_once_and_in_order(
    squares: tuple[Path, pd.DataFrame], images: int, bs: int, parts: int
) -> None:
    side = loader(squares, images, side=1, val_bs=bs)
    read = [index for share in indices(side, parts) for batch in share for index in batch]
    assert read == list(range(images))


def test_a_shard_has_the_same_pixels_as_the_whole_batch(squares: tuple[Path, pd.DataFrame]) -> None:
    side = loader(squares, 6, bs=6)
    whole, first, second = (next(side.batches(2, shard)) for shard in (Shard(0, 1), Shard(0, 2), Shard(1, 2)))
    assert torch.equal(torch.cat([first.x, second.x]), whole.x)
    assert torch.equal(torch.cat([first.y, second.y]), whole.y)
