"""`placeholder_numbers`: repeated numbers far from all others, such as -999, which files write for unknown ones."""

import numpy as np

from eyebright.sources.categorical import Mask
from eyebright.sources.targets import Floats

_MIN_COUNT = 2  # cells with the same number: a single one is an outlier
_MIN_OTHERS = 8  # cells with other numbers; fewer show no range
_MIN_OTHER_VALUES = 10  # different ones, so that -1 is not one of a few grades
_N_EXTREMES = 3  # smallest and largest numbers that are looked at; there may be an outlier beyond a placeholder
_FAR = 3.0  # distances between the quartiles


def placeholder_numbers(values: Floats) -> list[float]:
    """The numbers that several cells have and that are far from all others; those farthest from the median first.

    A number is far if its distance from the nearer quartile of the others is more than three times that between the
    quartiles - also in logarithms where none is negative, since prices and counts are skewed, but not for 999, 9999,
    ... - and nothing is near it: the next number is farther away than the range of the others, without those that are
    far themselves. Of numbers that are otherwise not negative, a repeated -1, -9, -99, -999, ... needs no
    such distance: a gap to the smallest of the others that is more than three times as large as theirs, or three cells
    and more than twice as many as any of them has. 0 is never one: it may be a count.

    Args:
        values: shape (n,); NaN is unknown.

    >>> placeholder_numbers(np.array([3.0, 12, 250, 18, 90, 40, 7, 120, -999, -999]))
    [-999.0]
    """
    known = values[~np.isnan(values)]
    numbers, counts = np.unique(known, return_counts=True)
    repeated = counts >= _MIN_COUNT
    repeated[_N_EXTREMES:-_N_EXTREMES] = False
    candidates = numbers[repeated & (numbers != 0)]
    found: list[float] = []
    for number in sorted(candidates.tolist(), key=lambda number: -abs(number - float(np.median(known)))):
        others = known[~np.isin(known, [*found, number])]
        if len(others) >= _MIN_OTHERS and (_is_far(number, others) or _is_only_negative(number, known, others)):
            found.append(number)
    return found


def _is_far(number: float, others: Floats) -> bool:
    inner = others[~_beyond_quartiles(others, others)]
    if not _beyond_quartiles(np.array([number]), others, by_tails=_is_nines(number)).all() or np.abs(
        others - number
    ).min() <= np.ptp(inner):
        return False
    smallest = min(number, float(others.min()))
    if smallest < 0 or _is_nines(number):
        return True
    to_log = np.log if smallest > 0 else np.log1p
    return bool(_beyond_quartiles(to_log(np.array([number])), to_log(others)).all())


def _beyond_quartiles(numbers: Floats, others: Floats, *, by_tails: bool = False) -> Mask:
    """Which numbers are far outside of the quartiles of the others; none where these are equal.

    Args:
        numbers: the numbers.
        others: the numbers whose quartiles are taken.
        by_tails: where the quartiles are equal, True takes the 5 % and 95 % quantiles instead.
    """
    first, third = np.quantile(others, [0.25, 0.75]).tolist()
    if by_tails and first == third:
        first, third = np.quantile(others, [0.05, 0.95]).tolist()
    return np.asarray((np.maximum(first - numbers, numbers - third) > _FAR * (third - first)) & (third > first))


def _is_nines(number: float) -> bool:
    """Whether it is written as 999, -99, 99999 or the like, but not as 9 or 99."""
    return number.is_integer() and set(f"{abs(number):.0f}") == {"9"} and not 0 < number < 999


def _is_only_negative(number: float, known: Floats, others: Floats) -> bool:
    """Whether the number is -1 or minus nines, no other is negative, and it is no end of their range."""
    if number >= 0 or not (number == -1 or _is_nines(number)):
        return False
    values, counts = np.unique(others, return_counts=True)
    if len(values) < _MIN_OTHER_VALUES or values[0] < 0:
        return False
    count = int((known == number).sum())
    low, high = np.quantile(others, [0.05, 0.95]).tolist()
    gaps = np.diff(values[(values >= low) & (values <= high)])
    return bool(values[0] - number > 3 * gaps.max(initial=0)) or (count >= 3 and count > 2 * int(counts.max()))
