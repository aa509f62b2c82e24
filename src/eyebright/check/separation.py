"""How well a property of images tells those with a label from those without: the AUC, with an interval.

The AUC is the probability that an image with the label has a larger value than one without, ties counting half
(Mann-Whitney). Many labels are computed at once from one sorting of the property.
"""

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Num

N_FOLDS = 5
"""Parts of the images for categories: the association of a category with a label is counted on the other parts."""

_STEPS = 40  # of the bisection, after which the ends are exact to 1e-12


class Ranking(NamedTuple):
    """The images in the order of a property; images without a value are left out.

    Args:
        order: shape (m,), their indices.
        starts: shape (u,), the positions in ``order`` at which another value begins.
        ranks: shape (n,), the rank of each image from 1 on, of equal values their mean; 0 without a value.
    """

    order: "np.ndarray[Any, np.dtype[np.int64]]"
    starts: "np.ndarray[Any, np.dtype[np.int64]]"
    ranks: "np.ndarray[Any, np.dtype[np.float64]]"


class Auc(NamedTuple):
    """AUCs of a property for some labels.

    Args:
        value: shape (k,), in [0, 1].
        variance_of_yes: shape (k,), of the share of the images without the label that are below one with it.
        variance_of_no: shape (k,), of the share of the images with the label that are above one without it.
    """

    value: Float64[np.ndarray, "k"]
    variance_of_yes: Float64[np.ndarray, "k"]
    variance_of_no: Float64[np.ndarray, "k"]


def ranking(values: Num[np.ndarray, "n"]) -> Ranking:
    """The images in the order of their values; NaN is not a value."""
    order = np.argsort(values, kind="stable")
    order = order[: len(order) - int(np.isnan(values).sum())]
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(order)])
    counts = np.diff(starts, append=len(order))
    ranks = np.zeros(len(values))
    ranks[order] = np.repeat(starts + (counts + 1) / 2, counts)
    return Ranking(order, starts, ranks)


def rank_sum_aucs(rankings: Sequence[Ranking], yes: Bool[np.ndarray, "n k"]) -> Float64[np.ndarray, "p k"]:
    """The AUC of each property for each label, all at once, from the sums of ranks; 0.5 where one side is empty.

    Args:
        rankings: the rankings of the properties.
        yes: which images have each label; it is known for all images.
    """
    ranks = np.array([property_ranks.ranks for property_ranks in rankings]).reshape(-1, len(yes))
    cells = yes.astype(np.float64)
    has_value = ranks > 0
    n_yes = has_value.astype(np.float64) @ cells
    n_no = has_value.sum(axis=1)[:, None] - n_yes
    pairs = n_yes * n_no
    wins = ranks @ cells - n_yes * (n_yes + 1) / 2
    return np.where(pairs > 0, wins / np.maximum(pairs, 1), 0.5)


def auc_of_numbers(ranks: Ranking, yes: Bool[np.ndarray, "n k"], no: Bool[np.ndarray, "n k"]) -> Auc:
    """The AUC of a number for each label; 0.5 where no image, or each image, has it.

    Args:
        ranks: the ranks of the number.
        yes: which images have each label.
        no: which images are known not to have it.
    """
    n_yes, n_no = _per_value(ranks, yes), _per_value(ranks, no)
    all_yes, all_no = np.maximum(n_yes.sum(axis=0), 1), np.maximum(n_no.sum(axis=0), 1)
    below = (np.cumsum(n_no, axis=0) - n_no / 2) / all_no
    above = 1 - (np.cumsum(n_yes, axis=0) - n_yes / 2) / all_yes
    return _auc(n_yes, n_no, below, above)


def auc_of_categories(
    codes: Int[np.ndarray, "n"], folds: Int[np.ndarray, "n"], yes: Bool[np.ndarray, "n k"], no: Bool[np.ndarray, "n k"]
) -> Auc:
    """The AUC, for each label, of the share of images with the label in the category of an image.

    The shares are those of the images in other folds, so that many small categories cannot win by chance, and images
    are compared within their fold: the shares of two folds differ. A category that no other fold has is uninformative.

    Args:
        codes: the category of each image.
        folds: the fold of each image, from 0 to `N_FOLDS` - 1.
        yes: which images have each label.
        no: which images are known not to have it.
    """
    u = int(codes.max(initial=0)) + 1
    keys = folds.astype(np.int64) * u + codes
    by_fold_yes, by_fold_no = (_per_key(keys, cells, N_FOLDS * u).reshape(N_FOLDS, u, -1) for cells in (yes, no))
    all_yes, all_no = by_fold_yes.sum(axis=0), by_fold_no.sum(axis=0)
    prior = all_yes.sum(axis=0) / np.maximum((all_yes + all_no).sum(axis=0), 1)
    pieces: list[Any] = []
    for fold_yes, fold_no in zip(by_fold_yes, by_fold_no, strict=True):
        rest = all_yes + all_no - fold_yes - fold_no
        share = np.where(rest > 0, (all_yes - fold_yes + prior) / (rest + 1), prior)
        order = np.argsort(share, axis=0, kind="stable")
        n_yes, n_no, share = (np.take_along_axis(counts, order, axis=0) for counts in (fold_yes, fold_no, share))
        below = _middle(n_no, share) / np.maximum(n_no.sum(axis=0), 1)
        above = 1 - _middle(n_yes, share) / np.maximum(n_yes.sum(axis=0), 1)
        is_used = (n_yes.sum(axis=0) > 0) & (n_no.sum(axis=0) > 0)  # a fold with one side only compares nothing
        pieces.append((n_yes * is_used, n_no * is_used, below, above))
    return _auc(*(np.concatenate(part) for part in zip(*pieces, strict=True)))


