"""The pooled features of a loader's images: read from the cache (`eyebright.image.cache`), or computed and cached.

The key of a row of features is a hash of everything that determines it: the content of the image file and the versions
of its decoders, the placement of canonical pixels (`Placement`), the weights and layers of the backbone, the pooling,
the type of the device, and the versions of the libraries. So a change of label, split, head, batch size or path keeps
the row, and any other change invalidates it. Rows are float32: a model is the same with and without a cache.
"""

import hashlib
import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from importlib.metadata import version
from itertools import chain
from typing import NamedTuple, final

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from eyebright.data.batch import Batch, Shard
from eyebright.data.loader import Loader
from eyebright.errors import ImageError, InputError
from eyebright.image.cache import file_signature
from eyebright.image.canonical import CANONICAL
from eyebright.image.warp import Warp
from eyebright.inference.model_folder import hash_state
from eyebright.models.build import ImageModel
from eyebright.models.split_model import FeatureExtractor
from eyebright.train.device import Device
from eyebright.train.evaluate import OutputRows, Outputs, gathered_outputs, output_rows, to_rows, warps_of_rows
from eyebright.train.events import FeaturesComputed, FeaturesStarted, Observer
from eyebright.transforms.pipeline import DrawnImage

_VERSION = 1  # increase it when the features change for other reasons than the key
_LIBRARIES = ("torch", "torchvision", "timm", "numpy")


def compute_features(
    extractor: nn.Module, loader: Loader, device: Device, observe: Observer, *, backbone: str | None = None
) -> Outputs:
    """The pooled features of all images of a loader, in its order and from all processes; in float32.

    Args:
        extractor: normalisation, backbone and pooling, on the device.
        loader: a loader without augmentation.
        device: the device.
        observe: called with an event before the first batch that is computed, and after each of them.
        backbone: the result of `backbone_hash`, to use the cache of the loader; None: no cache.

    Returns:
        The features as ``outputs``, shape (n, d), with the targets of the loss.

    Raises:
        InputError: no image can be read, or the images have no targets.
        ImageError: an image cannot be read, and unreadable images are not skipped.
    """
    features = gathered_outputs(_rows_of(extractor, loader, device, observe, backbone), device)
    if loader.skipped is not None:
        device.merge_dict(loader.skipped)
    if features.targets is None:
        raise InputError("these images have no targets, so there is nothing to learn")
    return features


def features_without_targets(
    extractor: nn.Module, loader: Loader, device: Device, observe: Observer, *, backbone: str | None = None
) -> Outputs | None:
    """The pooled features of images whose targets are not read; None if no image can be read.

    The arguments are those of `compute_features`, and both share the rows of the cache.

    Raises:
        ImageError: an image cannot be read, and unreadable images are not skipped.
    """
    rows = _rows_of(extractor, loader, device, observe, backbone)
    return gathered_outputs(rows, device) if rows else None


def backbone_hash(model: ImageModel, extractor: FeatureExtractor, device: Device) -> str:
    """A hash of all that determines the features of given pixels: layers, weights, pooling, device and libraries.

    Args:
        model: the model, without fused batch norms.
        extractor: the extractor whose pooling is used.
        device: the device of the computation.
    """
    mean_and_std = "" if model.inputs_normalized else f"{model.mean.tolist()} {model.std.tolist()}"
    about = [
        f"features {_VERSION}",
        *(f"{name} {version(name)}" for name in _LIBRARIES),
        device.torch_device.type,
        f"{model.description.arch} {mean_and_std}",
        *map(repr, (model.body, extractor.pooling)),
    ]
    digest = hashlib.blake2b("\n".join(about).encode(), digest_size=16)
    hash_state(digest, model.body.state_dict())
    return digest.hexdigest()


def _rows_of(
    extractor: nn.Module, loader: Loader, device: Device, observe: Observer, backbone: str | None
) -> list[OutputRows]:
    """The rows of the readable images of this process, in the order of the loader, in at most one batch."""
    shard = Shard(*device.shard)
    positions = list(chain.from_iterable(loader.index_batches(0, shard)))
    rows = _Rows(loader, backbone)
    with closing(_missing_batches(loader, positions, rows, shard, observe)) as batches:
        for computed in output_rows(extractor, batches, device, autocast=False):
            rows.add(computed)
    found = rows.in_order(loader.dataset.indices[i] for i in positions)
    return [] if found is None else [found]


