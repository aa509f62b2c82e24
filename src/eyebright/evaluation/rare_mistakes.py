"""What a sample does not show of a loss that rare mistakes dominate.

Where one image in fifty is wrong, most of a log loss is the loss of that image, and a sample of fifty has none of them
with a probability of 0.36: no resample of it can know what a mistake costs. Such a score is a mixture of many small
values and few large ones, as in auditing (Panel on Nonstandard Mixtures of Distributions, 1989, Statistical Science
4:2). As the bounds of auditors do, the upper end of the interval assumes that as many images are wrong as Wilson's
upper limit of their share allows. Each mistake beyond those of the sample costs the difference between the mean loss of
wrong and of right images: as it was observed, or as the probabilities of the model expect it, whichever is greater. The
former is too small where the sample has only light mistakes, the latter where the model is overconfident.

A mistake is a label, or class, that is less probable than its opposite; for a ranking, a negative label above a
positive one. Expectations take the labels of an image as independent of each other.

Axes of tensors: n images, k labels or classes, b images of a block.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Protocol

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from eyebright._defaults import CONFIDENCE
from eyebright.evaluation.cross_fit import Groups, group_codes
from eyebright.evaluation.intervals import wilson
from eyebright.metrics.labels import split_targets

_MIN_PROBABILITY = 2.0**-23
"""None is taken as nearer to 0 or 1, as in the log loss."""
_MAX_BLOCK = 1_000_000  # cells at once: limits the memory


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageMistakes:
    """The mistakes of each image, and those that the probabilities of the model expect, float64.

    Args:
        n_summands: how many summands of the mean the image has: known labels, or 1; 0 for an image that does not count.
        has_mistake: 1 for an image with one or more mistakes, otherwise 0.
        loss: the sum of its losses, of which the score is the mean.
        p_no_mistake: the probability that the image has no mistake; 1 where no probabilities tell what to expect.
        expected_loss: the expectation of the loss; 0 where no probabilities tell what to expect.
        loss_if_right: the loss without a mistake.
        min_mistake_loss: the least loss of an image, or group of images, with a mistake.
    """

    n_summands: Float[Tensor, " n"]
    has_mistake: Float[Tensor, " n"]
    loss: Float[Tensor, " n"]
    p_no_mistake: Float[Tensor, " n"]
    expected_loss: Float[Tensor, " n"]
    loss_if_right: Float[Tensor, " n"]
    min_mistake_loss: float = 0.0


class Mistakes(Protocol):
    """A function that finds the mistakes of each image.

    Args:
        given: the metric's input.
        target: the targets.
        summands: the sum of the losses of each image and its number of summands, see
            `eyebright.evaluation.metric_sums`; with another model the difference of the sums.
        other: the input of another model, whose losses are subtracted; a mistake is then one that the other model does
            not make, or makes at less cost.
    """

    def __call__(
        self,
        given: Shaped[Tensor, "n k"],
        target: Shaped[Tensor, "n ..."],
        summands: Float[Tensor, "n 2"],
        other: Shaped[Tensor, "n k"] | None = None,
        /,
    ) -> ImageMistakes:
        """The mistakes."""
        ...


@dataclass(frozen=True, slots=True)
class RareMistakes:
    """The mistakes of a sample.

    Args:
        wrong: the images, or groups of them, with a mistake.
        units: the images, or groups, that count.
        cost: how much greater the score would be if all had one than if none had.
    """

    wrong: int
    units: int
    cost: float

    @staticmethod
    def of(images: ImageMistakes, groups: Groups | None = None) -> "RareMistakes":
        """The mistakes of all images.

        Args:
            images: the mistakes of each.
            groups: the group of each image, which counts once.

        Raises:
            InputError: there is not one group for each image.
        """
        # Sums over a group: logarithms, since its images have no mistake with the product of their probabilities.
        rows = (
            images.n_summands,
            images.has_mistake,
            images.loss,
            images.p_no_mistake.log(),
            images.expected_loss,
            images.loss_if_right,
        )
        units = torch.stack(rows, dim=1)
        if groups is not None:
            codes = torch.from_numpy(group_codes(groups, len(units)))
            units = units.new_zeros(int(codes.max()) + 1, len(rows)).index_add_(0, codes, units)
        n_summands, mistakes, loss, log_p_no_mistake, expected_loss, loss_if_right = units[units[:, 0] > 0].T
        is_wrong, p_no_mistake = mistakes > 0, log_p_no_mistake.exp()
        observed = _ratio(loss[is_wrong].sum(), is_wrong.sum())
        expected = _ratio((expected_loss - p_no_mistake * loss_if_right).sum(), (1 - p_no_mistake).sum())
        of_right = _ratio(loss[~is_wrong].sum(), (~is_wrong).sum())
        difference = max(observed, expected, images.min_mistake_loss) - of_right
        cost = _ratio(torch.tensor(max(difference, 0.0) * len(n_summands)), n_summands.sum())
        return RareMistakes(int(is_wrong.sum()), len(n_summands), cost)

    def unseen(self, *, level: float = CONFIDENCE) -> float:
        """How much greater the score would be with as many mistakes as the sample leaves possible.

        Raises:
            InputError: a level outside (0, 1).
        """
        share = wilson(self.wrong, self.units, level=level)
        return (share.high - self.wrong / self.units) * self.cost if self.units else 0.0


# ------------------------------------------------------------------------------- the mistakes of metrics


def mistakes_in_log_loss(
    probabilities: Float[Tensor, "n k"],
    target: Shaped[Tensor, "..."],
    losses: Float[Tensor, "n 2"],
    other: Float[Tensor, "n k"] | None = None,
) -> ImageMistakes:
    """Those of labels or classes whose probability is below that of their opposite.

    Args:
        probabilities: the probabilities, in [0, 1].
        target: labels or classes, as in `eyebright.metrics.calibration`.
        losses: the sum of the losses of each image and its number of summands, as in `Mistakes`.
        other: the probabilities of another model, as in `Mistakes`.

    Raises:
        InputError: labels of another shape, or other numbers.
    """
    if target.ndim == 1:
        return _class_mistakes(probabilities, target, losses, other, loss_of=lambda p: -p.log())
    return _label_mistakes(probabilities, target, losses, other, loss_of=lambda p: -p.log())


def mistakes_in_brier_score(
    probabilities: Float[Tensor, "n k"],
    target: Shaped[Tensor, "..."],
    losses: Float[Tensor, "n 2"],
    other: Float[Tensor, "n k"] | None = None,
) -> ImageMistakes:
    """As `mistakes_in_log_loss`, of squared differences."""
    if target.ndim == 1:
        return _class_mistakes(probabilities, target, losses, other, loss_of=_brier_scores_of_classes)
    return _label_mistakes(probabilities, target, losses, other, loss_of=lambda p: (1 - p).square())


def mistakes_in_coverage(
    probabilities: Float[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    reached: Float[Tensor, "n 2"],
    other: Float[Tensor, "n k"] | None = None,
) -> ImageMistakes:
    """Those of images with a negative label above a positive one; the loss is the number of such negative labels.

    Arguments and errors as in `mistakes_in_log_loss`.
    """
    loss, counted = reached.double().unbind(1)
    if other is None:
        loss = loss - (target == 1).sum(dim=1).cpu() * counted
    in_order, above, _ = _expected_order(probabilities, target)
    if other is not None:
        above = above - _expected_order(probabilities, target, by=other)[1]
    return _ranking_mistakes(counted, loss, in_order, above)


def mistakes_in_ranking_loss(
    probabilities: Float[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    losses: Float[Tensor, "n 2"],
    other: Float[Tensor, "n k"] | None = None,
) -> ImageMistakes:
    """Those of images with a negative label above a positive one; the loss is the share of such pairs.

    Arguments and errors as in `mistakes_in_log_loss`.
    """
    loss, counted = losses.double().unbind(1)
    in_order, _, pairs = _expected_order(probabilities, target)
    if other is not None:
        pairs = pairs - _expected_order(probabilities, target, by=other)[2]
    return _ranking_mistakes(counted, loss, in_order, pairs)


def false_alarms(
    decided: Bool[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    alarms: Float[Tensor, "n 2"],
    other: Bool[Tensor, "n k"] | None = None,
) -> ImageMistakes:
    """Labels that are predicted wrongly, in 1,000 images; an image that has any has one at least.

    Arguments as in `Mistakes`.
    """
    wrong, counted = alarms.double().unbind(1)
    is_possible = other is None or not torch.equal(decided, other)
    return _unexpected_mistakes(counted, 1000 * wrong, 1000.0 * is_possible)


def unusual_counts(
    decided: Bool[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    counts: Float[Tensor, "n 2"],
    other: Bool[Tensor, "n k"] | None = None,
    *,
    sign: int,
) -> ImageMistakes:
    """Numbers of predicted labels that are greater (or smaller, for a sign of -1) than the most frequent number.

    An image with another number has one label more or less at least. Arguments as in `Mistakes`.
    """
    numbers, counted = counts.double().unbind(1)
    usual = numbers.mode().values
    more = (sign * (numbers - usual)).clamp_min(0)
    fewest = 0 if other is None else -decided.shape[1]
    is_possible = bool(usual < decided.shape[1] if sign > 0 else usual > fewest)
    if other is not None:
        is_possible &= not torch.equal(decided, other)
    return _unexpected_mistakes(counted, more, float(is_possible))


# ------------------------------------------------------------------------------- private


def _ranking_mistakes(counted: Tensor, loss: Tensor, in_order: Tensor, expected_loss: Tensor) -> ImageMistakes:
    """The mistakes in rankings, whose loss is 0 without one."""
    return ImageMistakes(
        n_summands=counted,
        has_mistake=(loss > 0).double(),
        loss=loss,
        p_no_mistake=in_order,
        expected_loss=expected_loss,
        loss_if_right=torch.zeros_like(loss),
    )


def _unexpected_mistakes(counted: Tensor, loss: Tensor, min_mistake_loss: float) -> ImageMistakes:
    """The mistakes in decisions, of which no probabilities tell what to expect; their loss is 0 without one."""
    return ImageMistakes(
        n_summands=counted,
        has_mistake=(loss > 0).double(),
        loss=loss,
        p_no_mistake=torch.ones_like(loss),
        expected_loss=torch.zeros_like(loss),
        loss_if_right=torch.zeros_like(loss),
        min_mistake_loss=min_mistake_loss,
    )


def _brier_scores_of_classes(p: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
    """The loss of each class if it is the right one."""
    return p.square().sum(dim=1, keepdim=True) - 2 * p + 1


def _class_mistakes(
    probabilities: Tensor, target: Tensor, losses: Tensor, other: Tensor | None, *, loss_of: Callable[[Tensor], Tensor]
) -> ImageMistakes:
    """The mistakes with one class per image, by a function that gives the loss of each class if it is right."""
    loss, known = losses.double().unbind(1)
    blocks = _in_blocks(probabilities, other, target.detach().long())
    rows = torch.cat([_classes_of_block(p, q, classes, loss_of) for p, q, classes in blocks], dim=1)
    of_unknown = torch.tensor([0, 1, 0, 0], dtype=torch.float64)[:, None]  # without a class, without a mistake
    return _image_mistakes(rows.where(known > 0, of_unknown), loss, known, differ=other is not None)


def _classes_of_block(
    p: Float[Tensor, "b k"], q: Float[Tensor, "b k"] | None, classes: Int[Tensor, " b"], loss_of: Callable[..., Tensor]
) -> Float[Tensor, "4 b"]:
    """For each image of `ImageMistakes`: has_mistake, p_no_mistake, expected_loss, loss_if_right."""
    losses = loss_of(p) if q is None else loss_of(p) - loss_of(q)
    top = p.argmax(dim=1, keepdim=True)
    p_no_mistake, loss_if_right = (rows.gather(1, top)[:, 0] for rows in (p, losses))
    return torch.stack([(top[:, 0] != classes).double(), p_no_mistake, (p * losses).sum(dim=1), loss_if_right])


def _label_mistakes(
    probabilities: Tensor, target: Tensor, losses: Tensor, other: Tensor | None, *, loss_of: Callable[[Tensor], Tensor]
) -> ImageMistakes:
    """The mistakes with any number of labels, from a function that gives the loss of an answer by its probability."""
    loss, known = losses.double().unbind(1)
    blocks = _in_blocks(probabilities, other, *split_targets(target, probabilities))
    rows = torch.cat([_labels_of_block(p, q, positive, there, loss_of) for p, q, positive, there in blocks], dim=1)
    return _image_mistakes(rows, loss, known, differ=other is not None)


def _labels_of_block(
    p: Float[Tensor, "b k"],
    q: Float[Tensor, "b k"] | None,
    positive: Bool[Tensor, "b k"],
    known: Bool[Tensor, "b k"],
    loss_of: Callable[[Tensor], Tensor],
) -> Float[Tensor, "4 b"]:
    """As `_classes_of_block`."""
    p_true, p_wrong = torch.where(positive, p, 1 - p), torch.minimum(p, 1 - p)
    loss_if_wrong, loss_if_right = loss_of(p_wrong), loss_of(1 - p_wrong)
    if q is not None:
        q_wrong = torch.where(p < 0.5, q, 1 - q)  # the other model's probability of the same answer
        loss_if_wrong, loss_if_right = loss_if_wrong - loss_of(q_wrong), loss_if_right - loss_of(1 - q_wrong)

    def summed(cells: Tensor) -> Tensor:
        return torch.where(known, cells, 0).sum(dim=1, dtype=torch.float64)

    has_mistake, p_no_mistake = (known & (p_true < 0.5)).any(dim=1), summed(torch.log1p(-p_wrong)).exp()
    expected_loss = summed(p_wrong * loss_if_wrong + (1 - p_wrong) * loss_if_right)
    return torch.stack([has_mistake.double(), p_no_mistake, expected_loss, summed(loss_if_right)])


def _image_mistakes(
    rows: Float[Tensor, "4 n"], loss: Float[Tensor, " n"], known: Float[Tensor, " n"], *, differ: bool
) -> ImageMistakes:
    """The mistakes from the rows of all blocks; those of differences have a greater loss than the other model."""
    has_mistake, p_no_mistake, expected_loss, loss_if_right = rows
    return ImageMistakes(
        n_summands=known,
        has_mistake=has_mistake * (loss > 0) if differ else has_mistake,
        loss=loss,
        p_no_mistake=p_no_mistake,
        expected_loss=expected_loss,
        loss_if_right=loss_if_right,
    )


def _expected_order(probabilities: Tensor, target: Tensor, *, by: Tensor | None = None) -> Float[Tensor, "3 n"]:
    """What the probabilities expect of the order of each image's labels, if they are independent.

    The probability that no negative label is above a positive one, the number of negative labels above its last
    positive one, and the share of pairs in the wrong order (the expected pairs in the wrong order, divided by all
    expected pairs, times the probability that the image has a label).

    Args:
        probabilities: of the labels.
        target: which of them are known.
        by: the numbers that give the order; None: the probabilities.
    """
    blocks = _in_blocks(probabilities, by, split_targets(target, probabilities)[1])
    return torch.cat([_order_of_block(*block) for block in blocks], dim=1)


def _order_of_block(
    p: Float[Tensor, "b k"], by: Float[Tensor, "b k"] | None, known: Bool[Tensor, "b k"]
) -> Float[Tensor, "3 b"]:
    order = torch.where(known, p if by is None else by, -1.0).argsort(dim=1, descending=True)
    ranked, is_known = p.gather(1, order), known.gather(1, order)
    yes, no = torch.where(is_known, ranked, 0.0), torch.where(is_known, 1 - ranked, 0.0)
    below = torch.cat([(1 - yes)[:, 1:].flip(1).cumprod(1).flip(1), yes.new_ones(len(yes), 1)], dim=1)
    p_no_label, above = (1 - yes).prod(dim=1), no.cumsum(1) - no
    in_order = (yes.cumprod(1) * below).sum(dim=1) + p_no_label
    labels = yes.sum(dim=1)
    pairs = is_known.sum(dim=1) * labels - labels.square() - (yes * no).sum(dim=1)
    wrong_pairs = (yes * above).sum(dim=1)
    share = torch.where(pairs > 0, (1 - p_no_label) * wrong_pairs / pairs, 0.0)
    return torch.stack([in_order.clamp(0, 1), (yes * below * above).sum(dim=1), share])


def _in_blocks(probabilities: Tensor, other: Tensor | None, *arrays: Tensor) -> Iterator[tuple[Any, ...]]:
    """The probabilities of both models, the second None without another model, and other arrays, some images a time."""
    rows = max(_MAX_BLOCK // max(probabilities.shape[1], 1), 1)
    first = map(_clamped, probabilities.detach().cpu().split(rows))
    second = repeat(None) if other is None else map(_clamped, other.detach().cpu().split(rows))
    return zip(first, second, *(array.cpu().split(rows) for array in arrays), strict=False)


def _clamped(probabilities: Tensor) -> Float[Tensor, "b k"]:
    return probabilities.double().clamp(_MIN_PROBABILITY, 1 - _MIN_PROBABILITY)


def _ratio(total: Tensor, count: Tensor | int) -> float:
    return float(total) / float(count) if count else 0.0
