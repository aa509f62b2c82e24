"""Bootstrap intervals of multi-label metrics, vectorised over resamples.

The counts of each image (true positives, predictions, positives) are computed once and summed for each resample. The
images are sorted by their scores once, and each resample only changes their weights. Unknown targets (NaN) are masked,
as in `eyebright.metrics.labels`.

Axes of arrays: n images, k classes, s resamples, m summands of an image, q metrics.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from eyebright.evaluation.intervals import Interval, bootstrap_sums, percentile_intervals, resample_counts, wilson
from eyebright.evaluation.resampling import rankings_of
from eyebright.metrics.labels import average_precision, split_targets


@dataclass(frozen=True, slots=True)
class AveragePrecisionIntervals:
    """Intervals of average precision.

    Args:
        mean: the interval of the mean over classes; classes without positives in a resample are not in its mean.
        per_class: the interval of each class; NaN for a class without positives.
    """

    mean: Interval
    per_class: list[Interval]


def average_precision_intervals(
    scores: Float[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> AveragePrecisionIntervals:
    """The bootstrap intervals of mAP and of each class's average precision.

    Args:
        scores: outputs of the model, the higher the more likely is the label; as in `average_precision`.
        target: 1 where the image has the label, 0 where not, NaN where unknown.
        n_resamples: number of bootstrap resamples. The run time grows with n * k * n_resamples; large sets need fewer
            resamples.
        seed: seed of the resamples.
        level: the confidence level, in (0, 1).

    Raises:
        InputError: as in `average_precision`; no resamples, or a level outside (0, 1).
    """
    on_all_images = average_precision(scores, target)
    per_class = resampled_average_precisions(scores, target, n_resamples=n_resamples, seed=seed)
    with_mean = torch.cat([per_class.nanmean(dim=1, keepdim=True), per_class], dim=1)
    mean, *of_classes = percentile_intervals(
        with_mean.numpy(), level, [float(on_all_images.nanmean()), *on_all_images.tolist()]
    )
    return AveragePrecisionIntervals(mean, of_classes)


def resampled_average_precisions(
    scores: Float[Tensor, "n k"], target: Shaped[Tensor, "n k"], *, n_resamples: int, seed: int
) -> Float[Tensor, "s k"]:
    """The average precision of each class on each bootstrap resample; NaN where the class has no positive in it.

    The same seed and number of images give the same resamples.

    Args:
        scores: as in `average_precision_intervals`.
        target: as in `average_precision_intervals`.
        n_resamples: number of bootstrap resamples.
        seed: seed of the resamples.

    Raises:
        InputError: as in `average_precision`; or no resamples.
    """
    rankings = rankings_of(scores, target)
    blocks = [
        np.stack([ranking.average_precisions(np.ascontiguousarray(counts.T)) for ranking in rankings], axis=1)
        for counts in resample_counts(len(scores), n_resamples=n_resamples, seed=seed)
    ]
    return torch.from_numpy(np.concatenate(blocks))


def decision_metric_intervals(
    decisions: Bool[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """The intervals of the metrics of decisions, by the name of the metric.

    Bootstrap for ``f1_micro``, ``f1_macro``, ``f1_samples`` and ``hamming_loss``; Wilson's for ``subset_accuracy``,
    which is a proportion of the images.

    Args:
        decisions: True where a label is predicted.
        target: 1 where the image has the label, 0 where not, NaN where unknown.
        n_resamples: number of bootstrap resamples.
        seed: seed of the resamples.
        level: the confidence level, in (0, 1).

    Raises:
        InputError: the shapes differ, a target is another number, no resamples, or a level outside (0, 1).
    """
    positive, known = split_targets(target, decisions)
    predicted = (decisions.cpu() == 1) & known
    true_positive = predicted & positive
    f1_of_image = 2 * true_positive.sum(1).double() / (predicted.sum(1) + positive.sum(1)).clamp(min=1)
    has_known = known.any(dim=1)
    summands = torch.cat([true_positive, predicted, positive, known, f1_of_image[:, None], has_known[:, None]], dim=1)
    n_classes = decisions.shape[1]

    def statistics(sums: Float[Tensor, "s m"]) -> Float[Tensor, "s 4"]:
        per_class, f1_sum, n_images = sums[:, :-2], sums[:, -2], sums[:, -1]
        n_true_positive, n_predicted, n_positive, n_known = per_class.reshape(len(sums), 4, n_classes).unbind(1)
        denominator = n_predicted + n_positive  # of F1
        micro = 2 * n_true_positive.sum(1) / denominator.sum(1).clamp(min=1)
        macro = _mean_of_known(2 * n_true_positive / denominator.clamp(min=1), n_known > 0)
        hamming = (denominator - 2 * n_true_positive).sum(1) / n_known.sum(1)
        nan_if_unknown = torch.where(n_known.sum(1) > 0, 1.0, torch.nan)  # no target of the resample is known
        return torch.stack([micro * nan_if_unknown, macro, f1_sum / n_images, hamming], dim=1)

    intervals = bootstrap_sums(statistics, summands, n_resamples=n_resamples, seed=seed, level=level)
    names = ("f1_micro", "f1_macro", "f1_samples", "hamming_loss")
    exact = int(((predicted == positive).all(dim=1) & has_known).sum())
    return {
        **dict(zip(names, intervals, strict=True)),
        "subset_accuracy": wilson(exact, int(has_known.sum()), level=level),
    }


def _mean_of_known(values: Float[Tensor, "s k"], known: Bool[Tensor, "s k"]) -> Float[Tensor, " s"]:
    """The mean of each row over its known cells; NaN for a row without any."""
    return values.mean(1) if bool(known.all()) else torch.where(known, values, torch.nan).nanmean(1)
