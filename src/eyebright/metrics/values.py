"""Metrics of numbers: how far they are from the truth, over a whole set.

Targets that are NaN (numbers that nobody knows) are left out, and each one that is known counts once, whatever image
it belongs to. A prediction that is NaN is not left out: it makes the metric NaN.
"""

from jaxtyping import Float
from torch import Tensor

from eyebright.errors import InputError
from eyebright.metrics.meter import Metric


def mae(predicted: Float[Tensor, "n ..."], target: Float[Tensor, "n ..."]) -> float:
    """The mean distance of numbers from their targets, in the units given; NaN when no target is known.

    Raises:
        InputError: the shapes do not fit.
    """
    return float(_known_errors(predicted, target).abs().mean())


def rmse(predicted: Float[Tensor, "n ..."], target: Float[Tensor, "n ..."]) -> float:
    """The square root of the mean squared distance of numbers from their targets; NaN when no target is known.

    Raises:
        InputError: the shapes do not fit.
    """
    return float(_known_errors(predicted, target).square().mean().sqrt())


def matched(
    predicted: Float[Tensor, "n ..."], target: Float[Tensor, "n ..."]
) -> tuple[Float[Tensor, "n ..."], Float[Tensor, "n ..."]]:
    """The predictions in the shape of the targets, and the targets; both float64 on the CPU.

    Raises:
        InputError: an image has not as many targets as outputs.
    """
    if len(predicted) != len(target) or predicted.numel() != target.numel():
        raise InputError(
            f"predictions of the shape {tuple(predicted.shape)} and targets of the shape {tuple(target.shape)} do not "
            "fit: each image needs as many targets as outputs"
        )
    return predicted.detach().cpu().double().reshape(target.shape), target.cpu().double()


mean_absolute_error = Metric("mae", mae, takes="values", higher_is_better=False, title="MAE")
root_mean_squared_error = Metric("rmse", rmse, takes="values", higher_is_better=False, title="RMSE")


def _known_errors(predicted: Tensor, target: Tensor) -> Tensor:
    predicted, target = matched(predicted, target)
    return (predicted - target)[~target.isnan()]
