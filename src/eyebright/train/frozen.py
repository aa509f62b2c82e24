"""The frozen model: a linear head that is fitted to the features of a backbone, which does not change.

The features of each image are computed once, in evaluation mode and float32, from the image as validation sees it: they
are those that the saved model computes.
"""

import math
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from eyebright.data.batch import Batch, Shard
from eyebright.data.loader import Loader
from eyebright.errors import InputError
from eyebright.models.build import ImageModel
from eyebright.models.groups import modes_restored
from eyebright.models.split_model import FeatureExtractor, split_at_head
from eyebright.tasks.base import TargetBlock, is_missing
from eyebright.train.device import Device
from eyebright.train.evaluate import Outputs, compute_outputs
from eyebright.train.events import FeaturesComputed, FeaturesStarted, Observer

_ROWS = 8192  # images whose outputs are computed at once
_MANY_IMAGES = 5000  # 20,480 features of each, of 1,280 channels in 4 x 4 places, take 400 MB and a minute to fit


def compute_features(extractor: FeatureExtractor, loader: Loader, device: Device, observe: Observer) -> Outputs:
    """The pooled features of all images of a loader, in its order and from all processes; in float32.

    Args:
        extractor: normalisation, backbone and pooling, in evaluation mode and on the device.
        loader: a loader that does not augment.
        device: the device.
        observe: called with an event after each batch.

    Returns:
        The features as ``outputs``, shape (n, d), with the targets of the loss.

    Raises:
        InputError: no image can be read, or the images have no targets.
    """
    with closing(_observed(loader, Shard(*device.shard), observe)) as batches:
        given = compute_outputs(extractor, batches, device, autocast=False)
    if given.targets is None:
        raise InputError("these images have no targets, so there is nothing to learn")
    return given


def head_pool_size(block: TargetBlock, n_images: int) -> int:
    """Height and width of the pooled maps of a linear head: what the target wants, or at most 2 for many images."""
    return block.head_pool_size if n_images <= _MANY_IMAGES else min(block.head_pool_size, 2)


def features_and_targets(given: Outputs, block: TargetBlock) -> tuple[Float[Tensor, "n d"], Shaped[Tensor, "n ..."]]:
    """The features as rows, and the targets as a linear head is fitted to them."""
    assert given.targets is not None  # `compute_features` refuses images without targets
    return given.outputs.flatten(1), block.head_targets(given.targets)


def joined(parts: Iterable[Outputs]) -> Outputs:
    """The features of several datasets of the same items, in the order of the items."""
    parts = list(parts)
    indices = [index for part in parts for index in part.indices]
    warps = [warp for part in parts for warp in part.warps]
    order = sorted(range(len(indices)), key=indices.__getitem__)
    return Outputs(
        torch.cat([part.outputs for part in parts])[order],
        torch.cat([part.targets for part in parts if part.targets is not None])[order],
        tuple(indices[i] for i in order),
        tuple(warps[i] for i in order),
    )


def image_weights(loader: Loader, given: Outputs) -> Float[Tensor, " n"] | None:
    """The sample weight of each image of ``given``, 1 on average; None without weights.

    Args:
        loader: the training loader; images that are not in it have the weight 1.
        given: features of images.
    """
    if loader.probabilities is None:
        return None
    weights = dict(zip(loader.dataset.indices, loader.probabilities * len(loader.dataset), strict=True))
    return torch.tensor([weights.get(index, 1.0) for index in given.indices], dtype=torch.float64)


def image_groups(groups: Sequence[Any] | None, given: Outputs, n_items: int) -> Int[Tensor, " n"] | None:
    """A number for the group of each image of ``given``; None without groups.

    Args:
        groups: the group of each item of the data, of any hashable type; None or NaN: the image is its own group.
        given: features of some of them.
        n_items: the number of items.

    Raises:
        InputError: there is not one group for each item, or one is not hashable.
    """
    if groups is None:
        return None
    if len(groups) != n_items:
        raise InputError(f"`groups` has {len(groups)} values, for {n_items} items: give the group of each item")
    numbers: dict[Any, int] = {}
    own = [groups[index] for index in given.indices]
    try:
        # An image whose group is missing is a group of its own.
        keys = [("image", i) if is_missing(group) else ("group", group) for i, group in enumerate(own)]
        return torch.tensor([numbers.setdefault(key, len(numbers)) for key in keys])
    except TypeError:
        raise InputError("`groups` must be values that can be compared, such as numbers or text") from None


def head_outputs(model: ImageModel, features: Float[Tensor, "n d"], device: Device) -> Float[Tensor, "n k"]:
    """The outputs of the model's head for pooled features, on the CPU."""
    head = split_at_head(model).head
    with torch.inference_mode(), modes_restored(head):
        head.eval()
        return torch.cat([head(rows.to(device.torch_device)).float().cpu() for rows in features.split(_ROWS)])


def _observed(loader: Loader, shard: Shard, observe: Observer) -> Generator[Batch, None, None]:
    """The batches of a loader, with an event before the first and after each."""
    steps = math.ceil(len(shard.of(range(len(loader.dataset)))) / loader.bs)
    observe(FeaturesStarted(steps))
    with closing(loader.batches(0, shard)) as batches:
        for step, batch in enumerate(batches, 1):
            yield batch
            observe(FeaturesComputed(step, steps))
