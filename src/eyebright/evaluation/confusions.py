"""Labels that are predicted instead of a missed label, or wrongly in addition to a correctly predicted one.

With several labels per image, predicting two labels for one image is not a confusion: it may show a dog and a cat. So
only images that do not have the other label can confuse anything with it. For labels A and B, among the images that are
known not to have B:

- **instead**: the image has A, A is not predicted, and B is predicted;
- **beside**: the image has A, A is predicted, and B is predicted too.

B is also predicted wrongly for reasons unrelated to A. If both were independent, B would be as frequent on these images
as on all images where A is known, so the count is compared with this expectation. Its p-value is that of Fisher's exact
test (one-sided: the hypergeometric distribution; Fisher, 1935, Journal of the Royal Statistical Society 98:39),
corrected for the number of pairs that could have a count (Holm).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from eyebright._defaults import CONFIDENCE
from eyebright.errors import InputError
from eyebright.evaluation.binomial import lower_bound, upper_bound
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.slices import holm
from eyebright.metrics.labels import split_targets

Relation = Literal["instead", "beside"]


@dataclass(frozen=True, slots=True)
class LabelConfusion:
    """A label and another label that is predicted wrongly on images where the first is missed or found.

    Args:
        relation: ``"instead"``: the label is missed; ``"beside"``: it is found.
        label: the label that the images have.
        other: the label that is predicted for images that do not have it.
        count: the number of images on which this happens.
        images: the number of images on which it could happen: the label is missed (or found), the other is known to be
            absent.
        expected: the count if both labels were independent.
        low: the lower end of the 95 % interval of ``count / images`` (Clopper and Pearson).
        high: the upper end.
        p_value: the p-value of "no more than expected", corrected for the number of pairs.
    """

    relation: Relation
    label: str
    other: str
    count: int
    images: int
    expected: float
    low: float
    high: float
    p_value: float

    @property
    def share(self) -> float:
        """``count / images``."""
        return self.count / self.images


def label_confusions(evaluation: Evaluation, relation: Relation, *, limit: int | None = None) -> list[LabelConfusion]:
    """The confusions of a multi-label model, the lowest p-value first, then the greatest count beyond the expectation.

    Args:
        evaluation: the model's outputs; a probability between two thresholds counts as no.
        relation: see `LabelConfusion`.
        limit: the maximum number that is returned; None for all with a count.

    Raises:
        DataError: an output is NaN or infinite.
        InputError: the model does not predict several labels.
    """
    target = evaluation.decision.target
    if not target.has_thresholds:
        raise InputError(
            f"label confusions need a target with several labels per image; a {type(target).__name__} has a confusion "
            f"matrix"
        )
    decisions = evaluation.decision.decide(evaluation.activated)
    return confusions_of(decisions, evaluation.targets, target.output_names, relation=relation, limit=limit)


def confusions_of(
    decisions: Bool[Tensor, "n k"],
    targets: Shaped[Tensor, "n k"],
    names: Sequence[str],
    *,
    relation: Relation,
    limit: int | None = None,
) -> list[LabelConfusion]:
    """The labels that are predicted instead of, or beside, others, as `label_confusions` finds them, from decisions.

    Args:
        decisions: True where a label is predicted.
        targets: 1 where the image has the label, 0 where not, NaN where unknown: the cell is ignored.
        names: the names of the labels.
        relation: see `LabelConfusion`.
        limit: the maximum number that is returned; None for all with a count.

    Raises:
        InputError: the shapes differ, or a target is not 0, 1 or NaN.
    """
    counts = _count_pairs(decisions, targets, relation)
    rows, columns = np.nonzero(counts.both)
    both, images, extra, total = (table[rows, columns] for table in counts)
    expected = images * extra / total
    # Pairs without a count have the p-value 1, but belong to the number of tests.
    without = int(((counts.images > 0) & (counts.extra > 0)).sum()) - len(rows)
    p_values = np.array(holm([*hypergeometric_tail(both, images, extra, total).tolist(), *[1.0] * without]))[
        : len(rows)
    ]
    order = np.lexsort((expected - both, p_values))[:limit]
    both, images = both[order], images[order]
    low, high = _interval(both, images)
    return [
        LabelConfusion(
            relation,
            names[int(rows[at])],
            names[int(columns[at])],
            int(both[i]),
            int(images[i]),
            float(expected[at]),
            float(low[i]),
            float(high[i]),
            float(p_values[at]),
        )
        for i, at in enumerate(order)
    ]


class _Counts(NamedTuple):
    """For each label (row) and other label (column), numbers of images that are known not to have the other label.

    Args:
        both: the label is missed (or found), and the other is predicted.
        images: the label is missed (or found).
        extra: the other is predicted, and the label is known.
        total: the label is known.
    """

    both: Int[np.ndarray, "k k"]
    images: Int[np.ndarray, "k k"]
    extra: Int[np.ndarray, "k k"]
    total: Int[np.ndarray, "k k"]


def _count_pairs(decisions: Bool[Tensor, "n k"], targets: Shaped[Tensor, "n k"], relation: Relation) -> _Counts:
    positive, known = split_targets(targets, decisions)
    predicted = decisions.cpu().bool()
    label = (positive & known & (predicted if relation == "beside" else ~predicted)).float()
    absent = known & ~positive
    extra, absent, known = (absent & predicted).float(), absent.float(), known.float()
    # Products of 0 and 1: sums are exact in float32 up to 16 million images.
    both, images, of_extra, total = (
        (left.T @ right).round().long().fill_diagonal_(0).numpy()
        for left, right in ((label, extra), (label, absent), (known, extra), (known, absent))
    )
    return _Counts(both, images, of_extra, total)


def hypergeometric_tail(
    both: Int[np.ndarray, " p"],
    first: Int[np.ndarray, " p"],
    second: Int[np.ndarray, " p"],
    total: Int[np.ndarray, " p"],
) -> Float[np.ndarray, " p"]:
    """P(X >= both), where X of ``first`` images are among ``second`` that were drawn from ``total``.

    Args:
        both: counts, at most as many as are possible.
        first: numbers of images of one kind.
        second: numbers of images of the other kind.
        total: numbers of all images.
    """
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, int(total.max(initial=0)) + 1)))])  # of factorials

    def choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
        return logs[n] - logs[k] - logs[n - k]

    low = np.maximum(both, np.maximum(first + second - total, 0))
    term = np.exp(choose(first, low) + choose(total - first, second - low) - choose(total, second))
    tail, count, most = term.copy(), low.copy(), np.minimum(first, second)
    while bool((going := (count < most) & (term > 1e-18 * tail)).any()):
        j = count[going]
        n, k, all_of = first[going], second[going], total[going]
        term[going] *= (n - j) * (k - j) / ((j + 1) * (all_of - n - k + j + 1))
        tail[going] += term[going]
        count[going] += 1
    return np.minimum(tail, 1.0)


def _interval(
    both: Int[np.ndarray, " p"], images: Int[np.ndarray, " p"]
) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, " p"]]:
    """The two-sided interval of Clopper and Pearson."""
    error = (1 - CONFIDENCE) / 2
    return lower_bound(both, images, error), upper_bound(both, images, error)
