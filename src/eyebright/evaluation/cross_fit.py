"""Cross-fitting: decides each image by thresholds that were tuned on other images."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from eyebright.errors import InputError
from eyebright.types import Thresholds

Groups = Sequence[int] | np.ndarray | Tensor
"""The group of each image, as a whole number; a negative one means that the image is a group of its own."""


def random_folds(n_images: int, folds: int, *, groups: Groups | None = None, seed: int = 0) -> Int[np.ndarray, " n"]:
    """The fold of each image, at random; all folds have the same number of images, or nearly so with groups.

    Args:
        n_images: the number of images.
        folds: the number of folds; as many as there are groups if these are fewer.
        groups: the group of each image; images of one group get the same fold.
        seed: seed of the split.

    Raises:
        InputError: there is not one group for each image.
    """
    generator = np.random.default_rng(seed)
    if groups is None:
        return generator.permutation(n_images) % folds
    codes = group_codes(groups, n_images)
    sizes = np.bincount(codes)
    order = generator.permutation(len(sizes))
    fold_of_group, filled = np.zeros(len(sizes), dtype=np.int64), np.zeros(folds, dtype=np.int64)
    for group in order[np.argsort(-sizes[order], kind="stable")]:  # the largest first, each into the emptiest fold
        fold_of_group[group] = filled.argmin()
        filled[fold_of_group[group]] += sizes[group]
    return fold_of_group[codes]


def group_codes(groups: Groups, n_images: int) -> Int[np.ndarray, " n"]:
    """The groups as integers from 0; each image without a group is a group of its own.

    Raises:
        InputError: there is not one whole number for each image.
    """
    given = np.asarray(groups)
    if given.shape != (n_images,) or given.dtype.kind not in "iu":
        raise InputError(
            f"groups are one whole number for each of {n_images} images, got {given.dtype} of the shape {given.shape}"
        )
    ungrouped = np.flatnonzero(given < 0)
    distinct = given.astype(np.int64)
    distinct[ungrouped] = given.max(initial=0) + 1 + np.arange(len(ungrouped))
    return np.unique(distinct, return_inverse=True)[1]


def cross_fitted_decisions(
    probabilities: Float[Tensor, "n k"],
    folds: Int[np.ndarray, " n"],
    fit: Callable[[Bool[Tensor, " n"]], Thresholds],
) -> Bool[Tensor, "n k"]:
    """The decisions on each image by the thresholds fitted on the images of the other folds.

    Args:
        probabilities: the probabilities of all images.
        folds: the fold of each image.
        fit: a function from the images of the other folds to their thresholds.
    """
    fold = torch.from_numpy(folds)
    decisions = torch.zeros(probabilities.shape, dtype=torch.bool)
    for held_out in fold.unique():
        rest = fold != held_out
        decisions[~rest] = fit(rest).decide(probabilities[~rest])
    return decisions
