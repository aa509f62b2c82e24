"""The problem of fitting a head: targets with unknown cells, and the outputs that can be fitted.

An output without information in the images is constant: a label that all or none of its known images have, a class
without images, a number that is always the same. These do not affect the fit of all others.

Axes: n images, d features, k outputs, f outputs that are fitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from eyebright._choices import HeadObjective
from eyebright.errors import listing

_BLOCK_IMAGES = 8192  # images that are processed at a time


@dataclass(frozen=True)
class Problem:
    """The outputs to fit, and the constants of the others.

    Args:
        objective: the loss. Two classes are fitted like one label, as scikit-learn does.
        targets: the targets, zeros where unknown, numbers standardised; for classes the indices in ``to_fit``.
        sample_weights: the weight of each cell, 0 where the target is unknown; one column for classes.
        to_fit: the indices of the outputs that are not constant; for two classes only the second.
        constants: the values of the outputs that are not fitted; for an absent class the logarithm of its odds.
        centers: the mean of each fitted output's numbers; zeros for labels and classes.
        scales: the standard deviation of each fitted output's numbers; ones for labels and classes.
        two_classes: the indices of the two classes that are fitted like one label; None otherwise.
        notes: sentences about the targets.
    """

    objective: HeadObjective
    targets: Float[Tensor, "n f"] | Int[Tensor, " n"]
    sample_weights: Float[Tensor, "n w"]
    to_fit: Int[Tensor, " f"]
    constants: Float[Tensor, " k"]
    centers: Float[Tensor, " f"]
    scales: Float[Tensor, " f"]
    two_classes: tuple[int, int] | None
    notes: tuple[str, ...]

    @property
    def joint(self) -> bool:
        """Whether the outputs belong to one softmax."""
        return self.objective == "multinomial"

    def expand(
        self, features: Float[Tensor, "n d"], weight: Float[Tensor, "f d"], bias: Float[Tensor, " f"]
    ) -> tuple[Float[Tensor, "k d"], Float[Tensor, " k"]]:
        """Weights and biases of all outputs.

        The odds of an absent class are those of half an image, against the other classes of an average image.

        Args:
            features: the features of all images.
            weight: the weights of the fitted outputs, for raw features.
            bias: the biases of the fitted outputs.
        """
        fitted = self.to_fit
        if self.two_classes is not None:
            fitted, halves = torch.tensor(self.two_classes), weight.new_tensor([[-0.5], [0.5]])
            weight, bias = halves * weight, halves[:, 0] * bias
        else:
            weight, bias = weight * self.scales[:, None], bias * self.scales + self.centers
        weights = weight.new_zeros(len(self.constants), weight.shape[1])
        biases = self.constants.clone()
        is_softmax = self.joint or self.two_classes is not None
        if is_softmax and 0 < len(fitted) < len(biases):
            blocks = features.split(_BLOCK_IMAGES)
            sums = [(block.double() @ weight.T + bias).logsumexp(dim=1).sum() for block in blocks]
            biases += torch.stack(sums).sum() / len(features)
        weights[fitted], biases[fitted] = weight, bias
        return weights, biases


def label_problem(targets: Float[Tensor, "n k"], sample_weights: Float[Tensor, " n"], names: Sequence[str]) -> Problem:
    """The problem of any number of labels per image.

    Args:
        targets: zeros, ones or values between; NaN where unknown.
        sample_weights: the weights of the images.
        names: the names of the labels.
    """
    cells = ~targets.isnan() * sample_weights.to(targets.dtype)[:, None]
    values = targets.nan_to_num()
    positives, total = (cells * values).sum(dim=0, dtype=torch.float64), cells.sum(dim=0, dtype=torch.float64)
    constants = ((positives + 0.5) / (total - positives + 0.5)).log()
    varies = (positives > 0) & (positives < total)
    kinds = [
        ((total == 0), "no image with a known value"),
        ((positives == 0) & (total > 0), "no image that has it"),
        ((positives == total) & (total > 0), "no image without it"),
    ]
    notes = tuple(
        f"{_counted(which, names, 'label', 'labels')} {what}: the prediction is the same for every image"
        for which, what in kinds
        if which.any()
    )
    fitted = varies.nonzero()[:, 0]
    zeros = torch.zeros(len(fitted), dtype=torch.float64)
    return Problem("binary", values[:, fitted], cells[:, fitted], fitted, constants, zeros, zeros + 1, None, notes)


def class_problem(targets: Int[Tensor, " n"], sample_weights: Float[Tensor, " n"], names: Sequence[str]) -> Problem:
    """The problem of one class per image.

    Args:
        targets: the class of each image; -1 where unknown.
        sample_weights: the weights of the images.
        names: the names of the classes.
    """
    sample_weights = sample_weights * (targets >= 0)
    counts = torch.zeros(len(names), dtype=torch.float64).index_add_(0, targets.clamp(min=0), sample_weights)
    present = counts > 0
    constants = ((counts + 0.5) / (counts.sum() + 0.5)).log()
    notes = (
        (f"{_counted(~present, names, 'class', 'classes')} no image: it is never predicted",)
        if not present.all()
        else ()
    )
    classes = present.nonzero()[:, 0]
    column = sample_weights[:, None]
    if len(classes) == 2:
        first, second = classes.tolist()
        is_second = (targets == second).double()[:, None]
        one = torch.ones(1, dtype=torch.float64)
        return Problem("binary", is_second, column, classes[1:], constants, one * 0, one, (first, second), notes)
    fitted = classes if len(classes) > 2 else classes[:0]
    position = (torch.cumsum(present, dim=0) - 1).clamp(min=0)
    zeros = torch.zeros(len(fitted), dtype=torch.float64)
    return Problem(
        "multinomial", position[targets.clamp(min=0)], column, fitted, constants, zeros, zeros + 1, None, notes
    )


def number_problem(targets: Float[Tensor, "n k"], sample_weights: Float[Tensor, " n"], names: Sequence[str]) -> Problem:
    """The problem of numbers.

    Args:
        targets: the numbers; NaN where unknown.
        sample_weights: the weights of the images.
        names: the names of the numbers.
    """
    known = ~targets.isnan()
    cells = known * sample_weights[:, None]
    values = targets.nan_to_num().double()
    total = cells.sum(dim=0)
    center = (cells * values).sum(dim=0) / total.clamp(min=torch.finfo(torch.float64).tiny)
    centered = (values - center) * known
    scale = ((cells * centered.square()).sum(dim=0) / total.clamp(min=torch.finfo(torch.float64).tiny)).sqrt()
    varies = scale > 1e-12 * center.abs()
    kinds = [((total == 0), "no image with a known value"), (~varies & (total > 0), "only one value")]
    notes = tuple(
        f"{_counted(which, names, 'number', 'numbers')} {what}: the prediction is the same for every image"
        for which, what in kinds
        if which.any()
    )
    fitted = varies.nonzero()[:, 0]
    standardised = centered[:, fitted] / scale[fitted]
    return Problem(
        "squared", standardised, cells[:, fitted], fitted, center, center[fitted], scale[fitted], None, notes
    )


def _counted(which: Tensor, names: Sequence[str], one: str, many: str) -> str:
    """The outputs as the beginning of a sentence: ``the label 'cat' has``, ``2 labels ('cat', 'dog') have``."""
    chosen = [names[i] for i in which.nonzero()[:, 0].tolist()]
    if len(chosen) == 1:
        return f"the {one} {listing(chosen)} has"
    return f"{len(chosen)} {many} ({listing(chosen, limit=5)}) have"
