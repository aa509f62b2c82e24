"""`FineTuned`: what `Learner.lp_ft` returns: the frozen and the fine-tuned model, compared on the validation images."""

from collections.abc import Mapping
from dataclasses import dataclass

from eyebright.evaluation.compare import Comparison
from eyebright.train.linear_head.fit import LinearHead


@dataclass(frozen=True, eq=False)
class FineTuned:
    """What fine-tuning added to the frozen model.

    Args:
        head: the linear head that was fitted to the features of the frozen backbone; fine-tuning started from it.
        frozen_scores: the validation loss and the metrics of the frozen model, by name.
        comparison: the main metric of the frozen (first) and of the fine-tuned (second) model, on the validation
            images.
        share: share of the fine-tuned weights in the model that was compared; the rest is that of the frozen model.
        keeps_frozen: whether the learner has the weights of the frozen model again, because fine-tuning was not better.
        seconds: the duration of the epochs, with those before a resume.
    """

    head: LinearHead
    frozen_scores: Mapping[str, float]
    comparison: Comparison
    share: float
    keeps_frozen: bool
    seconds: float

    def __str__(self) -> str:
        kept = "the fine-tuned model is kept"
        if self.keeps_frozen:
            kept = "the frozen model is kept"
        elif self.share < 1:
            kept = f"the average of both models is kept, with {self.share:.2f} of the fine-tuned weights"
        return f"fine-tuning changed {self.comparison.text}, in {self.seconds:.1f} s; {kept}"
