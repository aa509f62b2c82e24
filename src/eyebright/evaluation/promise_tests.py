"""Tests of thresholds that keep a promise: Learn then Test (Angelopoulos, Bates, Candès, Jordan & Lei, 2021).

Each threshold has the null hypothesis that the promise is broken at it, with an exact binomial p-value. The thresholds
and their order are fixed before the outputs and targets of the tested images are looked at, and are tested in this
order, so that the probability of rejecting any true null hypothesis is at most the given error:

- *Precision*: a chain from few yes answers to many. From other images: it starts where they say that the evidence will
  most probably suffice, with the whole error. Without them: thresholds even in probability, the error divided over
  two starting points; a threshold that passes hands its share of the error to the next (fallback procedure, Wiens &
  Dmitrienko, 2005, Journal of Biopharmaceutical Statistics 15:929).
- *Recall, false positive rate*: they change in one direction with the threshold, so every number in [0, 1] can be
  tested, from the end at which the promise holds trivially to the first failure (as in Wilks' tolerance limits, 1941).
- *One threshold for each label*, chosen elsewhere: tested by itself; for all labels at once by Holm's method (1979,
  Scandinavian Journal of Statistics 6:65).

Axes: t thresholds in the order of their tests, k labels.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from eyebright.evaluation.binomial import fewest_right, upper_tail
from eyebright.evaluation.promise import Promise
from eyebright.evaluation.promise_evidence import Evidence, LabelAnswers

_STEPS = 99  # thresholds of a chain
_ERROR_SHARES = {
    0.9: 0.2,
    0.6: 0.8,
}  # the share of the error for each start of a chain that is even in probability
_QUANTILES = (-1.28, 0.0, 1.28)  # of the number of yes answers among the tested images, and of the share of right ones
_POWER_SHARE = 0.98  # of the greatest power: there the chain starts with as many yes answers as possible


@dataclass(frozen=True, eq=False)
class Chains:
    """The thresholds of each label in the order of their tests.

    Args:
        thresholds: decreasing in each column.
        weights: the share of the error with which a threshold is tested whatever came before; each column sums to 1.
    """

    thresholds: Float[np.ndarray, "t k"]
    weights: Float[np.ndarray, "t k"]


@dataclass(frozen=True, eq=False)
class Tested:
    """What the tests of each label found.

    Args:
        kept: True where a threshold passed.
        threshold: the last that passed; where none did, the tested one that was nearest to passing.
        right: the number of right answers at that threshold.
        total: the number of answers that count at that threshold.
        level: the error with which it was tested.
    """

    kept: Bool[np.ndarray, " k"]
    threshold: Float[np.ndarray, " k"]
    right: Int[np.ndarray, " k"]
    total: Int[np.ndarray, " k"]
    level: Float[np.ndarray, " k"]


# ------------------------------------------------------------------------------- chains, fixed beforehand


def even_chains(n_labels: int) -> Chains:
    """Thresholds from 0.99 to 0.01, the same for each label, with the error divided over two of them."""
    thresholds = np.linspace(0.99, 0.01, _STEPS).astype(np.float32)
    weights = np.zeros(_STEPS)
    for start, share in _ERROR_SHARES.items():
        weights[round(99 - 100 * start)] = share
    return Chains(*(np.repeat(column[:, None], n_labels, axis=1) for column in (thresholds, weights)))


def chains_from(others: Evidence, promise: Promise, *, n_units: int, error: float) -> Chains:
    """Thresholds in equal ratios of the number of yes answers of other images, from the one with the greatest power on.

    A label of which nothing is known in the other images gets the chain of `even_chains`.

    Args:
        others: the answers of other images.
        promise: of precision.
        n_units: the number of images that the thresholds will be tested on.
        error: with which they will be tested.
    """
    thresholds = np.stack([_ratio_thresholds(label) for label in others.labels], axis=1)
    power = _power(others, thresholds, promise, n_units=n_units, error=error)
    near = power >= _POWER_SHARE * power.max(axis=0)
    start = len(near) - 1 - near[::-1].argmax(axis=0)
    weights = np.zeros(thresholds.shape)
    weights[start, np.arange(len(start))] = 1
    empty = np.array([not len(label) for label in others.labels])
    even = even_chains(len(others.labels))
    return Chains(np.where(empty, even.thresholds, thresholds), np.where(empty, even.weights, weights))


def likely_thresholds(
    others: Evidence, promise: Promise, *, n_units: int, error: float, power: float
) -> Float[np.ndarray, " k"]:
    """For each label the most useful threshold that will pass its test with the given probability.

    That is the one with the most yes answers for precision and false positive rate and with the fewest for recall. If
    none is so likely to pass, it is the likeliest.

    Args:
        others: as in `chains_from`.
        promise: of any metric.
        n_units: as in `chains_from`.
        error: as in `chains_from`.
        power: the probability of passing, as the other images estimate it.
    """
    thresholds = np.stack([_ratio_thresholds(label) for label in others.labels], axis=1)
    if promise.metric == "recall":  # in the order from the most useless to the most useful
        thresholds = thresholds[::-1]
    reached = _power(others, thresholds, promise, n_units=n_units, error=error)
    enough = reached >= np.minimum(power, reached.max(axis=0))
    return thresholds[len(enough) - 1 - enough[::-1].argmax(axis=0), np.arange(thresholds.shape[1])]


def _ratio_thresholds(label: LabelAnswers) -> Float[np.ndarray, " t"]:
    """Thresholds in the middle between two probabilities, with numbers of yes answers in about equal ratios."""
    counts = np.geomspace(1, max(len(label), 1), _STEPS).round().astype(np.int64)
    scores = np.append(label.scores[::-1].astype(np.float32), np.float32(0))  # decreasing
    if not len(label):
        return np.zeros(_STEPS, dtype=np.float32)
    return middle(scores[counts - 1], scores[counts])


def middle(high: Float[np.ndarray, " t"], low: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
    """The numbers in the middle, in float32 and always below ``high`` where ``low`` is."""
    between = ((high.astype(np.float64) + low.astype(np.float64)) / 2).astype(np.float32)
    return np.where(between < high, between, low).astype(np.float32)


def _power(
    others: Evidence, thresholds: Float[np.ndarray, "t k"], promise: Promise, *, n_units: int, error: float
) -> Float[np.ndarray, "t k"]:
    """The probability that each threshold passes its test on ``n_units`` images, as other images estimate it.

    It is averaged over what the other images leave open: a share of right answers that is just above the promise among
    few images is less likely to pass than the same share among many.
    """
    right, total = counts_at(others, thresholds, promise)
    rate = total / max(others.n_units, 1)
    share = (right + 0.5) / (total + 1)
    spread = np.sqrt(share * (1 - share) / (total + 1))
    power = np.zeros(thresholds.shape)
    for quantile in _QUANTILES:
        expected = n_units * rate + quantile * np.sqrt(n_units * rate * (1 - rate))
        trials, back = np.unique(expected.round().clip(0, n_units).astype(np.int64), return_inverse=True)
        fewest = fewest_right(trials, promise.share, error)[back.reshape(-1)]
        for other in _QUANTILES:
            likely = np.clip(share + other * spread, 0, 1).reshape(-1)
            power += upper_tail(fewest, trials[back.reshape(-1)], likely).reshape(power.shape)
    return power / len(_QUANTILES) ** 2


# ------------------------------------------------------------------------------- tests


def pass_chains(answers: Evidence, chains: Chains, promise: Promise, *, error: float) -> Tested:
    """The last threshold of each label that passes; a chain is left at its first failure after a start.

    Args:
        answers: those that are tested, which did not choose the chains.
        chains: the thresholds in their order.
        promise: the promise.
        error: the probability that a threshold of a label passes though the promise is broken at it.
    """
    right, total = counts_at(answers, chains.thresholds, promise)
    p_values = upper_tail(right.reshape(-1), total.reshape(-1), promise.share).reshape(right.shape)
    levels = np.zeros(p_values.shape)
    handed_on = np.zeros(right.shape[1])
    for step, (p, weight) in enumerate(zip(p_values, chains.weights, strict=True)):
        levels[step] = np.minimum(handed_on + weight * error, error)
        handed_on = np.where(p <= levels[step], levels[step], 0)
    passed = (p_values <= levels) & (levels > 0)
    last = len(passed) - 1 - passed[::-1].argmax(axis=0)
    nearest = np.where(levels > 0, p_values / np.maximum(levels, error / len(levels) / 2), np.inf).argmin(axis=0)
    at = (np.where(passed.any(axis=0), last, nearest), np.arange(len(last)))
    return Tested(np.asarray(passed.any(axis=0)), chains.thresholds[at], right[at], total[at], levels[at])


def pass_each(answers: Evidence, thresholds: Float[np.ndarray, " k"], promise: Promise, *, at_once: bool) -> Tested:
    """Whether the one threshold of each label passes.

    Args:
        answers: as in `pass_chains`.
        thresholds: one for each label, chosen on other images.
        promise: the promise; its error is that of each label, or of all.
        at_once: True for Holm's method over the labels.
    """
    right, total = (column[0] for column in counts_at(answers, thresholds[None], promise))
    p_values = upper_tail(right, total, promise.share)
    levels = np.full(len(p_values), promise.error)
    kept = p_values <= levels
    if at_once:
        order = np.argsort(p_values, kind="stable")
        levels[order] = promise.error / np.arange(len(order), 0, -1)
        kept[order] = np.logical_and.accumulate(p_values[order] <= levels[order])
    return Tested(kept, thresholds, right, total, levels)


def pass_every_threshold(answers: Evidence, promise: Promise, *, error: float) -> Tested:
    """The limit of testing every number from the trivial end on, for recall and the false positive rate.

    With at most w wrong answers allowed, the first failure is at the answer that would be wrong number w + 1. The
    threshold returned is in the middle of the gap before it.

    Args:
        answers: as in `pass_chains`.
        promise: of recall or of the false positive rate.
        error: as in `pass_chains`.
    """
    trivial = np.float32(0 if promise.metric == "recall" else 1)
    relevant = [label.scores[label.positive == (promise.metric == "recall")] for label in answers.labels]
    total = np.array([len(scores) for scores in relevant])
    allowed = total - fewest_right(total, promise.share, error)
    thresholds = np.full(len(relevant), trivial)
    for column, (label, scores) in enumerate(zip(answers.labels, relevant, strict=True)):
        if allowed[column] >= 0:
            limit = _limit_of_recall if promise.metric == "recall" else _limit_of_false_alarms
            thresholds[column] = limit(label.scores, scores, int(allowed[column]))
    right = counts_at(answers, thresholds[None], promise)[0][0]
    kept = (allowed >= 0) & (total - right <= allowed)
    return Tested(kept, thresholds, right, total, np.full(len(kept), error))


def _limit_of_recall(scores: Float[np.ndarray, " m"], positives: Float[np.ndarray, " p"], allowed: int) -> np.float32:
    """Between the lowest score that must be answered yes and the next lower score of any image."""
    first = positives[allowed]
    below = scores[np.searchsorted(scores, first) - 1] if scores[0] < first else np.float32(0)
    return middle(np.array([first]), np.array([below]))[0]


def _limit_of_false_alarms(
    scores: Float[np.ndarray, " m"], negatives: Float[np.ndarray, " q"], allowed: int
) -> np.float32:
    """Between the highest score that must be answered no and the next higher score of any image."""
    last = negatives[len(negatives) - 1 - allowed]
    place = int(np.searchsorted(scores, last, side="right"))
    above = scores[place] if place < len(scores) else np.float32(1)
    return middle(np.array([above]), np.array([last]))[0]


def counts_at(
    answers: Evidence, thresholds: Float[np.ndarray, "t k"], promise: Promise
) -> tuple[Int[np.ndarray, "t k"], Int[np.ndarray, "t k"]]:
    """(right, total) of each label at its thresholds."""
    pairs = [
        label.counts(promise.metric, np.ascontiguousarray(column))
        for label, column in zip(answers.labels, thresholds.T, strict=True)
    ]
    right, total = zip(*pairs, strict=True)
    return np.stack(right, axis=1), np.stack(total, axis=1)
