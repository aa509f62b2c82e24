"""Tests of thresholds that keep a promise: Learn then Test (Angelopoulos, Bates, Candès, Jordan & Lei, 2021).

Each threshold has the null hypothesis that the promise is broken at it, with an exact binomial p-value. The thresholds
and their order are fixed before the outputs and targets of the tested images are looked at, and are tested in this
order, so that the probability of rejecting any true null hypothesis is at most the significance level:

- *Precision*: a sequence of thresholds with more and more positive predictions (fixed-sequence testing). With tuning
  images: it starts at the threshold with the highest estimated power, at the whole
  significance level. Without them: evenly spaced thresholds, the level divided over two starting points, and the level
  of a rejected hypothesis is passed to the next one (fallback procedure, Wiens & Dmitrienko, 2005, Journal of
  Biopharmaceutical Statistics 15:929).
- *Recall, false positive rate*: they change in one direction with the threshold, so every number in [0, 1] can be
  tested, from the end at which the promise always holds to the first failure (as in Wilks' tolerance limits, 1941).
- *One threshold for each label*, chosen on other images: tested by itself; for all labels at once by Holm's method
  (1979, Scandinavian Journal of Statistics 6:65).

Axes: t thresholds in the order of their tests, k labels.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from eyebright.evaluation.binomial import fewest_right, upper_tail
from eyebright.evaluation.promise import Promise
from eyebright.evaluation.promise_evidence import Evidence, LabelAnswers

_STEPS = 99  # thresholds of a sequence
_STARTS = {0.9: 0.2, 0.6: 0.8}  # evenly spaced thresholds at which the tests start, and their shares of the level
_QUANTILES = (-1.28, 0.0, 1.28)  # of the number of positive predictions in the tested images, and of their precision
_POWER_SHARE = 0.98  # of the highest power: of such thresholds the one with the most positive predictions starts


@dataclass(frozen=True, eq=False)
class ThresholdSequences:
    """The thresholds of each label in the order of their tests.

    Args:
        thresholds: decreasing in each column.
        weights: the share of the significance level that each threshold has from the start; each column sums to 1.
    """

    thresholds: Float[np.ndarray, "t k"]
    weights: Float[np.ndarray, "t k"]


@dataclass(frozen=True, eq=False)
class ThresholdResults:
    """The results of the tests of each label.

    Args:
        kept: True where a threshold passed.
        threshold: the last that passed; where none did, the one whose p-value was nearest to its level.
        right: the number of correct answers at that threshold.
        total: the number of answers at that threshold that the promise is about.
        level: the significance level of its test.
    """

    kept: Bool[np.ndarray, " k"]
    threshold: Float[np.ndarray, " k"]
    right: Int[np.ndarray, " k"]
    total: Int[np.ndarray, " k"]
    level: Float[np.ndarray, " k"]


# ------------------------------------------------------------------------------- sequences, fixed beforehand


def even_sequences(n_labels: int) -> ThresholdSequences:
    """Thresholds from 0.99 to 0.01, the same for each label, with the level divided over two of them."""
    thresholds = np.linspace(_STEPS / (_STEPS + 1), 1 / (_STEPS + 1), _STEPS).astype(np.float32)
    weights = np.zeros(_STEPS)
    for start, share in _STARTS.items():
        weights[round(_STEPS - (_STEPS + 1) * start)] = share
    return ThresholdSequences(*(np.repeat(column[:, None], n_labels, axis=1) for column in (thresholds, weights)))


def sequences_from(others: Evidence, promise: Promise, *, n_units: int, error: float) -> ThresholdSequences:
    """Thresholds at geometrically spaced counts of positive predictions on the tuning images.

    The tests start at the one with the highest power. A label that is unknown in all of the tuning images gets the
    sequence of `even_sequences`.

    Args:
        others: the answers for the tuning images.
        promise: a promise of precision.
        n_units: the number of images that the thresholds will be tested on.
        error: the significance level of the tests.
    """
    thresholds = np.stack([_ratio_thresholds(label) for label in others.labels], axis=1)
    power = _power(others, thresholds, promise, n_units=n_units, error=error)
    near = power >= _POWER_SHARE * power.max(axis=0)
    start = len(near) - 1 - near[::-1].argmax(axis=0)
    weights = np.zeros(thresholds.shape)
    weights[start, np.arange(len(start))] = 1
    empty = np.array([not len(label) for label in others.labels])
    even = even_sequences(len(others.labels))
    return ThresholdSequences(np.where(empty, even.thresholds, thresholds), np.where(empty, even.weights, weights))


def likely_thresholds(
    others: Evidence, promise: Promise, *, n_units: int, error: float, power: float
) -> Float[np.ndarray, " k"]:
    """For each label the most useful threshold whose test has at least the given power.

    The most useful one has the most positive predictions for precision and false positive rate, and the fewest for
    recall. If no test has this power, it is the threshold with the highest one.

    Args:
        others: as in `sequences_from`.
        promise: a promise of any metric.
        n_units: as in `sequences_from`.
        error: as in `sequences_from`.
        power: the probability that the test passes, estimated on the tuning images.
    """
    thresholds = np.stack([_ratio_thresholds(label) for label in others.labels], axis=1)
    if promise.metric == "recall":  # in the order from the most useless to the most useful
        thresholds = thresholds[::-1]
    reached = _power(others, thresholds, promise, n_units=n_units, error=error)
    enough = reached >= np.minimum(power, reached.max(axis=0))
    return thresholds[len(enough) - 1 - enough[::-1].argmax(axis=0), np.arange(thresholds.shape[1])]


def _ratio_thresholds(label: LabelAnswers) -> Float[np.ndarray, " t"]:
    """Midpoints between two probabilities, at geometrically spaced counts of positive predictions."""
    counts = np.geomspace(1, max(len(label), 1), _STEPS).round().astype(np.int64)
    scores = np.append(label.scores[::-1].astype(np.float32), np.float32(0))  # decreasing
    if not len(label):
        return np.zeros(_STEPS, dtype=np.float32)
    return midpoint(scores[counts - 1], scores[counts])


def midpoint(high: Float[np.ndarray, " t"], low: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
    """The midpoints in float32, each below ``high`` where ``low`` is."""
    between = ((high.astype(np.float64) + low.astype(np.float64)) / 2).astype(np.float32)
    return np.where(between < high, between, low).astype(np.float32)


def _power(
    others: Evidence, thresholds: Float[np.ndarray, "t k"], promise: Promise, *, n_units: int, error: float
) -> Float[np.ndarray, "t k"]:
    """The probability that each threshold passes its test on ``n_units`` images, as the tuning images estimate it.

    It is averaged over the uncertainty of that estimate: a precision just above the promise on few images is less
    likely to pass than the same precision on many.
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


