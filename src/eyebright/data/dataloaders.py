"""`DataLoaders`: a training and a validation loader, together the data of a learner."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from eyebright.data.dataset_repr import summary_html
from eyebright.data.datasets import Dataset, Datasets
from eyebright.data.loader import NOT_COPIED, Loader
from eyebright.data.sample_spec import SampleSpec
from eyebright.errors import DataError, checked_keywords, not_copied
from eyebright.image.cache import ImageCache
from eyebright.tasks.base import TargetBlock
from eyebright.transforms.pipeline import Pipeline
from eyebright.types import Size, Vocab


class DataLoaders:
    """The training and the validation loader of one data block; `DataBlock.dataloaders` makes it.

    Args:
        train: the training loader, which augments, and shuffles in each epoch.
        valid: the validation loader: each image once, in the dataset's order.
        datasets: the training and the validation set.
        path: folder in which the learner saves its files.
    """

    def __init__(self, train: Loader, valid: Loader, datasets: Datasets, *, path: str | Path = ".") -> None:
        self.train = train
        self.valid = valid
        self.datasets = datasets
        self.path = Path(path)

    def __reduce__(self) -> NoReturn:
        raise not_copied(self, NOT_COPIED)

    def __repr__(self) -> str:
        return f"DataLoaders: batch size {self.bs}, {self._size_text()}, {self.device}; {self.datasets!r}"

    def to_html(self, name: str = "DataLoaders") -> str:
        """The summary as HTML for a notebook.

        Args:
            name: the heading.
        """
        facts: list[tuple[object, ...]] = [
            ("batches", *(f"{len(loader):,}" for loader in self)),
            ("batch size", *(loader.bs for loader in self)),
        ]
        if self.cache:
            facts.append(("cache", self.cache.summary, ""))
        if self.skipped:
            facts.append(("skipped so far", len(self.skipped), ""))
        datasets = {"train": self.train_ds, "valid": self.valid_ds}
        return summary_html(f"{name}: {self._size_text()}, {self.device}", datasets, facts)

    def _repr_html_(self) -> str:
        """The summary for a notebook."""
        return self.to_html()

    def __iter__(self) -> Iterator[Loader]:
        return iter((self.train, self.valid))

    def __getitem__(self, i: int) -> Loader:
        return (self.train, self.valid)[i]

    @property
    def train_ds(self) -> Dataset:
        """The training set."""
        return self.train.dataset

    @property
    def valid_ds(self) -> Dataset:
        """The validation set."""
        return self.valid.dataset

    @property
    def train_dl(self) -> Loader:
        """The training loader, `train`, by its name in fastai 1."""
        return self.train

    @property
    def valid_dl(self) -> Loader:
        """The validation loader, `valid`, by its name in fastai 1."""
        return self.valid

    @property
    def target(self) -> TargetBlock:
        """The target block, fitted on the training set.

        Raises:
            DataError: the data block has no target.
        """
        block = self.datasets.target
        if block is None:
            raise DataError(
                "there is no target to learn; give the data block an input and a target, "
                "for example blocks=(ImageBlock, MultiCategoryBlock)"
            )
        return block

    @property
    def vocab(self) -> Vocab:
        """The names of the classes.

        Raises:
            DataError: there is no target, or it has no classes.
        """
        return self.datasets.vocab

    @property
    def c(self) -> int:
        """The number of outputs that a model needs."""
        return self.target.n_out

    @property
    def loss_func(self) -> nn.Module:
        """The default loss of the target block."""
        return self.target.loss()

    @property
    def bs(self) -> int:
        """The batch size of training."""
        return self.train.bs

    @property
    def device(self) -> torch.device:
        """The device that batches are put on."""
        return self.train.device

    @property
    def pipeline(self) -> Pipeline:
        """The transforms of each image."""
        return self.train.pipeline

    @property
    def cache(self) -> ImageCache | None:
        """The cache of decoded images and of features, with its hit counts; None without a cache."""
        return self.pipeline.cache

    @property
    def skipped(self) -> dict[str, str]:
        """The unreadable images that were skipped so far: path to reason."""
        # Both loaders fill one dictionary.
        return self.train.skipped or {}

    @property
    def size(self) -> Size:
        """The size of the images in a batch.

        Where it depends on the image, it is that of a validation batch, which is read for it.
        """
        return self.pipeline.size or Size(*self.valid.one_batch()[0].shape[-2:])

    def one_batch(self) -> tuple[Tensor, Tensor | None]:
        """(x, y) of the first training batch of the next epoch.

        Each call counts as an epoch, so the next one has another order and other augmentations.

        Raises:
            DataError: there is no batch.
            ImageError: an image cannot be read, and unreadable images are not skipped.
        """
        return self.train.one_batch()

    def evaluation_loader(self, ds_idx: int) -> Loader:
        """A loader of the whole training (0) or validation (1) set, in order and without augmentation.

        Raises:
            InputError: ``ds_idx`` is neither 0 nor 1.
        """
        self.datasets.subset(ds_idx)  # raises
        return self.valid if ds_idx else self._unaugmented_loader(self.train.dataset, self.valid.bs)

    def random_batch_loader(self, ds_idx: int, count: int, *, seed: int = 0, bs: int | None = None) -> Loader:
        """A loader of randomly chosen images, without augmentation.

        Args:
            ds_idx: 0: the training set, 1: the validation set.
            count: number of images; all, if there are fewer.
            seed: random seed for choosing the images.
            bs: number of images in a batch; None: all are in one.

        Raises:
            InputError: ``ds_idx`` is neither 0 nor 1.
        """
        dataset = self.datasets.subset(ds_idx)
        count = min(count, len(dataset))
        chosen = np.random.default_rng(seed).choice(len(dataset), count, replace=False)
        indices = [dataset.indices[i] for i in chosen]
        return self._unaugmented_loader(Dataset(dataset.all_items, indices, dataset.spec), bs or count)

    def test_dl(self, items: Sequence[Any], *, with_labels: bool = False) -> Loader:
        """A loader of new items, in order and without augmentation.

        Args:
            items: items of the same kind as those of the data block, for example rows of a table.
            with_labels: read their targets too.
        """
        spec = self.datasets.spec
        if not with_labels:
            spec = SampleSpec(spec.get_x, None, spec.image, None)
        loader = self._unaugmented_loader(Dataset(items, range(len(items)), spec), self.valid.bs)
        loader.pipeline = replace(loader.pipeline, cache=None)  # these images are probably read only once
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
            b: (x, y); None: the first batch of the next epoch.
            max_n: the largest number of images.
            nrows: rows of the grid; None: as many as are needed.
            ncols: columns of the grid; None: as many as are needed.
            figsize: width and height in inches; None: 3 inches an image.
            unique: draw one image several times, each with another augmentation.
        """
        self.train.show_batch(b, max_n, nrows=nrows, ncols=ncols, figsize=figsize, unique=unique)

    def _size_text(self) -> str:
        size = self.pipeline.size
        return "images of different sizes" if size is None else f"images of {size}"

    def _unaugmented_loader(self, dataset: Dataset, bs: int) -> Loader:
        return self.valid.variant(dataset, self.valid.pipeline, bs=bs)
