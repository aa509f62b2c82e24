"""The problems of an inner cross-validation: each tried output without each fold, all on the same images.

Axes: n images, p problems (of an output and a fold), c outputs of one problem.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from eyebright.train.linear_head.basis import Basis
from eyebright.train.linear_head.folds import target_folds
from eyebright.train.linear_head.objectives import Losses
from eyebright.train.linear_head.problem import Problem

N_FOLDS = 5
MAX_IMAGES = 10_000
_LABELS_MAX_SIZE = 30_000  # labels of a group times images: 3 labels of 10,000 images, 30 labels of 1,000
_MAX_POSITIVES = 200  # positives of a tried label that are always used
_SOFTMAX_MAX_SIZE = 20_000_000  # images times classes times folds


@dataclass(frozen=True)
class HeldOut:
    """The problems of an inner cross-validation.

    Args:
        basis: the images that are used.
        losses: the losses of the problems, on the images that are not held out.
        held: the weights of the cells that are held out.
        group: the group of outputs that each problem belongs to.
        n_outputs: the number of outputs of one problem.
        n_folds: the number of folds of the images.
    """

    basis: Basis
    losses: Losses
    held: Float[Tensor, "n p"]
    group: Int[Tensor, " p"]
    n_outputs: int
    n_folds: int


def hold_out(
    basis: Basis,
    problem: Problem,
    members: Sequence[Sequence[int]],
    groups: Int[Tensor, " n"] | None,
    seed: int,
) -> HeldOut | None:
    """The problems of the inner cross-validation; None if nothing can be held out.

    Of many images at most 10,000 are used, with all positives of rare labels; of many labels a few of each group. A
    label whose positives, or negatives, are all in one fold is left out; a class whose images are all in one fold is
    never held out.

    Args:
        basis: all images, in coordinates that are standardised over all of them, held out or not: this uses no targets.
        problem: the outputs to fit.
        members: the groups of outputs, as positions in ``problem.to_fit``.
        groups: the group of each image, which folds keep whole.
        seed: the seed of folds, images and labels.
    """
    generator = torch.Generator().manual_seed(seed)
    outputs = _tried_outputs(problem, members, min(len(problem.targets), MAX_IMAGES), generator)
    rows = _tried_images(problem, outputs, generator)
    if rows is not None:
        basis, problem = _sampled(basis, problem, rows)
        groups = None if groups is None else groups[rows]
    n_units = len(problem.targets) if groups is None else len(groups.unique())
    if n_units < 2:
        return None
    known = problem.sample_weights > 0
    columns = (
        torch.where(known[:, 0], problem.targets, -1)
        if problem.joint
        else torch.where(known, problem.targets, torch.nan)[:, outputs]
    )
    folds = target_folds(columns, min(N_FOLDS, n_units), objective=problem.objective, groups=groups, seed=seed)
    if problem.joint:
        return _softmax_problems(basis, problem, folds)
    group_of = torch.tensor([next(g for g, group in enumerate(members) if o in group) for o in outputs.tolist()])
    return _independent_problems(basis, problem, folds, outputs, group_of)


def _tried_outputs(
    problem: Problem, members: Sequence[Sequence[int]], n: int, generator: torch.Generator
) -> Int[Tensor, " o"]:
    """Some outputs of each group, as positions in ``problem.to_fit``."""
    most = max(_LABELS_MAX_SIZE // n, 3)
    chosen = [torch.tensor(group)[torch.randperm(len(group), generator=generator)[:most]] for group in members]
    return torch.cat(chosen).sort().values


def _tried_images(problem: Problem, outputs: Int[Tensor, " o"], generator: torch.Generator) -> Int[Tensor, " m"] | None:
    """The images that are used, ascending; None for all."""
    n = len(problem.targets)
    if n <= MAX_IMAGES:
        return None
    order = torch.randperm(n, generator=generator)
    if problem.objective != "binary":
        return order[:MAX_IMAGES].sort().values
    positive = (problem.targets[:, outputs] >= 0.5)[order]
    wanted = (positive & (positive.cumsum(dim=0) <= _MAX_POSITIVES)).any(dim=1)
    return torch.cat([order[wanted], order[~wanted]])[:MAX_IMAGES].sort().values


def _sampled(basis: Basis, problem: Problem, rows: Int[Tensor, " m"]) -> tuple[Basis, Problem]:
    """A sample of the images, in the coordinates of all."""
    spectrum = basis.spectrum * (len(rows) / len(problem.targets))
    basis = replace(basis, coordinates=basis.coordinates[rows], spectrum=spectrum)
    return basis, replace(problem, targets=problem.targets[rows], sample_weights=problem.sample_weights[rows])


def _independent_problems(
    basis: Basis,
    problem: Problem,
    folds: Int[Tensor, " n"],
    outputs: Int[Tensor, " o"],
    group_of: Int[Tensor, " o"],
) -> HeldOut | None:
    """The problems of labels or numbers, whose outputs do not depend on each other."""
    dtype = basis.coordinates.dtype
    n_folds = int(folds.max()) + 1
    targets, weights = problem.targets[:, outputs], problem.sample_weights[:, outputs]
    sides = [weights * targets, weights * (1 - targets)] if problem.objective == "binary" else [weights]
    usable = torch.ones(len(outputs), dtype=torch.bool)
    for side in sides:
        by_fold = side.new_zeros(n_folds, len(outputs)).index_add_(0, folds, side)
        usable &= (by_fold > 0).sum(dim=0) >= 2
    if not usable.any():
        return None
    targets, weights = targets[:, usable].to(dtype), weights[:, usable].to(dtype)
    held = (folds[:, None] == torch.arange(n_folds))[:, None, :] * weights[:, :, None]
    train = (weights[:, :, None] - held).flatten(1)
    losses = Losses(problem.objective, targets.repeat_interleave(n_folds, dim=1)[:, :, None], train[:, :, None])
    return HeldOut(basis, losses, held.flatten(1), group_of[usable].repeat_interleave(n_folds), 1, n_folds)


def _softmax_problems(basis: Basis, problem: Problem, folds: Int[Tensor, " n"]) -> HeldOut | None:
    """The problems of a softmax: one for each fold, or for some of the folds if there are many classes."""
    dtype = basis.coordinates.dtype
    n_folds, n_classes = int(folds.max()) + 1, len(problem.to_fit)
    weights = problem.sample_weights[:, 0]
    counts = weights.new_zeros(n_folds * n_classes).index_add_(0, folds * n_classes + problem.targets, weights)
    usable = ((counts.view(n_folds, n_classes) > 0).sum(dim=0) >= 2)[problem.targets]
    n_problems = min(n_folds, max(_SOFTMAX_MAX_SIZE // (len(folds) * n_classes), 1))
    held = ((folds[:, None] == torch.arange(n_problems)) & usable[:, None]) * weights[:, None]
    if not held.any():
        return None
    train = (weights[:, None] - held).to(dtype)[:, :, None]
    losses = Losses("multinomial", problem.targets, train)
    return HeldOut(basis, losses, held.to(dtype), torch.zeros(n_problems, dtype=torch.int64), n_classes, n_folds)
