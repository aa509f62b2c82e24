"""Builds the batches of a source from the options of a run: resizing, augmentation, batch size and sampling."""

from collections import Counter
from typing import Any

import numpy as np

from eyebright._defaults import BATCH_SIZE, IMAGE_SIZE
from eyebright.data.block import DataBlock
from eyebright.data.dataloaders import DataLoaders
from eyebright.errors import InputError
from eyebright.sources.categorical import Categorical
from eyebright.sources.source import Source
from eyebright.tasks.base import NO_LABEL_CAPTION, TargetBlock
from eyebright.tasks.image import ImageBlock
from eyebright.transforms.draw import Transform
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Resize
from eyebright.types import Size
from eyebright.workflow.options import TrainOptions

_PRESIZE = 8, 7  # a training image is resized to 8/7 of its size before a random crop: 256 for 224, as in fastai
_CROP_AREA = 0.75  # smallest area of a random crop
_SMALL_BATCH = 8  # smaller ones take longer than they help

Weights = np.ndarray[Any, np.dtype[np.float64]]


def source_dataloaders(source: Source, options: TrainOptions, *, batch: int) -> DataLoaders:
    """The data loaders of a source whose images are split.

    Args:
        source: the labelled images.
        options: the training options.
        batch: number of images in a batch.

    Raises:
        InputError: the source and the options are incompatible, for example a batch larger than the training set.
    """
    train, valid = source.split or (range(len(source)), ())
    target = source.block()
    item_tfms, batch_tfms = image_transforms(target, options)
    block = DataBlock(
        blocks=(ImageBlock, target),
        get_x=lambda row: row.path,
        get_y=lambda row: row.target,
        splitter=lambda _: (train, valid),
        item_tfms=item_tfms,
        batch_tfms=batch_tfms,
    )
    return block.dataloaders(
        source,
        bs=batch,
        sample_weights=sample_weights(source, options),
        num_workers=options.workers,
        device=options.device,
        seed=options.seed,
        skip_bad=options.skip_bad,
        cache=options.cache,
    )


def batch_size(source: Source, options: TrainOptions) -> int:
    """The number of images in a batch: ``bs`` of the options, by default 32, and fewer for small sets.

    A small set trains in `TargetBlock.min_steps` steps an epoch, if that leaves 8 images for a batch.

    Args:
        source: the labelled images, split.
        options: the training options.
    """
    if options.bs is not None:
        return options.bs
    train, _ = source.split or (range(len(source)), ())
    fine_tunes_fitted_head = options.trains_epochs and not options.has_book_head
    steps = source.block().min_steps if fine_tunes_fitted_head else TargetBlock.min_steps
    quarter = max(len(train) // TargetBlock.min_steps, 2)  # batch norm cannot train on a single image
    return min(BATCH_SIZE, max(len(train) // steps, min(_SMALL_BATCH, quarter)))


def shows_whole_images(block: TargetBlock, options: TrainOptions) -> bool:
    """True if images are padded instead of cropped: ``whole`` of the options, by default as the target needs."""
    return block.needs_whole_image if options.whole is None else options.whole


def flips_images(block: TargetBlock, options: TrainOptions) -> bool:
    """True if training images are mirrored at random: ``flip`` of the options, by default if the target allows it."""
    return options.augment and (not block.no_flip_reason if options.flip is None else options.flip)


def augmentation_message(block: TargetBlock, options: TrainOptions) -> str:
    """A sentence for the user about resizing and augmentation."""
    size = _size(options)
    whole = shows_whole_images(block, options)
    seen = f"the model sees {f'whole images, padded to {size}' if whole else f'crops of {size}'} pixels"
    if not options.trains_epochs:
        return seen
    if not options.augment:
        return f"{seen}; training images vary in position only"
    varied = "perspective, rotation, zoom, brightness and contrast"
    if flips_images(block, options):
        return f"{seen}; training images vary in flips, {varied}"
    reason = "" if options.flip is False else f", since {block.no_flip_reason}; `flip=True` mirrors images anyway"
    return f"{seen}; training images vary in {varied}; no flips{reason}"


def image_transforms(block: TargetBlock, options: TrainOptions) -> tuple[Transform, list[Transform]]:
    """(item transform, batch transforms): the resize of each image, and the random augmentation of training batches."""
    whole, flip = shows_whole_images(block, options), flips_images(block, options)
    if whole:
        padded = Resize(_size(options), method="pad", pad_mode="zeros")
        return padded, aug_transforms(do_flip=flip) if options.augment else []
    if not options.augment:
        return Resize(_size(options)), []
    larger, smaller = _PRESIZE
    presized = tuple(side * larger // smaller for side in _size(options))
    return Resize(presized), aug_transforms(do_flip=flip, size=_size(options), min_scale=_CROP_AREA)


def sample_weights(source: Source, options: TrainOptions) -> Weights | None:
    """The sampling weight of each image, shape (n,); None to use each image once per epoch.

    Args:
        source: the labelled images; the weights of validation images are not used.
        options: the training options.

    Returns:
        With balanced sampling the weight of an image is 1 over the number of training images with its
        rarest label (no label counts as one), times its weight in the source.

    Raises:
        InputError: balanced sampling was requested for points or numbers.
    """
    if options.sampling == "uniform":
        return source.weight
    target, targets = source.block(), source.targets
    if not isinstance(targets, Categorical):
        raise InputError(
            "`sampling='balanced'` draws rare labels more often, but points and numbers have no labels; leave it out"
        )
    labels = [target.labels(target.read(value)) or (NO_LABEL_CAPTION,) for value in targets.categories]
    train = slice(None) if source.split is None else source.split[0].array
    rows = np.bincount(targets.codes[train], minlength=len(labels)).tolist()
    counts = Counter[str]()
    for names, images in zip(labels, rows, strict=True):
        counts.update(dict.fromkeys(names, images))
    weights = np.array([max(1 / max(counts[name], 1) for name in names) for names in labels])[targets.codes]
    return weights if source.weight is None else weights * source.weight


def _size(options: TrainOptions) -> Size:
    return Size.of(options.size or IMAGE_SIZE)
