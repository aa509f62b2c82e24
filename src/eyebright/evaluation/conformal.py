"""Conformal prediction sets: several labels for an image, which contain the right ones with a stated coverage.

One class per image (n images, the class of a new image is in its set with a probability of at least the coverage, over
the draw of the images and of the new image; Vovk, Gammerman & Shafer, 2005):

- ``lac``: classes whose probability is above a threshold (Sadinle, Lei & Wasserman, 2019, Journal of the American
  Statistical Association 114:223). The smallest sets; a set can be empty.
- ``aps``: classes in decreasing order of probability, until their sum reaches a threshold (Romano, Sesia & Candès,
  2020). Never empty unless randomised. Randomised, the last class is in the set with a probability that makes the
  coverage exact; otherwise sets are larger than they need to be.

Any number of labels per image; images without labels are allowed and do not count, since no label of theirs can be
missed:

- ``crc``: the set of an image that has labels contains on average at least the coverage's share of them, in
  expectation.
- ``rcps``: the same mean over new images that have labels is at least the coverage with a stated confidence over the
  draw of the images (Bates et al., 2021), by the bound of Hoeffding and Bentkus.

By label (Mondrian): each class or label is covered separately, which needs enough images of each.

Axes: n images, k classes, m images of a class.
"""

from math import ceil
from typing import get_args

import numpy as np
from jaxtyping import Float

from eyebright._choices import SetMethod
from eyebright.errors import InputError, check_choice, short_repr
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.risk_control import ImageLosses, hoeffding_bentkus, image_losses
from eyebright.metrics.labels import split_targets
from eyebright.tasks.prediction_sets import FITTED, PredictionSets, cumulative, random_parts


def fit_sets(
    evaluation: Evaluation,
    *,
    coverage: float = 0.9,
    method: SetMethod | None = None,
    by_label: bool = False,
    confidence: float | None = None,
    randomised: bool = False,
) -> PredictionSets:
    """Prediction sets with a stated coverage, from held-out images.

    Args:
        evaluation: an evaluation of one class or any number of labels per image; unknown targets do not count.
        coverage: the coverage as this module defines it, in (0, 1).
        method: None: ``lac`` for one class per image, ``crc`` for labels, or ``rcps`` if a confidence is given.
        by_label: True: each class or label is covered separately.
        confidence: the confidence of ``rcps``, in (0, 1).
        randomised: whether ``aps`` is randomised.

    Raises:
        InputError: the target has no classes, the method does not support it or does not take these arguments, a number
            is outside (0, 1), or an output is NaN or infinite.
    """
    target = evaluation.decision.target
    if not target.has_vocab:
        raise InputError(
            f"prediction sets exist only for targets with classes, and the target is a {type(target).__name__}"
        )
    several = target.has_thresholds
    usual = ("crc" if confidence is None else "rcps") if several else "lac"
    chosen: SetMethod = usual if method is None else method
    _check_method(chosen, several=several, by_label=by_label, randomised=randomised)
    _check_numbers(chosen, coverage, confidence)
    if several:
        limits, n_images = _limits_of_labels(evaluation, coverage, confidence=confidence, by_label=by_label)
    else:
        every = _nonconformity(evaluation, randomised=randomised if chosen == "aps" else None)
        limits, n_images = _limits_of_class(evaluation, every, coverage, by_label=by_label)
    return PredictionSets(chosen, coverage, limits, target.value_names, n_images, confidence, randomised)


def _check_method(method: str, *, several: bool, by_label: bool, randomised: bool) -> None:
    check_choice("method of prediction sets", method, get_args(SetMethod))
    fitting = ("crc", "rcps") if several else ("lac", "aps")
    if method not in fitting:
        kind = "any number of labels" if several else "one class"
        raise InputError(f"prediction sets for {kind} per image are computed by {' or '.join(fitting)}, got '{method}'")
    if randomised and method != "aps":
        raise InputError(f"only aps can be randomised, got '{method}'")
    if by_label and method == "rcps":
        raise InputError(
            "rcps does not cover each label separately: use crc, or a promise of recall, which has a confidence for "
            "each label"
        )


