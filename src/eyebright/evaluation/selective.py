"""Selective answers of a model with one class per image: a person is asked about uncertain images.

An image is answered if the probability of its predicted class is above a threshold (selective classification, El-Yaniv
& Wiener, 2010). The threshold is the lowest at which the accuracy among the answered images keeps a promise, found by
the same tests as the precision of a label (`eyebright.evaluation.threshold_tests`): the predicted class takes the place
of the label, and right answers that of images that have it.
"""

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eyebright.errors import InputError, count_text
from eyebright.evaluation.binomial import fewest_faultless, lower_bound
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.promise import Promise
from eyebright.evaluation.promise_evidence import class_evidence
from eyebright.evaluation.promise_needs import missing_units
from eyebright.evaluation.threshold_tests import even_sequences, run_sequence_tests, sequences_from
from eyebright.types import Thresholds


@dataclass(frozen=True, slots=True)
class SelectivePromise:
    """A threshold of the predicted class's probability above which images are answered, with its evidence.

    Args:
        promise: a promise of accuracy.
        is_promise: True if the images chose nothing else; otherwise it is an estimate.
        kept: True if a threshold passed its test.
        threshold: the threshold that passed; if none did, the one that was nearest to passing.
        total: the number of images that are answered at it, of those that count.
        right: how many of them are right.
        counted: the number of images that count.
        bound: the exact lower bound of the accuracy among answered images, with the error ``level``.
        level: the error with which the threshold was tested.
        faultless: the number of answers, all right, that suffices at that level.
        missing: the approximate number of additional images, or groups, needed; None if the promise is kept, or if it
            cannot be estimated.
        chosen: True if other images chose the thresholds to be tested, and their order.
        part: the part of the data that the images belong to.
        n_images: the number of images.
        n_groups: the number of groups, of which one image each counts; None if groups are not known.
    """

    promise: Promise
    is_promise: bool
    kept: bool
    threshold: float
    total: int
    right: int
    counted: int
    bound: float
    level: float
    faultless: int
    missing: int | None
    chosen: bool
    part: str
    n_images: int
    n_groups: int | None

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds of a decision that keeps the promise."""
        return Thresholds(self.threshold, metric=str(self.promise), lower=0.0)

    def __str__(self) -> str:
        """One sentence: the threshold and its evidence, or what is missing."""
        confidence = f"{100 * self.promise.confidence:.6g} % confidence"
        unit = "images" if self.n_groups is None else "groups"
        images = f"{count_text(self.n_images, 'image')} of the part '{self.part}'"
        if self.n_groups is not None:
            images = f"one image of each of {count_text(self.n_groups, 'group')} drawn at random from {images}"
        role = "which were held out" if self.is_promise else "which were not held out"
        order = "chosen on other images" if self.chosen else "of evenly spaced thresholds"
        evidence = (
            f"{self.right:,} of {self.total:,} answered images were right, exact lower bound {self.bound:.4f}, from "
            f"{images}, {role}, by exact binomial bounds (Clopper-Pearson), tested in an order "
            f"{order}"
        )
        if self.kept:
            share = self.total / max(self.counted, 1)
            verb = "promised" if self.is_promise else "estimated"
            return (
                f"answered above {self.threshold:.4g}: accuracy at least {self.promise.bound:g} among answered images, "
                f"{verb} with {confidence}; {100 * share:.3g} % of these images are answered, and a person is asked "
                f"about the others ({evidence})"
            )
        noun = "promise" if self.is_promise else "estimate"
        more = f", which is about {self.missing:,} more labelled {unit}" if self.missing is not None else ""
        return (
            f"no {noun} of {self.promise} with {confidence}: above {self.threshold:.4g}, {evidence}; it takes "
            f"{self.faultless:,} answers, all right{more}"
        )

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return {**asdict(self), "promise": self.promise.to_json()}

    @staticmethod
    def from_json(data: dict[str, Any]) -> "SelectivePromise":
        """The result that `to_json` described."""
        fields: dict[str, Any] = {**data, "promise": Promise.from_json(data["promise"])}
        return SelectivePromise(**fields)


def keep_accuracy(
    evaluation: Evaluation,
    promise: Promise,
    *,
    chosen_on: Evaluation | None = None,
    groups: Sequence[Hashable] | None = None,
    independent: bool | None = None,
) -> SelectivePromise:
    """The threshold with the most answered images at which the promise of accuracy holds.

    The probability that the accuracy among answered new images of the same kind is below the bound is at most
    1 - confidence, over the draw of these images.

    Args:
        evaluation: the evaluation on images that chose nothing: neither the model nor its calibration.
        promise: a promise of accuracy.
        chosen_on: other images' evaluation, on which the thresholds to be tested and their order are chosen; None:
            evenly spaced thresholds.
        groups: the group of each image; one image of each group counts, as in `eyebright.evaluation.promises`.
        independent: True if these images chose nothing; None: True for the part ``promise``.

    Raises:
        InputError: the promise is not one of accuracy, the target does not have one class per image, ``chosen_on`` has
            some of the same images, the number of groups differs from the number of images, or an output is NaN or
            infinite.
    """
    _check(evaluation, promise, chosen_on)
    answers = class_evidence(evaluation, groups=groups)
    sequences = even_sequences(1)
    if chosen_on is not None:
        others = class_evidence(chosen_on.with_decision(evaluation.decision))
        sequences = sequences_from(others, promise, n_units=answers.n_units, error=promise.error)
    tested = run_sequence_tests(answers, sequences, promise, error=promise.error)
    level, kept = float(tested.level[0]), bool(tested.kept[0])
    missing = missing_units(answers, even_sequences(1).thresholds, promise, error=level)[0]
    return SelectivePromise(
        promise,
        evaluation.part == "promise" if independent is None else independent,
        kept,
        threshold=float(tested.threshold[0]),
        total=int(tested.total[0]),
        right=int(tested.right[0]),
        counted=len(answers.labels[0]),
        bound=float(lower_bound(tested.right, tested.total, tested.level)[0]),
        level=level,
        faultless=fewest_faultless(promise.share, level),
        missing=None if kept else missing,
        chosen=chosen_on is not None,
        part=evaluation.part,
        n_images=len(evaluation),
        n_groups=None if groups is None else answers.n_units,
    )


def _check(evaluation: Evaluation, promise: Promise, chosen_on: Evaluation | None) -> None:
    target = evaluation.decision.target
    if promise.metric != "accuracy" or not target.can_abstain:
        raise InputError(
            f"accuracy is promised for one class per image, got a promise of {promise.words} and a "
            f"{type(target).__name__}"
        )
    same = set() if chosen_on is None else set(map(str, evaluation.paths)) & set(map(str, chosen_on.paths))
    if same:
        raise InputError(
            f"{len(same):,} images (such as '{min(same)}') choose the thresholds and test them: then there is no "
            "promise; leave them out of one of the two"
        )
