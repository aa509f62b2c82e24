"""One threshold for all labels that bounds a mean over images: conformal risk control.

The bound holds for an *expectation*, over new images and over the draw of the images that it was computed from
(Angelopoulos, Bates, Fisch, Lei & Schuster, 2022, arXiv 2208.02814): on average over many such draws, the mean is at
most the bound. A single draw may be above it. `keep_promise` gives a bound that holds with a stated probability, for
each label.

Axes: n images, k labels, e events (probabilities at which the loss of an image changes).
"""

from dataclasses import dataclass
from math import ceil
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float

from eyebright.errors import InputError, check_choice, short_repr
from eyebright.evaluation.binomial import upper_tail
from eyebright.evaluation.decide import check_has_thresholds
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.threshold_tests import midpoint
from eyebright.metrics.labels import split_targets

Risk = Literal["wrong_answers", "missed_labels"]
"""The risk of an image, averaged over the images:

- ``wrong_answers``: the share of an image's yes answers that are wrong; 0 where nothing is answered yes. Made monotone:
  the greatest share at this threshold or above it.
- ``missed_labels``: the share of an image's labels that are answered no, over the images that have any: with the
  others counted as 0, many of them would keep any bound without a single yes.
"""

_BLOCK_SIZE = 1_000_000  # answers whose losses are computed at once, which limits the memory
_WORDS = {
    "wrong_answers": "share of wrong yes answers per image",
    "missed_labels": "share of missed labels of an image that has any",
}


