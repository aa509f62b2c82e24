"""`keep_promise`: thresholds with a finite-sample guarantee, by fixed-sequence testing.

A *promise* is a bound on a metric, such as a precision of at least 0.9, and the confidence with which it holds.
"""

import os
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from eyebright.errors import InputError
from eyebright.evaluation.binomial import fewest_faultless, lower_bound
from eyebright.evaluation.decide import check_has_thresholds
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.promise import Promise
from eyebright.evaluation.promise_evidence import Evidence, evidence
from eyebright.evaluation.promise_needs import missing_units
from eyebright.evaluation.threshold_tests import (
    ThresholdResults,
    even_sequences,
    likely_thresholds,
    run_all_threshold_tests,
    run_label_tests,
    run_sequence_tests,
    sequences_from,
)
from eyebright.tasks.decision import Decision
from eyebright.types import Thresholds

PromiseMethod = Literal["even_chain", "chosen_chain", "every_threshold", "single", "holm"]
"""Which thresholds were tested, and how:

- ``even_chain``: evenly spaced thresholds in sequence, the significance level divided over two starting points.
- ``chosen_chain``: thresholds in sequence that were chosen, like the first one, on tuning images.
- ``every_threshold``: all numbers, from where the promise always holds to the first failure (recall, false positive
  rate).
- ``single``: one threshold for each label, chosen on other images.
- ``holm``: the same for all labels at once, by Holm's method.
"""


@dataclass(frozen=True, slots=True)
class LabelPromise:
    """The result of a promise for one label.

    Args:
        label: its name.
        kept: True if a threshold passed its test.
        threshold: the label is answered yes above it. If no threshold passed: the trivial one (1: never yes; for recall
            0: yes at every probability above 0), or the former one.
        former: True if ``threshold`` is the former one, for which nothing is promised.
        tested: the threshold that passed; if none did, the one that was nearest to passing.
        total: the number of answers that count at ``tested``: yes answers (precision), images with the label (recall),
            or images without it (false positive rate).
        right: how many of them are right.
        bound: the exact lower bound of precision or recall, or upper bound of the false positive rate, with the error
            ``level``.
        level: the error with which the threshold was tested.
        faultless: the number of answers, all right, that suffices at that level.
        missing: the approximate number of additional images, or groups, needed; None if the promise is kept, or if it
            cannot be estimated (see `eyebright.evaluation.promise_needs`).
    """

    label: str
    kept: bool
    threshold: float
    former: bool
    tested: float
    total: int
    right: int
    bound: float
    level: float
    faultless: int
    missing: int | None


@dataclass(frozen=True, slots=True)
class PromiseResult:
    """Thresholds that keep a promise, with their evidence; part of a saved model, and shown by the report.

    Args:
        promise: the requested promise.
        is_promise: True if the images were held out; otherwise the same arithmetic gives an estimate.
        labels: the result for each requested label.
        method: which thresholds were tested, and how.
        part: the part of the data that the images belong to.
        n_images: the number of images.
        n_groups: the number of groups, of which one image each counts; None if groups are not known.
    """

    promise: Promise
    is_promise: bool
    labels: tuple[LabelPromise, ...]
    method: PromiseMethod
    part: str
    n_images: int
    n_groups: int | None

    @property
    def n_kept(self) -> int:
        """The number of labels for which a threshold passed."""
        return sum(label.kept for label in self.labels)

    def decision(self, former: Decision) -> Decision:
        """The decision with the thresholds of these labels; other labels keep theirs.

        Args:
            former: the decision of the evaluation that the thresholds were computed from.

        Raises:
            LabelError: it lacks one of these labels.
        """
        values = former.thresholds.per_class(former.target.n_out).tolist()
        for label in self.labels:
            values[former.target.classes.index_of(label.label)] = label.threshold
        lower = former.thresholds.lower
        if lower is not None:
            lows = list(lower) if isinstance(lower, tuple) else [lower] * len(values)
            for label in self.labels:
                index = former.target.classes.index_of(label.label)
                lows[index] = values[index]  # a model never abstains on these labels
            lower = tuple(lows)
        return former.with_thresholds(Thresholds(tuple(values), metric=str(self.promise), lower=lower))

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return {**asdict(self), "promise": self.promise.to_json(), "labels": [asdict(label) for label in self.labels]}

    @staticmethod
    def from_json(data: dict[str, Any]) -> "PromiseResult":
        """The result that `to_json` described."""
        fields: dict[str, Any] = {
            **data,
            "promise": Promise.from_json(data["promise"]),
            "labels": tuple(LabelPromise(**label) for label in data["labels"]),
        }
        return PromiseResult(**fields)


