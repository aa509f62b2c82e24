"""Conformal label sets: several answers for an image, which contain the right ones with a stated coverage.

One class per image (n images, the class of a new image is in its set with a probability of at least the coverage, over
the draw of the images and of the new image; Vovk, Gammerman & Shafer, 2005):

- ``lac``: classes whose probability is above a threshold (Sadinle, Lei & Wasserman, 2019, Journal of the American
  Statistical Association 114:223). The smallest sets; a set can be empty.
- ``aps``: classes in decreasing order of probability, until their sum reaches a threshold (Romano, Sesia & Candès,
  2020). Never empty unless randomised. Randomised, the last class is in the set with a probability that makes the
  coverage exact; otherwise sets are larger than they need to be.

Any number of labels per image; images without labels are allowed, and nothing is missed on them:

- ``crc``: an image's set contains on average at least the coverage's share of its labels, in expectation.
- ``rcps``: the same mean over new images is at least the coverage with a stated confidence over the draw of the images
  (Bates et al., 2021), by the bound of Hoeffding and Bentkus.

By label (Mondrian): each class or label is covered separately, which takes images of each.

Axes: n images, k classes, m images of a class.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eyebright.errors import InputError, did_you_mean, listing, short_repr
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.risk_control import ImageLosses, hoeffding_bentkus, image_losses
from eyebright.metrics.labels import split_targets
from eyebright.types import refuse_nan

SetMethod = Literal["lac", "aps", "crc", "rcps"]

_FITTED, _ANSWERED = 0, 1  # streams of the random numbers of randomised sets: independent of each other


@dataclass(frozen=True, slots=True)
class LabelSets:
    """How the label set of an image is made from its probabilities.

    Args:
        method: see `SetMethod` and this module.
        coverage: the stated coverage.
        limits: the greatest nonconformity that is in the set, of each class, or one for all: 1 - probability, or for
            ``aps`` the sum of probabilities. Infinite where too few images of a class are known: it is in all sets.
        names: the classes.
        n_images: the number of images with a known target.
        confidence: of ``rcps``; None: the coverage is one of the mean over the draws.
        randomised: of ``aps``.
    """

    method: SetMethod
    coverage: float
    limits: tuple[float, ...]
    names: tuple[str, ...]
    n_images: int
    confidence: float | None = None
    randomised: bool = False

    @property
    def by_label(self) -> bool:
        """True if each class or label is covered separately."""
        return len(self.limits) > 1

    def sets(
        self, probabilities: Float[Tensor, "n k"], *, indices: Sequence[int] | None = None, seed: int = 0
    ) -> Bool[Tensor, "n k"]:
        """True for the classes in the set of each image.

        The random number of an image, where sets are randomised, is made from the seed and its index: it has the same
        set whatever images are answered with it, and independent ones for other seeds.

        Args:
            probabilities: calibrated, of the decision of the evaluation that it was made from.
            indices: the index of each image, at least 0; None: its row.
            seed: of the random numbers.

        Raises:
            InputError: a probability is NaN, or there is not one index for each image.
        """
        refuse_nan(probabilities, "probabilities")
        scores = probabilities.detach().cpu().double().numpy()
        limits = np.array(self.limits)
        if self.method != "aps":
            return torch.from_numpy(1 - scores <= limits + _ROUNDING)
        parts = _random_parts(len(scores), indices, (seed, _ANSWERED)) if self.randomised else None
        return torch.from_numpy(_cumulative(scores, parts) <= limits + _ROUNDING)

    @property
    def sentence(self) -> str:
        """What is covered, with what probability, from how many images."""
        share = f"{100 * self.coverage:.6g} %"
        each = "for each class separately" if self.by_label else "over all classes"
        if self.method in ("lac", "aps"):
            kind = self.method.upper() + (", randomised" if self.randomised else "")
            text = f"the set of an image contains its class with a probability of at least {share}, {each} ({kind})"
        elif self.by_label:
            text = f"each label is in the set of an image that has it with a probability of at least {share}"
        elif self.confidence is None:
            text = f"in expectation, the sets contain at least {share} of an image's labels (conformal risk control)"
        else:
            text = (
                f"with {100 * self.confidence:.6g} % confidence, the sets contain on average at least {share} of an "
                "image's labels (RCPS)"
            )
        unsure = [name for name, limit in zip(self.names, self.limits, strict=False) if self.by_label and limit > 1e9]
        if not self.by_label and self.limits[0] > 1e9:
            return f"too few images for a coverage of {share} ({self.n_images:,}): the sets contain everything"
        more = f"; too few images of {listing(unsure)}, which are in all sets" if unsure else ""
        return f"{text}, from {self.n_images:,} images{more}"

    def to_json(self) -> dict[str, Any]:
        """All fields; null for a limit that is infinite."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        limits = [None if np.isinf(limit) else limit for limit in self.limits]
        return {**fields, "limits": limits, "names": list(self.names)}

    @staticmethod
    def from_json(data: dict[str, Any]) -> "LabelSets":
        """The value that `to_json` described."""
        limits = tuple(np.inf if limit is None else float(limit) for limit in data["limits"])
        fields: dict[str, Any] = {**data, "limits": limits, "names": tuple(data["names"])}
        return LabelSets(**fields)


