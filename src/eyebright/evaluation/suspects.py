"""Ranks labels that are probably wrong, by the predictions of a model that was not trained on them.

A label, or a class, is scored by one minus the calibrated probability of the given value (self-confidence: Northcutt,
Jiang & Chuang, 2021, Confident Learning, Journal of Artificial Intelligence Research 70:1373, section 3.2). If wrong
labels are equally frequent everywhere, this is the order of the probability that a label is wrong, for wrong and for
missing labels together, provided that probabilities of different labels mean the same: so each label is calibrated on
the same answers, cross-fitted. Subtracting thresholds of each class, as confident learning also offers, or ranking
within each label finds far fewer wrong labels (``benchmarks/suspects.py``).

An ordered class is scored by how far it is in the tail of the predicted distribution, so that two classes off count
more than one. Points and numbers are scored by their distance from the prediction in robust standard deviations (the
modified z-score of Iglewicz & Hoaglin, 1993, How to Detect and Handle Outliers, section 3.3).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int

from eyebright.errors import InputError
from eyebright.evaluation.calibrate import cross_fitted_probabilities
from eyebright.evaluation.contradictions import copies
from eyebright.evaluation.evaluation import Evaluation
from eyebright.metrics.ordinal import median_class
from eyebright.tasks.task_type import TaskType
from eyebright.web.text import number_text

SuspectKind = Literal["wrong label", "missing label", "wrong class", "wrong point", "wrong number"]

MIN_SCORE: Mapping[TaskType, float] = {"labels": 0.5, "classes": 0.5, "points": 3.5, "numbers": 3.5}
"""Scores above this are suspicious: another value is more probable than the given one, or a robust outlier."""

_COPY_ODDS = 9.0
"""The factor of the odds of a wrong label if a copy has another label: even odds instead of one in ten."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A label, class, point or number of an image that is probably wrong.

    Args:
        row: the image's row in the evaluation.
        file: the image.
        kind: the kind of value.
        label: the label, point or number; for one class per image, the given class.
        given: the given value: ``"yes"``, ``"no"``, a class, a point or a number.
        predicted: what the model finds most probable.
        probability: the calibrated probability of what is given; NaN for points and numbers.
        predicted_probability: that of what is predicted.
        score: by which suspects are ranked. Labels and classes: the probability of anything but what is given, higher
            if a copy of the image has another label. Points and numbers: robust standard deviations.
        copies: copies of the image with another given value.
    """

    row: int
    file: str
    kind: SuspectKind
    label: str
    given: str
    predicted: str
    probability: float
    predicted_probability: float
    score: float
    copies: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class SuspectCells:
    """The scores of all cells: a row for each image, a column for each label, point or number.

    Args:
        scores: the scores; NaN where the target is unknown.
        suspect: creates a suspect from (row, column, score, names of the copies).
        contradicting: rows of the copies with another given value, by (row, column).
    """

    scores: Float[np.ndarray, "n c"]
    suspect: Callable[[int, int, float, tuple[str, ...]], Suspect]
    contradicting: Mapping[tuple[int, int], Sequence[int]]


def find_suspects(evaluation: Evaluation, *, limit: int | None = None) -> list[Suspect]:
    """Labels, classes, points or numbers that are probably wrong, the most suspicious first.

    Args:
        evaluation: the outputs of models for images that they were not trained on, preferably the out-of-fold
            predictions for all labelled images. Unknown targets are never suspicious.
        limit: the maximum number that is returned; None for all.

    Raises:
        DataError: an output is NaN or infinite.
        InputError: the limit is negative.
    """
    if limit is not None and limit < 0:
        raise InputError(f"`limit` is a number of suspects, 0 or more, got {limit}")
    task_type = evaluation.decision.target.task_type
    cells = suspect_cells(evaluation)
    width = cells.scores.shape[1]
    flat = cells.scores.reshape(-1)
    above = np.flatnonzero(flat > MIN_SCORE[task_type])  # NaN is not
    ranked = above[np.argsort(-flat[above], kind="stable")][:limit]
    files = evaluation.files
    suspects: list[Suspect] = []
    for row, column in (divmod(int(index), width) for index in ranked):
        others = tuple(files[other] for other in cells.contradicting.get((row, column), ()))
        suspects.append(cells.suspect(row, column, float(cells.scores[row, column]), others))
    return suspects


def suspect_cells(evaluation: Evaluation) -> SuspectCells:
    """The scores of all labels, classes, points or numbers of an evaluation, also of those that are not suspicious.

    Args:
        evaluation: as in `find_suspects`.

    Raises:
        DataError: an output is NaN or infinite.
    """
    evaluation.check_finite()
    return _CELLS_OF_TASK_TYPE[evaluation.decision.target.task_type](evaluation)


# ------------------------------------------------------------------ labels


def _label_cells(evaluation: Evaluation) -> SuspectCells:
    names = evaluation.decision.target.output_names
    targets = evaluation.targets.cpu().numpy()
    probabilities = cross_fitted_probabilities(evaluation, kind="platt").double().cpu().numpy()
    scores = np.where(targets == 1, 1 - probabilities, probabilities)
    scores[np.isnan(targets)] = np.nan
    pairs = copies(evaluation)
    at, column = np.nonzero(np.abs(targets[pairs[:, 0]] - targets[pairs[:, 1]]) == 1)  # NaN: not known to differ
    contradicting = _contradicting(pairs[at], column)
    scores = _with_copies(scores, contradicting)

    def suspect(row: int, column: int, score: float, others: tuple[str, ...]) -> Suspect:
        is_given = bool(targets[row, column] == 1)
        p = float(probabilities[row, column])
        of_given = p if is_given else 1 - p
        given, other = ("yes", "no") if is_given else ("no", "yes")
        return Suspect(
            row=row,
            file=evaluation.files[row],
            kind="wrong label" if is_given else "missing label",
            label=names[column],
            given=given,
            predicted=other if of_given < 0.5 else given,
            probability=of_given,
            predicted_probability=max(of_given, 1 - of_given),
            score=score,
            copies=others,
        )

    return SuspectCells(scores, suspect, contradicting)


# ------------------------------------------------------------------ classes


def _class_cells(evaluation: Evaluation) -> SuspectCells:
    target = evaluation.decision.target
    names = target.value_names
    targets = evaluation.targets.cpu().numpy().astype(np.int64)
    known = targets >= 0
    probabilities = cross_fitted_probabilities(evaluation, kind="temperature").double().cpu().numpy()
    of_given = np.take_along_axis(probabilities, np.where(known, targets, 0)[:, None], axis=1)[:, 0]
    predicted = probabilities.argmax(axis=1)
    if target.is_categorical:
        scores = 1 - of_given
        scores = np.where(predicted == targets, np.minimum(scores, MIN_SCORE["classes"]), scores)
    else:
        scores = _tail_scores(probabilities, np.where(known, targets, 0))
        predicted = median_class(torch.from_numpy(probabilities)).numpy()
    scores = np.where(known, scores, np.nan)[:, None]
    pairs = copies(evaluation)
    differ = known[pairs].all(axis=1) & (targets[pairs[:, 0]] != targets[pairs[:, 1]])
    contradicting = _contradicting(pairs[differ], np.zeros(int(differ.sum()), dtype=np.int64))
    scores = _with_copies(scores, contradicting)

    def suspect(row: int, column: int, score: float, others: tuple[str, ...]) -> Suspect:
        name, best = names[targets[row]], int(predicted[row])
        return Suspect(
            row=row,
            file=evaluation.files[row],
            kind="wrong class",
            label=name,
            given=name,
            predicted=names[best],
            probability=float(of_given[row]),
            predicted_probability=float(probabilities[row, best]),
            score=score,
            copies=others,
        )

    return SuspectCells(scores, suspect, contradicting)


def _tail_scores(probabilities: Float[np.ndarray, "n k"], given: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """1 - 2 times the smaller tail of the given ordered class, which includes itself; 0 at the median class."""
    up_to = np.take_along_axis(probabilities.cumsum(axis=1), given[:, None], axis=1)[:, 0]
    itself = np.take_along_axis(probabilities, given[:, None], axis=1)[:, 0]
    return np.clip(1 - 2 * np.minimum(up_to, 1 - up_to + itself), 0, 1)


# ------------------------------------------------------------------ copies


def _contradicting(pairs: Int[np.ndarray, "p 2"], columns: Int[np.ndarray, " p"]) -> dict[tuple[int, int], list[int]]:
    """For each (row, column), the rows of copies with another given value."""
    contradicting: dict[tuple[int, int], list[int]] = {}
    for (first, second), column in zip(pairs.tolist(), columns.tolist(), strict=True):
        contradicting.setdefault((first, column), []).append(second)
        contradicting.setdefault((second, column), []).append(first)
    return contradicting


def _with_copies(
    scores: Float[np.ndarray, "n c"], contradicting: Mapping[tuple[int, int], Sequence[int]]
) -> Float[np.ndarray, "n c"]:
    """The scores, with increased odds for contradicted labels: one of the copies' labels is certainly wrong."""
    raised = scores.copy()
    for cell in contradicting:
        odds = _COPY_ODDS * scores[cell] / max(1 - scores[cell], 1e-12)
        raised[cell] = odds / (1 + odds)
    return raised


