"""What a sample does not show of a loss that rare mistakes dominate.

Where one image in fifty is wrong, most of a log loss is the loss of that image, and a sample of fifty has none of them
with a probability of 0.36: no resample of it can know what a mistake costs. Such a score is a mixture of many small
values and few large ones, as in auditing (Panel on Nonstandard Mixtures of Distributions, 1989, Statistical Science
4:2). As the bounds of auditors do, the upper end of the interval takes the share of images with a mistake at its own
upper limit, that of Wilson's interval, and each one beyond those of the sample at its cost: how much greater the loss
of images with a mistake is than that of the others, in the sample, or, if that is more, as the probabilities of the
model expect it. The former is too small where the sample has only light mistakes, the latter where the model is
overconfident.

A mistake is a label, or class, that is less probable than its opposite; of a ranking a label below one that the image
has not. Labels of an image are taken as independent of each other in what is expected.

Axes of tensors: n images, k labels or classes, b images of a block.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from eyebright._defaults import CONFIDENCE
from eyebright.evaluation.cross_fit import Groups, group_codes
from eyebright.evaluation.intervals import wilson
from eyebright.metrics.labels import decision_cells, split_targets
from eyebright.metrics.rankings import coverage_errors, ranking_losses

_MIN_PROBABILITY = 2.0**-23
"""None is taken as nearer to 0 or 1, as in the log loss."""
_MAX_BLOCK = 1_000_000  # cells at once: limits the memory


@dataclass(frozen=True, eq=False)
class ImageMistakes:
    """The mistakes of each image, and those that the probabilities of the model expect, float64.

    Args:
        known: how many summands of the mean the image has: known labels, or 1; 0 for an image that does not count.
        wrong: 1 for an image with a mistake, or more, and otherwise 0.
        loss: the sum of its losses, of which the score is the mean.
        none: the probability that the image has no mistake.
        expected: the expectation of the loss.
        without: the loss without a mistake.
        least: how much greater the loss with a mistake is at least, of an image or a group; where no probabilities
            tell what to expect, `none` is 1 and `expected` 0.
    """

    known: Float[Tensor, " n"]
    wrong: Float[Tensor, " n"]
    loss: Float[Tensor, " n"]
    none: Float[Tensor, " n"]
    expected: Float[Tensor, " n"]
    without: Float[Tensor, " n"]
    least: float = field(default=0.0, kw_only=True)


Mistakes = Callable[[Tensor, Tensor], ImageMistakes]
"""A function from the metric's input and the targets."""


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
        rows = (images.known, images.wrong, images.loss, images.none.log(), images.expected, images.without)
        of_units = torch.stack(rows, dim=1)
        if groups is not None:
            codes = torch.from_numpy(group_codes(groups, len(of_units)))
            of_units = of_units.new_zeros(int(codes.max()) + 1, len(rows)).index_add_(0, codes, of_units)
        known, wrong, loss, log_none, expected, without = of_units[of_units[:, 0] > 0].T
        is_wrong, none = wrong > 0, log_none.exp()
        of_wrong = _ratio(loss[is_wrong].sum(), is_wrong.sum())
        of_expected = _ratio((expected - none * without).sum(), (1 - none).sum())
        more = max(of_wrong, of_expected, images.least) - _ratio(loss[~is_wrong].sum(), (~is_wrong).sum())
        cost = _ratio(torch.tensor(max(more, 0.0) * len(known)), known.sum())
        return RareMistakes(int(is_wrong.sum()), len(known), cost)

    def unseen(self, *, level: float = CONFIDENCE) -> float:
        """How much greater the score would be with as many mistakes as the sample leaves possible.

        Raises:
            InputError: a level outside (0, 1).
        """
        share = wilson(self.wrong, self.units, level=level)
        return (share.high - self.wrong / self.units) * self.cost if self.units else 0.0


# ------------------------------------------------------------------------------- the mistakes of metrics