def keep_promise(
    evaluation: Evaluation,
    promise: Promise,
    *,
    chosen_on: Evaluation | Thresholds | None = None,
    groups: Sequence[Hashable] | None = None,
    independent: bool | None = None,
    keep_former: bool = False,
) -> PromiseResult:
    """For each label, of the thresholds at which the promise holds, the one with the most positive predictions.

    For recall it is the one with the fewest.

    The probability that the bound is broken on new images of the same kind, at the threshold of a label (of any label
    if the promise is for all at once), is at most 1 - confidence, over the draw of these images. The thresholds to be
    tested and their order are fixed before these images are looked at. Unknown targets do not count, which assumes that
    they are unknown for reasons unrelated to the image.

    Args:
        evaluation: the evaluation on held-out images: neither the model nor its calibration was chosen by them.
        promise: the promise to keep.
        chosen_on: other images' evaluation by the same model (or by those of its folds), on which the thresholds to be
            tested are chosen, so that more promises can be kept; or the one threshold of each label that is to be
            tested, see `thresholds_to_test`. None: evenly spaced thresholds. Recall and false positive rate need
            no other images.
        groups: the group of each image (a person, a place, a series). One image of each group counts, drawn by a fixed
            seed; the promise is then about an image drawn in this way.
        independent: True if these images were held out, so that it is a promise; False if not, so that it is an
            estimate. None: True for the part ``promise``.
        keep_former: True: a label for which no threshold passed keeps its own, without a promise.

    Raises:
        InputError: the target has no thresholds, the label is unknown, an output is NaN or infinite, ``chosen_on`` has
            other labels or some of the same images, or the number of groups differs from the number of images; or
            ``evaluation`` has out-of-fold predictions, which are of other models, but is called independent.
    """
    return keep_promises(
        evaluation, [promise], chosen_on=chosen_on, groups=groups, independent=independent, keep_former=keep_former
    )[0]


def keep_promises(
    evaluation: Evaluation,
    promises: Sequence[Promise],
    *,
    chosen_on: Evaluation | Thresholds | None = None,
    groups: Sequence[Hashable] | None = None,
    independent: bool | None = None,
    keep_former: bool = False,
) -> list[PromiseResult]:
    """Several promises for the same labels, each as by `keep_promise`; the answers are sorted only once.

    Args:
        evaluation: as in `keep_promise`.
        promises: promises for the same labels; each holds with its own confidence, not all of them together.
        chosen_on: as in `keep_promise`.
        groups: as in `keep_promise`.
        independent: as in `keep_promise`.
        keep_former: as in `keep_promise`.

    Raises:
        InputError: as in `keep_promise`; or the promises are none, or for different labels.
    """
    if len({promise.label for promise in promises}) != 1:
        raise InputError("promises that are kept together are for the same labels")
    is_promise = _is_independent(evaluation, independent=independent)
    columns = _columns(evaluation, promises[0])
    answers = evidence(evaluation, columns, groups=groups)
    others: Evidence | Thresholds | None = None
    if isinstance(chosen_on, Thresholds):
        others = chosen_on
    elif chosen_on is not None and any(promise.metric == "precision" for promise in promises):
        _check_other(evaluation, chosen_on)
        others = evidence(chosen_on.with_decision(evaluation.decision), columns)
    n_groups = None if groups is None else answers.n_units

    def kept(promise: Promise) -> PromiseResult:
        tested, method = _test(evaluation, promise, answers, others)
        labels = _label_promises(evaluation, promise, answers, tested)
        labels = _with_former(evaluation, columns, labels) if keep_former else labels
        return PromiseResult(promise, is_promise, tuple(labels), method, evaluation.part, len(evaluation), n_groups)

    return [kept(promise) for promise in promises]


def _with_former(evaluation: Evaluation, columns: list[int], labels: list[LabelPromise]) -> list[LabelPromise]:
    """The labels; those without a promise keep their former threshold."""
    values = evaluation.decision.thresholds.per_class(evaluation.decision.target.n_out)[columns].tolist()
    return [
        label if label.kept else replace(label, threshold=value, former=True)
        for label, value in zip(labels, values, strict=True)
    ]


