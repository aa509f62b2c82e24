"""Thresholds that optimise a metric, costs or a budget: one for all classes, or one per class.

The algorithms are in `eyebright.evaluation.threshold_problem` (one threshold) and
`eyebright.evaluation.threshold_search` (one per class). All are exact except metrics that are means over images with
one threshold per class.

Unknown targets (NaN) are masked, as in `eyebright.metrics.labels`. A class without positives does not determine its
threshold and gets the best single threshold of all classes, or 0.5 if that one would predict it for most images.

`eyebright.evaluation.tune.tune` does the same for an evaluation and estimates the score on new images.
"""

from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from eyebright._defaults import FOLDS, THRESHOLD_METRIC
from eyebright.errors import InputError
from eyebright.evaluation.cross_fit import cross_fitted_decisions, random_folds
from eyebright.evaluation.cuts import Array
from eyebright.evaluation.threshold_evidence import Pull, common_thresholds, pull_towards
from eyebright.evaluation.threshold_objectives import Objective, TopK, parsed_objective
from eyebright.evaluation.threshold_problem import Problem, best_single, problem_of
from eyebright.evaluation.threshold_search import best_per_class
from eyebright.metrics.labels import split_targets
from eyebright.types import Thresholds


def tune_thresholds(
    probabilities: Float[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    *,
    metric: Objective = THRESHOLD_METRIC,
    per_class: bool = True,
) -> Thresholds:
    """The thresholds with the best metric on these images, each in the middle of its plateau.

    Tune on images that the model was not trained on. The metric on the *same* images at the tuned thresholds is
    optimistic, especially for classes with few positives; `cross_fitted_score` returns an unbiased score.

    Args:
        probabilities: the probabilities, in [0, 1].
        target: 1 where the image has the label, 0 where not, NaN where unknown.
        metric: ``"f1_macro"``, ``"f1_micro"``, ``"f1_samples"`` (or ``"f2_macro"``, ``"f0.5_micro"``, ... with any
            beta), ``"hamming_loss"``, ``"accuracy_multi"`` or ``"subset_accuracy"``; `Costs`, `Budget` or `TopK`. F1
            leads to lower thresholds than accuracies. ``"f1_samples"`` does not penalise labels on images without any
            label; choose another metric if there are such images.
        per_class: True for one threshold per class; False for one threshold for all, which `TopK` always is.

    Raises:
        InputError: an unknown metric, probabilities outside [0, 1], shapes that differ, or no image has any label.
    """
    objective = parsed_objective(metric)
    return best_thresholds(problem_of(probabilities, target, objective), per_class=per_class)[0]


def best_thresholds(
    problem: Problem, *, per_class: bool = True, pull: bool = False
) -> tuple[Thresholds, tuple[Pull, ...]]:
    """The best thresholds of a problem, and which of them were pulled towards the common one.

    Args:
        problem: the probabilities, the targets and the objective.
        per_class: True for one threshold per class; False for one threshold for all.
        pull: whether thresholds of classes with little evidence are pulled, see `pull_towards`; they are then not
            optimal for these images.

    Raises:
        InputError: no image has any label.
    """
    if not problem.tunable_classes and not isinstance(problem.objective, TopK):
        raise InputError("thresholds cannot be tuned: none of these images has a label")
    single, name = best_single(problem), str(problem.objective)
    if not per_class or isinstance(problem.objective, TopK):
        return Thresholds(single, metric=name), ()
    # Classes without positives keep the common threshold, and their predictions still count.
    common = common_thresholds(problem, single)
    values: Array = best_per_class(problem, common, problem.tunable_classes)
    pulls: list[Pull] = []
    if pull:
        values, pulls = pull_towards(problem, common, values)
    return Thresholds(tuple(values.tolist()), metric=name), tuple(pulls)


def cross_fitted_score(
    probabilities: Float[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    *,
    metric: Objective = THRESHOLD_METRIC,
    per_class: bool = True,
    folds: int = FOLDS,
    seed: int = 0,
) -> float:
    """The score to expect of tuned thresholds on new images, by cross-fitting.

    The images are split into folds at random. The thresholds for a fold are tuned on the other folds, and the metric
    is computed once, over the decisions on all images.

    Args:
        probabilities: the probabilities, in [0, 1].
        target: 1 where the image has the label, 0 where not, NaN where unknown; images without any known label are
            ignored.
        metric: as in `tune_thresholds`. The score of costs is the mean cost of an image; the score of a budget or a
            number of labels is micro recall.
        per_class: as in `tune_thresholds`.
        folds: number of folds, at most one per image.
        seed: seed of the split into folds.

    Raises:
        InputError: as in `tune_thresholds`; or fewer than two images or folds.
    """
    objective = parsed_objective(metric)
    known = split_targets(target, probabilities)[1].any(dim=1)
    probabilities, target = probabilities.detach().cpu()[known], target.cpu()[known]
    if min(folds, len(probabilities)) < 2:
        raise InputError(f"a cross-fitted score needs two images and two folds, got {len(probabilities)} and {folds}")

    def fit(rows: Bool[Tensor, " n"]) -> Thresholds:
        return best_thresholds(problem_of(probabilities[rows], target[rows], objective), per_class=per_class)[0]

    decisions = cross_fitted_decisions(probabilities, random_folds(len(probabilities), folds, seed=seed), fit)
    return problem_of(probabilities, target, objective).metrics[0](decisions, target)
