"""`ModelCopy`: a model with a fitted head, copied before `Learner.lp_ft` trains all layers, which may be kept."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from eyebright.errors import InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.metric_value import metric_value
from eyebright.learner.wise_ft import Weights, copied_weights
from eyebright.metrics.meter import Metric
from eyebright.models.build import ImageModel


@dataclass(frozen=True, eq=False)
class ModelCopy:
    """The weights of a model before all its layers are trained, with its answers for the validation images.

    Args:
        weights: the weights, on the CPU.
        backbone_was_trained: whether its backbone was trained before.
        evaluation: the evaluation of the validation images.
        scores: the validation loss and the metrics, by name.
    """

    weights: Weights
    backbone_was_trained: bool
    evaluation: Evaluation
    scores: Mapping[str, float]

    @staticmethod
    def of(model: ImageModel, evaluation: Evaluation, scores: Mapping[str, float]) -> "ModelCopy":
        """A copy of the model as it is, with its evaluation and scores."""
        return ModelCopy(copied_weights(model), model.backbone_was_trained, evaluation, scores)

    @property
    def metric(self) -> Metric:
        """The main metric of the target, by which models are compared."""
        return self.evaluation.decision.target.metrics()[0]

    def restore(self, model: ImageModel) -> None:
        """Gives the model these weights again."""
        model.load_state_dict(self.weights)
        model.backbone_was_trained = self.backbone_was_trained


def check_is_comparable(evaluation: Evaluation) -> None:
    """Raises `InputError` if the main metric of the target, by which models are compared, cannot be computed.

    Raises:
        InputError: it is NaN for these validation images.
    """
    metric = evaluation.decision.target.metrics()[0]
    if math.isnan(metric_value(evaluation, metric)):
        raise InputError(
            f"`keep_better=True` compares the {metric.display_name} of the validation images, which cannot be computed "
            "from their targets: give `keep_better=False`"
        )