# ------------------------------------------------------------------ points and numbers


def _point_cells(evaluation: Evaluation) -> SuspectCells:
    names = evaluation.decision.target.value_names
    targets = evaluation.targets.double().cpu().numpy()
    predicted = evaluation.activated.double().cpu().numpy().reshape(targets.shape)
    diagonals = np.hypot(*evaluation.sizes.double().cpu().numpy().T)[:, None, None]
    # Large images have large errors in pixels.
    deviations = _robust_deviations((targets - predicted) / diagonals)
    scores = np.sqrt(np.square(deviations).mean(axis=2))

    def suspect(row: int, column: int, score: float, _: tuple[str, ...]) -> Suspect:
        both = (targets[row, column], predicted[row, column])
        texts = [f"({', '.join(number_text(float(x)) for x in xy)})" for xy in both]
        return _value_suspect(evaluation, row, "wrong point", (names[column], texts[0], texts[1]), score)

    return SuspectCells(scores, suspect, {})


def _number_cells(evaluation: Evaluation) -> SuspectCells:
    names = evaluation.decision.target.value_names
    targets = evaluation.targets.double().cpu().numpy()
    predicted = evaluation.activated.double().cpu().numpy().reshape(targets.shape)
    scores = np.abs(_robust_deviations(targets - predicted))

    def suspect(row: int, column: int, score: float, _: tuple[str, ...]) -> Suspect:
        texts = [number_text(float(values[row, column])) for values in (targets, predicted)]
        return _value_suspect(evaluation, row, "wrong number", (names[column], texts[0], texts[1]), score)

    return SuspectCells(scores, suspect, {})


