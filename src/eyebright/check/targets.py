"""`target_findings`: findings on labels, classes, points or numbers; no pixels are read."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int

from eyebright.check.finding import MAX_FILES, Finding, files_at
from eyebright.check.labels import label_findings
from eyebright.errors import count_text, listing
from eyebright.sources.placeholder_numbers import placeholder_numbers
from eyebright.sources.source import Source
from eyebright.tasks.task_type import TaskType

OUTLYING = 10.0
"""Robust standard deviations (1.4826 times the median absolute deviation) from the median, from which on a number is an
outlier; one in 10^23 normally distributed numbers is."""

OUTLYING_LOG = 5.0
"""The same for the logarithm of numbers that are all positive, which must be far away, too."""

FEW_OUTLIERS = 0.01
"""Share of the images up to which numbers are outliers; where there are more, numbers are spread like that."""

_TOLERANCE = 0.01  # pixels by which a point may be outside: coordinates in percent are rounded


def target_findings(source: Source, sizes: "Int[np.ndarray, 'n 2'] | None" = None) -> list[Finding]:
    """Findings on the targets of images.

    Args:
        source: the labelled images.
        sizes: height and width of each image, 0 where they are not known, to find points outside of their image; None:
            those of the source, if it has some.
    """
    return FINDINGS_OF_TASK_TYPE[source.block().task_type](source, source.sizes if sizes is None else sizes)


def point_findings(source: Source, sizes: "Int[np.ndarray, 'n 2'] | None" = None) -> list[Finding]:
    """Points outside of their image, unknown points, and points that are the same in all images.

    Args:
        source: images with points.
        sizes: height and width of each image, 0 where they are not known; None: of none.
    """
    points = source.targets
    if not isinstance(points, np.ndarray) or not len(points):
        return []
    known = np.asarray(~np.isnan(points).any(axis=2))
    names = source.names or tuple(f"point {i + 1}" for i in range(points.shape[1]))
    constant = (known.sum(axis=0) > 1) & np.array([_is_constant(points[known[:, i], i]) for i in range(len(names))])
    return [
        *([] if sizes is None else _outside(source, points, names, sizes)),
        *_constant(names, constant, "points"),
        *_unknown(source, names, known, "points"),
    ]


def number_findings(source: Source) -> list[Finding]:
    """Outliers, unknown numbers, and numbers that are the same in all images.

    Args:
        source: images with numbers.
    """
    numbers = source.targets
    if not isinstance(numbers, np.ndarray) or not len(numbers):
        return []
    known = np.logical_not(np.isnan(numbers))
    names = source.names or tuple(f"number {i + 1}" for i in range(numbers.shape[1]))
    columns = [numbers[known[:, i], i] for i in range(len(names))]
    constant = np.array([len(column) > 1 and _is_constant(column[:, None]) for column in columns])
    found = [finding for i, name in enumerate(names) for finding in _outliers(source, name, numbers[:, i])]
    return [*found, *_constant(names, constant, "numbers"), *_unknown(source, names, known, "numbers")]


FINDINGS_OF_TASK_TYPE: dict[TaskType, Callable[[Source, Any], list[Finding]]] = {
    "labels": lambda source, _: label_findings(source),
    "classes": lambda source, _: label_findings(source),
    "points": point_findings,
    "numbers": lambda source, _: number_findings(source),
}
"""The function that finds problems of the targets, for each task type."""


def _outside(
    source: Source, points: Float64[np.ndarray, "n p 2"], names: tuple[str, ...], sizes: Int[np.ndarray, "n 2"]
) -> list[Finding]:
    limits = sizes[:, None, ::-1].astype(np.float64)  # width and height
    is_sized = np.all(sizes > 0, axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        outside = ((points < -_TOLERANCE) | (points > limits + _TOLERANCE)).any(axis=2) & is_sized
    if not outside.any():
        return []
    rows = np.flatnonzero(np.any(outside, axis=1))
    row, point = rows[0], int(np.flatnonzero(outside[rows[0]])[0])
    x, y = points[row, point].tolist()
    height, width = sizes[row].tolist()
    return [
        Finding(
            kind="points_outside",
            severity="warning",
            sentence=f"{count_text(int(outside.sum()), 'point')} of {count_text(len(rows), 'image')} outside of the "
            f"image, such as '{names[point]}' at ({x:g}, {y:g}) in '{source.files[row]}' of {width} x {height} pixels.",
            remedy="A point outside of its image counts as unknown. If many are, x and y may be exchanged, the images "
            "may have been resized after they were labelled, or the coordinates may not be in pixels.",
            figure=len(rows),
            files=files_at(source, rows),
            labels=tuple(names[i] for i in np.flatnonzero(outside.any(axis=0)).tolist()),
            details={"points": int(outside.sum())},
        )
    ]


def _constant(names: tuple[str, ...], constant: Bool[np.ndarray, "k"], what: str) -> list[Finding]:
    same = tuple(names[i] for i in np.flatnonzero(constant).tolist())
    if not same:
        return []
    return [
        Finding(
            kind=f"constant_{what}",
            severity="warning",
            sentence=f"The same in all images: {listing(same)}.",
            remedy="A value that does not change cannot be learnt: check whether the right column was read, or leave "
            "it out.",
            figure=len(same),
            figure_name=what,
            labels=same,
        )
    ]


def _unknown(source: Source, names: tuple[str, ...], known: Bool[np.ndarray, "n k"], what: str) -> list[Finding]:
    return [
        *_images_without_known(source, known, what),
        *_never_known(names, known, what),
        *_unknown_counts(names, known, what),
    ]


def _images_without_known(source: Source, known: Bool[np.ndarray, "n k"], what: str) -> list[Finding]:
    nothing = np.asarray(~known.any(axis=1))
    n_images = int(nothing.sum())
    if not n_images:
        return []
    return [
        Finding(
            kind=f"images_with_unknown_{what}_only",
            severity="warning",
            sentence=f"All {what} are unknown for {count_text(n_images, 'image')}.",
            remedy="Nothing can be learnt from such an image: label it, or leave it out.",
            figure=n_images,
            files=files_at(source, nothing),
        )
    ]


def _never_known(names: tuple[str, ...], known: Bool[np.ndarray, "n k"], what: str) -> list[Finding]:
    never = tuple(names[i] for i in np.flatnonzero(~known.any(axis=0)).tolist())
    if not never:
        return []
    return [
        Finding(
            kind=f"{what}_never_known",
            severity="error",
            sentence=f"Known in no image: {listing(never)}.",
            remedy="Nothing can be learnt about it: look whether the right columns were read, or leave it out.",
            figure=len(never),
            figure_name=what,
            labels=never,
        )
    ]


def _unknown_counts(names: tuple[str, ...], known: Bool[np.ndarray, "n k"], what: str) -> list[Finding]:
    unknown = (~known).sum(axis=0).tolist()
    total = sum(unknown)
    if not total:
        return []
    counts = {name: count for name, count in zip(names, unknown, strict=True) if count}
    return [
        Finding(
            kind=f"unknown_{what}",
            severity="note",
            sentence=f"{total:,} of {known.size:,} {what} are unknown: "
            f"{listing(f'{name} ({count:,})' for name, count in counts.items())}.",
            remedy="They are left out of the loss and of every score. Nothing needs to be done.",
            figure=total,
            figure_name=what,
            labels=tuple(counts),
            details={"images": counts},
        )
    ]


def _outliers(source: Source, name: str, numbers: Float64[np.ndarray, "n"]) -> list[Finding]:
    # The reading says all of them; far from the others are not those at the end of a small range, such as -1.
    candidates = placeholder_numbers(numbers)
    others = numbers[~np.isnan(numbers) & ~np.isin(numbers, candidates)]
    if len(others) < 3:
        return []
    far = _far_numbers(numbers, others)
    repeated = [number for number in candidates if far[numbers == number].all()]
    is_repeated = np.isin(numbers, repeated)
    known = numbers[~np.isnan(numbers) & ~is_repeated]
    middle, spread = _middle_and_spread(known)
    far = _far_numbers(numbers, known) & ~is_repeated
    values = np.unique(numbers[far]).tolist()
    if len(values) == 1 and far.sum() > 1:
        repeated, is_repeated, far = [*repeated, *values], is_repeated | far, np.zeros_like(far)
    elif far.sum() > FEW_OUTLIERS * len(known):
        far = np.zeros_like(far)
    if not far.any() and not repeated:
        return []
    rows = np.flatnonzero(far | is_repeated)
    rows = rows[np.argsort(-np.abs(numbers[rows] - middle), kind="stable")]
    shown = [f"{count_text(int((numbers == one).sum()), 'image')} with the same number {one:.15g}" for one in repeated]
    single = [f"{number:.15g}" for number in numbers[rows[far[rows]]].tolist()]
    return [
        Finding(
            kind="outlying_numbers",
            severity="warning",
            sentence=f"'{name}' is far from the others (median {middle:g}, robust standard deviation {spread:.3g}): "
            f"{', '.join([*shown, *single[:5]])}{', ...' if len(single) > 5 else ''}.",
            remedy="A single outlier dominates the loss: correct it, and leave the cell empty where it stands "
            "for unknown.",
            figure=len(rows),
            files=files_at(source, rows),
            labels=(name,),
            details={"numbers": numbers[rows[:MAX_FILES]].tolist(), "median": middle, "spread": spread},
        )
    ]


def _far_numbers(numbers: Float64[np.ndarray, "n"], known: Float64[np.ndarray, "m"]) -> Bool[np.ndarray, "n"]:
    """Which numbers are many robust standard deviations from the median; none where nearly all are the same.

    Args:
        numbers: the numbers; NaN is unknown.
        known: those of which the median is taken.
    """
    middle, spread = _middle_and_spread(known)
    if not spread:
        return np.zeros(len(numbers), dtype=np.bool_)
    with np.errstate(invalid="ignore"):
        far = np.abs(numbers - middle) > OUTLYING * spread
        if far.any() and (known > 0).all():  # prices and areas are skewed: their logarithms are not
            log_middle, log_spread = _middle_and_spread(np.log(known))
            far &= (numbers <= 0) | (np.abs(np.log(np.abs(numbers)) - log_middle) > OUTLYING_LOG * log_spread)
    return far


def _middle_and_spread(values: Float64[np.ndarray, "n"]) -> tuple[float, float]:
    """The median and the robust standard deviation; where most values are the same, by their 5 % and 95 % quantiles."""
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    return middle, spread or float(np.ptp(np.quantile(values, [0.05, 0.95]))) / 3.29


def _is_constant(rows: "np.ndarray[Any, Any]") -> bool:
    """Whether all rows are equal; True for no row."""
    return bool((rows == rows[:1]).all())
