"""The error of each image as one interpretable number, for every kind of target."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from eyebright.evaluation.evaluation import Evaluation
from eyebright.metrics.ordinal import median_class
from eyebright.tasks.task_type import TaskType


class ImageErrors(NamedTuple):
    """The error of each image.

    Args:
        values: the errors; greater is worse; NaN for images without known targets.
        name: the name of the error, for a table: ``"wrong labels per image"``.
    """

    values: Float[np.ndarray, " n"]
    name: str


def image_errors(evaluation: Evaluation) -> ImageErrors:
    """The error of each image: wrong labels, a wrong class, the mean error of points or of numbers.

    Args:
        evaluation: the outputs; unknown targets are ignored, and a label about which a person is asked is not wrong.

    Raises:
        DataError: an output is NaN or infinite.
    """
    evaluation.check_finite()
    return _ERRORS_OF_TASK_TYPE[evaluation.decision.target.task_type](evaluation)


def _label_errors(evaluation: Evaluation) -> ImageErrors:
    thresholds, activated = evaluation.decision.thresholds, evaluation.activated
    targets = evaluation.targets.cpu()
    known = ~targets.isnan()
    wrong = (thresholds.decide(activated).cpu() != (targets == 1)) & known & ~thresholds.abstains(activated).cpu()
    values = wrong.sum(dim=1).double().numpy()
    values[~known.any(dim=1).numpy()] = np.nan
    return ImageErrors(values, "wrong labels per image")


def _class_errors(evaluation: Evaluation) -> ImageErrors:
    probabilities = evaluation.activated.double().cpu().numpy()
    given = evaluation.targets.cpu().numpy().astype(np.int64)
    is_ordered = not evaluation.decision.target.is_categorical
    predicted = median_class(evaluation.activated.cpu()).numpy() if is_ordered else probabilities.argmax(axis=1)
    wrong = np.abs(predicted - given) if is_ordered else predicted != given
    values = np.where(given >= 0, wrong.astype(np.float64), np.nan)
    return ImageErrors(values, "classes off" if is_ordered else "share of wrong classes")


def _point_errors(evaluation: Evaluation) -> ImageErrors:
    targets = evaluation.targets.double().cpu().numpy()
    predicted = evaluation.activated.double().cpu().numpy().reshape(targets.shape)
    distances = np.sqrt(np.square(predicted - targets).sum(axis=2))
    diagonals = np.hypot(*evaluation.sizes.double().cpu().numpy().T)
    return ImageErrors(100 * _mean_of_known(distances) / diagonals, "error in % of the diagonal")


def _number_errors(evaluation: Evaluation) -> ImageErrors:
    targets = evaluation.targets.double().cpu().numpy()
    predicted = evaluation.activated.double().cpu().numpy().reshape(targets.shape)
    errors = np.abs(predicted - targets).reshape(len(targets), -1)
    if errors.shape[1] == 1:
        return ImageErrors(errors[:, 0], "absolute error")
    scale = np.array([_mean(column) for column in errors.T])  # numbers may have different units
    return ImageErrors(_mean_of_known(errors / np.where(scale > 0, scale, 1)), "error, 1 is that of all images")


def _mean_of_known(values: Float[np.ndarray, "n c"]) -> Float[np.ndarray, " n"]:
    known = ~np.isnan(values)
    counts = known.sum(axis=1)
    sums = np.where(known, values, 0).sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _mean(values: Float[np.ndarray, " n"]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan


_ERRORS_OF_TASK_TYPE: Mapping[TaskType, Callable[[Evaluation], ImageErrors]] = {
    "labels": _label_errors,
    "classes": _class_errors,
    "points": _point_errors,
    "numbers": _number_errors,
}