def effective_counts(cells: Bool[np.ndarray, "n k"], groups: Int[np.ndarray, "n"] | None) -> Float64[np.ndarray, "k"]:
    """How many independent images are worth as much as those with a label.

    Images of one group may be nearly the same one, such as frames of a film. With s images in a group this is
    (sum of s)^2 / sum of s^2 (Kish, 1965, "Survey Sampling", for clusters that are alike within), which is the number
    of groups if they are equally large.

    Args:
        cells: which images have each label.
        groups: shape (n,), the group of each image; None: each is on its own.
    """
    if groups is None:
        return cells.sum(axis=0).astype(np.float64)
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    sizes = np.add.reduceat(cells[order].astype(np.float64), starts, axis=0)
    return sizes.sum(axis=0) ** 2 / np.maximum((sizes**2).sum(axis=0), 1)


def interval(
    auc: Auc, n_yes: Float[np.ndarray, "k"], n_no: Float[np.ndarray, "k"], *, level: float
) -> tuple[Float64[np.ndarray, "k"], Float64[np.ndarray, "k"]]:
    """The confidence interval of each AUC.

    It holds the AUCs from which the one that was found is at most z standard errors away, with the standard error of
    *that* AUC by Hanley and McNeil (1982, Radiology 143, 29-36), for both directions alike: method 5 of Newcombe (2006,
    Statistics in Medicine 25, 559-573). So it has a width also where the images are told apart without an error. Where
    the standard error of DeLong et al. (1988, Biometrics 44, 837-845) is larger, it is scaled to that: the values of
    the images with the label may have another spread than the others, or only some of these images may be special.

    Args:
        auc: the AUCs.
        n_yes: number of independent images with each label, see `effective_counts`.
        n_no: number of those without it.
        level: probability that the interval misses the AUC, on both sides together.
    """
    z = NormalDist().inv_cdf(1 - level / 2)
    n_yes, n_no = np.maximum(n_yes, 1), np.maximum(n_no, 1)
    delong = auc.variance_of_yes / n_yes + auc.variance_of_no / n_no
    expected = _hanley_mcneil(auc.value, n_yes, n_no)
    scale = np.where(expected > 0, np.maximum(delong / np.maximum(expected, 1e-300), 1), 1)

    def end(limit: float) -> Any:
        near, far = auc.value, np.full_like(auc.value, limit)
        for _ in range(_STEPS):
            middle = (near + far) / 2
            is_inside = np.abs(auc.value - middle) <= z * np.sqrt(scale * _hanley_mcneil(middle, n_yes, n_no))
            near, far = np.where(is_inside, middle, near), np.where(is_inside, far, middle)
        return far

    return end(0.0), end(1.0)


def _hanley_mcneil(theta: Any, m: Any, n: Any) -> Any:
    """The variance of an AUC for exponential distributions, the mean of those of both directions."""
    of_both = (1 - theta) / (2 - theta) + theta / (1 + theta)
    return theta * (1 - theta) * (1 + ((m + n) / 2 - 1) * of_both) / (m * n)


def _auc(n_yes: Any, n_no: Any, below: Any, above: Any) -> Auc:
    """The AUC from the images at each value.

    Args:
        n_yes: shape (u, k), images with the label.
        n_no: shape (u, k), images without it.
        below: shape (u, k), the share of the images without the label that are below, those at the value by half.
        above: shape (u, k), the share of the images with the label that are above, those at the value by half.
    """
    weight = n_yes.sum(axis=0)
    value = np.where(weight > 0, (n_yes * below).sum(axis=0) / np.maximum(weight, 1), 0.5)
    value = np.where(n_no.sum(axis=0) > 0, value, 0.5)
    return Auc(value, _variance(n_yes, below, value), _variance(n_no, above, value))


def _variance(counts: Any, shares: Any, mean: Any) -> Any:
    return (counts * (shares - mean) ** 2).sum(axis=0) / np.maximum(counts.sum(axis=0) - 1, 1)


def _per_value(ranks: Ranking, cells: Bool[np.ndarray, "n k"]) -> Float64[np.ndarray, "u k"]:
    ordered = cells[ranks.order].astype(np.float64)
    if len(ranks.starts) == len(ranks.order):
        return ordered
    return np.add.reduceat(ordered, ranks.starts, axis=0)


def _per_key(keys: Any, cells: Bool[np.ndarray, "n k"], count: int) -> Float64[np.ndarray, "count k"]:
    """The images with each key that have each label."""
    order = np.argsort(keys, kind="stable")
    sums = np.zeros((count, cells.shape[1]))
    if len(order):
        starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
        sums[keys[order][starts]] = np.add.reduceat(cells[order].astype(np.float64), starts, axis=0)
    return sums


def _middle(counts: Any, scores: Any) -> Any:
    """The images below each row, and half of those with an equal score.

    Args:
        counts: shape (u, k).
        scores: shape (u, k), ascending in each column.
    """
    rows = np.arange(len(scores))[:, None]
    is_new = np.concatenate([np.ones_like(scores[:1], dtype=np.bool_), scores[1:] != scores[:-1]])
    is_last = np.concatenate([is_new[1:], np.ones_like(is_new[:1])])
    first = np.maximum.accumulate(np.where(is_new, rows, 0), axis=0)
    last = np.minimum.accumulate(np.where(is_last, rows, len(scores))[::-1], axis=0)[::-1]
    ends = np.cumsum(counts, axis=0)
    before = np.take_along_axis(ends - counts, first, axis=0)
    return (before + np.take_along_axis(ends, last, axis=0)) / 2
