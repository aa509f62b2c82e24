"""Three-way answers: yes, no, or *ask a person*, with two promises."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from eyebright.errors import InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.promise import Promise, PromiseMetric
from eyebright.evaluation.promises import PromiseResult, keep_promise, keep_promises
from eyebright.tasks.decision import Decision
from eyebright.types import Thresholds


@dataclass(frozen=True, slots=True)
class ThreeWay:
    """Two thresholds for each label: yes above the upper one, no up to the lower one, *ask a person* between.

    Each of the two promises holds with its own confidence; both of them hold with a confidence of at least their sum
    minus 1. Where no yes threshold passed, nothing is answered yes; where no no-threshold passed, nothing is answered
    no. Where the lower threshold would exceed the upper one, it is set to the upper one, and a person is never asked.

    Args:
        yes: the promise of the yes answers (precision or false positive rate).
        no: the promise of recall, which bounds how many images with the label are answered no.
    """

    yes: PromiseResult
    no: PromiseResult

    @property
    def upper(self) -> tuple[float, ...]:
        """The upper threshold of each of the labels."""
        return tuple(label.threshold for label in self.yes.labels)

    @property
    def lower(self) -> tuple[float, ...]:
        """The lower threshold of each of the labels, at most the upper one."""
        return tuple(label.threshold for label in self.no.labels)

    def thresholds(self, former: Decision) -> Thresholds:
        """The thresholds of all labels, upper and lower; labels without these promises keep their own.

        Args:
            former: the decision of the evaluation that the thresholds were computed from.

        Raises:
            LabelError: it lacks one of these labels.
        """
        upper = self.yes.decision(former).thresholds
        lows = former.thresholds.values if former.thresholds.lower is None else former.thresholds.lower
        lower = Thresholds(lows).per_class(former.target.n_out).tolist()
        for label, value in zip(self.no.labels, self.lower, strict=True):
            lower[former.target.classes.index_of(label.label)] = value
        return replace(upper, metric=f"{self.yes.promise} and {self.no.promise}", lower=tuple(lower))

    def to_json(self) -> dict[str, Any]:
        """Both results."""
        return {"yes": self.yes.to_json(), "no": self.no.to_json()}

    @staticmethod
    def from_json(data: dict[str, Any]) -> "ThreeWay":
        """The thresholds that `to_json` described."""
        return ThreeWay(PromiseResult.from_json(data["yes"]), PromiseResult.from_json(data["no"]))


def keep_two_promises(
    evaluation: Evaluation,
    yes: Promise,
    no: Promise,
    *,
    chosen_on: Evaluation | None = None,
    groups: Sequence[Hashable] | None = None,
    independent: bool | None = None,
) -> ThreeWay:
    """The thresholds of three-way answers.

    Args:
        evaluation: as in `keep_promise`.
        yes: a promise of precision or of the false positive rate, kept by the yes answers.
        no: a promise of recall for the same labels; an image about which a person is asked counts as found.
        chosen_on: as in `keep_promise`; used for precision.
        groups: as in `keep_promise`.
        independent: as in `keep_promise`.

    Raises:
        InputError: as in `keep_promise`; or the promises are not of these metrics, or for different labels.
    """
    if yes.metric == "recall" or no.metric != "recall":
        raise InputError(
            "three-way answers need a promise of precision or false positive rate for yes and one of recall for no, "
            f"got '{yes}' and '{no}'"
        )
    if yes.label != no.label:
        raise InputError(
            f"the two promises of three-way answers are for the same labels, got {yes.label} and {no.label}"
        )
    upper = keep_promise(evaluation, yes, chosen_on=chosen_on, groups=groups, independent=independent)
    return _three_way(upper, keep_promise(evaluation, no, groups=groups, independent=independent))


def _three_way(upper: PromiseResult, lower: PromiseResult) -> ThreeWay:
    both = zip(lower.labels, upper.labels, strict=True)
    # With a lower threshold more is found, so the promise of recall still holds.
    labels = tuple(replace(low, threshold=min(low.threshold, up.threshold)) for low, up in both)
    return ThreeWay(upper, replace(lower, labels=labels))


@dataclass(frozen=True, slots=True)
class AbstentionCurve:
    """The shares of images and answers for which a person is asked, for several bounds of one of two promises.

    Args:
        metric: the metric of the promise whose bound differs, see `PromiseMetric`.
        bounds: its bounds, the least demanding first; one of them is that of the requested promise.
        images: the share of images with at least one label about which a person is asked.
        answers: the share of answers (one for each image and label) about which a person is asked.
        kept: the share of labels for which both promises are kept.
    """

    metric: PromiseMetric
    bounds: tuple[float, ...]
    images: tuple[float, ...]
    answers: tuple[float, ...]
    kept: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """All fields; the metric is called ``promise``."""
        data = asdict(self)
        return {"promise": data.pop("metric"), **data}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "AbstentionCurve":
        """The curve that `to_json` described."""
        numbers = {name: tuple(map(float, data[name])) for name in ("bounds", "images", "answers", "kept")}
        return AbstentionCurve(metric=data["promise"], **numbers)


def abstention_curves(
    evaluation: Evaluation,
    yes: Promise,
    no: Promise,
    *,
    shares: Sequence[float] = (0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99),
    chosen_on: Evaluation | None = None,
    groups: Sequence[Hashable] | None = None,
) -> tuple[AbstentionCurve, AbstentionCurve]:
    """The abstention curve of each of two promises: the bound of one varies while the other is fixed.

    Args:
        evaluation: as in `keep_promise`; the shares are those of its images.
        yes: as in `keep_two_promises`.
        no: as in `keep_two_promises`.
        shares: promised shares of right answers, in addition to those of the two promises.
        chosen_on: as in `keep_promise`.
        groups: as in `keep_promise`.

    Raises:
        InputError: as in `keep_two_promises`.
    """
    fixed = keep_two_promises(evaluation, yes, no, chosen_on=chosen_on, groups=groups)

    def curve(
        promise: Promise, both_of: Callable[[PromiseResult], ThreeWay], others: Evaluation | None
    ) -> AbstentionCurve:
        promises = [_with_share(promise, share) for share in sorted({*shares, promise.share})]
        results = keep_promises(evaluation, promises, chosen_on=others, groups=groups)
        points = [_abstention(evaluation, both_of(result)) for result in results]
        return AbstentionCurve(
            promise.metric, tuple(kept_promise.bound for kept_promise in promises), *zip(*points, strict=True)
        )

    lower = keep_promise(evaluation, no, groups=groups)
    return (
        curve(yes, lambda result: _three_way(result, lower), chosen_on),
        curve(no, lambda result: _three_way(fixed.yes, result), None),
    )


def _with_share(promise: Promise, share: float) -> Promise:
    return replace(promise, bound=round(1 - share, 12) if promise.is_upper else share)


def _abstention(evaluation: Evaluation, both: ThreeWay) -> tuple[float, float, float]:
    """The shares of images and answers that ask a person, and of labels for which both promises are kept."""
    abstention = both.thresholds(evaluation.decision).abstains(evaluation.activated)
    kept = [yes.kept and no.kept for yes, no in zip(both.yes.labels, both.no.labels, strict=True)]
    return float(abstention.any(dim=1).double().mean()), float(abstention.double().mean()), float(np.mean(kept))
