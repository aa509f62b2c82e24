"""What a model says instead of a label that it misses, and what it says too much beside one that it finds.

With several labels per image, two labels on one image are no confusion: a dog may stand beside a cat. So only images
that do not have the other label can confuse anything with it. For labels A and B, among the images that are known not
to have B:

- **instead**: A is there and is not predicted, and B is predicted;
- **beside**: A is there and predicted, and B is predicted too.

B is also predicted wrongly where A has nothing to do with it. If both were independent, B would be as frequent there as
on all images of which A is known, so the count beyond this expectation is what counts. Its p-value is that of Fisher's
exact test (one-sided: the hypergeometric distribution; Fisher, 1935, Journal of the Royal Statistical Society 98:39),
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
    """A label, and another that is predicted wrongly where it is missed or found.

    Args:
        relation: ``"instead"``: the label is missed; ``"beside"``: it is found.
        label: the label that the images have.
        other: the label that is predicted for images that do not have it.
        count: images on which this happens.
        images: images on which it could: the label is missed (or found), and they are known not to have the other.
        expected: the count if the other label had nothing to do with this one.
        low: the lower end of the 95 % interval of ``count / images`` (Clopper and Pearson).
        high: the upper end.
        p_value: of "no more than expected", corrected for the number of pairs.
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
        evaluation: its outputs; between two thresholds the answer counts as no.
        relation: see `LabelConfusion`.
        limit: the most that are returned; None for all with a count.

    Raises:
        DataError: an output is NaN or infinite.
        InputError: the model does not predict several labels.
    """
    target = evaluation.decision.target
    if not target.has_thresholds:
        raise InputError(
            f"labels are confused where an image may have several; a {type(target).__name__} has a confusion matrix"
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
        limit: the most that are returned; None for all with a count.

    Raises:
        InputError: the shapes differ, or a target is another number.
    """
    counts = _count_pairs(decisions, targets, relation)
    rows, columns = np.nonzero(counts.both)
    both, images, extra, total = (table[rows, columns] for table in counts)
    expected = images * extra / total
    # Pairs without a count have the p-value 1, but they could have had one.
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
    """For each label (row) and other label (column) numbers of images that are known not to have the other label.

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
        both: counts, not more than can be.
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
