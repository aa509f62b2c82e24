"""Checks whether numbers and points can be learnt: they vary among training images, and can be scored."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from eyebright.errors import MAX_FLOAT32, DataError, InputError, listing

_RESOLUTION = 1e-3  # float32 must tell numbers apart that differ by this part of their standard deviation


def check_numbers(
    names: Sequence[str], train: Float64[np.ndarray, "n k"], valid: Float64[np.ndarray, "m k"], *, what: str
) -> tuple[str, ...]:
    """The names of the columns that cannot be learnt: no training image has another known number, or has any.

    Args:
        names: the names of the columns.
        train: the numbers of the training images; NaN where unknown.
        valid: the numbers of the validation images.
        what: the noun for the numbers, in the plural.

    Raises:
        DataError: all are constant, none is known for training or validation, or float32 cannot distinguish those of a
            column.
    """
    if len(train) and bool(np.isnan(train).all()):
        raise DataError(f"no training image has known {what}, so nothing can be learnt")
    constant = tuple(names[i] for i in _constant_columns(train))
    if len(constant) == train.shape[1]:
        raise DataError(
            f"nothing can be learnt, since it is the same or unknown in every training image: {listing(names)}"
        )
    if len(valid) and bool(np.isnan(valid).all()):
        raise DataError(
            f"none of the {len(valid)} images for validation has known {what}, so nothing can be scored; choose others"
        )
    for name, column in zip(names, train.T, strict=True):
        numbers = column[~np.isnan(column)]
        if not len(numbers) or numbers.min() == numbers.max():
            continue
        step = float(np.spacing(np.abs(numbers).max().astype(np.float32)))
        if 0 < _RESOLUTION * float(numbers.std()) < step:
            raise DataError(
                f"the numbers '{name}' are around {numbers.mean():.10g} with a standard deviation of "
                f"{numbers.std():.3g}, but float32 has steps of {step:.3g} there; subtract a constant from them first"
            )
    return constant


def check_range(numbers: Sequence[float], what: str) -> None:
    """Raises `InputError` for a number that is infinite or beyond the largest float32; NaN is unknown.

    Args:
        numbers: the numbers of an image.
        what: the noun for one number, for the message.
    """
    for number in numbers:
        if abs(number) > MAX_FLOAT32:
            raise InputError(f"{what} must be at most {MAX_FLOAT32:.1e}, or NaN where it is unknown, got {number}")


def _constant_columns(train: Float64[np.ndarray, "n k"]) -> list[int]:
    """The columns whose known numbers are all the same, if not only one is known.

    Args:
        train: the numbers of the training images; NaN where unknown.
    """
    known = ~np.isnan(train)
    spread = np.where(known, train, -np.inf).max(axis=0) - np.where(known, train, np.inf).min(axis=0)
    n_known = known.sum(axis=0)
    return np.flatnonzero((n_known > 1) & (spread == 0) | (n_known == 0) & (len(train) > 0)).tolist()
