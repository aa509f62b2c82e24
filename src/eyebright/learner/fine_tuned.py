"""`FineTuned`, the result of `Learner.lp_ft`: the frozen and the fine-tuned model compared on the validation images."""

from collections.abc import Mapping
from dataclasses import dataclass

from eyebright.evaluation.compare import Comparison
from eyebright.train.linear_head.fit import LinearHead
from eyebright.train.plan import Plan
from eyebright.web.text import number_text


@dataclass(frozen=True, eq=False)
class FineTuned:
    """The comparison of the fine-tuned with the frozen model.

    Args:
        head: the linear head that was fitted to the features of the frozen backbone; fine-tuning started from it.
        frozen_scores: the validation loss and the metrics of the frozen model, by name.
        comparison: the main metric of the frozen (first) and of the fine-tuned (second) model, on the validation
            images; None if there was no time for fine-tuning.
        share: share of the fine-tuned weights in the model that was compared; the rest is that of the frozen model.
        keeps_frozen: whether the weights of the frozen model were restored, because fine-tuning was not better.
        seconds: the duration of the epochs, including those before a resume.
        plan: the plan of the epochs; None if there was no time for them.
        doublings: log2 of the ratio of the whole time to that of the frozen model; None without ``minutes``.
    """

    head: LinearHead
    frozen_scores: Mapping[str, float]
    comparison: Comparison | None
    share: float
    keeps_frozen: bool
    seconds: float
    plan: Plan | None
    doublings: float | None = None

    def __str__(self) -> str:
        if self.comparison is None:
            return "the frozen model is kept: there was no time for fine-tuning"
        kept = "the fine-tuned model is kept"
        if self.keeps_frozen:
            kept = "the frozen model is kept"
        elif self.share < 1:
            kept = f"the average of both models is kept, with {self.share:.2f} of the fine-tuned weights"
        return f"fine-tuning changed {self.comparison.text}, in {self.seconds:.1f} s; {kept}"

    @property
    def twice_the_time(self) -> str:
        """A sentence on the expected gain of twice the time, if doublings add equally; empty without ``minutes``."""
        if self.comparison is None or self.doublings is None:
            return ""
        metric, interval = self.comparison.metric.display_name, self.comparison.interval
        mean, low, high = (
            number_text(value / self.doublings) for value in (self.comparison.difference, interval.low, interval.high)
        )
        sign = "+" * (self.comparison.difference > 0)
        change = f"{sign}{mean} ({100 * interval.level:g} % CI {low} to {high})"
        if self.keeps_frozen:
            return f"twice the time is not expected to help: each doubling changed {metric} by {change}"
        return (
            f"twice the time would change {metric} by about {change}, if each doubling adds as much as those since the"
            " frozen model"
        )
