"""The answers that a promise is tested on: which of them count, and how many are right at a threshold.

A promise of a label is about the share of right answers among those that count:

| metric | answers that count | right |
|---|---|---|
| precision | yes answers | the image has the label |
| recall | those of images with the label | yes |
| false positive rate | those of images without the label | no |
| accuracy (of one class per image) | answered images | the class is right |

Each image is one independent draw. Images of one group (a person, a place, a series of photographs) are not independent
of each other: then one image of each group is drawn, by a fixed seed and before outputs and labels are looked at, and
the others do not count. An unknown target does not count either: this is valid if targets are unknown for reasons
unrelated to the image and the answer.

Axes: n images, k labels, t thresholds, m images that count for a label.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from eyebright.errors import InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.promise import PromiseMetric
from eyebright.metrics.labels import split_targets
from eyebright.tasks.columns import is_missing

_SEED = 20221107  # for drawing one image from each group


@dataclass(frozen=True, eq=False)
class LabelAnswers:
    """The answers for one label of the images that count.

    Args:
        scores: the probabilities, in increasing order, float32.
        positive: True where the image has the label, in the same order.
    """

    scores: Float[np.ndarray, " m"]
    positive: Bool[np.ndarray, " m"]

    def __len__(self) -> int:
        return len(self.scores)

    def counts(
        self, metric: PromiseMetric, thresholds: Float[np.ndarray, " t"]
    ) -> tuple[Int[np.ndarray, " t"], Int[np.ndarray, " t"]]:
        """(right, total) of the answers that count at each threshold; an answer is yes strictly above its threshold.

        Args:
            metric: decides which answers count.
            thresholds: float32.
        """
        positives, negatives = self.scores[self.positive], self.scores[~self.positive]
        true_yes = len(positives) - np.searchsorted(positives, thresholds, side="right")
        false_yes = len(negatives) - np.searchsorted(negatives, thresholds, side="right")
        if metric in ("precision", "accuracy"):
            return true_yes, true_yes + false_yes
        if metric == "recall":
            return true_yes, np.full_like(true_yes, len(positives))
        return len(negatives) - false_yes, np.full_like(false_yes, len(negatives))


@dataclass(frozen=True, eq=False)
class Evidence:
    """The answers of a set of images for some of the labels.

    Args:
        labels: the answers for each label.
        n_units: the number of images, or of groups where they are known.
    """

    labels: tuple[LabelAnswers, ...]
    n_units: int


def evidence(evaluation: Evaluation, columns: Sequence[int], *, groups: Sequence[Hashable] | None = None) -> Evidence:
    """The answers that count.

    Args:
        evaluation: an evaluation with any number of labels per image.
        columns: the indices of the labels.
        groups: the group of each image; None: each image is a group. An image without a group is a group of its own.

    Raises:
        InputError: the number of groups differs from the number of images, or an output is NaN or infinite.
    """
    probabilities = evaluation.activated
    positive, known = (cells.numpy() for cells in split_targets(evaluation.targets, probabilities))
    scores = probabilities.detach().cpu().float().numpy()
    codes = _group_codes(groups, len(evaluation))
    labels: list[LabelAnswers] = []
    for column in columns:
        rows = _drawn(known[:, column], codes)
        rows = rows[np.argsort(scores[rows, column], kind="stable")]
        labels.append(LabelAnswers(scores[rows, column], positive[rows, column]))
    return Evidence(tuple(labels), len(evaluation) if codes is None else int(codes.max()) + 1)


def class_evidence(evaluation: Evaluation, *, groups: Sequence[Hashable] | None = None) -> Evidence:
    """The answers of a model with one class per image, as those for one label: whether the predicted class is right.

    Args:
        evaluation: an evaluation with one class per image.
        groups: as in `evidence`.

    Raises:
        InputError: as in `evidence`.
    """
    probabilities = evaluation.activated
    predicted = evaluation.decision.target.predicted(probabilities)
    known = (evaluation.targets >= 0).numpy()
    scores = probabilities.gather(1, predicted[:, None])[:, 0].float().numpy()
    codes = _group_codes(groups, len(evaluation))
    rows = _drawn(known, codes)
    rows = rows[np.argsort(scores[rows], kind="stable")]
    right = (predicted == evaluation.targets).numpy()
    answers = LabelAnswers(scores[rows], right[rows])
    return Evidence((answers,), len(evaluation) if codes is None else int(codes.max()) + 1)


def one_image_of_each_group(evaluation: Evaluation, groups: Sequence[Hashable] | None) -> Evaluation:
    """The images that count: those with a known target, and of each group one of them, drawn as for promises.

    Args:
        evaluation: an evaluation with any number of labels or one class per image.
        groups: as in `evidence`.

    Raises:
        InputError: the number of groups differs from the number of images.
    """
    codes = _group_codes(groups, len(evaluation))
    if codes is None:
        return evaluation
    targets = evaluation.targets.reshape(len(evaluation), -1).double()
    known = ~targets.isnan().all(dim=1) & ~(targets < 0).all(dim=1)
    return evaluation.take(np.sort(_drawn(known.numpy(), codes)).tolist())


def _drawn(known: Bool[np.ndarray, " n"], codes: Int[np.ndarray, " n"] | None) -> Int[np.ndarray, " m"]:
    """The images that count: with a known target, and of each group only the first in a random order."""
    if codes is None:
        return np.flatnonzero(known)
    order = np.random.default_rng(_SEED).permutation(len(known))
    drawn = order[known[order]]
    return drawn[np.unique(codes[drawn], return_index=True)[1]]


def _group_codes(groups: Sequence[Hashable] | None, n_images: int) -> Int[np.ndarray, " n"] | None:
    """The groups as integers from 0 up; None if each image is a group."""
    if groups is None:
        return None
    if len(groups) != n_images:
        raise InputError(f"a promise needs the group of each image: got {len(groups)} groups for {n_images} images")
    codes: dict[Hashable, int] = {}
    return np.array([codes.setdefault(_key(i, group), len(codes)) for i, group in enumerate(groups)])


def _key(row: int, group: Hashable) -> Hashable:
    return ("image", row) if is_missing(group) else ("group", group)
