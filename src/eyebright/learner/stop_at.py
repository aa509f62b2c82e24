"""`StopAt`: ends training when a metric has reached a value with 95 % confidence."""

from contextlib import nullcontext

from eyebright.errors import InputError
from eyebright.evaluation.metric_intervals import metric_interval
from eyebright.learner.learner import Learner
from eyebright.metrics.meter import Metric
from eyebright.train.events import EpochDone, Event, PhaseStarted

_ERROR = 0.05  # probability that any check wrongly finds the value reached


class StopAt:
    """An observer that ends training when the confidence interval of a metric has reached a value.

    It checks before the first epoch and after each. Each check could be wrong, so the interval is corrected for their
    number (Bonferroni): with n checks its level is 1 - 0.05 / n, which makes it wider. It covers the draw of the
    validation images, but not that thresholds, a share of weights and so on are chosen by them.

    Args:
        learner: the learner that is trained; the metric is computed from `Learner.evaluate`.
        metric: the metric.
        value: the value that the lower end of the interval must reach; for an error, the upper end.

    Raises:
        InputError: the metric takes the logits of points.
    """

    def __init__(self, learner: Learner, metric: Metric, value: float) -> None:
        if metric.takes == "logits" and learner.dls.target.is_geometric:
            raise InputError(f"the metric '{metric.name}' takes logits, but points are compared in pixels")
        self.learner, self.metric, self.value = learner, metric, value

    def __call__(self, event: Event) -> None:
        """Checks before the first epoch and after each, and stops the run where the value is reached."""
        run = self.learner.run
        begins = isinstance(event, PhaseStarted) and not run.history
        if not (begins or isinstance(event, EpochDone)):
            return
        looks = 1 + sum(plan.epochs for plan in run.plans)
        with nullcontext() if run.ema is None else run.ema.in_model(keep=False):
            interval = metric_interval(self.learner.evaluate(), self.metric, level=1 - _ERROR / looks)
        higher = self.metric.higher_is_better
        if interval.low >= self.value if higher else interval.high <= self.value:
            sign = ">=" if higher else "<="
            run.stop(
                f"{self.metric.display_name} {sign} {self.value:g}: its interval is {interval}"
                f" (95 % corrected for {looks} looks)"
            )