def mistakes_in_log_loss(probabilities: Float[Tensor, "n k"], target: Shaped[Tensor, "..."]) -> ImageMistakes:
    """Those of labels or classes whose probability is below that of their opposite.

    Args:
        probabilities: the probabilities, in [0, 1].
        target: labels or classes, as in `eyebright.metrics.calibration`.

    Raises:
        InputError: labels of another shape, or other numbers.
    """
    if target.ndim == 1:
        return _of_classes(probabilities, target, lambda p: -p.log())
    return _of_labels(probabilities, target, lambda p: -p.log())


def mistakes_in_brier_score(probabilities: Float[Tensor, "n k"], target: Shaped[Tensor, "..."]) -> ImageMistakes:
    """As `mistakes_in_log_loss`, of squared differences."""
    if target.ndim == 1:
        return _of_classes(probabilities, target, lambda p: p.square().sum(dim=1, keepdim=True) - 2 * p + 1)
    return _of_labels(probabilities, target, lambda p: (1 - p).square())


def mistakes_in_coverage(probabilities: Float[Tensor, "n k"], target: Shaped[Tensor, "n k"]) -> ImageMistakes:
    """Those of images with a label below one that they have not; the loss is how many such ones are above its last.

    Arguments and errors as in `mistakes_in_log_loss`.
    """
    reached, positives = coverage_errors(probabilities, target), (target == 1).sum(dim=1).cpu()
    none, above, _ = _expected_order(probabilities, target)
    loss = (reached - positives).nan_to_num(0)
    return ImageMistakes((~reached.isnan()).double(), (loss > 0).double(), loss, none, above, torch.zeros_like(loss))


def mistakes_in_ranking_loss(probabilities: Float[Tensor, "n k"], target: Shaped[Tensor, "n k"]) -> ImageMistakes:
    """Those of images with a label below one that they have not; the loss is the share of such pairs.

    Arguments and errors as in `mistakes_in_log_loss`.
    """
    losses = ranking_losses(probabilities, target)
    known, loss = (~losses.isnan()).double(), losses.nan_to_num(0)
    none, _, pairs = _expected_order(probabilities, target)
    return ImageMistakes(known, (loss > 0).double(), loss, none, pairs, torch.zeros_like(loss))


def false_alarms(decided: Bool[Tensor, "n k"], target: Shaped[Tensor, "n k"]) -> ImageMistakes:
    """Labels that are predicted wrongly, in 1,000 images; an image that has any has one at least.

    Raises:
        InputError: the shapes differ, or a target is another number.
    """
    hits, predicted, _, known = decision_cells(decided, target)
    counted, alarms = known.any(dim=1).double(), (predicted & ~hits).sum(dim=1).double()
    nothing, surely = torch.zeros_like(alarms), torch.ones_like(alarms)
    return ImageMistakes(counted, alarms.clamp_max(1), 1000 * alarms, surely, nothing, nothing, least=1000.0)


def unusual_counts(decided: Bool[Tensor, "n k"], target: Shaped[Tensor, "n k"], *, sign: int) -> ImageMistakes:
    """Numbers of predicted labels that are greater (or smaller, for a sign of -1) than the most frequent number.

    An image with another number has one label more or less at least.
    """
    counts = decided.cpu().sum(dim=1).double()
    usual = counts.mode().values
    more = (sign * (counts - usual)).clamp_min(0)
    one, nothing = torch.ones_like(more), torch.zeros_like(more)
    is_possible = bool(usual < decided.shape[1] if sign > 0 else usual > 0)
    return ImageMistakes(one, more.clamp_max(1), more, one, nothing, nothing, least=float(is_possible))


# ------------------------------------------------------------------------------- private


