"""`find_weak_segments`: groups of images on which the model is worse, found without specifying a column.

Candidates are images with one value, or two values together, of the columns of the data, of the size, the shape and the
type of the image, of their number of labels, and of the labels themselves: combinations of labels are clusters in label
space. Among thousands of candidates some look bad by chance. So the worst ten are chosen on one half of the images
(whole groups) and tested on the other half: by a permutation test of the mean error (Good, 2005, Permutation,
Parametric and Bootstrap Tests of Hypotheses, section 3.3), corrected for the ten (Holm). If the images of a group are
similar, the scores of the groups get random signs instead (a wild bootstrap of clusters; Cameron, Gelbach & Miller,
2008, Review of Economics and Statistics 90:414), and the greater p-value counts. Errors and intervals are those of the
confirming half.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.image_errors import image_errors
from eyebright.evaluation.intervals import Interval
from eyebright.evaluation.segment_properties import Property, segment_properties
from eyebright.evaluation.slices import MIN_IMAGES, holm

MAX_SEGMENTS = 10
"""The maximum number of candidates that are tested."""
MIN_IN_HALF = MIN_IMAGES
"""The minimum number of images of a segment, and of the others, in each half."""
SURE = 0.05

_PERMUTATIONS = 2000
_CHUNK_PERMUTATIONS = 500  # permutations computed at a time
_OVERLAP = 0.5  # segments that share more of their images count as one
_MIN_STANDARD_ERRORS = 1.0  # standard errors by which a combination is worse than the rest of each of its parts


@dataclass(frozen=True, slots=True)
class WeakSegment:
    """Images on which the model is worse than on the others.

    Args:
        values: the common properties of the images: one or two (property, value).
        count: number of images, in both halves.
        error: their mean error in the confirming half.
        interval: its 95 % interval.
        others: the mean error of all other images, in the confirming half.
        p_value: one-sided, corrected for all that were tested.
        error_name: the name of the error, see `ImageErrors`.
        rows: the rows of the evaluation, those with the greatest errors first.
    """

    values: tuple[tuple[str, str], ...]
    count: int
    error: float
    interval: Interval
    others: float
    p_value: float
    error_name: str
    rows: tuple[int, ...]

    @property
    def name(self) -> str:
        """The common properties of the images, as text."""
        return " and ".join(f"{name}: {value}" for name, value in self.values)


class _Half(NamedTuple):
    """Half of the images: their errors, the candidates that each has, and their groups."""

    errors: Float[np.ndarray, " n"]
    has: Bool[np.ndarray, "n c"]
    groups: Int[np.ndarray, " n"]


class _Worse(NamedTuple):
    """A candidate: its one or two columns, and how much worse it is, in standard errors."""

    columns: tuple[int, ...]
    z: float


def find_weak_segments(evaluation: Evaluation, *, seed: int = 0) -> list[WeakSegment]:
    """The segments on which the model is worse than on all other images by more than chance explains, the worst first.

    Args:
        evaluation: the outputs, preferably of images by which nothing was chosen, or out-of-fold.
        seed: the seed of the two halves and of the permutations.

    Returns:
        Those with a corrected p-value below 0.05; none for fewer than 40 images.

    Raises:
        DataError: an output is NaN or infinite.
    """
    errors, error_name = image_errors(evaluation)
    known = np.flatnonzero(np.isfinite(errors))
    if len(known) < 4 * MIN_IN_HALF:
        return []
    properties = segment_properties(evaluation)
    if not properties:
        return []
    codes = evaluation.group_codes
    groups = known if codes is None else np.asarray(codes)[known]
    has = np.stack([image_property.has[known] for image_property in properties], axis=1)
    generator = np.random.default_rng(seed)
    finds = _first_half(groups, generator)
    halves = [_Half(errors[known][rows], has[rows], groups[rows]) for rows in (finds, ~finds)]
    candidates = _worst(halves[0], properties)
    tested = [segment for segment in candidates if _is_large(_members(halves[1].has, segment.columns))]
    p_values = holm(_p_values(halves[1], [candidate.columns for candidate in tested], generator))
    return sorted(
        (
            _segment(segment, p, halves[1], properties, (errors, error_name, known, has))
            for segment, p in zip(tested, p_values, strict=True)
            if p < SURE
        ),
        key=lambda segment: segment.others - segment.error,
    )


def _first_half(groups: Int[np.ndarray, " n"], generator: np.random.Generator) -> Bool[np.ndarray, " n"]:
    """Which images are in the half that finds: whole groups, about half of the images."""
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = generator.permutation(len(counts))
    before = np.cumsum(counts[order]) - counts[order]
    chosen = np.zeros(len(counts), dtype=np.bool_)
    chosen[order[before < len(groups) / 2]] = True
    return chosen[inverse]


# ------------------------------------------------------------------ the half that finds


def _worst(half: _Half, properties: Sequence[Property]) -> list[_Worse]:
    """The worst candidates; of those with mostly the same images only the worst one."""
    has = half.has.astype(np.float32)  # sums of many pairs as products of matrices
    errors = (half.errors - half.errors.mean()).astype(np.float32)
    counts, sums, squares = (has.T @ (has * weight[:, None]) for weight in (np.ones_like(errors), errors, errors**2))
    z = _z(counts, sums, squares, (len(errors), float((errors.astype(np.float64) ** 2).sum())))
    single = np.diag(z).copy()
    pairs = _allowed(properties) & _worse_than_parts(counts, sums, squares)
    candidates = [
        _Worse((i,), float(single[i])) for i, image_property in enumerate(properties) if image_property.is_alone
    ]
    rows, columns = np.nonzero(np.triu(pairs & (z > 0), k=1))
    candidates += [_Worse((int(i), int(j)), float(z[i, j])) for i, j in zip(rows, columns, strict=True)]
    candidates = sorted(
        (candidate for candidate in candidates if candidate.z > 0),
        key=lambda candidate: (-candidate.z, candidate.columns),
    )
    return list(_distinct(candidates, half.has))


def _z(
    counts: Float[np.ndarray, "c c"],
    sums: Float[np.ndarray, "c c"],
    squares: Float[np.ndarray, "c c"],
    total: tuple[int, float],
) -> Float[np.ndarray, "c c"]:
    """Welch's statistic of each pair against all other images; the mean error of both is 0. -inf for few images."""
    n, all_squares = total
    inside, outside = np.maximum(counts, 1), np.maximum(n - counts, 1)
    mean, other = sums / inside, -sums / outside
    variance = np.maximum(squares / inside - mean**2, 0) / inside
    variance = variance + np.maximum((all_squares - squares) / outside - other**2, 0) / outside
    is_large = (counts >= MIN_IN_HALF) & (n - counts >= MIN_IN_HALF) & (variance > 0)
    return np.where(is_large, (mean - other) / np.sqrt(np.maximum(variance, 1e-30)), -np.inf)


