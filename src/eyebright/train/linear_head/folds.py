"""Folds of images for a head, stratified by its targets."""

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from eyebright._choices import HeadObjective
from eyebright.sources.folds import assign_folds
from eyebright.sources.stratify import LabelMatrix, regression_strata

_MAX_STRATA = 1000


def target_folds(
    targets: Tensor, n_folds: int, *, objective: HeadObjective, groups: Int[Tensor, " n"] | None = None, seed: int = 0
) -> Int[Tensor, " n"]:
    """The fold of each image, from 0: groups are not divided, and each fold has its share of every label.

    Args:
        targets: as for `fit_linear_head`. Numbers are stratified by neighbourhood: each fold has its share of small and
            of large ones.
        n_folds: the number of folds, at least 2.
        objective: the kind of targets.
        groups: the group of each image; None without groups.
        seed: the seed of the order of images.

    Raises:
        InputError: there are fewer images or groups than folds.
    """
    codes = None if groups is None else np.unique(groups.numpy(), return_inverse=True)[1].astype(np.int32)
    labels = _strata(targets, n_folds, objective)
    return torch.from_numpy(assign_folds(labels, n_folds, groups=codes, seed=seed))


def _strata(targets: Tensor, n_folds: int, objective: HeadObjective) -> LabelMatrix:
    """The labels over which the images are stratified; a probability of a half or more counts as a label."""
    if objective == "multinomial":
        return LabelMatrix.of_array(targets[:, None].numpy())
    if objective == "squared":
        strata = regression_strata(targets.double().numpy(), min(max(len(targets) // n_folds, 1), _MAX_STRATA))
        return LabelMatrix.of_array(strata[:, None])
    has = targets.numpy() >= 0.5  # unknown (NaN) is not
    return LabelMatrix(
        [f"{label:09}" for label in range(has.shape[1])],
        has.sum(axis=1).astype(np.int32),
        has.nonzero()[1].astype(np.int32),
    )
