"""Newton's method with conjugate gradients for many regularised problems at once.

The objective of each problem is scikit-learn's: ``C * sum_i w_i loss_i + 0.5 * ||weights||^2``, without penalty on the
intercept. The steps are those of Lin, Weng & Keerthi (2008, Trust Region Newton Method for Large-Scale Logistic
Regression), with a line search in place of the trust region; all problems share the two matrix products of a step,
and problems that have converged leave the batch.

Axes: n images, r1 principal directions and the intercept (the last row), p problems, c outputs of one problem.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from eyebright.train.linear_head.basis import Basis
from eyebright.train.linear_head.objectives import Losses
from eyebright.train.linear_head.quadratic import Quadratic, conjugate_gradients, dot, times

_MAX_STEPS = 100
_FAR, _NEAR = 0.4, 0.1
"""The share of the gradient's norm that may remain after a step, far from the minimum and near it."""

_MAX_STALLS = 4
_HALVINGS = 40
_SMALL_CHANGE = 0.5  # largest change of the outputs: the second derivatives change by a factor of at most exp(0.5)


@dataclass(frozen=True)
class Solution:
    """The solutions of the problems.

    Args:
        weights: the weights in the basis; the last row has the intercepts.
        outputs: the outputs of every image, held out or not.
        converged: whether each problem reached the tolerance.
    """

    weights: Float[Tensor, "r1 p c"]
    outputs: Float[Tensor, "n p c"]
    converged: Bool[Tensor, " p"]


def solve(
    basis: Basis, losses: Losses, Cs: Float[Tensor, " p"], start: Float[Tensor, "r1 p c"], *, tolerance: float
) -> Solution:
    """The minimum of each problem's objective.

    A step of length t in the metric of the second derivatives changes the probability of a training image by at most
    ``t / (2 sqrt(C))``, and the distance that remains after the last step is shorter. (With ``H >= C D x x'``,
    ``x' inv(H) x <= 1 / (C D)``, where ``D = p (1 - p) <= 1/4``.) For other images the bound is ``t ||x|| / 4``,
    because ``H >= I``: with ``C > 1`` the smaller steps that it needs are taken as far as the dtype allows.

    Args:
        basis: the basis of the images.
        losses: the losses of the problems.
        Cs: the C of each problem.
        start: the initial weights.
        tolerance: the largest change of a training image's probability by the last step.
    """
    weights = start.clone()
    outputs = times(basis.coordinates, weights)
    progress = _Progress.first(Cs, tolerance, is_quadratic=losses.objective == "squared")
    active = torch.arange(len(Cs))
    for _ in range(_MAX_STEPS):
        some = losses.select(active)
        step = _step(basis, some, Cs[active], weights[:, active], outputs[:, active], progress.forcing[active])
        weights[:, active] += step.weights
        outputs[:, active] += step.outputs
        active = active[~progress.is_finished(step, active)]
        if not len(active):
            break
    return Solution(weights, outputs, progress.converged)


@dataclass(frozen=True)
class _Progress:
    """The progress of each problem; changed in place.

    Args:
        tight: the length of a last step that suffices for all images.
        loose: the length of a last step that suffices for the images that are fitted.
        forcing: the required precision of the next step.
        decrement: the length of the last step.
        stalls: the number of steps that missed the required precision, or were hardly shorter than the previous step.
        converged: whether the problem has converged.
    """

    tight: Float[Tensor, " p"]
    loose: Float[Tensor, " p"]
    forcing: Float[Tensor, " p"]
    decrement: Float[Tensor, " p"]
    stalls: Int[Tensor, " p"]
    converged: Bool[Tensor, " p"]

    @staticmethod
    def first(Cs: Float[Tensor, " p"], tolerance: float, *, is_quadratic: bool) -> "_Progress":
        """The progress before the first step."""
        loose = 2 * tolerance * Cs.sqrt()
        return _Progress(
            tight=loose.clamp(max=2 * tolerance),
            loose=loose,
            forcing=torch.full_like(Cs, _NEAR if is_quadratic else _FAR),
            decrement=torch.full_like(Cs, torch.inf),
            stalls=torch.zeros(len(Cs), dtype=torch.int64),
            converged=torch.zeros(len(Cs), dtype=torch.bool),
        )

    def is_finished(self, step: "_Step", active: Int[Tensor, " a"]) -> Bool[Tensor, " a"]:
        """Whether each active problem has converged, or makes no more progress because of rounding errors."""
        exact = step.is_small & (self.forcing[active] <= _NEAR)
        self.stalls[active] += ~step.solved | (exact & (step.decrement > 0.5 * self.decrement[active]))
        self.decrement[active] = step.decrement
        self.forcing[active] = torch.where(step.is_small, _NEAR, _FAR).double()
        enough = torch.where(self.stalls[active] > 0, self.loose[active], self.tight[active])
        self.converged[active] = step.solved & step.is_whole & (step.decrement <= enough)
        return self.converged[active] | (self.stalls[active] >= _MAX_STALLS)


