"""The multi-label metrics, each with its confidence interval and the value of the best constant prediction."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from eyebright.errors import InputError, count_text
from eyebright.evaluation.intervals import Interval
from eyebright.evaluation.metric_intervals import MetricInterval
from eyebright.evaluation.thresholds import cross_fitted_score
from eyebright.metrics.labels import (
    f1_macro,
    f1_micro,
    f1_samples,
    hamming_loss_metric,
    mean_ap,
    mean_average_precision,
    subset_accuracy_metric,
)
from eyebright.metrics.meter import Metric
from eyebright.report.data import MetricRow
from eyebright.types import Thresholds

_DECISION_METRICS: Sequence[tuple[Metric, str]] = (
    (f1_macro, "mean over the labels, unweighted"),
    (f1_micro, "all image-label pairs pooled: frequent labels count most"),
    (f1_samples, "mean over the images"),
    (subset_accuracy_metric, "images without a missing or an extra label"),
    (hamming_loss_metric, "share of wrong image-label pairs; lower is better"),
)
METRICS = (mean_ap, *(metric for metric, _ in _DECISION_METRICS))
"""The metrics of the report."""

METRIC_TITLES = {metric.name: metric.display_name for metric, _ in _DECISION_METRICS}
"""The display name of each metric of decisions, by its name in the options."""


@dataclass(frozen=True, eq=False)
class LabelMetrics:
    """The multi-label metrics of one set of images.

    Args:
        probabilities: the probability of each label for each image.
        targets: 1 where the image has the label, 0 where not, NaN where unknown.
        thresholds: the thresholds of the saved model.
        training: the summary of the training targets, for the baselines; empty if unknown.
        thresholds_tuned_on_this_set: whether the thresholds were tuned on these images.
    """

    probabilities: Float[Tensor, "n k"]
    targets: Shaped[Tensor, "n k"]
    thresholds: Thresholds
    training: Mapping[str, Any]
    thresholds_tuned_on_this_set: bool

    def rows(self, intervals: Sequence[MetricInterval]) -> list[MetricRow]:
        """The rows of mAP, which needs no threshold, and of the metrics of decisions.

        Args:
            intervals: the intervals of `METRICS`, in their order.
        """
        decisions = self.thresholds.decide(self.probabilities)
        mean, *others = (estimate.interval for estimate in intervals)
        notes = zip(_DECISION_METRICS, others, strict=True)
        return [
            self._mean_ap(mean),
            *(self._decided(metric, note, decisions, interval) for (metric, note), interval in notes),
        ]

    def _mean_ap(self, interval: Interval) -> MetricRow:
        value = mean_average_precision(self.probabilities, self.targets)
        absent = int((~(self.targets == 1).any(dim=0)).sum())
        note = "mean over the labels of average precision; needs no threshold"
        if absent:
            note += f"; without {count_text(absent, 'label')} that no image has"
        ranked = (~self.targets.isnan())[:, (self.targets == 1).any(dim=0)]
        return MetricRow(
            mean_ap.display_name,
            value,
            interval.low,
            interval.high,
            self._frequencies(),
            note,
            images=int(ranked.any(dim=1).sum()),
            cells=int(ranked.sum()),
        )

    def _decided(self, metric: Metric, note: str, decisions: Bool[Tensor, "n k"], interval: Interval) -> MetricRow:
        value = metric(decisions, self.targets)
        absent = int(((self.targets == 0).any(dim=0) & ~(self.targets == 1).any(dim=0)).sum())
        if absent and metric is f1_macro:
            note += f"; {count_text(absent, 'label')} that no image has count{'s' * (absent == 1)} as 0"
        tuned = self.thresholds_tuned_on_this_set and self.thresholds.metric == metric.name
        return MetricRow(
            metric.display_name,
            value,
            interval.low,
            interval.high,
            self._constant_score(metric),
            note + "; the thresholds were tuned for it on these same images" * tuned,
            higher_is_better=metric.higher_is_better,
            expected=self._expected(metric) if tuned else None,
            images=int((~self.targets.isnan()).any(dim=1).sum()),
            cells=int((~self.targets.isnan()).sum()),
        )

    def _expected(self, metric: Metric) -> float:
        per_class = isinstance(self.thresholds.values, tuple)
        try:
            return cross_fitted_score(self.probabilities, self.targets, metric=metric.name, per_class=per_class)
        except InputError:  # too few images with labels to tune on some and score on others
            return math.nan

    # ------------------------------------------------------------------ the baselines

    def _baseline(self, metric: Metric) -> Float[Tensor, "n k"] | None:
        """The best constant scores on the training images, repeated for each image; None if unknown."""
        row = self.training.get("baseline", {}).get(metric.name)
        return None if row is None else torch.tensor(row).expand(self.targets.shape)

    def _frequencies(self) -> float | None:
        """The mAP of the label frequencies of the training images, as constant scores."""
        frequencies = self._baseline(mean_ap)
        return None if frequencies is None else mean_average_precision(frequencies, self.targets)

    def _constant_score(self, metric: Metric) -> float | None:
        """The score of predicting for each image the set of labels that scores best on the training images."""
        constant = self._baseline(metric)
        return None if constant is None else metric(constant > 0, self.targets)