def _check_numbers(method: str, coverage: float, confidence: float | None) -> None:
    for name, value in (("coverage", coverage), ("confidence", confidence)):
        if value is not None and not 0 < value < 1:
            wanted = f"the {name} of prediction sets must be between 0 and 1 (not included)"
            raise InputError(f"{wanted}, got {short_repr(value)}")
    if (confidence is not None) != (method == "rcps"):
        raise InputError(f"only the method rcps takes `confidence`, and needs it; got {confidence} for '{method}'")


# ------------------------------------------------------------------------------- one class per image


def _nonconformity(evaluation: Evaluation, *, randomised: bool | None) -> Float[np.ndarray, "n k"]:
    """The nonconformity score of each image and class; ``randomised`` is None for ``lac``."""
    scores = evaluation.activated.detach().cpu().double().numpy()
    if randomised is None:
        return 1 - scores
    return cumulative(scores, random_parts(len(scores), None, (0, FITTED)) if randomised else None)


def _limits_of_class(
    evaluation: Evaluation, every: Float[np.ndarray, "n k"], coverage: float, *, by_label: bool
) -> tuple[tuple[float, ...], int]:
    """(limits, number of images) from the nonconformity of each image's own class."""
    classes = evaluation.targets.double().nan_to_num(-1).long().numpy()
    rows = np.flatnonzero(classes >= 0)
    own = every[rows, classes[rows]]
    if not by_label:
        return (_quantile(own, coverage),), len(rows)
    return tuple(_quantile(own[classes[rows] == c], coverage) for c in range(every.shape[1])), len(rows)


def _quantile(scores: Float[np.ndarray, " m"], coverage: float) -> float:
    """The ceil((m + 1) * coverage)-th smallest score; infinite if there are fewer."""
    rank = ceil((len(scores) + 1) * coverage - 1e-9)
    return float(np.partition(scores, rank - 1)[rank - 1]) if rank <= len(scores) else float("inf")


# ------------------------------------------------------------------------------- any number of labels


def _limits_of_labels(
    evaluation: Evaluation, coverage: float, *, confidence: float | None, by_label: bool
) -> tuple[tuple[float, ...], int]:
    losses = image_losses(evaluation, "missed_labels")
    if by_label:
        return _limits_of_each(evaluation, coverage), losses.n_images
    n_images = losses.n_images
    crc = (1 - coverage) * (n_images + 1) - 1
    allowed = crc if confidence is None else _allowed(losses, coverage, confidence)
    if not n_images or not losses.can_reach(allowed):
        return (float("inf"),), n_images
    return (_limit_above(losses.last_threshold(allowed)[0]),), n_images


def _allowed(losses: ImageLosses, coverage: float, confidence: float) -> float:
    """The greatest sum of losses that still shows a mean loss of at most 1 - coverage; -1 if no sum does."""

    def shown(total: float) -> bool:
        n_images = losses.n_images
        return hoeffding_bentkus(total / n_images, n_images, 1 - coverage) <= round(1 - confidence, 12)

    if not losses.n_images or not shown(0):
        return -1.0
    low, high = 0.0, losses.n_images * (1 - coverage)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if shown(middle) else (low, middle)
    return low


def _limits_of_each(evaluation: Evaluation, coverage: float) -> tuple[float, ...]:
    """For each label, the quantile of 1 - probability over the images that have it."""
    positive = split_targets(evaluation.targets, evaluation.activated)[0].numpy()
    scores = 1 - evaluation.activated.detach().cpu().double().numpy()
    return tuple(_quantile(column[rows], coverage) for column, rows in zip(scores.T, positive.T, strict=True))


def _limit_above(threshold: float) -> float:
    """The limit of 1 - probability for which sets contain the labels strictly above the threshold."""
    return 1 - float(np.nextafter(np.float32(threshold), np.float32(2), dtype=np.float32))
