"""The agreement of probabilities with frequencies: Brier score, log loss, reliability bins and calibration errors.

Targets are labels, shape (n, k): 1, 0 or NaN (unknown); or one class per image, shape (n,): its index, negative where
it is unknown. Unknown targets are ignored. Probabilities are of float32 precision: the log loss takes none as nearer to
0 or 1 than 2**-23, as scikit-learn does for float32.

Classes have their *top class*: its probability, and whether it is the right one (`top_class`).

The calibration error of bins of equal mass is the mean over the bins, weighted by their images, of the absolute (ECE)
or the squared difference between mean probability and observed frequency. Noise makes both too large, the more so the
fewer images there are in a bin. The debiased ones subtract an estimate of that: with residuals r = target - probability
of the n images of a bin, their mean m and the variance of the mean v = sum((r - m)**2) / (n * (n - 1)),

- squared: m**2 - v, whose expectation is exactly the squared difference of the bin, so that it can be negative. It is
  the estimator of Kumar, Liang & Ma (2019, arXiv:1909.10155, section 5), whose v = f * (1 - f) / (n - 1) with the
  frequency f is the same where all probabilities of a bin are equal, and too large otherwise.
- absolute: 2 * abs(m) - E abs(N(m, v)), with the mean of a folded normal distribution: the same correction to first
  order, as their published code does it by simulation. It is still too large where the true difference is near 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from eyebright.errors import InputError, check_count
from eyebright.metrics.labels import split_targets
from eyebright.metrics.meter import Metric

DEFAULT_BINS = 15
"""The most bins of a calibration error; fewer where they would hold fewer than `MIN_IN_BIN` images."""
MIN_IN_BIN = 10
"""The fewest images of a bin on average, by which the number of bins is limited."""
_EPSILON = 2.0**-23

# ------------------------------------------------------------------------------- scores


def brier_score(probabilities: Float[Tensor, "n k"], target: Shaped[Tensor, "..."]) -> float:
    """The Brier score of all known cells of labels; for classes the mean over images of the sum over the classes.

    Brier (1950, Monthly Weather Review 78:1); for labels in the form for one event that is in use today.

    Args:
        probabilities: the probabilities, in [0, 1].
        target: labels, 1 where the image has the label, 0 where not, NaN where unknown; or the index of each image's
            class, -1 where unknown.

    Raises:
        InputError: the shapes differ, a probability is not in [0, 1], a target is not a valid number, or a class
            without a probability.
    """
    if target.ndim == 1:
        probabilities, classes = _known_classes(probabilities, target)
        rows = torch.nn.functional.one_hot(classes, probabilities.shape[1])
        return float((probabilities - rows).square().sum(1).mean())
    each, known = _cells(probabilities, target, _squared)
    return float(each.sum() / _or_nan(known.sum()))


def log_loss(probabilities: Float[Tensor, "n k"], target: Shaped[Tensor, "..."]) -> float:
    """The mean negative log-likelihood of all known cells of labels, or of the right class of each image.

    Arguments and errors as in `brier_score`.
    """
    of_image, known = image_log_losses(probabilities, target)
    return float(of_image.sum() / _or_nan(known.sum()))


def image_log_losses(
    probabilities: Float[Tensor, "n k"], target: Shaped[Tensor, "..."]
) -> tuple[Float[Tensor, " n"], Int[Tensor, " n"]]:
    """(sum of the negative log-likelihoods of each image's known cells, their number: 0 or 1 for a class).

    Arguments and errors as in `brier_score`.
    """
    if target.ndim > 1:
        each, known = _cells(probabilities, target, _negative_log)
        return each.sum(1), known.sum(1)
    is_known = target.detach().cpu() >= 0
    of_image = torch.zeros(len(target), dtype=torch.float64)
    ready, classes = _known_classes(probabilities, target)
    of_image[is_known] = -ready.gather(1, classes[:, None])[:, 0].clamp(_EPSILON, 1 - _EPSILON).log()
    return of_image, is_known.long()


def top_class(
    probabilities: Float[Tensor, "n k"], target: Shaped[Tensor, "..."]
) -> tuple[Float[Tensor, "n 1"], Float[Tensor, "n 1"]]:
    """(probability of the most probable class, whether it is the right one: 1, 0, or NaN where unknown), as one label.

    Raises:
        InputError: the lengths differ.
    """
    if target.ndim != 1 or len(target) != len(probabilities):
        raise InputError(
            f"classes have one index for each of the {len(probabilities)} images, got the shape {tuple(target.shape)}"
        )
    highest, at = probabilities.detach().cpu().max(dim=1)
    classes = target.detach().cpu().long()
    right = torch.where(classes >= 0, (at == classes).float(), torch.nan)
    return highest[:, None], right[:, None]


# ------------------------------------------------------------------------------- bins


@dataclass(frozen=True, eq=False)
class ReliabilityBins:
    """The images of each label in bins of equal mass by their probability, float64; bins without images are NaN.

    Equal probabilities are in one bin, so bins can be of different size, or empty.

    Args:
        count: the number of images.
        probability: their mean probability.
        frequency: the share that has the label.
        low: the lower end of Wilson's 95 % interval of the frequency.
        high: the upper end.
        variance: the variance of the mean difference between target and probability; 0 for one image.
    """

    count: Int[Tensor, "k b"]
    probability: Float[Tensor, "k b"]
    frequency: Float[Tensor, "k b"]
    low: Float[Tensor, "k b"]
    high: Float[Tensor, "k b"]
    variance: Float[Tensor, "k b"]

    def error(self, *, debiased: bool = True, squared: bool = False) -> Float[Tensor, " k"]:
        """The calibration error of each label, as the module describes it; NaN where nothing is known.

        Args:
            debiased: without the part that comes from noise; the squared error can then be negative.
            squared: the mean squared difference instead of the mean absolute one.
        """
        gap, variance = (self.frequency - self.probability).abs(), self.variance
        if squared:
            each = gap.square() - variance if debiased else gap.square()
        else:
            each = 2 * gap - _folded_normal_mean(gap, variance) if debiased else gap
        weights = self.count.double()
        return (each.nan_to_num() * weights).sum(1) / _or_nan(weights.sum(1))


def reliability_bins(
    probabilities: Float[Tensor, "n k"], target: Shaped[Tensor, "n k"], *, bins: int = DEFAULT_BINS
) -> ReliabilityBins:
    """The bins of each label; for one diagram of all labels together give all cells as one column (`pooled`).

    Args:
        probabilities: the probabilities, in [0, 1].
        target: 1 where the image has the label, 0 where not, NaN where unknown.
        bins: the most bins of a label; there are fewer where they would hold fewer than `MIN_IN_BIN` known images.

    Raises:
        InputError: as in `brier_score`, or ``bins`` is not a positive number.
    """
    check_count("bins", bins)
    positive, known = split_targets(target, probabilities)
    ranked = _checked(probabilities).T.contiguous()
    known = known.T
    n_labels = len(ranked)
    at = _bin_of(ranked, known, bins) + torch.arange(n_labels)[:, None] * bins
    cells = at[known]

    def summed(values: Tensor) -> Tensor:
        return torch.bincount(cells, values, minlength=n_labels * bins).reshape(n_labels, bins)

    count = summed(torch.ones(len(cells), dtype=torch.float64))
    n_known = _or_nan(count)
    p, y = ranked[known], positive.T[known].double()
    probability, frequency = summed(p) / n_known, summed(y) / n_known
    residual = y - p - (frequency - probability).reshape(-1)[cells]
    variance = summed(residual.square()) / n_known / (n_known - 1).clamp_min(1)
    low, high = _wilson(frequency, n_known)
    return ReliabilityBins(count.long(), probability, frequency, low, high, variance)


def pooled(
    probabilities: Float[Tensor, "n k"], target: Shaped[Tensor, "..."]
) -> tuple[Float[Tensor, "m 1"], Float[Tensor, "m 1"]]:
    """(probabilities, targets) as one label: all cells of labels, or the top class of each image."""
    if target.ndim == 1:
        return top_class(probabilities, target)
    return probabilities.reshape(-1, 1), target.float().reshape(-1, 1)


def expected_calibration_error(
    probabilities: Float[Tensor, "n k"],
    target: Shaped[Tensor, "..."],
    *,
    bins: int = DEFAULT_BINS,
    debiased: bool = True,
) -> float:
    """The expected calibration error of all cells of labels together, or of the top class.

    Args:
        probabilities: the probabilities, in [0, 1].
        target: labels or classes.
        bins: as in `reliability_bins`.
        debiased: without the part that comes from noise.

    Raises:
        InputError: as in `reliability_bins`.
    """
    return float(reliability_bins(*pooled(probabilities, target), bins=bins).error(debiased=debiased))


def _ece(probabilities: Tensor, target: Tensor) -> float:
    return expected_calibration_error(probabilities, target)


brier_score_metric = Metric(
    "brier_score", brier_score, takes="probabilities", higher_is_better=False, title="Brier score"
)
log_loss_metric = Metric("log_loss", log_loss, takes="probabilities", higher_is_better=False, title="log loss")
calibration_error = Metric(
    "calibration_error",
    _ece,
    takes="probabilities",
    higher_is_better=False,
    title="calibration error",
    has_interval=False,
)

# ------------------------------------------------------------------------------- parts of them


def _checked(probabilities: Tensor) -> Tensor:
    """The probabilities as float64 on the CPU.

    Raises:
        InputError: one is not in [0, 1].
    """
    ready = probabilities.detach().cpu().double()
    if not bool(((ready >= 0) & (ready <= 1)).all()):
        raise InputError("probabilities must be in [0, 1]; apply the sigmoid or softmax to logits first")
    return ready


def _cells(probabilities: Tensor, target: Tensor, score: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """(the score of each cell, 0 where it is unknown; which are known)."""
    positive, known = split_targets(target, probabilities)
    each = score(_checked(probabilities), positive)
    return torch.where(known, each, 0.0), known


def _squared(probabilities: Tensor, positive: Bool[Tensor, "..."]) -> Tensor:
    return (probabilities - positive.double()).square()


def _negative_log(probabilities: Tensor, positive: Bool[Tensor, "..."]) -> Tensor:
    of_target = torch.where(positive, probabilities, 1 - probabilities)
    return -of_target.clamp(_EPSILON, 1 - _EPSILON).log()


def _known_classes(probabilities: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The probabilities and the class of each image whose class is known.

    Raises:
        InputError: the lengths differ, a probability is not in [0, 1], or a class has no probability.
    """
    ready, classes = _checked(probabilities), target.detach().cpu().long()
    if len(ready) != len(classes) or (len(classes) and int(classes.max()) >= ready.shape[1]):
        raise InputError(
            f"classes have an index below {ready.shape[1]} for each of the {len(ready)} images, got {len(classes)} of "
            f"up to {int(classes.max()) if len(classes) else 0}"
        )
    return ready[classes >= 0], classes[classes >= 0]


def _bin_of(ranked: Float[Tensor, "k n"], known: Bool[Tensor, "k n"], bins: int) -> Int[Tensor, "k n"]:
    """The bin of each cell; meaningless where unknown."""
    n_known = known.sum(1)
    used = (n_known // MIN_IN_BIN).clamp(1, bins)
    ordered = torch.where(known, ranked, torch.inf).sort(dim=1).values
    # Bin i ends after a share of (i + 1) / used of the images; those after the last one are never reached.
    ends = (torch.arange(1, bins) * n_known[:, None]).div(used[:, None], rounding_mode="floor")
    beyond = torch.arange(1, bins) >= used[:, None]
    edges = ordered.gather(1, ends.clamp(max=ranked.shape[1] - 1))
    return torch.searchsorted(torch.where(beyond, torch.inf, edges).contiguous(), ranked, right=True)


def _or_nan(counts: Tensor) -> Tensor:
    """The counts as float64, with NaN for 0."""
    return torch.where(counts > 0, counts.double(), torch.nan)


def _folded_normal_mean(mean: Tensor, variance: Tensor) -> Tensor:
    """The expectation of abs(x) for a normal x (Leone, Nelson & Nottingham, 1961, Technometrics 3:543)."""
    sd = variance.sqrt()
    z = torch.where(sd > 0, mean / sd, torch.inf)
    density = torch.exp(-z.square() / 2) * (2 / torch.pi) ** 0.5
    return sd * density + mean * torch.erf(z / 2**0.5)


def _wilson(share: Float[Tensor, "k b"], trials: Float[Tensor, "k b"]) -> tuple[Tensor, Tensor]:
    """Wilson's 95 % interval, as `eyebright.evaluation.intervals.wilson` for one proportion."""
    z2 = NormalDist().inv_cdf(0.975) ** 2
    center = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = (z2 * (share * (1 - share) / trials + z2 / (4 * trials.square()))).sqrt() / (1 + z2 / trials)
    return (center - half).clamp(0, 1), (center + half).clamp(0, 1)