def _worse_than_parts(
    counts: Float[np.ndarray, "c c"], sums: Float[np.ndarray, "c c"], squares: Float[np.ndarray, "c c"]
) -> Bool[np.ndarray, "c c"]:
    """Which pairs are worse than the rest of both of their parts; otherwise one part explains the error."""

    def than(axis: int) -> Bool[np.ndarray, "c c"]:
        part = [np.expand_dims(np.diag(totals), axis) for totals in (counts, sums, squares)]
        rest, rest_sum, rest_squares = (
            whole - counted for whole, counted in zip(part, (counts, sums, squares), strict=True)
        )
        n_in, n_rest = np.maximum(counts, 1), np.maximum(rest, 1)
        mean, other = sums / n_in, rest_sum / n_rest
        variance = np.maximum(squares / n_in - mean**2, 0) / n_in
        variance = variance + np.maximum(rest_squares / n_rest - other**2, 0) / n_rest
        return (mean - other > _MIN_STANDARD_ERRORS * np.sqrt(variance)) & (rest >= 1)

    return than(0) & than(1)


def _allowed(properties: Sequence[Property]) -> Bool[np.ndarray, "c c"]:
    """Which pairs are possible: two values of one property have no image in common, unless they are labels."""
    names = np.array([image_property.name for image_property in properties])
    pairs = np.array([image_property.is_combined for image_property in properties])
    several = np.array([image_property.is_label for image_property in properties])
    return pairs[:, None] & pairs & ((names[:, None] != names) | (several[:, None] & several))


