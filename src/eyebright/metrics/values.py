"""Metrics of numbers, over a whole set of images.

NaN targets are unknown numbers and are ignored; every known number has the same weight. A NaN prediction is not
ignored: it makes the metric NaN.
"""

from jaxtyping import Float
from torch import Tensor

from eyebright.errors import InputError
from eyebright.metrics.meter import Metric


def mean_absolute_error(predicted: Float[Tensor, "n ..."], target: Float[Tensor, "n ..."]) -> float:
    """The mean absolute error (MAE), in the units of the inputs; NaN if no target is known.

    Raises:
        InputError: the shapes do not fit.
    """
    return float(_known_errors(predicted, target).abs().mean())


def root_mean_squared_error(predicted: Float[Tensor, "n ..."], target: Float[Tensor, "n ..."]) -> float:
    """The root mean squared error (RMSE), in the units of the inputs; NaN if no target is known.

    Raises:
        InputError: the shapes do not fit.
    """
    return float(_known_errors(predicted, target).square().mean().sqrt())


def in_same_shape(
    predicted: Float[Tensor, "n ..."], target: Float[Tensor, "n ..."]
) -> tuple[Float[Tensor, "n ..."], Float[Tensor, "n ..."]]:
    """The predictions in the shape of the targets, and the targets; both float64 on the CPU.

    Raises:
        InputError: the numbers of images, or of values per image, differ.
    """
    if len(predicted) != len(target) or predicted.numel() != target.numel():
        raise InputError(
            f"predictions of the shape {tuple(predicted.shape)} and targets of the shape {tuple(target.shape)} do not "
            "fit: each image needs as many targets as outputs"
        )
    return predicted.detach().cpu().double().reshape(target.shape), target.cpu().double()


mae = Metric("mae", mean_absolute_error, takes="values", higher_is_better=False, title="MAE")
rmse = Metric("rmse", root_mean_squared_error, takes="values", higher_is_better=False, title="RMSE")


def _known_errors(predicted: Tensor, target: Tensor) -> Tensor:
    predicted, target = in_same_shape(predicted, target)
    return (predicted - target)[~target.isnan()]
