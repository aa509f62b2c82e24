"""Both sides of a split as batches: what a learner takes."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eyebright.data.datasets import Dataset, Datasets
from eyebright.data.loader import Loader
from eyebright.data.sample_spec import Fields
from eyebright.data.show import show_targets
from eyebright.data.summary import sides_html
from eyebright.errors import DataError, checked_keywords
from eyebright.image.cache import PixelCache
from eyebright.tasks.base import TargetBlock
from eyebright.transforms.pipeline import Pipeline
from eyebright.types import Size, Vocab


class DataLoaders:
    """A training and a validation loader that were made from one data block.

    Args:
        train: draws augmentations and another order in each epoch.
        valid: every image once, in the data set's order.
        datasets: what they read.
        path: where a learner keeps its files.
    """

    def __init__(self, train: Loader, valid: Loader, datasets: Datasets, *, path: str | Path = ".") -> None:
        self.train = train
        self.valid = valid
        self.datasets = datasets
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"DataLoaders: {self.bs} in a batch, {self._sizes()}, {self.device}; {self.datasets!r}"

    def to_html(self, name: str = "DataLoaders") -> str:
        """What is in them, for a notebook."""
        facts: list[tuple[object, ...]] = [
            ("batches", *(f"{len(side):,}" for side in self)),
            ("in a batch", *(side.bs for side in self)),
        ]
        if self.cache:
            facts.append(("cache", self.cache.summary, ""))
        if self.skipped:
            facts.append(("left out so far", len(self.skipped), ""))
        sides = {"train": self.train_ds, "validate": self.valid_ds}
        return sides_html(f"{name}: {self._sizes()}, {self.device}", sides, facts)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return self.to_html()

    def __iter__(self) -> Iterator[Loader]:
        return iter((self.train, self.valid))

    def __getitem__(self, which: int) -> Loader:
        return (self.train, self.valid)[which]

    @property
    def train_ds(self) -> Dataset:
        """The training side, one by one."""
        return self.train.dataset

    @property
    def valid_ds(self) -> Dataset:
        """The validation side, one by one."""
        return self.valid.dataset

    @property
    def train_dl(self) -> Loader:
        """The training side, under the name of the recipes."""
        return self.train

    @property
    def valid_dl(self) -> Loader:
        """The validation side, under the name of the recipes."""
        return self.valid

    @property
    def target(self) -> TargetBlock:
        """The target block, fitted on the training side.

        Raises:
            DataError: the data block has no target.
        """
        target = self.datasets.fields.target
        if target is None:
            raise DataError(
                "there is no target to learn; give the data block an input and a target, "
                "for example blocks=(ImageBlock, MultiCategoryBlock)"
            )
        return target

    @property
    def vocab(self) -> Vocab:
        """The names of the classes."""
        return self.datasets.vocab

    @property
    def c(self) -> int:
        """How many outputs a model needs."""
        return self.target.width

    @property
    def loss_func(self) -> nn.Module:
        """The target's default loss."""
        return self.target.loss()

    @property
    def bs(self) -> int:
        """Images in a training batch."""
        return self.train.bs

    @property
    def device(self) -> torch.device:
        """Where batches go."""
        return self.train.device

    @property
    def pipeline(self) -> Pipeline:
        """What happens to each image."""
        return self.train.pipeline

    @property
    def cache(self) -> PixelCache | None:
        """What keeps decoded images, and how often it was of use; None where nothing does."""
        return self.pipeline.cache

    @property
    def skipped(self) -> dict[str, str]:
        """Images that were left out so far because they cannot be read: path to reason."""
        return self.train.skipped or {}

    @property
    def size(self) -> Size:
        """The size of the images in a batch."""
        return self.pipeline.size or Size(*self.valid.one_batch()[0].shape[-2:])

    def one_batch(self) -> tuple[Tensor, Tensor | None]:
        """(x, y) of a first training batch."""
        return self.train.one_batch()

    def ordered(self, which: int) -> Loader:
        """A side (0: training, 1: validation) whole, in order, each image seen as a validation image is."""
        return self.valid if which == 1 else self._evaluation_loader(self.train.dataset, self.valid.bs)

    def some(self, which: int, count: int, *, seed: int = 0) -> Loader:
        """A few images of a side in one batch, chosen by chance, each seen as a validation image is.

        Args:
            which: 0: training, 1: validation.
            count: how many, or all where there are fewer.
            seed: of the chance: the same images each time.
        """
        whole = self.datasets.subset(which)
        count = min(count, len(whole))
        chosen = np.random.default_rng(seed).choice(len(whole), count, replace=False)
        return self._evaluation_loader(Dataset(whole.source, [whole.indices[i] for i in chosen], whole.fields), count)

    def test_dl(self, items: Sequence[Any], *, with_labels: bool = False) -> Loader:
        """A loader of other items, seen as validation images are; without targets unless ``with_labels``."""
        fields = self.datasets.fields
        if not with_labels:
            fields = Fields(fields.get_x, None, fields.image, None)
        loader = self._evaluation_loader(Dataset(items, range(len(items)), fields), self.valid.bs)
        loader.pipeline = replace(loader.pipeline, cache=None)  # they are looked at once, and would fill it
        return loader

    @checked_keywords
    def show_batch(
        self,
        b: tuple[Tensor, Tensor | None] | None = None,
        max_n: int = 9,
        *,
        nrows: int | None = None,
        ncols: int | None = None,
        figsize: tuple[float, float] | None = None,
        unique: bool = False,
    ) -> None:
        """Draw a training batch as the network sees it, with its targets.

        Args:
            b: (x, y); None takes a new batch.
            max_n: how many images at most.
            nrows: rows of the grid.
            ncols: columns of the grid.
            figsize: width and height in inches; None: 3 inches an image.
            unique: the same image each time, to see what augmentation does to it.
        """
        count = min(max_n, nrows * ncols) if nrows and ncols else max_n
        if b is None:
            b = self._same_image(count) if unique else self.train.one_batch()
        x, y = b[0][:count], None if b[1] is None else b[1][:count]
        show_targets(x, y, self.datasets.fields.target, grid=(nrows, ncols), figsize=figsize)

    def _sizes(self) -> str:
        size = self.pipeline.size
        return "images of their own sizes" if size is None else f"images of {size}"

    def _same_image(self, count: int) -> tuple[Tensor, Tensor | None]:
        batch = self.train.collate([self.train.sample(0, epoch) for epoch in range(count)])
        return batch.x, batch.y

    def _evaluation_loader(self, dataset: Dataset, bs: int) -> Loader:
        valid = self.valid
        return Loader(
            dataset,
            valid.pipeline,
            bs=bs,
            training=False,
            workers=valid.workers,
            processes=valid.processes,
            seed=valid.seed,
            device=valid.device,
            skipped=valid.skipped,
        )