_ROUNDING = 1e-9  # of sums of probabilities


def fit_sets(
    evaluation: Evaluation,
    *,
    coverage: float = 0.9,
    method: SetMethod | None = None,
    by_label: bool = False,
    confidence: float | None = None,
    randomised: bool = False,
) -> LabelSets:
    """Label sets with a stated coverage, from held-out images.

    Args:
        evaluation: of a target of one class or of labels; unknown targets do not count.
        coverage: see this module, in (0, 1).
        method: None: ``lac`` for one class per image, ``crc`` for labels, or ``rcps`` if a confidence is given.
        by_label: True: each class or label is covered separately.
        confidence: of ``rcps``, in (0, 1).
        randomised: of ``aps``.

    Raises:
        InputError: the target has no classes, the method is not for it or does not take these arguments, a number is
            outside (0, 1), or an output is NaN or infinite.
    """
    target = evaluation.decision.target
    if not target.has_vocab:
        raise InputError(f"label sets exist only for targets with classes, and the target is a {type(target).__name__}")
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
    return LabelSets(chosen, coverage, limits, target.output_names, n_images, confidence, randomised)


def _check_method(method: str, *, several: bool, by_label: bool, randomised: bool) -> None:
    if method not in get_args(SetMethod):
        meant = did_you_mean(str(method), get_args(SetMethod))
        raise InputError(f"there are no label sets {short_repr(method)}.{meant} Known: {listing(get_args(SetMethod))}")
    fitting = ("crc", "rcps") if several else ("lac", "aps")
    if method not in fitting:
        kind = "any number of labels" if several else "one class"
        raise InputError(f"label sets for {kind} per image are made by {' or '.join(fitting)}, got '{method}'")
    if randomised and method != "aps":
        raise InputError(f"only aps can be randomised, got '{method}'")
    if by_label and method == "rcps":
        raise InputError(
            "a coverage of each label with a confidence is a promise of recall: use keep_promise, or no confidence"
        )


def _check_numbers(method: str, coverage: float, confidence: float | None) -> None:
    for name, value in (("coverage", coverage), ("confidence", confidence)):
        if value is not None and not 0 < value < 1:
            wanted = f"the {name} of label sets must be between 0 and 1 (not included)"
            raise InputError(f"{wanted}, got {short_repr(value)}")
    if (confidence is not None) != (method == "rcps"):
        raise InputError(f"`confidence` belongs to the method rcps and only to it, got {confidence} for '{method}'")


# ------------------------------------------------------------------------------- one class per image


def _nonconformity(evaluation: Evaluation, *, randomised: bool | None) -> Float[np.ndarray, "n k"]:
    """How unlike each image is to each class; ``randomised`` is None for ``lac``."""
    scores = evaluation.activated.detach().cpu().double().numpy()
    if randomised is None:
        return 1 - scores
    return _cumulative(scores, _random_parts(len(scores), None, (0, _FITTED)) if randomised else None)


def _random_parts(n_images: int, indices: Sequence[int] | None, seeds: tuple[int, int]) -> Float[np.ndarray, " n"]:
    """The random number of each image, in [0, 1): that of its index in the sequence of the seeds."""
    rows = np.arange(n_images) if indices is None else np.asarray(indices)
    if rows.shape != (n_images,) or rows.dtype.kind not in "iu" or (rows < 0).any():
        raise InputError(f"`indices` are one whole number of at least 0 for each of {n_images} images")
    return np.random.default_rng(seeds).random(int(rows.max(initial=-1)) + 1)[rows]


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
    """The ceil((m + 1) * coverage)-th smallest score; infinite if there are not so many."""
    rank = ceil((len(scores) + 1) * coverage - 1e-9)
    return float(np.partition(scores, rank - 1)[rank - 1]) if rank <= len(scores) else float("inf")


def _cumulative(
    scores: Float[np.ndarray, "n k"], parts: Float[np.ndarray, " n"] | None = None
) -> Float[np.ndarray, "n k"]:
    """The sum of the probabilities down to each class: before it (its first class 0), plus a random part of its own.

    Without random parts, the whole of it counts, but the first class always has 0 so that no set is empty.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    sums = np.cumsum(ranked, axis=1)
    if parts is not None:
        sums = sums - parts[:, None] * ranked
    else:
        sums[:, 0] = 0
    back = np.empty_like(sums)
    np.put_along_axis(back, order, sums, axis=1)
    return back


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
    """The greatest sum of losses that shows a mean loss of at most 1 - coverage; -1 if none does."""

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
    """For each label the quantile of 1 - probability over the images that have it."""
    positive = split_targets(evaluation.targets, evaluation.activated)[0].numpy()
    scores = 1 - evaluation.activated.detach().cpu().double().numpy()
    return tuple(_quantile(column[rows], coverage) for column, rows in zip(scores.T, positive.T, strict=True))


def _limit_above(threshold: float) -> float:
    """The limit of 1 - probability whose sets have the labels strictly above the threshold."""
    return 1 - float(np.nextafter(np.float32(threshold), np.float32(2), dtype=np.float32))
