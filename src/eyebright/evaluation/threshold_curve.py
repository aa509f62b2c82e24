"""A metric over the threshold, one threshold for all classes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright._defaults import THRESHOLD_METRIC
from eyebright.errors import InputError
from eyebright.evaluation.threshold_objectives import GroupMean, parsed_objective
from eyebright.evaluation.threshold_problem import problem_of, score_at_each_cut
from eyebright.metrics.meter import Metric
from eyebright.plot.curves import plot_threshold_curve

if TYPE_CHECKING:
    import matplotlib.axes


@dataclass(frozen=True, eq=False, repr=False)
class ThresholdCurve:
    """A metric over the threshold, one threshold for all classes.

    Args:
        thresholds: the thresholds at which the metric was computed.
        scores: the metric at each threshold.
        metric: the name of the metric.
    """

    thresholds: Float[Tensor, " t"]
    scores: Float[Tensor, " t"]
    metric: str

    @property
    def best(self) -> tuple[float, float]:
        """(threshold, score) of the first threshold with the best score."""
        at = int(self.scores.argmax() if _metric(self.metric).higher_is_better else self.scores.argmin())
        return float(self.thresholds[at]), float(self.scores[at])

    def plot(self, *, chosen: float | None = None, ax: "matplotlib.axes.Axes | None" = None) -> "matplotlib.axes.Axes":
        """Plot the curve.

        Args:
            chosen: the threshold in use, drawn as a vertical line.
            ax: axes to draw on; by default those of a new figure.

        Raises:
            MissingExtraError: Matplotlib is not installed.
        """
        return plot_threshold_curve(self.thresholds.tolist(), {self.metric: self.scores.tolist()}, chosen=chosen, ax=ax)

    def __repr__(self) -> str:
        threshold, score = self.best
        return f"ThresholdCurve of {self.metric}: best {score:.4f} at {threshold:.2f}"


def threshold_curve(
    probabilities: Float[Tensor, "n k"],
    target: Shaped[Tensor, "n k"],
    *,
    metric: str = THRESHOLD_METRIC,
    thresholds: Float[Tensor, " t"] | None = None,
) -> ThresholdCurve:
    """The metric over one threshold for all classes; for one class, pass only its column.

    Args:
        probabilities: the probabilities, in [0, 1].
        target: 1 where the image has the label, 0 where not, NaN where unknown.
        metric: the name of a metric, as in `eyebright.evaluation.thresholds.tune_thresholds`.
        thresholds: the thresholds; by default from 0 to 1 in steps of 0.01.

    Raises:
        InputError: an unknown metric, probabilities outside [0, 1], or shapes that differ.
    """
    objective = parsed_objective(metric)
    _metric(metric)
    cuts, scores = score_at_each_cut(problem_of(probabilities, target, objective))
    at = torch.linspace(0, 1, 101) if thresholds is None else thresholds.cpu()
    values = torch.from_numpy(scores[cuts.index_at(at.numpy())])
    return ThresholdCurve(at, values if _metric(metric).higher_is_better else 1 - values, metric)


def _metric(name: str) -> Metric:
    objective = parsed_objective(name)
    if not isinstance(objective, GroupMean):
        raise InputError(f"a threshold curve shows a metric, which '{name}' is not; choose one such as 'f1_macro'")
    return objective.score
