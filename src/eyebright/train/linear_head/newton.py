"""Newton's method with conjugate gradients for many regularised problems at once.

The objective of each problem is scikit-learn's: ``C * sum_i w_i loss_i + 0.5 * ||weights||^2``, without penalty on the
intercept. The steps are those of Lin, Weng & Keerthi (2008, Trust Region Newton Method for Large-Scale Logistic
Regression), with a line search in place of the trust region; all problems share the two matrix products of a step,
and problems that have converged leave the batch.

Axes: n images, r directions and the intercept, p problems, c outputs of one problem.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eyebright.train.linear_head.basis import Basis
from eyebright.train.linear_head.objectives import Losses, Slopes

_MAX_STEPS = 100
_MAX_PRODUCTS = 500  # of one step
_FORCING = 0.1  # how much of the gradient a step may leave, relative
_HALVINGS = 40
_SMALL_CHANGE = 0.5  # of all outputs: the second derivatives change by a factor of at most exp(0.5)
_ENOUGH_FINISHED = 0.25  # share of finished problems that is worth copying the rest


@dataclass(frozen=True)
class Solution:
    """The solutions of the problems.

    Args:
        weights: in the basis; the last row are the intercepts.
        outputs: of every image, held out or not.
        converged: whether each problem reached the tolerance.
    """

    weights: Float[Tensor, "r p c"]
    outputs: Float[Tensor, "n p c"]
    converged: Bool[Tensor, " p"]


def solve(
    basis: Basis, losses: Losses, strengths: Float[Tensor, " p"], start: Float[Tensor, "r p c"], *, tolerance: float
) -> Solution:
    """The minimum of each problem's objective.

    A step of length t in the metric of the second derivatives changes the probability of a training image by at most
    ``t / (2 sqrt(C))``, and what is left after the last step is shorter. (With ``H >= C D x x'``, ``x' inv(H) x <=
    1 / (C D)``, where ``D = p (1 - p) <= 1/4``.) For other images the bound is ``t ||x|| / 4``, because ``H >= I``:
    with ``C > 1`` the smaller steps that it asks for are taken as far as the dtype allows.

    Args:
        basis: the images.
        losses: of the problems.
        strengths: C of each problem.
        start: first weights.
        tolerance: the largest change of a training image's probability by the last step.
    """
    weights = start.clone()
    outputs = _times(basis.coordinates, weights)
    decrement = strengths.new_full(strengths.shape, torch.inf)
    converged = torch.zeros(len(strengths), dtype=torch.bool)
    active = torch.arange(len(strengths))
    for _ in range(_MAX_STEPS):
        step = _step(basis, losses.select(active), strengths[active], weights[:, active], outputs[:, active])
        weights[:, active] += step.weights
        outputs[:, active] += step.outputs
        small = step.complete & (step.decrement <= 2 * tolerance * strengths[active].sqrt())
        is_rounding = step.is_small & (step.decrement > 0.5 * decrement[active])  # other steps shrink tenfold
        converged[active] = small & ((step.decrement <= 2 * tolerance) | is_rounding)
        decrement[active] = step.decrement
        active = active[~(converged[active] | is_rounding)]
        if not len(active):
            break
    return Solution(weights, outputs, converged)


@dataclass(frozen=True)
class _Step:
    """A step of each problem.

    Args:
        weights: their change.
        outputs: their change.
        decrement: its length in the metric of the second derivatives.
        complete: whether it is the whole Newton step.
        is_small: whether the second derivatives hardly change on the way.
    """

    weights: Float[Tensor, "r p c"]
    outputs: Float[Tensor, "n p c"]
    decrement: Float[Tensor, " p"]
    complete: Bool[Tensor, " p"]
    is_small: Bool[Tensor, " p"]


def _step(
    basis: Basis,
    losses: Losses,
    strengths: Float[Tensor, " p"],
    weights: Float[Tensor, "r p c"],
    outputs: Float[Tensor, "n p c"],
) -> _Step:
    """The Newton step of each problem, shortened where the whole one would go too far."""
    slopes = losses.slopes(outputs)
    quadratic = _Quadratic.of(basis, losses, slopes, strengths, weights)
    direction, change, solved = _conjugate_gradients(quadratic)
    slope = _dot(quadratic.gradient, direction)
    is_small = change.abs().amax(dim=(0, 2)) <= _SMALL_CHANGE
    length = _line_search(losses, strengths, (weights, direction), (outputs, change), slope, ~is_small)
    shape = (1, -1, 1)
    return _Step(
        direction.mul_(length.view(shape).to(direction.dtype)),
        change.mul_(length.view(shape).to(change.dtype)),
        (-slope).clamp(min=0).sqrt(),
        (length == 1) & solved,
        is_small,
    )


@dataclass(frozen=True)
class _Quadratic:
    """The objective of each problem to second order around the weights that it has.

    Args:
        coordinates: of the images.
        losses: of the problems.
        slopes: of the losses at the weights.
        strengths: C of each problem.
        gradient: of the objective.
        preconditioner: an approximation of the second derivatives' diagonal.
    """

    coordinates: Float[Tensor, "n r"]
    losses: Losses
    slopes: Slopes
    strengths: Float[Tensor, "1 p 1"]
    gradient: Float[Tensor, "r p c"]
    preconditioner: Float[Tensor, "r p c"]

    @staticmethod
    def of(
        basis: Basis, losses: Losses, slopes: Slopes, strengths: Float[Tensor, " p"], weights: Float[Tensor, "r p c"]
    ) -> "_Quadratic":
        """That of the problems at these weights."""
        dtype = weights.dtype
        c = strengths.to(dtype)[None, :, None]
        mean_curvature = slopes.curvature.mean(dim=0).expand(weights.shape[1:])
        preconditioner = c * mean_curvature * basis.spectrum.to(dtype)[:, None, None]
        preconditioner[:-1] += 1
        preconditioner[-1].clamp_(min=torch.finfo(dtype).tiny * 2**20)
        gradient = _times(basis.coordinates.T, slopes.residual).mul_(c)
        _add_penalty(gradient, weights, preconditioner)
        return _Quadratic(basis.coordinates, losses, slopes, c, gradient, preconditioner)

    def times(self, direction: Float[Tensor, "r p c"]) -> tuple[Float[Tensor, "r p c"], Float[Tensor, "n p c"]]:
        """The second derivatives times a direction, and the change of the outputs in the direction."""
        change = _times(self.coordinates, direction)
        product = _times(self.coordinates.T, self.slopes.times(change.clone(), self.losses.weights))
        product.mul_(self.strengths)
        _add_penalty(product, direction, self.preconditioner)
        return product, change

    def select(self, problems: Tensor) -> "_Quadratic":
        """That of some problems."""
        return _Quadratic(
            self.coordinates,
            self.losses.select(problems),
            self.slopes.select(problems),
            self.strengths[:, problems],
            self.gradient[:, problems],
            self.preconditioner[:, problems],
        )


def _add_penalty(
    product: Float[Tensor, "r p c"], weights: Float[Tensor, "r p c"], preconditioner: Float[Tensor, "r p c"]
) -> None:
    """Adds the derivatives of the penalty to ``product``.

    Intercepts have no penalty, but of a softmax only their differences count: a penalty on their mean, which is zero at
    the start and stays so, keeps rounding errors from growing in a direction without curvature.
    """
    product[:-1] += weights[:-1]
    if weights.shape[2] > 1:
        product[-1] += preconditioner[-1].mean(dim=1, keepdim=True) * weights[-1].mean(dim=1, keepdim=True)


def _conjugate_gradients(quadratic: _Quadratic) -> tuple[Tensor, Tensor, Tensor]:
    """The approximate minimum of each quadratic, the change of outputs that it makes, and whether it is one."""
    direction = torch.zeros_like(quadratic.gradient)
    change = direction.new_zeros(len(quadratic.coordinates), *direction.shape[1:])
    solved = torch.zeros(direction.shape[1], dtype=torch.bool)
    active = torch.arange(direction.shape[1])
    state = _Iteration.first(quadratic)
    goal = _FORCING**2 * state.norm
    for _ in range(_MAX_PRODUCTS):
        moved, state = state.next()
        direction[:, active] += moved[0]
        change[:, active] += moved[1]
        finished = state.norm <= goal
        solved[active[finished]] = True
        if finished.all():
            break
        if finished.float().mean() >= _ENOUGH_FINISHED:
            active, goal, state = active[~finished], goal[~finished], state.select(~finished)
    return direction, change, solved


@dataclass(frozen=True)
class _Iteration:
    """The state of conjugate gradients: what is left of the gradients, and where to go next."""

    quadratic: _Quadratic
    residual: Float[Tensor, "r p c"]
    search: Float[Tensor, "r p c"]
    norm: Float[Tensor, " p"]

    @staticmethod
    def first(quadratic: _Quadratic) -> "_Iteration":
        """The state at the start."""
        residual = -quadratic.gradient
        search = residual / quadratic.preconditioner
        return _Iteration(quadratic, residual, search, _dot(residual, search))

    def next(self) -> tuple[tuple[Tensor, Tensor], "_Iteration"]:
        """The moves of weights and outputs along the search directions, and the state after them."""
        product, change = self.quadratic.times(self.search)
        bend = _dot(self.search, product)
        rate = torch.where(bend > 0, self.norm / bend, 0.0).to(product.dtype)[None, :, None]
        residual = self.residual - rate * product
        scaled = residual / self.quadratic.preconditioner
        norm = _dot(residual, scaled)
        turn = torch.where(self.norm > 0, norm / self.norm, 0.0).to(product.dtype)[None, :, None]
        moved = (rate * self.search, change.mul_(rate))
        return moved, _Iteration(self.quadratic, residual, scaled.add_(turn * self.search), norm)

    def select(self, problems: Tensor) -> "_Iteration":
        """The state of some problems."""
        return _Iteration(
            self.quadratic.select(problems),
            self.residual[:, problems],
            self.search[:, problems],
            self.norm[problems],
        )


def _line_search(
    losses: Losses,
    strengths: Float[Tensor, " p"],
    weights: tuple[Tensor, Tensor],
    outputs: tuple[Tensor, Tensor],
    slope: Float[Tensor, " p"],
    searched: Bool[Tensor, " p"],
) -> Float[Tensor, " p"]:
    """How far each problem goes along its direction, and whether that is the whole way.

    A length is taken if the objective still falls there, or rises by less than a tenth of how it falls at the start:
    derivatives, other than values, do not lose their digits near the minimum.

    Args:
        losses: of the problems.
        strengths: C of each problem.
        weights: weights and direction.
        outputs: outputs, and their change along the whole direction.
        slope: the derivatives along the direction at the start.
        searched: the others go the whole way.
    """
    length = torch.ones_like(slope)
    active = searched.nonzero()[:, 0]
    along = _dot(weights[0][:-1], weights[1][:-1])
    bend = _dot(weights[1][:-1], weights[1][:-1])
    for _ in range(_HALVINGS):
        at = length[active]
        tried = outputs[0][:, active] + outputs[1][:, active] * at.to(outputs[0].dtype)[None, :, None]
        residual = losses.select(active).residual(tried)
        derivative = strengths[active] * _dot(residual, outputs[1][:, active]) + along[active] + at * bend[active]
        active = active[derivative > 0.1 * slope[active].abs()]
        if not len(active):
            break
        length[active] /= 2
    return length


def _times(matrix: Float[Tensor, "m r"], values: Float[Tensor, "r p c"]) -> Float[Tensor, "m p c"]:
    """The matrix product with the values of all problems."""
    return (matrix @ values.reshape(len(values), -1)).view(-1, *values.shape[1:])


def _dot(a: Float[Tensor, "m p c"], b: Float[Tensor, "m p c"]) -> Float[Tensor, " p"]:
    """The scalar products of each problem, in float64."""
    return (a * b).sum(dim=(0, 2), dtype=torch.float64)