@dataclass(frozen=True)
class _Step:
    """A step of each problem.

    Args:
        weights: the change of the weights.
        outputs: the change of the outputs.
        decrement: its length in the metric of the second derivatives.
        solved: whether it has the required precision.
        is_whole: whether it is the whole Newton step.
        is_small: whether the second derivatives hardly change on the way.
    """

    weights: Float[Tensor, "r1 p c"]
    outputs: Float[Tensor, "n p c"]
    decrement: Float[Tensor, " p"]
    solved: Bool[Tensor, " p"]
    is_whole: Bool[Tensor, " p"]
    is_small: Bool[Tensor, " p"]


def _step(
    basis: Basis,
    losses: Losses,
    Cs: Float[Tensor, " p"],
    weights: Float[Tensor, "r1 p c"],
    outputs: Float[Tensor, "n p c"],
    forcing: Float[Tensor, " p"],
) -> _Step:
    """The Newton step of each problem, shortened if the whole step would be too long."""
    slopes = losses.slopes(outputs)
    quadratic = Quadratic.of(basis, losses, slopes, Cs, weights)
    direction, change, solved = conjugate_gradients(quadratic, forcing)
    slope = dot(quadratic.gradient, direction)
    is_small = change.abs().amax(dim=(0, 2)) <= (_SMALL_CHANGE if losses.objective != "squared" else torch.inf)
    length = _line_search(losses, Cs, (weights, direction), (outputs, change), slope, ~is_small)
    shape = (1, -1, 1)
    return _Step(
        direction.mul_(length.view(shape).to(direction.dtype)),
        change.mul_(length.view(shape).to(change.dtype)),
        (-slope).clamp(min=0).sqrt(),
        solved,
        length == 1,
        is_small,
    )


def _line_search(
    losses: Losses,
    Cs: Float[Tensor, " p"],
    weights: tuple[Tensor, Tensor],
    outputs: tuple[Tensor, Tensor],
    slope: Float[Tensor, " p"],
    searched: Bool[Tensor, " p"],
) -> Float[Tensor, " p"]:
    """The step length of each problem along its direction, and whether it is the whole step.

    A length is accepted if the derivative there is negative, or positive by less than a tenth of the slope at the
    start: derivatives, unlike values, do not lose their digits near the minimum.

    Args:
        losses: the losses of the problems.
        Cs: the C of each problem.
        weights: weights and direction.
        outputs: outputs, and their change along the whole direction.
        slope: the derivatives along the direction at the start.
        searched: the problems to search for; the others take the whole step.
    """
    length = torch.ones_like(slope)
    active = searched.nonzero()[:, 0]
    along = dot(weights[0][:-1], weights[1][:-1])
    bend = dot(weights[1][:-1], weights[1][:-1])
    for _ in range(_HALVINGS):
        at = length[active]
        tried = outputs[0][:, active] + outputs[1][:, active] * at.to(outputs[0].dtype)[None, :, None]
        residual = losses.select(active).residual(tried)
        derivative = Cs[active] * dot(residual, outputs[1][:, active]) + along[active] + at * bend[active]
        active = active[derivative > 0.1 * slope[active].abs()]
        if not len(active):
            break
        length[active] /= 2
    return length
