"""Metrics of ordered classes, such as ratings, over a whole set of images.

The predicted class is the *median* of the probabilities, which minimises the expected distance in classes; the most
probable class minimises only the number of errors. Images with a negative target (unknown) are ignored.
"""

from jaxtyping import Float, Int
from torch import Tensor

from eyebright.errors import InputError
from eyebright.metrics.meter import Metric
from eyebright.types import refuse_nan


def median_class(probabilities: Float[Tensor, "*n k"]) -> Int[Tensor, "*n"]:
    """The index of the lowest class that has, with those below it, at least half of the probability.

    >>> import torch
    >>> median_class(torch.tensor([0.4, 0.3, 0.3]))
    tensor(1)

    Args:
        probabilities: the probabilities of the classes, from the lowest to the highest; they sum to one.

    Raises:
        InputError: a probability is NaN.
    """
    refuse_nan(probabilities, "probabilities")
    return unchecked_median_class(probabilities)


def unchecked_median_class(probabilities: Float[Tensor, "*n k"]) -> Int[Tensor, "*n"]:
    """`median_class` without a look at the values, for programs that are exported; of NaN it is the lowest class."""
    return (probabilities.double().cumsum(dim=-1)[..., :-1] < 0.5).sum(dim=-1)


def ordinal_accuracy(probabilities: Float[Tensor, "n k"], target: Int[Tensor, " n"]) -> float:
    """The fraction of the images whose predicted class is the true one; NaN if no class is known.

    Args:
        probabilities: the probabilities of the classes, from the lowest to the highest.
        target: the index of the true class; negative where unknown.

    Raises:
        InputError: there is not one target for each image.
    """
    predicted, true = _known(probabilities, target)
    return float((predicted == true).double().mean())


def ordinal_mae(probabilities: Float[Tensor, "n k"], target: Int[Tensor, " n"]) -> float:
    """The mean number of classes between prediction and truth; arguments and errors as in `ordinal_accuracy`."""
    predicted, true = _known(probabilities, target)
    return float((predicted - true).abs().mean())


def quadratic_kappa(probabilities: Float[Tensor, "n k"], target: Int[Tensor, " n"]) -> float:
    """Cohen's kappa with quadratic weights (Cohen, 1968, Psychological Bulletin 70:213): 1 is perfect, 0 is chance.

    With quadratic weights it depends on moments only: 1 - mean((p - t)^2) / (mean(p^2) + mean(t^2) - 2 mean(p) mean(t))
    for predicted classes p and true ones t. NaN if all of them are the same class. Arguments and errors as in
    `ordinal_accuracy`.
    """
    predicted, true = _known(probabilities, target)
    n = len(true)  # times n squared all terms are whole numbers: a constant prediction is exactly 0
    chance = n * (predicted.square().sum() + true.square().sum()) - 2 * predicted.sum() * true.sum()
    return float(1 - n * (predicted - true).square().sum() / chance)


ordinal_accuracy_metric = Metric("accuracy", ordinal_accuracy, takes="probabilities")
ordinal_mae_metric = Metric("mae", ordinal_mae, takes="probabilities", higher_is_better=False, title="MAE in classes")
quadratic_kappa_metric = Metric(
    "quadratic_kappa", quadratic_kappa, takes="probabilities", title="quadratic weighted kappa"
)


def _known(probabilities: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(predicted, true) class indices of the images whose class is known, float64."""
    if probabilities.ndim != 2 or target.shape != probabilities.shape[:1]:
        raise InputError(
            f"ordered classes need probabilities of the shape (images, classes) and one target for each image; got "
            f"{tuple(probabilities.shape)} and {tuple(target.shape)}"
        )
    known = target.cpu() >= 0
    return median_class(probabilities.detach().cpu())[known].double(), target.cpu()[known].double()
