"""The number of additional labelled images that a promise would need."""

import numpy as np
from jaxtyping import Float

from eyebright.evaluation.promise import Promise
from eyebright.evaluation.promise_evidence import Evidence
from eyebright.evaluation.threshold_tests import counts_at

_MIN_YES_ANSWERS = 10  # the smallest number of yes answers from which a precision is estimated


def missing_units(
    answers: Evidence, thresholds: Float[np.ndarray, "t k"], promise: Promise, *, error: float
) -> list[int | None]:
    """The approximate number of additional images that each label needs to keep the promise; None if unknown.

    With a share s of right answers, log(1 / error) / KL(s, promised share) answers suffice by Chernoff's bound (1952),
    which for s = 1 is the exact number. The images needed follow from how often an answer counts. For precision it is
    the smallest number over the thresholds with at least ten yes answers. None also where it is less than a tenth of
    the images there are: whether the promise is kept then depends on luck, not on more images.

    Args:
        answers: the answers that did not suffice.
        thresholds: the thresholds to consider.
        promise: the promise.
        error: the error probability of the test of a label.
    """
    right, total = counts_at(answers, thresholds, promise)
    of_answers = promise.metric in ("precision", "accuracy")
    if not of_answers:
        right = total  # at the trivial end
    share = right / np.maximum(total, 1)
    usable = (total >= (_MIN_YES_ANSWERS if of_answers else 1)) & (share > promise.share)
    with np.errstate(divide="ignore", invalid="ignore"):
        wrong = np.where(share < 1, (1 - share) * np.log((1 - share) / (1 - promise.share)), 0.0)
        needed = np.log(1 / error) / (share * np.log(share / promise.share) + wrong) * answers.n_units / total
    fewest = np.where(usable, needed, np.inf).min(axis=0)
    least = max(answers.n_units // 10, 1)
    more = [int(np.ceil(n_units)) - answers.n_units if np.isfinite(n_units) else 0 for n_units in fewest]
    return [count if count >= least else None for count in more]