def _value_suspect(
    evaluation: Evaluation, row: int, kind: SuspectKind, texts: tuple[str, str, str], score: float
) -> Suspect:
    label, given, predicted = texts
    file = evaluation.files[row]
    return Suspect(row, file, kind, label, given, predicted, np.nan, np.nan, score)


def _robust_deviations(residuals: Float[np.ndarray, "n *c"]) -> Float[np.ndarray, "n *c"]:
    """The residuals of each column minus their median, in robust standard deviations; NaN stays.

    The deviation is 1.4826 times the median absolute one; where more than half are equal, 1.2533 times the mean one
    (Iglewicz & Hoaglin). Columns of equal residuals have deviations of 0.
    """
    columns = residuals.reshape(len(residuals), -1)
    deviations = np.full_like(columns, np.nan)
    for k in range(columns.shape[1]):
        known = ~np.isnan(columns[:, k])
        if not known.any():
            continue
        centered = columns[known, k] - np.median(columns[known, k])
        spread = 1.4826 * np.median(np.abs(centered)) or 1.2533 * np.abs(centered).mean()
        deviations[known, k] = centered / spread if spread > 0 else 0.0
    return deviations.reshape(residuals.shape)


_CELLS_OF_TASK_TYPE: Mapping[TaskType, Callable[[Evaluation], SuspectCells]] = {
    "labels": _label_cells,
    "classes": _class_cells,
    "points": _point_cells,
    "numbers": _number_cells,
}