def _of_classes(probabilities: Tensor, target: Tensor, loss_of: Callable[[Tensor], Tensor]) -> ImageMistakes:
    """Of one class per image, from a function that gives the loss of each class if it is the right one."""
    classes = target.detach().cpu().long()
    rows = max(_MAX_BLOCK // max(probabilities.shape[1], 1), 1)
    blocks = zip(probabilities.detach().cpu().split(rows), classes.split(rows), strict=True)
    return ImageMistakes(*torch.cat([_classes_of_block(*block, loss_of) for block in blocks], dim=1))


def _classes_of_block(
    probabilities: Float[Tensor, "b k"], classes: Int[Tensor, " b"], loss_of: Callable[[Tensor], Tensor]
) -> Float[Tensor, "6 b"]:
    p = probabilities.double().clamp(_MIN_PROBABILITY, 1 - _MIN_PROBABILITY)
    known, losses = classes >= 0, loss_of(p)
    top = p.argmax(dim=1, keepdim=True)
    loss, without = (losses.gather(1, at)[:, 0] for at in (classes.clamp_min(0)[:, None], top))
    rows = [known, top[:, 0] != classes, loss, p.gather(1, top)[:, 0], (p * losses).sum(dim=1), without]
    of_unknown = torch.tensor([0, 0, 0, 1, 0, 0], dtype=torch.float64)[:, None]  # without a class, without a mistake
    return torch.stack([row.double() for row in rows]).where(known, of_unknown)


def _of_labels(probabilities: Tensor, target: Tensor, loss_of: Callable[[Tensor], Tensor]) -> ImageMistakes:
    """Of any number of labels, from a function that gives the loss of an answer by its probability."""
    blocks = _blocks(probabilities, target)
    return ImageMistakes(*torch.cat([_labels_of_block(*block, loss_of) for block in blocks], dim=1))


def _labels_of_block(
    p: Float[Tensor, "b k"],
    positive: Bool[Tensor, "b k"],
    known: Bool[Tensor, "b k"],
    loss_of: Callable[[Tensor], Tensor],
) -> Float[Tensor, "6 b"]:
    right, less = torch.where(positive, p, 1 - p), torch.minimum(p, 1 - p)

    def summed(cells: Tensor) -> Tensor:
        return torch.where(known, cells, 0).sum(dim=1, dtype=torch.float64)

    wrong = (known & (right < 0.5)).any(dim=1)
    expected = summed(less * loss_of(less) + (1 - less) * loss_of(1 - less))
    none, without = summed(torch.log1p(-less)).exp(), summed(loss_of(1 - less))
    return torch.stack([known.sum(dim=1), wrong, summed(loss_of(right)), none, expected, without])


def _expected_order(probabilities: Tensor, target: Tensor) -> Float[Tensor, "3 n"]:
    """What the probabilities expect of the order of each image's labels, if they are independent.

    The probability that no label is below one that the image has not, how many such ones are above its last label, and
    the share of its pairs in the wrong order (the expected pairs in the wrong order, divided by all expected pairs).
    """
    parts = [_order_of_block(p, known) for p, _, known in _blocks(probabilities, target)]
    return torch.cat(parts, dim=1)


def _order_of_block(p: Float[Tensor, "b k"], known: Bool[Tensor, "b k"]) -> Float[Tensor, "3 b"]:
    ranked, order = torch.where(known, p, -1.0).sort(dim=1, descending=True)
    is_known = known.gather(1, order)
    yes, no = torch.where(is_known, ranked, 0.0), torch.where(is_known, 1 - ranked, 0.0)
    below = torch.cat([(1 - yes)[:, 1:].flip(1).cumprod(1).flip(1), yes.new_ones(len(yes), 1)], dim=1)
    none, above = (1 - yes).prod(dim=1), no.cumsum(1) - no
    in_order = (yes.cumprod(1) * below).sum(dim=1) + none
    labels = yes.sum(dim=1)
    pairs = is_known.sum(dim=1) * labels - labels.square() - (yes * no).sum(dim=1)
    wrong_pairs = (yes * above).sum(dim=1)
    share = torch.where(pairs > 0, (1 - none) * wrong_pairs / pairs, 0.0)
    return torch.stack([in_order.clamp(0, 1), (yes * below * above).sum(dim=1), share])


def _blocks(probabilities: Tensor, target: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """(probabilities, which labels they have, which are known) of some images at a time."""
    positive, known = split_targets(target, probabilities)
    rows = max(_MAX_BLOCK // max(probabilities.shape[1], 1), 1)
    blocks = (matrix.split(rows) for matrix in (probabilities.detach().cpu(), positive, known))
    for p, yes, is_known in zip(*blocks, strict=True):
        yield p.double().clamp(_MIN_PROBABILITY, 1 - _MIN_PROBABILITY), yes, is_known


def _ratio(total: Tensor, count: Tensor | int) -> float:
    return float(total) / float(count) if count else 0.0