def _distinct(candidates: Sequence[_Worse], has: Bool[np.ndarray, "n c"]) -> Iterator[_Worse]:
    """The first candidates, without those that share most of their images with an earlier one."""
    taken: list[Bool[np.ndarray, " n"]] = []
    for candidate in candidates:
        members = _members(has, candidate.columns)
        if all((members & other).sum() <= _OVERLAP * (members | other).sum() for other in taken):
            taken.append(members)
            yield candidate
        if len(taken) == MAX_SEGMENTS:
            return


# ------------------------------------------------------------------ the half that confirms


def _p_values(half: _Half, chosen: Sequence[tuple[int, ...]], generator: np.random.Generator) -> list[float]:
    """The one-sided p-value of each candidate against all other images."""
    if not chosen:
        return []
    members = np.stack([_members(half.has, columns) for columns in chosen], axis=1).astype(np.float64)
    residuals = half.errors - half.errors.mean()
    centred = members - members.mean(axis=0)
    observed = centred.T @ residuals
    exceeded = _exceeded(centred, observed, lambda n: _permuted(residuals, n, generator))
    _, codes = np.unique(half.groups, return_inverse=True)
    if codes.max() + 1 < len(codes):  # groups of several images
        scores = np.zeros((codes.max() + 1, len(chosen)))
        np.add.at(scores, codes, centred * residuals[:, None])
        signs = _exceeded(scores, observed, lambda n: generator.choice([-1.0, 1.0], size=(len(scores), n)))
        exceeded = np.maximum(exceeded, signs)
    return ((1 + exceeded) / (1 + _PERMUTATIONS)).tolist()


def _exceeded(weights: Float[np.ndarray, "n k"], observed: Float[np.ndarray, " k"], draw: Any) -> Int[np.ndarray, " k"]:
    """How often the products with the drawn signs or permutations are at least as great as the observed ones."""
    count = np.zeros(len(observed), dtype=np.int64)
    for _ in range(_PERMUTATIONS // _CHUNK_PERMUTATIONS):
        count += (weights.T @ draw(_CHUNK_PERMUTATIONS) >= observed[:, None] - 1e-9).sum(axis=1)
    return count


def _permuted(
    residuals: Float[np.ndarray, " n"], count: int, generator: np.random.Generator
) -> Float[np.ndarray, "n b"]:
    return generator.permuted(np.repeat(residuals[:, None], count, axis=1), axis=0)


def _segment(
    candidate: _Worse,
    p_value: float,
    half: _Half,
    properties: Sequence[Property],
    images: tuple[Float[np.ndarray, " n"], str, Int[np.ndarray, " m"], Bool[np.ndarray, "m c"]],
) -> WeakSegment:
    errors, error_name, known, has = images
    members = _members(half.has, candidate.columns)
    rows = known[_members(has, candidate.columns)]
    rows = rows[np.argsort(-errors[rows], kind="stable")]
    mean = float(half.errors[members].mean())
    return WeakSegment(
        values=tuple((properties[column].name, properties[column].value) for column in candidate.columns),
        count=len(rows),
        error=mean,
        interval=_interval(half, members),
        others=float(half.errors[~members].mean()),
        p_value=p_value,
        error_name=error_name,
        rows=tuple(rows.tolist()),
    )


def _interval(half: _Half, members: Bool[np.ndarray, " n"]) -> Interval:
    """The 95 % interval of the mean error of some images, from the scatter of their groups; not below 0."""
    errors, groups = half.errors[members], half.groups[members]
    _, codes = np.unique(groups, return_inverse=True)
    mean, n_groups = float(errors.mean()), int(codes.max()) + 1
    sums = np.bincount(codes, weights=errors - mean)
    error = math.sqrt(float((sums**2).sum()) * n_groups / max(n_groups - 1, 1)) / len(errors)
    return Interval(max(mean - 1.96 * error, 0.0), mean + 1.96 * error)


def _members(has: Bool[np.ndarray, "n c"], columns: Sequence[int]) -> Bool[np.ndarray, " n"]:
    return np.logical_and.reduce(has[:, list(columns)], axis=1)


def _is_large(members: Bool[np.ndarray, " n"]) -> bool:
    return MIN_IN_HALF <= int(members.sum()) <= len(members) - MIN_IN_HALF
