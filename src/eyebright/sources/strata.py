"""The strata that a split spreads over its parts: labels, unknown labels, and images with similar numbers."""

import numpy as np

from eyebright.errors import count_text
from eyebright.sources.categorical import Categorical
from eyebright.sources.stratify import LabelMatrix, regression_strata
from eyebright.sources.targets import Targets
from eyebright.tasks.base import KNOWN_NO_SUFFIX, UNKNOWN_SUFFIX, TargetBlock

_MAX_STRATA = 1000  # of numbers; more strata only slow down the split of millions of images
_NUMBERS = "\0numbers"


def strata_of_labels(block: TargetBlock, targets: Targets, _: float) -> LabelMatrix:
    """The labels or the class of each image, and a stratum for each label that is unknown."""
    assert isinstance(targets, Categorical)
    used = targets.remove_unused_categories()
    return LabelMatrix.of_categorical([block.strata(block.read(value)) for value in used.categories], used.codes)


def strata_of_points(_: TargetBlock, targets: Targets, __: float) -> LabelMatrix:
    """The unknown points of each image."""
    assert isinstance(targets, np.ndarray)
    unknown = np.isnan(targets).any(axis=2)
    names = [f"point {i + 1}{UNKNOWN_SUFFIX}" for i in range(targets.shape[1])]
    return LabelMatrix(names, unknown.sum(axis=1).astype(np.int32), np.argwhere(unknown)[:, 1].astype(np.int32))


def strata_of_numbers(block: TargetBlock, targets: Targets, smallest_share: float) -> LabelMatrix:
    """A stratum of images with similar numbers for each image, and the numbers that are unknown.

    Args:
        block: the target block.
        targets: shape (n, k); NaN is unknown.
        smallest_share: the smallest share of a part; strata are so large that each part has an image of each.
    """
    assert isinstance(targets, np.ndarray)
    n, k = targets.shape
    count = min(max(int(n * smallest_share), 1), _MAX_STRATA)
    strata = regression_strata(targets, count)
    unknown = np.isnan(targets)
    columns = np.flatnonzero(unknown.any(axis=0) & (k > 1))  # one number alone is sorted, unknown first
    names = [f"{number:09}{_NUMBERS}" for number in range(count)]
    codes = np.column_stack([strata, *(np.where(unknown[:, j], count + i, -1) for i, j in enumerate(columns.tolist()))])
    has = codes >= 0
    names += [f"number {j + 1}{UNKNOWN_SUFFIX}" for j in columns.tolist()]
    return LabelMatrix(names, has.sum(axis=1).astype(np.int32), codes[has].astype(np.int32))


def stratum_text(name: str, images: int) -> str:
    """Why a stratum decided the part of an image, for the user.

    Args:
        name: the name of the stratum.
        images: that are in it.

    >>> stratum_text("rare", 4), stratum_text(f"rare{UNKNOWN_SUFFIX}", 1)
    ("label 'rare' (4 images)", "'rare' unknown (1 image)")
    """
    count = count_text(images, "image")
    for ending, text in (
        (UNKNOWN_SUFFIX, "'{}' unknown"),
        (KNOWN_NO_SUFFIX, "not '{}'"),
        (_NUMBERS, "similar numbers"),
    ):
        if name.endswith(ending):
            return f"{text.format(name.removesuffix(ending))} ({count})"
    return f"label '{name}' ({count})"


def is_label(name: str) -> bool:
    """True for the stratum of a label or a class that images have."""
    return "\0" not in name