@dataclass(frozen=True, slots=True)
class ControlledRisk:
    """One threshold for all labels at which the expected mean over images is bounded.

    Args:
        risk: the averaged risk.
        bound: the bound of its expectation.
        threshold: a label is answered yes above it.
        attained: False if there are too few images, so that the threshold is the trivial one (1: never yes; 0: always).
        mean: the mean over these images at the threshold, made monotone; NaN if not attained.
        n_images: the number of images that count: with a known target, or for ``missed_labels`` with a label.
    """

    risk: Risk
    bound: float
    threshold: float
    attained: bool
    mean: float
    n_images: int

    @property
    def sentence(self) -> str:
        """The bounded risk, the threshold and the result, as a sentence."""
        words = f"{_WORDS[self.risk]} at most {self.bound:g} in expectation (conformal risk control, not a probability)"
        if not self.attained:
            needed = ceil(1 / self.bound - 1e-9) - 1
            return f"no threshold bounds the {words}: at least {needed:,} are needed, got {self._counted}"
        return f"yes above {self.threshold:.4g}: {words}; {self.mean:.3f} on these {self._counted}"

    @property
    def _counted(self) -> str:
        kind = "images with labels" if self.risk == "missed_labels" else "images"
        return f"{self.n_images:,} {kind}"

    def to_json(self) -> dict[str, Any]:
        """All fields; null for a mean that is not attained."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {**fields, "mean": self.mean if self.attained else None}

    @staticmethod
    def from_json(data: dict[str, Any]) -> "ControlledRisk":
        """The value that `to_json` described."""
        fields: dict[str, Any] = {**data, "mean": float("nan") if data["mean"] is None else data["mean"]}
        return ControlledRisk(**fields)


def control_risk(evaluation: Evaluation, risk: Risk, bound: float) -> ControlledRisk:
    """The one threshold for all labels with the most useful answers whose expected risk is at most ``bound``.

    Args:
        evaluation: the evaluation on held-out images, by which nothing was chosen; unknown targets do not count.
        risk: the averaged risk.
        bound: the bound of its expectation, in (0, 1).

    Raises:
        InputError: the target has no thresholds, an unknown risk, a bound outside (0, 1), or an output that is not
            finite.
    """
    check_choice("risk", risk, get_args(Risk))
    if not 0 < bound < 1:
        raise InputError(f"the bound of a risk must be between 0 and 1 (not included), got {short_repr(bound)}")
    check_has_thresholds(evaluation.decision)
    losses = image_losses(evaluation, risk)
    allowed = bound * (losses.n_images + 1) - 1
    if not losses.n_images or not losses.can_reach(allowed):
        trivial = 1.0 if risk == "wrong_answers" else 0.0
        return ControlledRisk(risk, bound, trivial, attained=False, mean=float("nan"), n_images=losses.n_images)
    threshold, total = losses.last_threshold(allowed)
    return ControlledRisk(risk, bound, threshold, attained=True, mean=total / losses.n_images, n_images=losses.n_images)


@dataclass(frozen=True, eq=False)
class ImageLosses:
    """The sum over images of a loss that grows with each event on the way from the trivial threshold.

    Args:
        levels: the distinct probabilities of the events, in the order in which the threshold meets them.
        sums: the sum of the losses after each of them.
        scores: all probabilities of known targets, in increasing order.
        downwards: True if the threshold goes down, so that an event is at every threshold below its probability.
        n_images: the number of images that count: with a known target, or for ``missed_labels`` with a label.
    """

    levels: Float[np.ndarray, " e"]
    sums: Float[np.ndarray, " e"]
    scores: Float[np.ndarray, " m"]
    downwards: bool
    n_images: int

    def can_reach(self, allowed: float) -> bool:
        """True if the trivial threshold keeps the sum; a probability of 0 is never answered yes, so it may not."""
        at_trivial = 0.0 if self.downwards or not (self.levels[:1] == 0).any() else float(self.sums[0])
        return at_trivial <= allowed + 1e-9

    def last_threshold(self, allowed: float) -> tuple[float, float]:
        """(threshold, sum of the losses) before the first event at which the sum exceeds ``allowed``.

        Args:
            allowed: a sum of losses, at least 0.
        """
        n_passed = int((self.sums <= allowed + 1e-9).sum())
        total = float(self.sums[n_passed - 1]) if n_passed else 0.0
        if n_passed == len(self.levels):
            return (0.0 if self.downwards else 1.0), total
        event = self.levels[n_passed]
        if self.downwards:  # at the event's probability it is not answered yes yet
            place = int(np.searchsorted(self.scores, event, side="right"))
            high = self.scores[place] if place < len(self.scores) else np.float32(1)
            return float(midpoint(np.array([high]), np.array([event]))[0]), total
        place = int(np.searchsorted(self.scores, event)) - 1
        low = self.scores[place] if place >= 0 else np.float32(0)
        return float(midpoint(np.array([event]), np.array([low]))[0]), total


def image_losses(evaluation: Evaluation, risk: Risk) -> ImageLosses:
    """The losses of all images as a function of one threshold for all labels.

    Args:
        evaluation: an evaluation with any number of labels per image.
        risk: the loss.

    Raises:
        InputError: an output is NaN or infinite.
    """
    probabilities = evaluation.activated
    positive, known = (cells.numpy() for cells in split_targets(evaluation.targets, probabilities))
    scores = probabilities.detach().cpu().float().numpy()
    if risk == "missed_labels":
        shares = positive / np.maximum(positive.sum(axis=1, keepdims=True), 1)
        levels, steps = scores[positive], shares[positive]
    else:
        rows = max(_BLOCK_SIZE // scores.shape[1], 1)
        blocks = [slice(start, start + rows) for start in range(0, len(scores), rows)]
        events = [_wrong_steps(scores[block], positive[block], known[block]) for block in blocks]
        levels, steps = (np.concatenate(columns) for columns in zip(*events, strict=True))
    sign = -1 if risk == "wrong_answers" else 1
    distinct, where = np.unique(sign * levels, return_inverse=True)
    sums = np.cumsum(np.bincount(where, weights=steps, minlength=len(distinct)).astype(np.float64))
    n_images = int((positive if risk == "missed_labels" else known).any(axis=1).sum())
    return ImageLosses(sign * distinct, sums, np.sort(scores[known]), risk == "wrong_answers", n_images)


def _wrong_steps(
    scores: Float[np.ndarray, "n k"], positive: Bool[np.ndarray, "n k"], known: Bool[np.ndarray, "n k"]
) -> tuple[Float[np.ndarray, " e"], Float[np.ndarray, " e"]]:
    """(probability, step) of the growth of each image's greatest share of wrong yes answers, down to that threshold."""
    order = np.argsort(np.where(known, -scores, np.inf), axis=1, kind="stable")
    ranked, counted, right = (np.take_along_axis(matrix, order, axis=1) for matrix in (scores, known, positive))
    share = np.cumsum(~right & counted, axis=1) / np.arange(1, scores.shape[1] + 1)
    same = np.zeros(share.shape, dtype=bool)  # as the next: answered yes together, so there is no threshold between
    same[:, :-1] = (ranked[:, :-1] == ranked[:, 1:]) & counted[:, 1:]
    greatest = np.maximum.accumulate(np.where(same | ~counted, 0, share), axis=1)
    steps = np.diff(greatest, axis=1, prepend=0)
    grows = steps > 0
    return ranked[grows], steps[grows]


def hoeffding_bentkus(mean: float, n_images: int, bound: float) -> float:
    """The p-value of "the expected loss is above ``bound``" for losses in [0, 1].

    From Bates, Angelopoulos, Lei, Malik & Jordan (2021), Distribution-free, risk-controlling prediction sets, Journal
    of the ACM 68:43, and Learn then Test, equation 5.

    Args:
        mean: the mean loss.
        n_images: the number of images.
        bound: the bound, in (0, 1).
    """
    at_most = min(mean, bound)
    divergence = (1 - at_most) * np.log((1 - at_most) / (1 - bound))
    divergence += at_most * np.log(at_most / bound) if at_most > 0 else 0.0
    wrong = min(ceil(n_images * mean - 1e-9), n_images)
    tail = upper_tail(np.array([n_images - wrong]), np.array([n_images]), 1 - bound)[0]  # P(X <= wrong)
    return float(min(np.exp(-n_images * divergence), np.e * tail, 1.0))