def thresholds_to_test(chosen_on: Evaluation, promise: Promise, *, n_images: int, power: float = 0.9) -> Thresholds:
    """One threshold for each label that will keep the promise with a probability of about ``power``.

    They are to be tested on other images: ``keep_promise(evaluation, promise, chosen_on=...)``. If a promise is for
    many labels at once, this keeps it for more of them than sequences of thresholds, because Holm's method is possible.

    Args:
        chosen_on: the evaluation on other images.
        promise: the promise to keep.
        n_images: the number of images, or groups, that the thresholds will be tested on.
        power: the probability, for each label, that its threshold passes.

    Raises:
        InputError: the target has no thresholds, the label is unknown, or an output is NaN or infinite.
    """
    columns = _columns(chosen_on, promise)
    others = evidence(chosen_on, columns)
    error = _error(promise, len(columns))
    values = chosen_on.decision.thresholds.per_class(chosen_on.decision.target.n_out).numpy()
    values[columns] = likely_thresholds(others, promise, n_units=n_images, error=error, power=power)
    return Thresholds(tuple(values.tolist()))


def _is_independent(evaluation: Evaluation, *, independent: bool | None) -> bool:
    if independent and evaluation.part == "out_of_fold":
        raise InputError(
            "out-of-fold predictions are from other models than the saved one, so they give only an estimate; a "
            "promise needs held-out images, predicted by the saved model"
        )
    return evaluation.part == "promise" if independent is None else independent


def _columns(evaluation: Evaluation, promise: Promise) -> list[int]:
    """The indices of the promise's labels."""
    check_has_thresholds(evaluation.decision)
    if promise.metric == "accuracy":
        raise InputError(
            "accuracy is promised for models with one label per image; for any number of labels promise precision, "
            "recall or fpr"
        )
    classes = evaluation.decision.target.classes
    return list(range(len(classes))) if promise.label is None else [classes.index_of(promise.label)]


def _error(promise: Promise, n_labels: int) -> float:
    """The error of the tests of one label; for all labels at once, divided by Bonferroni's inequality."""
    return promise.error / n_labels if promise.all_labels else promise.error


def _test(
    evaluation: Evaluation, promise: Promise, answers: Evidence, others: Evidence | Thresholds | None
) -> tuple[ThresholdResults, PromiseMethod]:
    columns = _columns(evaluation, promise)
    error = _error(promise, len(columns))
    if isinstance(others, Thresholds):
        values = others.per_class(evaluation.decision.target.n_out)[columns].float().numpy()
        method = "holm" if promise.all_labels else "single"
        return run_label_tests(answers, values, promise, all_labels=promise.all_labels), method
    if promise.metric != "precision":
        return run_all_threshold_tests(answers, promise, error=error), "every_threshold"
    if others is None:
        return run_sequence_tests(answers, even_sequences(len(columns)), promise, error=error), "even_chain"
    sequences = sequences_from(others, promise, n_units=answers.n_units, error=error)
    return run_sequence_tests(answers, sequences, promise, error=error), "chosen_chain"


def _check_other(evaluation: Evaluation, chosen_on: Evaluation) -> None:
    """Raises `InputError` unless these are other images with the same labels."""
    if chosen_on.decision.target.output_names != evaluation.decision.target.output_names:
        raise InputError("the images that choose the thresholds have other labels than those that test them")
    same = _paths(evaluation) & _paths(chosen_on)
    if same:
        raise InputError(
            f"{len(same):,} images (such as '{min(same)}') choose the thresholds and test them: then there is no "
            "promise; leave them out of one of the two"
        )


def _paths(evaluation: Evaluation) -> set[str]:
    return {os.path.join(evaluation.root, file) for file in evaluation.files}  # noqa: PTH118  # much faster than Path


def _label_promises(
    evaluation: Evaluation, promise: Promise, answers: Evidence, tested: ThresholdResults
) -> list[LabelPromise]:
    columns = _columns(evaluation, promise)
    names = evaluation.decision.target.output_names
    bounds = lower_bound(tested.right, tested.total, tested.level)
    bounds = 1 - bounds if promise.is_upper else bounds
    missing = missing_units(answers, even_sequences(len(columns)).thresholds, promise, error=float(tested.level.min()))
    trivial = 0.0 if promise.metric == "recall" else 1.0
    return [
        LabelPromise(
            names[column],
            kept=bool(tested.kept[i]),
            threshold=float(tested.threshold[i]) if tested.kept[i] else trivial,
            former=False,
            tested=float(tested.threshold[i]),
            total=int(tested.total[i]),
            right=int(tested.right[i]),
            bound=float(bounds[i]),
            level=float(tested.level[i]),
            faultless=fewest_faultless(promise.share, float(tested.level[i])),
            missing=None if tested.kept[i] else missing[i],
        )
        for i, column in enumerate(columns)
    ]
