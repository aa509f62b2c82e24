"""Tunes the thresholds of an evaluation for an objective, and estimates the score on new images.

The score on the images that chose the thresholds is *optimistic*. The *honest* score is cross-fitted: each image is
decided by thresholds that were tuned on the images of other folds, in the same way, and groups of images (of one
patient, one video) are never divided between folds.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from eyebright._defaults import FOLDS, THRESHOLD_METRIC
from eyebright.errors import InputError, count_text
from eyebright.evaluation.calibrate import cross_fitted_probabilities
from eyebright.evaluation.cross_fit import Groups, cross_fitted_decisions, group_codes, random_folds
from eyebright.evaluation.decide import check_has_thresholds
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.threshold_evidence import Pull
from eyebright.evaluation.threshold_objectives import Objective, TopK, parsed_objective
from eyebright.evaluation.threshold_problem import problem_of
from eyebright.evaluation.thresholds import best_thresholds
from eyebright.metrics.labels import split_targets
from eyebright.metrics.meter import Metric
from eyebright.types import Thresholds
from eyebright.web.text import number_text


@dataclass(frozen=True, slots=True)
class TunedScore:
    """One metric of tuned thresholds.

    Args:
        name: the metric's name.
        title: its name for people.
        higher_is_better: False for errors.
        before: its value at the current thresholds of the evaluation.
        optimistic: its value on the images that the thresholds were tuned on.
        honest: the value to expect on new images, cross-fitted; NaN if there are too few images.
    """

    name: str
    title: str
    higher_is_better: bool
    before: float
    optimistic: float
    honest: float

    def __str__(self) -> str:
        honest = number_text(self.honest) if not math.isnan(self.honest) else "unknown"
        return (
            f"{self.title}: {honest} to expect on new images, {number_text(self.optimistic)} on the images that chose "
            f"the thresholds, {number_text(self.before)} with the thresholds before (which these images may have "
            "chosen)"
        )


@dataclass(frozen=True, slots=True)
class PulledLabel:
    """A label with little evidence, whose threshold was pulled towards the common one.

    Args:
        label: the name of the label.
        positives: the number of images that have it.
        negatives: the number of images that are known not to have it.
        own: the best threshold on its own images; None if no image has it.
        common: the threshold that it was pulled to.
        threshold: the result.
        weight: the weight of its own threshold (of the logits), in [0, 1).
    """

    label: str
    positives: int
    negatives: int
    own: float | None
    common: float
    threshold: float
    weight: float

    def __str__(self) -> str:
        if self.own is None:
            return f"'{self.label}' gets the common threshold {self.common:.3f}, because no image has it"
        few, kind = min((self.positives, "with"), (self.negatives, "known to be without"))
        return (
            f"'{self.label}' gets {self.threshold:.3f}, between its own {self.own:.3f} (weight {self.weight:.0%}) and "
            f"the common {self.common:.3f}, because there are only {count_text(few, 'image')} {kind} it"
        )


@dataclass(frozen=True, slots=True)
class Tuned:
    """Tuned thresholds, with the scores to expect of them.

    Args:
        objective: the text of the objective.
        thresholds: the thresholds.
        scores: first the metric that was optimised; with a budget also the false alarms per 1,000 images, with a number
            of labels also the labels per image.
        pulled: the labels with little evidence.
        images: the number of images with a known label.
        folds: the number of folds of the honest scores; 0 if there are too few images.
        grouped: whether folds keep groups of images together.
        notes: additional remarks, as sentences.
    """

    objective: str
    thresholds: Thresholds
    scores: tuple[TunedScore, ...]
    pulled: tuple[PulledLabel, ...]
    images: int
    folds: int
    grouped: bool
    notes: tuple[str, ...]

    @property
    def score(self) -> TunedScore:
        """The score of the metric that was optimised."""
        return self.scores[0]

    def to_json(self) -> dict[str, Any]:
        """All fields as plain values; NaN as None."""
        values = self.thresholds.values
        plain = {name: getattr(self, name) for name in ("objective", "images", "folds", "grouped")}
        return {
            **plain,
            "thresholds": list(values) if isinstance(values, tuple) else values,
            "scores": [_without_nan(asdict(score)) for score in self.scores],
            "pulled": [asdict(label) for label in self.pulled],
            "notes": list(self.notes),
        }


def tune(
    evaluation: Evaluation,
    objective: Objective = THRESHOLD_METRIC,
    *,
    per_class: bool = True,
    groups: Groups | None = None,
    folds: int = FOLDS,
    seed: int = 0,
) -> Tuned:
    """Tunes thresholds on an evaluation of images that the model was not trained on.

    Thresholds of labels with little evidence are pulled towards the common one, see
    `eyebright.evaluation.threshold_evidence`.

    Args:
        evaluation: the outputs; its calibration is applied first.
        objective: the text of a metric (as in `eyebright.evaluation.thresholds.tune_thresholds`), ``"cost fn=5,fp=1"``,
            ``"budget 100/1000"`` or ``"top_k 3"``; or `Costs`, `Budget`, `TopK`.
        per_class: True for one threshold per class; False for one threshold for all.
        groups: the group of each image; images of one group are never divided between folds.
        folds: the number of folds of the honest scores.
        seed: seed of the split into folds.

    Raises:
        InputError: an unknown objective, no image has any label, or the target has no thresholds.
        DataError: an output is NaN or infinite.
    """
    parsed = parsed_objective(objective)
    check_has_thresholds(evaluation.decision)
    problem = partial(problem_of, objective=parsed, names=evaluation.decision.target.output_names)
    if bool(evaluation.targets.isnan().all()):
        raise InputError("thresholds cannot be tuned: no target of these images is known")
    kept = split_targets(evaluation.targets, evaluation.activated)[1].any(dim=1) | isinstance(parsed, TopK)
    probabilities, target = evaluation.activated[kept], evaluation.targets[kept]
    codes = None if groups is None else group_codes(groups, len(evaluation))[kept.numpy()]
    whole = problem(probabilities, target)
    thresholds, pulls = best_thresholds(whole, per_class=per_class, pull=True)

    def fit(rows: Bool[Tensor, " n"]) -> Thresholds:
        return best_thresholds(problem(probabilities[rows], target[rows]), per_class=per_class, pull=True)[0]

    fold = random_folds(len(target), folds, groups=codes, seed=seed)
    honest = _cross_fitted(_calibrated_by_others(evaluation, groups)[kept], fold, fit)
    decided = (evaluation.decision.decide(probabilities), thresholds.decide(probabilities), honest)
    return Tuned(
        str(parsed),
        evaluation.decision.with_thresholds(thresholds).thresholds,
        tuple(_score(metric, target, *decided) for metric in whole.metrics),
        tuple(_pulled(pull, evaluation.decision.target.output_names) for pull in pulls),
        images=len(target),
        folds=0 if honest is None else len(set(fold.tolist())),
        grouped=groups is not None,
        notes=(_ONE_FOR_ALL,) * (per_class and isinstance(parsed, TopK)) + (_NO_HONEST_SCORE,) * (honest is None),
    )


_ONE_FOR_ALL = (
    "one threshold for all labels: with calibrated probabilities no other thresholds give more right labels for "
    "as many labels per image"
)
_NO_HONEST_SCORE = "there are too few images with a label to tune on some and score on others"


def _calibrated_by_others(evaluation: Evaluation, groups: Groups | None) -> Float[Tensor, "n k"]:
    """The probabilities of each image, by a calibration of the decision's kind that was not fitted to the image."""
    kind = evaluation.decision.calibration.kind
    if kind == "none":
        return evaluation.activated
    return cross_fitted_probabilities(evaluation, kind=kind, groups=groups)  # type: ignore[arg-type]


def _cross_fitted(
    probabilities: Float[Tensor, "n k"], fold: Int[np.ndarray, " n"], fit: Callable[[Tensor], Thresholds]
) -> Bool[Tensor, "n k"] | None:
    """The decisions by the thresholds of other folds; None if there is one fold, or the others have no label."""
    if len(set(fold.tolist())) < 2:
        return None
    try:
        return cross_fitted_decisions(probabilities, fold, fit)
    except InputError:
        return None


def _score(
    metric: Metric,
    target: Shaped[Tensor, "n k"],
    before: Bool[Tensor, "n k"],
    after: Bool[Tensor, "n k"],
    honest: Bool[Tensor, "n k"] | None,
) -> TunedScore:
    return TunedScore(
        metric.name,
        metric.display_name,
        metric.higher_is_better,
        before=metric(before, target),
        optimistic=metric(after, target),
        honest=math.nan if honest is None else metric(honest, target),
    )


def _pulled(pull: Pull, names: Sequence[str]) -> PulledLabel:
    return PulledLabel(
        names[pull.label],
        pull.positives,
        pull.negatives,
        own=pull.own,
        common=pull.common,
        threshold=pull.threshold,
        weight=pull.weight,
    )


def _without_nan(values: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in values.items()}
