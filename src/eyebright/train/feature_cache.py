"""The features of images, kept while the body is frozen: then an epoch costs the head alone.

Each training image is looked at in ``views`` augmented views. Epoch e of the phase uses view e modulo ``views``, so
the first ``views`` epochs are those of a training without kept features, step by step, and later ones repeat their
images in an order of their own. Validation images have one view, so keeping their features changes nothing.

A view is always computed in the same batches, those of the epoch that it belongs to, whenever that happens: a resumed
training computes the features of the one that was cut off.
"""

import time
from collections.abc import Generator, Iterable
from contextlib import closing
from typing import final

import torch
from torch import Tensor

from eyebright._system.timer import Timer
from eyebright.data.loader import WHOLE, Batch, Loader, Shard
from eyebright.errors import InputError
from eyebright.image.cache_store import available_memory, format_megabytes
from eyebright.models.split_model import SplitModel
from eyebright.train.device import Device
from eyebright.train.profile import FORWARD, WAITING

Pairs = Generator[tuple[Tensor, Tensor], None, None]


@final
class FeatureCache:
    """The features of a loader's images; in memory, in the numbers that they are computed in.

    Pooled features take about 10 kB an image and view (1,280 channels, two poolings, float32; half in bfloat16).

    Args:
        model: split at the head; its backbone stays as it is and is in evaluation mode.
        loader: of the training side, or of validation.
        device: where the model is, and in which numbers.
        shard: of each batch, where several processes train.
        views: how many views each image has.
        must_fit: features that take more than half of the free memory are an error; else they are not kept.

    Attributes:
        timer: where given, is told that the body's work is a part of the forward pass, though it happens while a step
            waits for its batch.
    """

    timer: Timer | None = None

    def __init__(
        self, model: SplitModel, loader: Loader, device: Device, shard: Shard = WHOLE, *, views: int, must_fit: bool
    ) -> None:
        self.model = model
        self.views = views
        self._loader = loader
        self._device = device
        self._shard = shard
        self._must_fit = must_fit
        self._fits = True
        self._kept: dict[int, _View] = {}

    def batches(self, epoch: int, first: int) -> Pairs:
        """(features, targets) of each batch of an epoch.

        Args:
            epoch: its number: it decides the order.
            first: the number of the epoch that the phase began with; with ``epoch`` it decides the view.

        Raises:
            InputError: the features would take more than half of the free memory.
        """
        own = first + (epoch - first) % self.views if self._fits else epoch
        if own == epoch and own not in self._kept:
            yield from self._look(epoch)
            return
        if own not in self._kept:
            with closing(self._look(own)) as looks:
                for _ in looks:
                    pass
        if own in self._kept:
            self._complete(self._kept[own], own, epoch)
            yield from self._again(self._kept[own], epoch)

    def _again(self, view: "_View", epoch: int) -> Pairs:
        """The batches of an epoch out of a view that is there."""
        for group in self._loader.groups(epoch, self._shard):
            rows = view.rows_of(self._loader.dataset.indices[i] for i in group)
            if self._loader.is_batch(len(rows), len(group), self._shard):
                yield view.features[rows], view.targets[rows]

    def _look(self, own: int) -> Pairs:
        """The batches of a view's own epoch, while they are computed; they are kept when all of them are."""
        view: _View | None = None
        with closing(self._loader.batches(own, self._shard)) as batches:
            for batch in batches:
                features, targets = self._features(batch)
                if view is None and self._fit(features):
                    view = _View(len(self._loader.dataset), features, targets)
                if view is not None:
                    view.add(batch.indices, features, targets)
                yield features, targets
        if view is not None:
            self._kept[own] = view

    def _complete(self, view: "_View", own: int, epoch: int) -> None:
        """Computes what the view's own epoch left out, where another epoch needs some of it.

        That is everything, and always the same; or with several processes what this one needs.
        """
        indices = self._loader.dataset.indices
        needed = sorted(i for group in self._loader.groups(epoch, self._shard) for i in group)
        missing = [i for i in needed if indices[i] not in view.tried]
        if not missing:
            return
        if self._shard == WHOLE:
            missing = [i for i in range(len(indices)) if indices[i] not in view.tried]
        view.tried.update(indices[i] for i in missing)
        companion = next(i for i in range(len(indices)) if indices[i] in view.rows)  # no loader drops a pair
        groups = [[*missing[i : i + self._loader.bs], companion] for i in range(0, len(missing), self._loader.bs)]
        with closing(self._loader.batches(own, self._shard, only=groups)) as batches:
            for batch in batches:
                view.add(batch.indices, *self._features(batch))

    def _features(self, batch: Batch) -> tuple[Tensor, Tensor]:
        if batch.y is None:
            raise InputError("these images have no targets, so there is nothing to learn")
        (images,) = self._device.move((batch.x,))
        started = time.perf_counter()
        with torch.no_grad(), self._device.autocast():
            features = self.model.backbone(images)
        if self.timer is not None:
            seconds = time.perf_counter() - started
            self.timer.add(FORWARD, seconds)
            self.timer.add(WAITING, -seconds)
        return features, batch.y

    def _fit(self, features: Tensor) -> bool:
        """Whether the features of all images fit into memory, told from those of one batch."""
        need = features.nbytes // len(features) * len(self._loader.dataset) * self.views
        free = available_memory()
        self._fits = self._fits and (bool(self._kept) or need <= free // 2)
        if self._must_fit and not self._fits:
            raise InputError(
                f"the features of {self.views} views of {len(self._loader.dataset)} images take "
                f"{format_megabytes(need)}, more than half of the {format_megabytes(free)} of free memory; "
                "give fewer augment_views, or none"
            )
        return self._fits


@final
class _View:
    """The features and the targets of one view, a row for each image.

    Args:
        images: how many there can be.
        features: of a first batch.
        targets: of that batch.
    """

    def __init__(self, images: int, features: Tensor, targets: Tensor) -> None:
        self.features = torch.empty(images, *features.shape[1:], dtype=features.dtype)
        self.targets = torch.empty(images, *targets.shape[1:], dtype=targets.dtype)
        self.rows: dict[int, int] = {}  # by the index of the image
        self._used = 0
        self.tried: set[int] = set()  # some cannot be read

    def add(self, indices: list[int], features: Tensor, targets: Tensor) -> None:
        """Keeps the rows of images that are new."""
        new = [place for place, index in enumerate(indices) if index not in self.rows]
        rows = range(self._used, self._used + len(new))
        self._used = rows.stop
        self.features[rows.start : rows.stop] = features[new].cpu()
        self.targets[rows.start : rows.stop] = targets[new].cpu()
        self.rows |= {indices[place]: row for place, row in zip(new, rows, strict=True)}
        self.tried.update(indices)

    def rows_of(self, indices: Iterable[int]) -> list[int]:
        """The rows of those images that there are."""
        return [self.rows[index] for index in indices if index in self.rows]
