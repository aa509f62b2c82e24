"""Caches the features of a frozen backbone, so that later epochs compute only the head.

Each training image is used in a number of *views*: augmented copies of it. Epoch e of a phase uses view e modulo their
number, so the first epochs are those of a run without a cache, step by step, and later ones use the same views in
another order. Validation images have one view, so caching their features changes nothing.

A view is always computed in the batches of the epoch that it belongs to: a resumed training run computes the same
features as one that was not interrupted.
"""

import time
from collections.abc import Generator, Iterable
from contextlib import closing
from typing import final

import torch
from torch import Tensor

from eyebright._system.memory import available_memory
from eyebright._system.timer import Timer
from eyebright.data.batch import WHOLE, Batch, Shard
from eyebright.data.loader import Loader
from eyebright.errors import InputError
from eyebright.image.cache_store import format_megabytes
from eyebright.models.split_model import SplitModel
from eyebright.train.device import Device
from eyebright.train.run import FORWARD, WAITING, TrainBatch

TrainBatches = Generator[TrainBatch, None, None]


@final
class FeatureCache:
    """The features of a loader's images, in memory, in the precision of their computation.

    Pooled features take about 10 kB per image and view (1,280 channels, two poolings, float32; half in bfloat16).

    Args:
        model: the model, split at the head, with a frozen backbone in evaluation mode.
        loader: the training or the validation loader.
        device: the device of the model and its precision.
        shard: the part of each batch that belongs to this process.
        first_epoch: the number of the first epoch that uses the cache; the view of an epoch depends on it.
        views: number of views of each image.
        required: True: features that take more than half of the free memory are an error; False: they are not cached.
        timer: a timer in which the time of the backbone is moved from waiting for a batch to the forward pass.
    """

    def __init__(
        self,
        model: SplitModel,
        loader: Loader,
        device: Device,
        shard: Shard = WHOLE,
        *,
        first_epoch: int = 0,
        views: int = 1,
        required: bool = False,
        timer: Timer | None = None,
    ) -> None:
        self.model = model
        self._loader = loader
        self._device = device
        self._shard = shard
        self._first_epoch = first_epoch
        self._views = views
        self._required = required
        self._timer = timer
        self._fits = True
        self._tables: dict[int, _FeatureTable] = {}  # the table of each view, by its epoch

    def batches(self, epoch: int) -> TrainBatches:
        """Features and targets of each batch of an epoch, on the device.

        Args:
            epoch: the number of the epoch, which determines the order and the view.

        Raises:
            InputError: the cache is required and its features take more than half of the free memory, or the images
                have no targets.
        """
        view_epoch = self._first_epoch + (epoch - self._first_epoch) % self._views if self._fits else epoch
        if view_epoch == epoch and view_epoch not in self._tables:
            yield from self._computed(epoch)
            return
        if view_epoch not in self._tables:
            with closing(self._computed(view_epoch)) as batches:
                for _ in batches:
                    pass
        if view_epoch not in self._tables:  # the view does not fit into memory
            yield from self._computed(epoch)
            return
        self._add_missing(self._tables[view_epoch], view_epoch, epoch)
        yield from self._cached(self._tables[view_epoch], epoch)

    def _cached(self, table: "_FeatureTable", epoch: int) -> TrainBatches:
        """The batches of an epoch from a view that is in the cache."""
        device = self._device.torch_device
        indices = self._loader.dataset.indices
        for batch in self._loader.index_batches(epoch, self._shard):
            # With sample weights, a repeated image has its index plus a multiple of len(dataset).
            rows = table.rows_of(indices[i % len(indices)] for i in batch)
            self._loader.check_not_empty(len(rows), self._shard)
            if self._loader.is_usable(len(rows), len(batch), self._shard):
                features, targets = table.features[rows], table.targets[rows]
                yield features.to(device, non_blocking=True), targets.to(device, non_blocking=True)

    def _computed(self, view_epoch: int) -> TrainBatches:
        """The batches of a view's own epoch, as they are computed; the view is cached when it is complete."""
        table: _FeatureTable | None = None
        with closing(self._loader.batches(view_epoch, self._shard)) as batches:
            for batch in batches:
                features, targets = self._features(batch)
                if table is None and self._check_memory(features):
                    table = _FeatureTable(len(self._loader.dataset), features, targets)
                if table is not None:
                    table.add(batch.item_indices, features, targets)
                yield features, targets
        if table is not None:
            self._tables[view_epoch] = table

    def _add_missing(self, table: "_FeatureTable", view_epoch: int, epoch: int) -> None:
        """Computes the images that the view's own epoch did not contain, if another epoch needs some of them.

        A single process computes every image that it did not contain, always in the same batches, so a resumed run gets
        equal features. With several processes, each computes only the images that it needs.
        """
        indices = self._loader.dataset.indices
        epoch_indices = self._loader.index_batches(epoch, self._shard)
        needed = sorted({i % len(indices) for batch in epoch_indices for i in batch})
        missing = [i for i in needed if indices[i] not in table.tried]
        if not missing:
            return
        if self._shard == WHOLE:
            missing = [i for i in range(len(indices)) if indices[i] not in table.tried]
        table.tried.update(indices[i] for i in missing)
        # A loader drops a batch of one: each batch gets an additional image that is already in the table.
        companion = next(i for i in range(len(indices)) if indices[i] in table.rows)
        with_companion = [
            [*missing[i : i + self._loader.bs], companion] for i in range(0, len(missing), self._loader.bs)
        ]
        with closing(self._loader.batches(view_epoch, self._shard, batch_indices=with_companion)) as batches:
            for batch in batches:
                table.add(batch.item_indices, *self._features(batch))

    def _features(self, batch: Batch) -> TrainBatch:
        if batch.y is None:
            raise InputError("these images have no targets, so nothing can be learnt")
        started = time.perf_counter()
        with torch.no_grad(), self._device.autocast():
            features = self.model.feature_extractor(batch.x)
        if self._timer is not None:
            self._timer.move(time.perf_counter() - started, WAITING, FORWARD)
        return features, batch.y

    def _check_memory(self, features: Tensor) -> bool:
        """Whether the features of all images fit into memory, estimated from those of one batch."""
        need = features.nbytes // len(features) * len(self._loader.dataset) * self._views
        free = available_memory()
        self._fits = self._fits and (bool(self._tables) or need <= free // 2)
        if self._required and not self._fits:
            raise InputError(
                f"the features of {self._views} views of {len(self._loader.dataset)} images take"
                f" {format_megabytes(need)}, more than half of the {format_megabytes(free)} of free memory; give fewer"
                " augment_views, or none"
            )
        return self._fits


@final
class _FeatureTable:
    """The features and the targets of one view of each image, one row per image, on the CPU.

    Args:
        n_images: the maximum number of rows.
        features: the features of a first batch: dtype and the shape of a row.
        targets: the targets of a first batch: dtype and the shape of a row.
    """

    def __init__(self, n_images: int, features: Tensor, targets: Tensor) -> None:
        self.features = torch.empty(n_images, *features.shape[1:], dtype=features.dtype)
        self.targets = torch.empty(n_images, *targets.shape[1:], dtype=targets.dtype)
        self.rows: dict[int, int] = {}  # by the index of the image
        self._used = 0
        self.tried: set[int] = set()  # some images cannot be read

    def add(self, indices: list[int], features: Tensor, targets: Tensor) -> None:
        """Adds the rows of images that are not in the table yet."""
        first = {index: i for i, index in reversed(list(enumerate(indices)))}  # a batch can have an image twice
        new = [i for i, index in enumerate(indices) if index not in self.rows and first[index] == i]
        rows = range(self._used, self._used + len(new))
        self._used = rows.stop
        self.features[rows.start : rows.stop] = features[new].cpu()
        self.targets[rows.start : rows.stop] = targets[new].cpu()
        self.rows |= {indices[i]: row for i, row in zip(new, rows, strict=True)}
        self.tried.update(indices)

    def rows_of(self, indices: Iterable[int]) -> list[int]:
        """The rows of the images that are in the table."""
        return [self.rows[index] for index in indices if index in self.rows]
