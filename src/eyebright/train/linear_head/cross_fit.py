"""Out-of-fold outputs: each image gets the outputs of a head that was not fitted to it."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from eyebright._choices import HeadObjective
from eyebright.errors import InputError
from eyebright.train.linear_head.fit import fit_linear_head
from eyebright.train.linear_head.input_checks import check_inputs


def cross_fit(
    features: Float[Tensor, "n d"],
    targets: Tensor,
    folds: Int[Tensor, " n"],
    *,
    objective: HeadObjective,
    names: Sequence[str] | None = None,
    sample_weight: Float[Tensor, " n"] | None = None,
    groups: Int[Tensor, " n"] | None = None,
    C: float | Sequence[float] | None = None,
    seed: int = 0,
) -> Float[Tensor, "n k"]:
    """The raw outputs of every image, in float64, by a head that was fitted without the image's fold.

    Everything that a head depends on, including the standardisation of features and the choice of C, excludes the fold.

    Args:
        features: see `fit_linear_head`, like ``objective``, ``names``, ``sample_weight`` and ``seed``.
        targets: an image without a known target gets outputs like any other.
        folds: the fold of each image, from 0; see `target_folds`.
        objective: as in `fit_linear_head`.
        names: as in `fit_linear_head`.
        sample_weight: as in `fit_linear_head`.
        groups: the group of each image; folds must keep groups whole.
        C: the inverse strength of the penalty; several to choose from, separately for each fold; None for a grid.
        seed: as in `fit_linear_head`.

    Raises:
        InputError: folds are negative, there is only one fold, a group is in two folds, or as in `fit_linear_head`.
    """
    names, weights = check_inputs(features, targets, objective, names, sample_weight, groups)
    _check_folds(folds, len(features), groups)
    outputs = torch.zeros(len(features), len(names), dtype=torch.float64)
    for fold in folds.unique().tolist():
        kept = folds != fold
        head = fit_linear_head(
            features[kept],
            targets[kept],
            objective=objective,
            names=names,
            sample_weight=weights[kept],
            groups=None if groups is None else groups[kept],
            C=C,
            seed=seed,
        )
        outputs[~kept] = head.outputs(features[~kept])
    return outputs


def _check_folds(folds: Int[Tensor, " n"], n: int, groups: Int[Tensor, " n"] | None) -> None:
    """Checks the folds.

    Raises:
        InputError: the folds do not match the images or the groups.
    """
    if len(folds) != n:
        raise InputError(f"`folds` must have the fold of each of the {n:,} images, got {len(folds):,}")
    unique = folds.unique()
    if len(unique) < 2 or int(unique[0]) < 0:
        raise InputError(f"`folds` must be two or more numbers from 0 on, got {unique[:10].tolist()}")
    if groups is not None:
        pairs = torch.stack([groups, folds], dim=1).unique(dim=0)
        split = len(pairs) - len(groups.unique())
        if split:
            raise InputError(f"{split:,} groups of images are in several folds; give folds that keep groups whole")
