"""Exact tails and bounds of the binomial distribution, vectorised.

A tail is a regularised incomplete beta function, P(X >= r) = I_p(r, n - r + 1) (Abramowitz & Stegun, 1964, 26.5.24),
computed from its continued fraction by Lentz's method (Press et al., Numerical Recipes, 6.4) with the factor in front
in logarithms. A bound (Clopper & Pearson, 1934, Biometrika 26:404) is the probability at which the tail equals the
given error, found by bisection.
"""

from collections.abc import Callable
from math import ceil, log

import numpy as np
import torch
from jaxtyping import Float, Int

from eyebright.errors import InputError

_TINY = 1e-300
_STEPS = 20_000  # terms of the continued fraction, which takes about sqrt(n)
_MAX_LOOPED = 16  # most numbers whose fractions are computed one after another
_HALVINGS = 50  # bisection steps: an interval of length 1 shrinks to 1e-15


def upper_tail(
    right: Int[np.ndarray, " n"], trials: Int[np.ndarray, " n"], share: Float[np.ndarray, " n"] | float
) -> Float[np.ndarray, " n"]:
    """P(X >= right) of a binomial X: the p-value of "the share of right answers is at most ``share``".

    >>> upper_tail(np.array([59]), np.array([59]), 0.95).round(4).tolist()
    [0.0485]

    Args:
        right: numbers from 0 to ``trials + 1``.
        trials: numbers of trials; with 0 trials the p-value is 1.
        share: probabilities in [0, 1].
    """
    share = np.broadcast_to(np.asarray(share, dtype=np.float64), right.shape)
    tail = np.where(right <= 0, 1.0, 0.0)
    between = (right > 0) & (right <= trials)
    r, n = right[between].astype(np.float64), trials[between].astype(np.float64)
    tail[between] = _incomplete_beta(r, n - r + 1, share[between])
    return tail


def lower_bound(
    right: Int[np.ndarray, " n"], trials: Int[np.ndarray, " n"], error: Float[np.ndarray, " n"] | float
) -> Float[np.ndarray, " n"]:
    """The one-sided lower confidence bound of Clopper and Pearson for the share of right answers.

    >>> lower_bound(np.array([59]), np.array([59]), 0.05).round(4).tolist()
    [0.9505]

    Args:
        right: the numbers of right answers.
        trials: the numbers of answers.
        error: the probability that the bound is above the true share, in (0, 1).
    """
    bound = _bisect(lambda share: upper_tail(right, trials, share) <= error, right.shape)
    return np.where(right > 0, bound, 0.0)


def upper_bound(
    wrong: Int[np.ndarray, " n"], trials: Int[np.ndarray, " n"], error: Float[np.ndarray, " n"] | float
) -> Float[np.ndarray, " n"]:
    """The one-sided upper confidence bound of Clopper and Pearson for the share of wrong answers; 1 if all are wrong.

    Args:
        wrong: the numbers of wrong answers.
        trials: the numbers of answers.
        error: the probability that the bound is below the true share, in (0, 1).
    """
    return 1 - lower_bound(trials - wrong, trials, error)


def fewest_right(trials: Int[np.ndarray, " n"], share: float, error: float) -> Int[np.ndarray, " n"]:
    """The smallest number of right answers that shows a share above ``share``; trials + 1 if there is none.

    Args:
        trials: the numbers of answers.
        share: the share to be shown, in (0, 1).
        error: the greatest p-value of `upper_tail` that shows it.
    """
    low, high = np.zeros_like(trials), trials + 1  # the number is in [low, high]
    while bool((low < high).any()):
        middle = (low + high) // 2
        enough = upper_tail(middle, trials, share) <= error
        low, high = np.where(enough | (low >= high), low, middle + 1), np.where(enough, middle, high)
    return low


def fewest_faultless(share: float, error: float) -> int:
    """The smallest number of answers, all of them right, that shows a share of right answers above ``share``.

    >>> fewest_faultless(0.95, 0.05)
    59

    Args:
        share: the share to be shown, in (0, 1).
        error: the greatest p-value that shows it, in (0, 1).

    Raises:
        InputError: one of them is not in (0, 1).
    """
    if not (0 < share < 1 and 0 < error < 1):
        raise InputError(f"a share and an error must be in (0, 1), got {share} and {error}")
    return max(ceil(log(error) / log(share) - 1e-9), 1)


def _bisect(below: Callable[[Float[np.ndarray, " n"]], np.ndarray], shape: tuple[int, ...]) -> Float[np.ndarray, " n"]:
    """The greatest numbers in [0, 1] at which the decreasing condition ``below`` holds; 0 where it never does."""
    low, high = np.zeros(shape), np.ones(shape)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        holds = below(middle)
        low, high = np.where(holds, middle, low), np.where(holds, high, middle)
    return low


def _incomplete_beta(
    a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"], x: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """The regularised incomplete beta function I_x(a, b), for a and b from 1 up."""
    mirrored = x > (a + 1) / (a + b + 2)  # there the fraction of 1 - I converges faster
    a, b, x = np.where(mirrored, b, a), np.where(mirrored, a, b), np.where(mirrored, 1 - x, x)
    with np.errstate(divide="ignore"):
        front = a * np.log(x) + b * np.log1p(-x) - _log_gamma(a) - _log_gamma(b) + _log_gamma(a + b) - np.log(a)
    tail = np.exp(front) * _fraction(a, b, x)
    return np.clip(np.where(mirrored, 1 - tail, tail), 0, 1)


def _fraction(
    a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"], x: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """The continued fraction of the incomplete beta function (Numerical Recipes, equations 6.4.5 and 6.4.6)."""
    if x.size <= _MAX_LOOPED:
        return np.array(
            [_one_fraction(*arguments) for arguments in zip(a.tolist(), b.tolist(), x.tolist(), strict=True)]
        )
    c, factor = np.ones_like(x), np.ones_like(x)
    d = 1 / np.where(np.abs(first := 1 - (a + b) * x / (a + 1)) < _TINY, _TINY, first)
    value = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            below, c = 1 + step * d, 1 + step / c
            d, c = 1 / np.where(np.abs(below) < _TINY, _TINY, below), np.where(np.abs(c) < _TINY, _TINY, c)
            factor = c * d
            value = value * factor
        if bool((np.abs(factor - 1) < 1e-13).all()):
            break
    return value


def _one_fraction(a: float, b: float, x: float) -> float:
    """`_fraction` of one number, without numpy, whose overhead per operation would dominate."""
    c, factor = 1.0, 1.0
    first = 1 - (a + b) * x / (a + 1)
    value = d = 1 / (first if abs(first) >= _TINY else _TINY)
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            below, c = 1 + step * d, 1 + step / c
            d, c = 1 / (below if abs(below) >= _TINY else _TINY), (c if abs(c) >= _TINY else _TINY)
            factor = c * d
            value *= factor
        if abs(factor - 1) < 1e-13:
            break
    return value


def _log_gamma(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return torch.lgamma(torch.from_numpy(np.ascontiguousarray(values))).numpy()
