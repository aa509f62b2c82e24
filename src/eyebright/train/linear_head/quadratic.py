"""Conjugate gradients on the second-order approximations of many problems at once.

All problems share the two matrix products of an iteration, and problems that are solved leave the batch.

Axes: n images, r1 principal directions and the intercept (the last row), p problems, c outputs of one problem.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eyebright.train.linear_head.basis import Basis
from eyebright.train.linear_head.objectives import Losses, Slopes

_MAX_PRODUCTS = {torch.float32: 500, torch.float64: 5000}
"""The maximum number of iterations of one step; in float32 rounding errors end the progress earlier."""

_MIN_FINISHED_SHARE = 0.25  # share of finished problems that is worth copying the rest


@dataclass(frozen=True)
class Quadratic:
    """The objective of each problem to second order around its current weights.

    Args:
        coordinates: the coordinates of the images.
        losses: the losses of the problems.
        slopes: the derivatives of the losses at the weights.
        Cs: the C of each problem.
        gradient: the gradient of the objective.
        preconditioner: an approximation of the second derivatives' diagonal.
    """

    coordinates: Float[Tensor, "n r1"]
    losses: Losses
    slopes: Slopes
    Cs: Float[Tensor, "1 p 1"]
    gradient: Float[Tensor, "r1 p c"]
    preconditioner: Float[Tensor, "r1 p c"]

    @staticmethod
    def of(
        basis: Basis, losses: Losses, slopes: Slopes, Cs: Float[Tensor, " p"], weights: Float[Tensor, "r1 p c"]
    ) -> "Quadratic":
        """The quadratic model of the problems at these weights."""
        dtype = weights.dtype
        c = Cs.to(dtype)[None, :, None]
        mean_curvature = slopes.curvature.mean(dim=0).expand(weights.shape[1:])
        preconditioner = c * mean_curvature * basis.spectrum.to(dtype)[:, None, None]
        preconditioner[:-1] += 1
        preconditioner[-1].clamp_(min=torch.finfo(dtype).tiny * 2**20)
        gradient = times(basis.coordinates.T, slopes.residual).mul_(c)
        _add_penalty(gradient, weights, preconditioner)
        return Quadratic(basis.coordinates, losses, slopes, c, gradient, preconditioner)

    def times(self, direction: Float[Tensor, "r1 p c"]) -> tuple[Float[Tensor, "r1 p c"], Float[Tensor, "n p c"]]:
        """The second derivatives times a direction, and the change of the outputs in the direction."""
        change = times(self.coordinates, direction)
        product = times(self.coordinates.T, self.slopes.times(change.clone(), self.losses.sample_weights))
        product.mul_(self.Cs)
        _add_penalty(product, direction, self.preconditioner)
        return product, change

    def select(self, problems: Tensor) -> "Quadratic":
        """The quadratic model of some of the problems."""
        return Quadratic(
            self.coordinates,
            self.losses.select(problems),
            self.slopes.select(problems),
            self.Cs[:, problems],
            self.gradient[:, problems],
            self.preconditioner[:, problems],
        )


def _add_penalty(
    product: Float[Tensor, "r1 p c"], weights: Float[Tensor, "r1 p c"], preconditioner: Float[Tensor, "r1 p c"]
) -> None:
    """Adds the derivatives of the penalty to ``product``.

    Intercepts have no penalty, but for a softmax only their differences count: a penalty on their mean, which starts
    and stays at zero, keeps rounding errors from growing in a direction without curvature.
    """
    product[:-1] += weights[:-1]
    if weights.shape[2] > 1:
        product[-1] += preconditioner[-1].mean(dim=1, keepdim=True) * weights[-1].mean(dim=1, keepdim=True)


def conjugate_gradients(
    quadratic: Quadratic, forcing: Float[Tensor, " p"]
) -> tuple[Float[Tensor, "r1 p c"], Float[Tensor, "n p c"], Bool[Tensor, " p"]]:
    """The direction to the minimum of each quadratic, the change of outputs along it, and whether it is exact enough.

    Args:
        quadratic: the quadratic model of the problems.
        forcing: the share of the gradient's norm (that of the preconditioner) that may remain.
    """
    direction = torch.zeros_like(quadratic.gradient)
    change = direction.new_zeros(len(quadratic.coordinates), *direction.shape[1:])
    solved = torch.zeros(direction.shape[1], dtype=torch.bool)
    active = torch.arange(direction.shape[1])
    state = _Iteration.first(quadratic)
    goal = forcing.square() * state.norm
    for _ in range(_MAX_PRODUCTS[direction.dtype]):
        moved, state = state.next()
        direction[:, active] += moved[0]
        change[:, active] += moved[1]
        finished = state.norm <= goal
        solved[active[finished]] = True
        if finished.all():
            break
        if finished.float().mean() >= _MIN_FINISHED_SHARE:
            active, goal, state = active[~finished], goal[~finished], state.select(~finished)
    return direction, change, solved


@dataclass(frozen=True)
class _Iteration:
    """The state of conjugate gradients: the residuals of the gradients, and the search directions."""

    quadratic: Quadratic
    residual: Float[Tensor, "r1 p c"]
    search: Float[Tensor, "r1 p c"]
    norm: Float[Tensor, " p"]

    @staticmethod
    def first(quadratic: Quadratic) -> "_Iteration":
        """The state at the start."""
        residual = -quadratic.gradient
        search = residual / quadratic.preconditioner
        return _Iteration(quadratic, residual, search, dot(residual, search))

    def next(self) -> tuple[tuple[Tensor, Tensor], "_Iteration"]:
        """The moves of weights and outputs along the search directions, and the state after them."""
        product, change = self.quadratic.times(self.search)
        bend = dot(self.search, product)
        rate = torch.where(bend > 0, self.norm / bend, 0.0).to(product.dtype)[None, :, None]
        residual = self.residual - rate * product
        scaled = residual / self.quadratic.preconditioner
        norm = dot(residual, scaled)
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


def times(matrix: Float[Tensor, "m l"], values: Float[Tensor, "l p c"]) -> Float[Tensor, "m p c"]:
    """The matrix product with the values of all problems."""
    return (matrix @ values.reshape(len(values), -1)).view(-1, *values.shape[1:])


def dot(a: Float[Tensor, "m p c"], b: Float[Tensor, "m p c"]) -> Float[Tensor, " p"]:
    """The scalar products of each problem, in float64."""
    return (a * b).sum(dim=(0, 2), dtype=torch.float64)