def run_sequence_tests(
    answers: Evidence, sequences: ThresholdSequences, promise: Promise, *, error: float
) -> ThresholdResults:
    """The last threshold of each label that passes; a sequence ends at the first failure after a start.

    Args:
        answers: the answers to test on, which did not choose the sequences.
        sequences: the thresholds in the order of their tests.
        promise: the promise.
        error: the significance level: the probability that a threshold at which the promise is broken passes.
    """
    right, total = counts_at(answers, sequences.thresholds, promise)
    p_values = upper_tail(right.reshape(-1), total.reshape(-1), promise.share).reshape(right.shape)
    levels = np.zeros(p_values.shape)
    passed_on = np.zeros(right.shape[1])
    for step, (p, weight) in enumerate(zip(p_values, sequences.weights, strict=True)):
        levels[step] = np.minimum(passed_on + weight * error, error)
        passed_on = np.where(p <= levels[step], levels[step], 0)
    passed = (p_values <= levels) & (levels > 0)
    last = len(passed) - 1 - passed[::-1].argmax(axis=0)
    nearest = np.where(levels > 0, p_values / np.maximum(levels, error / len(levels) / 2), np.inf).argmin(axis=0)
    at = (np.where(passed.any(axis=0), last, nearest), np.arange(len(last)))
    return ThresholdResults(np.asarray(passed.any(axis=0)), sequences.thresholds[at], right[at], total[at], levels[at])


def run_label_tests(
    answers: Evidence, thresholds: Float[np.ndarray, " k"], promise: Promise, *, all_labels: bool
) -> ThresholdResults:
    """Whether the one threshold of each label passes.

    Args:
        answers: as in `run_sequence_tests`.
        thresholds: one for each label, chosen on other images.
        promise: the promise; its error is the significance level of each label, or of all labels together.
        all_labels: True for Holm's method over the labels.
    """
    right, total = (column[0] for column in counts_at(answers, thresholds[None], promise))
    p_values = upper_tail(right, total, promise.share)
    levels = np.full(len(p_values), promise.error)
    kept = p_values <= levels
    if all_labels:
        order = np.argsort(p_values, kind="stable")
        levels[order] = promise.error / np.arange(len(order), 0, -1)
        kept[order] = np.logical_and.accumulate(p_values[order] <= levels[order])
    return ThresholdResults(kept, thresholds, right, total, levels)


def run_all_threshold_tests(answers: Evidence, promise: Promise, *, error: float) -> ThresholdResults:
    """The last threshold that passes when all values in [0, 1] are tested, for recall and the false positive rate.

    The tests begin where the promise always holds: at 0 for recall, at 1 for the false positive rate. With at most w
    wrong answers allowed, the first failure is at wrong answer number w + 1; the threshold is the midpoint of the gap
    before it.

    Args:
        answers: as in `run_sequence_tests`.
        promise: a promise of recall or of the false positive rate.
        error: as in `run_sequence_tests`.
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
    return ThresholdResults(kept, thresholds, right, total, np.full(len(kept), error))


def _limit_of_recall(scores: Float[np.ndarray, " m"], positives: Float[np.ndarray, " p"], allowed: int) -> np.float32:
    """The midpoint between the lowest score that must be a yes and the next lower score of any image."""
    first = positives[allowed]
    below = scores[np.searchsorted(scores, first) - 1] if scores[0] < first else np.float32(0)
    return midpoint(np.array([first]), np.array([below]))[0]


def _limit_of_false_alarms(
    scores: Float[np.ndarray, " m"], negatives: Float[np.ndarray, " q"], allowed: int
) -> np.float32:
    """The midpoint between the highest score that must be a no and the next higher score of any image."""
    last = negatives[len(negatives) - 1 - allowed]
    place = int(np.searchsorted(scores, last, side="right"))
    above = scores[place] if place < len(scores) else np.float32(1)
    return midpoint(np.array([above]), np.array([last]))[0]


def counts_at(
    answers: Evidence, thresholds: Float[np.ndarray, "t k"], promise: Promise
) -> tuple[Int[np.ndarray, "t k"], Int[np.ndarray, "t k"]]:
    """(number of correct answers, number of answers) of each label at its thresholds."""
    pairs = [
        label.counts(promise.metric, np.ascontiguousarray(column))
        for label, column in zip(answers.labels, thresholds.T, strict=True)
    ]
    right, total = zip(*pairs, strict=True)
    return np.stack(right, axis=1), np.stack(total, axis=1)
