"""The data block of the book: what a sample is, said once, declaratively.

Each stage can be looked at before the next: `DataBlock.datasets` gives items one by one, `DataBlock.dataloaders`
gives batches, `DataBlock.summary` walks one sample and one batch and says what each step does.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eyebright._system.device import choose_device
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.datasets import Dataset, Datasets
from eyebright.data.describe import describe
from eyebright.data.getters import Getter
from eyebright.data.loader import Loader, SampleWeights
from eyebright.data.sample_spec import Fields
from eyebright.data.worker_pool import WorkerPool
from eyebright.errors import DataError, ImageError, InputError, checked_keywords
from eyebright.image.cache import CacheOption, PixelCache
from eyebright.sources.items import as_items
from eyebright.sources.split import RandomSplitter, Splitter, checked_split
from eyebright.tasks.base import Block, TargetBlock, as_block
from eyebright.transforms.pipeline import Pipeline
from eyebright.types import Size

DEFAULT_BATCH = 64
_CHECKED = 64  # training images whose targets are compared with the sizes of the images


@dataclass(frozen=True, init=False)
class DataBlock:
    """A recipe for data: which fields, where they come from, how they are split and transformed.

    Args:
        blocks: an input and a target, as in ``(ImageBlock, MultiCategoryBlock)``; None: whatever the getters give.
        get_items: from the source to its items, for example `get_image_files`; None: the source is a table or a list.
        get_x: from an item to the image; None: the item itself.
        get_y: from an item to the target; None: the item itself.
        splitter: from items to (train, valid) indices; None: a random fifth validates, the same one each time.
        item_tfms: transforms of each image, for example ``Resize(460)``.
        batch_tfms: transforms that follow, for example ``aug_transforms(size=224)``; together they resample once.

    Raises:
        DataError: the blocks are not an input and a target.
    """

    blocks: tuple[Block, ...]
    get_items: Callable[[Any], Any] | None
    get_x: Getter | None
    get_y: Getter | None
    splitter: Splitter | None
    item_tfms: Any
    batch_tfms: Any

    @checked_keywords
    def __init__(
        self,
        blocks: Sequence[Any] | None = None,
        *,
        get_items: Callable[[Any], Any] | None = None,
        get_x: Getter | None = None,
        get_y: Getter | None = None,
        splitter: Splitter | None = None,
        item_tfms: Any = None,
        batch_tfms: Any = None,
    ) -> None:
        made = tuple(as_block(block) for block in blocks or ())
        if made and not (len(made) == 2 and not isinstance(made[0], TargetBlock) and isinstance(made[1], TargetBlock)):
            raise DataError(
                "blocks are an input and a target, for example (ImageBlock, MultiCategoryBlock); "
                f"got {tuple(type(block).__name__ for block in made)}"
            )
        for name, value in (("blocks", made), ("get_items", get_items), ("get_x", get_x), ("get_y", get_y)):
            object.__setattr__(self, name, value)
        for name, value in (("splitter", splitter), ("item_tfms", item_tfms), ("batch_tfms", batch_tfms)):
            object.__setattr__(self, name, value)

    def new(self, **changes: Any) -> "DataBlock":
        """Another data block, with some fields changed."""
        same = {field.name: getattr(self, field.name) for field in fields(self)}
        return DataBlock(**{**same, **changes})

    def datasets(self, source: Any) -> Datasets:
        """The items of ``source``, split, with the target fitted on the training side.

        Raises:
            DataError: no items, a split that cannot work, an item that cannot be read, an unknown label.
        """
        items = as_items(source if self.get_items is None else self.get_items(source))
        if len(items) == 0:
            raise DataError(f"there are no items in {' '.join(str(source).split())[:200]}")
        splits = checked_split(self.splitter or RandomSplitter(seed=0), items)
        image, target = self.blocks if self.blocks else (None, None)
        assert target is None or isinstance(target, TargetBlock)
        return Datasets(items, splits, Fields(self.get_x, self.get_y, image, target))

    @checked_keywords
    def dataloaders(
        self,
        source: Any,
        path: str | Path = ".",
        *,
        bs: int | None = None,
        val_bs: int | None = None,
        shuffle: bool = True,
        drop_last: bool | None = None,
        sample_weights: SampleWeights | None = None,
        num_workers: int | None = None,
        processes: bool | None = None,
        device: str | torch.device | None = None,
        seed: int = 0,
        skip_bad: bool = False,
        cache: CacheOption = None,
    ) -> DataLoaders:
        """Batches of both sides.

        Args:
            source: what `datasets` takes.
            path: where a learner keeps its files.
            bs: images in a training batch; None: 64, or all of them where there are fewer.
            val_bs: images in a validation batch; None: as many.
            shuffle: another order of the training images in each epoch.
            drop_last: leave out a last training batch that is not full; None: when shuffling, as in the book.
            sample_weights: one for each item of the source: an epoch draws as many training images as there are, each
                with a probability in proportion to its weight. None: each image once an epoch.
            num_workers: how many read; None: one for each processor, at most 16; 0: the thread that asks for batches.
            processes: they are processes, which share no interpreter lock, not threads; None: where there are many
                image files and no more workers than processors. The batches are the same. Functions for x and y then
                run in copies of this process: what they count or collect stays there, and a file that is open is
                shared by all. There are processes on Linux only, for images that have one size by then, without a
                cache; elsewhere threads read.
            device: where batches go; None: a CUDA GPU where there is one.
            seed: of the order and of the augmentations.
            skip_bad: leave unreadable images out and list them in ``skipped`` instead of stopping.
            cache: keep decoded images, so that later epochs need not decode them: ``"memory"`` takes up to a quarter
                of what is free, a folder up to half of what is free on its disk; a `PixelCache` has a limit of its own.

        Raises:
            DataError: see `datasets`; a batch larger than the training side; nothing to validate.
            InputError: a number too small; no such device; no such folder for the cache.
        """
        if not self.blocks:
            raise DataError(
                "batches need blocks that say what the fields are, for example blocks=(ImageBlock, MultiCategoryBlock)"
            )
        datasets = self.datasets(source)
        size = _batch_size(bs, len(datasets.train))
        _refuse_below("val_bs", val_bs, 1)
        _refuse_below("num_workers", num_workers, 0)
        _refuse_below("seed", seed, 0)
        if not len(datasets.valid):
            raise DataError(f"the split leaves nothing to validate: all {len(datasets.train)} items are for training")
        assert datasets.fields.target is not None
        datasets.fields.target.check_plausible(_samples_with_size(datasets.train))
        chosen = choose_device(device)
        pipeline = Pipeline.create(self.item_tfms, self.batch_tfms, chosen, cache=PixelCache.from_option(cache))
        skipped: dict[str, str] | None = {} if skip_bad else None
        weights = None if sample_weights is None else _side_weights(sample_weights, datasets)
        pool = WorkerPool()

        def loader(side: int, bs: int, *, shuffle: bool, drop_last: bool) -> Loader:
            return Loader(
                datasets.subset(side),
                pipeline,
                bs=bs,
                training=side == 0,
                shuffle=shuffle,
                drop_last=drop_last,
                sample_weights=weights if side == 0 else None,
                workers=num_workers,
                processes=processes,
                seed=seed,
                device=chosen,
                skipped=skipped,
                pool=pool,
            )

        train = loader(0, size, shuffle=shuffle, drop_last=shuffle if drop_last is None else drop_last)
        valid = loader(1, val_bs or size, shuffle=False, drop_last=False)
        return DataLoaders(train, valid, datasets, path=path)

    def summary(self, source: Any, bs: int = 4, *, show_batch: bool = False) -> None:
        """Write to the terminal what each step does to one sample and one batch; where one fails, which and what to do.

        Args:
            source: what `datasets` takes.
            bs: images in the batch that is tried.
            show_batch: draw the batch too.
        """
        walk = describe(
            source,
            datasets=lambda: self.datasets(source),
            pipeline=(lambda: Pipeline.create(self.item_tfms, self.batch_tfms, torch.device("cpu")))
            if self.blocks
            else None,
            bs=bs,
        )
        for line in walk:
            sys.stdout.write(line + "\n")
        if show_batch:
            self.dataloaders(source, bs=bs).show_batch()


def _samples_with_size(train: Dataset) -> Iterator[tuple[Any, Size]]:
    """The targets of some training images, spread over all of them, and the sizes of these images."""
    for i in range(0, len(train), -(-len(train) // _CHECKED)):
        try:
            sample = train.sample(i)
        except ImageError:  # reported when it is read for training
            continue
        yield sample.value, sample.image.shape


def _refuse_below(name: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise InputError(f"{name} is a whole number from {least} on, got {value}")


def _side_weights(weights: SampleWeights, datasets: Datasets) -> NDArray[np.float64]:
    """The weights of the training side's items."""
    if len(weights) != len(datasets):
        raise InputError(f"sample_weights has {len(weights)} numbers, for {len(datasets)} items")
    return np.asarray(weights, np.float64)[np.asarray(datasets.train.indices)]


def _batch_size(bs: int | None, images: int) -> int:
    if bs is None:
        return min(DEFAULT_BATCH, images)
    if bs < 1:
        raise InputError(f"a batch holds at least one image, got bs={bs}")
    if bs > images:
        raise DataError(
            f"a batch of {bs} is larger than the training side with its {images} images; give `bs={images}` or less"
        )
    return bs
