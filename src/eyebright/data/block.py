"""`DataBlock`, as in the fastai book: a declarative description of how items become samples and batches.

`DataBlock.datasets` gives samples one by one, `DataBlock.dataloaders` gives batches, and `DataBlock.summary` describes
how one sample and one batch are made, step by step.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eyebright._system.device import choose_device
from eyebright.data.block_summary import summary_lines
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.datasets import Dataset, Datasets
from eyebright.data.getters import Getter
from eyebright.data.loader import Loader, SampleWeights
from eyebright.data.sample_spec import SampleSpec, check_no_shared_image
from eyebright.data.worker_pool import WorkerPool
from eyebright.errors import (
    DataError,
    ImageError,
    InputError,
    check_minimum,
    checked_keywords,
    is_whole,
    printable,
    shortened,
)
from eyebright.image.cache import CacheOption, ImageCache
from eyebright.sources.checked_split import Splitter, checked_split
from eyebright.sources.items import as_items
from eyebright.sources.split import RandomSplitter
from eyebright.tasks.base import Block, TargetBlock
from eyebright.tasks.input_and_target import as_input_and_target
from eyebright.transforms.pipeline import Pipeline
from eyebright.types import Size

DEFAULT_BATCH = 64
_IMAGES_CHECKED = 64  # training images whose targets are compared with the image sizes


@dataclass(frozen=True, init=False)
class DataBlock:
    """How items become samples: the blocks that read them, the getters, the splitter and the transforms.

    >>> names = [f"{kind}_{i}.jpg" for kind in ("cat", "dog") for i in range(5)]
    >>> pets = DataBlock(get_y=lambda name: name.split("_")[0], splitter=lambda items: (range(8), [8, 9]))
    >>> datasets = pets.datasets(names)
    >>> len(datasets.train), len(datasets.valid)
    (8, 2)
    >>> datasets.train[0]
    ('cat_0.jpg', 'cat')

    With ``blocks=(ImageBlock, CategoryBlock)`` x would be an `Image` and y the index of its class.

    Args:
        blocks: an input and a target, for example ``(ImageBlock, MultiCategoryBlock)``; None: samples are what the
            getters return.
        get_items: a function from the source to its items, for example `get_image_files`; None: the source is a table
            or a list.
        get_x: a function from an item to the image; None: the item itself.
        get_y: a function from an item to the target; None: the item itself.
        splitter: a function from the items to (train, valid) indices; None: a random fifth is the validation set,
            always the same.
        item_tfms: transforms of each image, for example ``Resize(460)``.
        batch_tfms: transforms after these, for example ``aug_transforms(size=224)``. All of them together resample the
            image only once.

    Raises:
        DataError: the blocks are not an input and a target.
        TypeError: an unknown keyword.
    """

    blocks: tuple[()] | tuple[Block, TargetBlock]
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
        instances = as_input_and_target(blocks) if blocks else ()
        for name, value in (("blocks", instances), ("get_items", get_items), ("get_x", get_x), ("get_y", get_y)):
            object.__setattr__(self, name, value)
        for name, value in (("splitter", splitter), ("item_tfms", item_tfms), ("batch_tfms", batch_tfms)):
            object.__setattr__(self, name, value)

    def new(self, **changes: Any) -> "DataBlock":
        """A copy of the data block with some arguments replaced, for example ``block.new(item_tfms=Resize(128))``.

        Raises:
            TypeError: an unknown keyword.
        """
        arguments = {field.name: getattr(self, field.name) for field in fields(self)}
        return DataBlock(**{**arguments, **changes})

    def datasets(self, source: Any) -> Datasets:
        """The items of a source as a training and a validation set, with the target block fitted on the training set.

        Args:
            source: an argument for ``get_items``, or else a table, a list or an array of items.

        Raises:
            DataError: there are no items; the split is invalid; a file is for training and for validation; a target
                cannot be read; a label is unknown.
        """
        items = as_items(source if self.get_items is None else self.get_items(source))
        if len(items) == 0:
            raise DataError(f"no items were found in {' '.join(str(source).split())[:200]}")
        splits = checked_split(self.splitter or RandomSplitter(seed=0), items)
        image, target = self.blocks or (None, None)
        spec = SampleSpec(self.get_x, self.get_y, image, target)
        check_no_shared_image(items, splits, spec)
        return Datasets(items, splits, spec)

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
        """A training and a validation loader.

        Args:
            source: as in `datasets`.
            path: folder for the learner's files.
            bs: training batch size; None: 64, or the number of training images if that is smaller.
            val_bs: validation batch size; None: ``bs``.
            shuffle: a new order of the training images in each epoch.
            drop_last: drop the last training batch when it is not full; None: when shuffling, as in fastai.
            sample_weights: for each item of the source a number; an epoch draws as many training images as there are,
                with replacement, each with a probability in proportion to its number. None: each image once an epoch.
            num_workers: number of workers that read images; None: one for each CPU, at most 16; 0: the calling thread.
            processes: whether the workers are processes, which do not share a GIL, or threads; None: processes if there
                are many image files and no more workers than CPUs. The batches are the same. Getters run in forks of
                this process: what they count or collect stays in the fork, and all forks share a file that is open.
                Worker processes need Linux, images of one size after ``item_tfms``, and no cache; otherwise threads
                read.
            device: where batches are put; None: a GPU if there is one.
            seed: the seed of the order and of the augmentations.
            skip_bad: skip unreadable images and list them in ``skipped``; otherwise they are an error.
            cache: keep decoded images, so that later epochs do not decode them again, and the features that
                `Learner.fit_head` computes: ``"memory"`` uses up to a quarter of the free memory, a folder up to half
                of the free space on its disk; an `ImageCache` sets its own limit.

        Raises:
            DataError: see `datasets`; ``bs`` is larger than the training set; the validation set is empty; points that
                can hardly be pixels.
            InputError: a number is too small; the device or the folder of the cache does not exist.
            TypeError: an unknown keyword.
        """
        if not self.blocks:
            raise DataError(
                "batches need a data block with blocks, for example `blocks=(ImageBlock, MultiCategoryBlock)`"
            )
        for name, value, minimum in (("val_bs", val_bs, 1), ("num_workers", num_workers, 0), ("seed", seed, 0)):
            if value is not None:
                check_minimum(name, value, minimum)
        datasets = self.datasets(source)
        train_bs = _batch_size(bs, len(datasets.train))
        _check_can_validate(datasets)
        torch_device = choose_device(device)
        skipped: dict[str, str] | None = {} if skip_bad else None
        pipeline = Pipeline.create(self.item_tfms, self.batch_tfms, torch_device, cache=ImageCache.from_option(cache))
        make_loader = partial(
            Loader,
            pipeline=pipeline,
            workers=num_workers,
            processes=processes,
            seed=seed,
            device=torch_device,
            skipped=skipped,
            pool=WorkerPool(),
        )
        train = make_loader(
            datasets.train,
            bs=train_bs,
            training=True,
            shuffle=shuffle,
            drop_last=shuffle if drop_last is None else drop_last,
            sample_weights=None if sample_weights is None else _training_weights(sample_weights, datasets),
        )
        valid = make_loader(datasets.valid, bs=val_bs or train_bs, training=False, cache_batches=True)
        return DataLoaders(train, valid, datasets, path=path)

    def summary(self, source: Any, bs: int = 4, *, show_batch: bool = False) -> None:
        """Write to the terminal how one sample and one batch are made, step by step, up to the first error.

        Args:
            source: as in `datasets`.
            bs: batch size.
            show_batch: draw a batch too.
        """
        make_pipeline = lambda: Pipeline.create(self.item_tfms, self.batch_tfms, torch.device("cpu"))
        lines = summary_lines(
            source,
            make_datasets=lambda: self.datasets(source),
            make_pipeline=make_pipeline if self.blocks else None,
            bs=bs,
        )
        for line in lines:
            sys.stdout.write(printable(line) + "\n")
        if show_batch:
            self.dataloaders(source, bs=bs).show_batch()


def _samples_with_size(train: Dataset) -> Iterator[tuple[Any, Size]]:
    """Targets of some training images, evenly spread over the training set, with the sizes of these images."""
    for i in range(0, len(train), -(-len(train) // _IMAGES_CHECKED)):
        try:
            sample = train.sample(i)
        except ImageError:  # reported when it is read for training
            continue
        yield sample.raw_target, sample.image.shape


def _check_can_validate(datasets: Datasets) -> None:
    """Raises `DataError` without validation images, or where targets are implausible for the sizes of their images."""
    if not len(datasets.valid):
        raise DataError(f"the validation set is empty: all {len(datasets.train)} items are for training")
    assert datasets.target is not None  # it is fitted now, unlike the block in DataBlock.blocks
    datasets.target.check_plausible(_samples_with_size(datasets.train))


def _training_weights(weights: SampleWeights, datasets: Datasets) -> NDArray[np.float64]:
    """The weights of the training set's items."""
    if len(weights) != len(datasets):
        raise InputError(f"`sample_weights` has {len(weights)} numbers, for {len(datasets)} items")
    return np.asarray(weights, np.float64)[np.asarray(datasets.train.indices)]


def _batch_size(bs: int | None, n_images: int) -> int:
    if bs is None:
        return min(DEFAULT_BATCH, n_images)
    if not is_whole(bs) or bs < 1:
        raise InputError(f"a batch is a whole number of images, at least one, got `bs={shortened(repr(bs))}`")
    if bs > n_images:
        raise DataError(
            f"a batch of {bs} images is larger than the training set of {n_images}; give `bs={n_images}` or less"
        )
    return bs