class _Row(NamedTuple):
    """The features of one image, its encoded target and its warp."""

    features: Float[Tensor, " d"]
    target: Shaped[Tensor, "..."] | None
    warp: Warp


class _Place(NamedTuple):
    """The place of an image's features in the cache: the key, and the file with its size and times before reading."""

    key: str
    path: str | None
    signature: tuple[int, ...] | None


@final
class _Rows:
    """The rows of a loader's images, from the cache or computed.

    Args:
        loader: the loader, whose pipeline has the cache.
        backbone: the hash of the backbone; None: the cache is not used.
    """

    def __init__(self, loader: Loader, backbone: str | None) -> None:
        self._loader = loader
        self._backbone = backbone
        self._cache = None if backbone is None else loader.pipeline.cache
        self._rows: dict[int, _Row] = {}  # by the index of the item
        self._places: dict[int, _Place] = {}  # of images that are not in the cache yet

    def find(self, i: int) -> bool:
        """Looks up the i-th image of the loader in the cache; returns whether its features were found."""
        if self._cache is None:
            return False
        try:
            opened = self._loader.opened(i)
            path = opened.drawn.image.path
            signature = None if path is None else file_signature(path)
            key = self._key(opened.drawn)
        except ImageError:  # reading the image again raises the error, or skips it
            return False
        if key is None:
            return False
        features = self._cache.features(key)
        if features is None:
            self._places[opened.item_index] = _Place(key, path, signature)
            return False
        self._rows[opened.item_index] = _Row(torch.from_numpy(features), opened.target, opened.drawn.warp)
        return True

    def add(self, computed: OutputRows) -> None:
        """Adds the rows of a computed batch, and stores their features in the cache."""
        features, targets, indices, warps = computed
        features, targets = features.flatten(1).cpu(), targets.cpu()
        for row, target, index, warp in zip(features, targets, indices.tolist(), warps_of_rows(warps), strict=True):
            self._rows[index] = _Row(row, target, warp)
            place = self._places.pop(index, None)
            # Features of a file that has changed since it was hashed would be stored under a wrong key.
            if place is not None and (place.path is None or file_signature(place.path) == place.signature):
                assert self._cache is not None  # places exist only with a cache
                self._cache.put_features(place.key, row.numpy())

    def in_order(self, item_indices: Iterator[int]) -> OutputRows | None:
        """The rows of these items, without those that could not be read; None if there are none."""
        indices = [index for index in item_indices if index in self._rows]
        if not indices:
            return None
        rows = [self._rows[index] for index in indices]
        targets = [row.target for row in rows if row.target is not None]
        return to_rows(
            torch.stack([row.features for row in rows]),
            torch.stack(targets) if targets else None,
            indices,
            [row.warp for row in rows],
        )

    def _key(self, drawn: DrawnImage) -> str | None:
        """The key of an image's features; None if its pixels depend on the versions of the libraries."""
        assert self._cache is not None
        if drawn.placement is None or self._loader.pipeline.fast_decode:
            return None
        about = f"{self._backbone} {drawn.image.digest(self._cache)} {CANONICAL} {drawn.placement}"
        return hashlib.sha256(about.encode()).hexdigest()[:32]


def _missing_batches(
    loader: Loader, positions: Sequence[int], rows: _Rows, shard: Shard, observe: Observer
) -> Generator[Batch, None, None]:
    """The batches of the images whose features the cache lacks, with an event before the first and after each.

    The cache is searched for an image shortly before it would be read, so that its file is read from disk only once.
    """
    bs, n_steps = loader.bs, math.ceil(len(positions) / loader.bs)
    step_of = {loader.dataset.indices[i]: place // bs + 1 for place, i in enumerate(positions)}

    def missing() -> Iterator[list[int]]:
        batch: list[int] = []
        is_first = True
        for i in positions:
            if not rows.find(i):
                batch.append(i)
            if len(batch) == bs or (batch and i == positions[-1]):
                if is_first:
                    observe(FeaturesStarted(n_steps))
                yield batch
                batch, is_first = [], False

    with closing(loader.batches(0, shard, batch_indices=missing())) as batches:
        for batch in batches:
            yield batch
            observe(FeaturesComputed(max(step_of[index] for index in batch.item_indices), n_steps))
