"""The three losses of a linear head as functions of its outputs: value, gradient and curvature.

Many problems are solved together: every label of several, every fold of an inner cross-validation. A problem has one
output (a label, a number) or several that belong together (the classes of a softmax).

Axes: n images, p problems, c outputs of one problem, r1 principal directions and the intercept (the last row).
"""

from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import softplus

from eyebright._choices import HeadObjective


@dataclass(frozen=True)
class Slopes:
    """The derivatives of the loss of each image by its outputs.

    Args:
        residual: the first derivatives, times the image's weight.
        curvature: the second derivatives on the diagonal, times the image's weight.
        probabilities: the probabilities of a softmax, which its off-diagonal second derivatives need; otherwise None.
    """

    residual: Float[Tensor, "n p c"]
    curvature: Float[Tensor, "n #p c"]
    probabilities: Float[Tensor, "n p c"] | None = None

    def times(self, change: Float[Tensor, "n p c"], sample_weights: Float[Tensor, "n #p 1"]) -> Float[Tensor, "n p c"]:
        """The change of the residuals if the outputs change, to first order; overwrites ``change``."""
        if self.probabilities is None:
            return change.mul_(self.curvature)
        change.mul_(self.probabilities)
        mean = change.sum(dim=2, keepdim=True)
        return change.sub_(self.probabilities * mean).mul_(sample_weights)

    def select(self, problems: Tensor) -> "Slopes":
        """The derivatives of some problems."""
        return Slopes(
            self.residual[:, problems],
            _selected(self.curvature, problems),
            None if self.probabilities is None else self.probabilities[:, problems],
        )


@final
@dataclass(frozen=True)
class Losses:
    """The weighted losses of several problems on the same images.

    Args:
        objective: the loss; "binary" is the cross-entropy of a sigmoid, "multinomial" that of a softmax, "squared"
            half the squared error.
        targets: zeros and ones or values between, numbers, or the class of each image ("multinomial", shared by all
            problems). Cells of weight 0 may hold any finite value.
        sample_weights: the weights, not negative; 0 where the target is unknown or the image is held out. One column if
            all problems have the same.
    """

    objective: HeadObjective
    targets: Float[Tensor, "n p 1"] | Int[Tensor, " n"]
    sample_weights: Float[Tensor, "n #p 1"]

    def values(self, outputs: Float[Tensor, "n p c"]) -> Float[Tensor, " p"]:
        """The summed loss of each problem, in float64."""
        return self.cells(outputs).mul_(self.sample_weights[:, :, 0]).sum(dim=0, dtype=torch.float64)

    def cells(self, outputs: Float[Tensor, "n p c"]) -> Float[Tensor, "n p"]:
        """The loss of each image, without its weight."""
        if self.objective == "multinomial":
            chosen = outputs.gather(2, self.targets[:, None, None].expand(-1, outputs.shape[1], 1))
            return outputs.logsumexp(dim=2) - chosen[:, :, 0]
        outputs, targets = outputs[:, :, 0], self.targets[:, :, 0]
        if self.objective == "squared":
            return (outputs - targets).square_().mul_(0.5)
        return softplus(outputs, threshold=40).addcmul_(outputs, targets, value=-1)

    def residual(self, outputs: Float[Tensor, "n p c"]) -> Float[Tensor, "n p c"]:
        """The first derivatives of the losses by the outputs, times the weights."""
        return self.slopes(outputs).residual

    def slopes(self, outputs: Float[Tensor, "n p c"]) -> Slopes:
        """The derivatives of the losses by the outputs."""
        if self.objective == "squared":
            return Slopes((outputs - self.targets).mul_(self.sample_weights), self.sample_weights)
        if self.objective == "binary":
            probabilities = outputs.sigmoid()
            curvature = (1 - probabilities).mul_(probabilities).mul_(self.sample_weights)
            return Slopes(probabilities.sub_(self.targets).mul_(self.sample_weights), curvature)
        probabilities = outputs.softmax(dim=2)
        residual = probabilities.clone()
        at = self.targets[:, None, None].expand(-1, outputs.shape[1], 1)
        residual.scatter_add_(2, at, torch.full((), -1.0, dtype=residual.dtype).expand(at.shape))
        curvature = (1 - probabilities).mul_(probabilities).mul_(self.sample_weights)
        return Slopes(residual.mul_(self.sample_weights), curvature, probabilities)

    def constant_solution(self, n_rows: int, n_outputs: int) -> Float[Tensor, "r1 p c"]:
        """The starting point: zero weights, with the best intercepts in the last row.

        Args:
            n_rows: the number of weights of one output, including its intercept.
            n_outputs: the number of outputs of one problem.
        """
        total = self.sample_weights.sum(dim=0)
        if self.objective == "multinomial":
            counts = total.new_zeros(n_outputs, len(total)).index_add_(0, self.targets, self.sample_weights[:, :, 0])
            intercepts = (counts.T / total).clamp(min=1e-6).log()
            intercepts -= intercepts.mean(dim=1, keepdim=True)
        else:
            mean = (self.sample_weights * self.targets).sum(dim=0) / total
            intercepts = mean if self.objective == "squared" else mean.clamp(1e-6, 1 - 1e-6).logit()
        solution = intercepts.new_zeros(n_rows, *intercepts.shape)
        solution[-1] = intercepts
        return solution

    def select(self, problems: Tensor) -> "Losses":
        """The losses of some problems.

        Args:
            problems: the indices of the problems, or a mask.
        """
        targets = self.targets if self.objective == "multinomial" else self.targets[:, problems]
        return replace(self, targets=targets, sample_weights=_selected(self.sample_weights, problems))


def _selected(values: Float[Tensor, "n p c"], problems: Tensor) -> Float[Tensor, "n q c"]:
    """The columns of some problems; a shared column is kept."""
    return values if values.shape[1] == 1 else values[:, problems]
