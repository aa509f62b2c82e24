"""Fits the head of a frozen backbone: from the pooled features of images to outputs.

The objective is scikit-learn's, on features that are divided by their standard deviation, but at least by the
median of the standard deviations:

- "binary" and "multinomial" (`sklearn.linear_model.LogisticRegression`): ``C * sum_i w_i loss_i + 0.5 * ||w||^2``, with
  the log loss of a sigmoid for each label, or of a softmax over the classes. Two classes have one sigmoid.
- "squared" (`sklearn.linear_model.Ridge`, ``alpha = 1 / C``): ``C * sum_i w_i (y_i - x_i w - b)^2 + ||w||^2``; numbers
  are standardised before, which only changes the scale of the weights.

Intercepts have no penalty. Features are centred, too; centre and scale ignore ``sample_weight``, and both are folded
into the returned weight and bias.

Axes: n images, d features, k outputs, f fitted outputs, s outputs that are solved together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from eyebright._choices import HeadObjective
from eyebright.errors import TrainingError
from eyebright.train.linear_head.basis import Basis, principal_basis
from eyebright.train.linear_head.c_choice import CChoice, choose_c
from eyebright.train.linear_head.input_checks import check_inputs, checked_c
from eyebright.train.linear_head.newton import solve
from eyebright.train.linear_head.objectives import Losses
from eyebright.train.linear_head.problem import Problem, class_problem, label_problem, number_problem

# The solver stops after a step that changes no probability by more than this; the remaining error is at most a tenth
# of it.
_TOLERANCE = 1e-4
_FLOAT64_MAX_SIZE = 1_500_000  # images times principal directions up to which float64 is used
_BATCH_MAX_SIZE = 12_000_000  # most images times outputs that are solved together: 48 MB for each copy


@dataclass(frozen=True)
class LinearHead:
    """A linear head for raw features: ``outputs = features @ weight.T + bias``.

    Args:
        weight: the weights in float64, for features that are not standardised.
        bias: the biases in float64.
        C_choices: the chosen C of each group of outputs, and the held-out loss of every candidate.
        notes: sentences about labels without positives or negatives, constant features, and so on.
    """

    weight: Float[Tensor, "k d"]
    bias: Float[Tensor, " k"]
    C_choices: tuple[CChoice, ...]
    notes: tuple[str, ...]

    def outputs(self, features: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """The raw outputs (logits or numbers) of images, in float64."""
        return torch.cat([block.double() @ self.weight.T + self.bias for block in features.split(8192)])


def fit_linear_head(
    features: Float[Tensor, "n d"],
    targets: Tensor,
    *,
    objective: HeadObjective,
    names: Sequence[str] | None = None,
    sample_weight: Float[Tensor, " n"] | None = None,
    groups: Int[Tensor, " n"] | None = None,
    C: float | Sequence[float] | None = None,
    seed: int = 0,
) -> LinearHead:
    """The head that minimises the objective above, exact to 1e-4 in probability.

    Args:
        features: pooled features of a frozen backbone, of any float dtype.
        targets: "binary": shape (n, k), 0, 1 or a probability, NaN where unknown. "multinomial": shape (n,), the index
            of the class, -1 where unknown. "squared": shape (n, k), numbers, NaN where unknown.
        objective: the kind of targets.
        names: the names of the outputs, for messages; with "multinomial" their count is the number of classes. None:
            "0", "1", ...
        sample_weight: the weight of each image, not negative; None for equal weights of 1.
        groups: the group of each image; images of a group are held out together when C is chosen.
        C: the inverse strength of the penalty, for all outputs; several to choose from by cross-validation; None to
            choose from a grid.
        seed: the seed of the folds by which C is chosen.

    Raises:
        InputError: features are NaN or infinite, no target is known, shapes or values are invalid, or C is not
            positive.
    """
    candidates = checked_c(C)
    names, weights = check_inputs(features, targets, objective, names, sample_weight, groups)
    build = {"binary": label_problem, "multinomial": class_problem, "squared": number_problem}[objective]
    problem = build(targets, weights, names)
    n, d = features.shape
    dtype = torch.float64 if n * min(n, d) <= _FLOAT64_MAX_SIZE else torch.float32
    basis = principal_basis(features, dtype=dtype)
    notes = [*problem.notes, *_feature_notes(basis)]
    if candidates is not None and len(candidates) == 1:
        choices = [CChoice(tuple(problem.to_fit.tolist()), candidates[0], (), ())]
    else:
        choices, more = choose_c(basis, problem, names=names, candidates=candidates, groups=groups, seed=seed)
        notes += more
    weight, bias = _fitted(features, basis, problem, choices)
    return LinearHead(weight, bias, tuple(choices), tuple(notes))


_Heads = tuple[Float[Tensor, "f d"], Float[Tensor, " f"], Bool[Tensor, " f"]]
"""Weights and biases for raw features, and whether each output converged."""


def _fitted(
    features: Float[Tensor, "n d"], basis: Basis, problem: Problem, choices: Sequence[CChoice]
) -> tuple[Float[Tensor, "k d"], Float[Tensor, " k"]]:
    """Weights and biases of all outputs, for raw features.

    Outputs that do not converge in float32, because their C is very large, are fitted again in float64.

    Raises:
        TrainingError: an output does not converge in float64 either.
    """
    C_of = {output: choice.C for choice in choices for output in choice.outputs}
    Cs = torch.tensor([C_of[output] for output in problem.to_fit.tolist()], dtype=torch.float64)
    if not len(Cs):
        nothing = features.new_zeros(0, dtype=torch.float64)
        return problem.expand(features, nothing.new_zeros(0, features.shape[1]), nothing)
    solve_some = _solve_classes if problem.joint else _solve_labels
    weight, bias, converged = solve_some(basis, problem, Cs, torch.arange(len(Cs)))
    if not converged.all() and basis.coordinates.dtype != torch.float64:
        again = (~converged).nonzero()[:, 0]
        precise = principal_basis(features, dtype=torch.float64)
        weight[again], bias[again], converged[again] = solve_some(precise, problem, Cs, again)
    if not converged.all():
        raise TrainingError(
            f"{int((~converged).sum()):,} of {len(converged):,} outputs of the linear head do not converge with C up to"
            f" {float(Cs.max()):g}; give a smaller C"
        )
    return problem.expand(features, weight, bias)


def _solve_labels(basis: Basis, problem: Problem, Cs: Float[Tensor, " f"], columns: Int[Tensor, " s"]) -> _Heads:
    """The heads of some labels or numbers.

    Args:
        basis: the basis of all images.
        problem: the outputs to fit.
        Cs: the C of each output.
        columns: the labels, as positions in ``problem.to_fit``.
    """
    n, rows = basis.coordinates.shape
    solution = basis.mean.new_zeros(rows, len(columns))
    converged = torch.ones(len(columns), dtype=torch.bool)
    for at in torch.arange(len(columns)).split(max(_BATCH_MAX_SIZE // n, 1)):
        losses = _label_losses(problem, columns[at], basis.coordinates.dtype)
        start = losses.constant_solution(rows, 1)
        solved = solve(basis, losses, Cs[columns[at]], start, tolerance=_TOLERANCE)
        solution[:, at], converged[at] = solved.weights[:, :, 0].double(), solved.converged
    return *basis.head(solution), converged


def _label_losses(problem: Problem, columns: Int[Tensor, " s"], dtype: torch.dtype) -> Losses:
    """The losses of some labels or numbers, with one column of sample weights if all have the same."""
    targets, sample_weights = problem.targets[:, columns].to(dtype), problem.sample_weights[:, columns].to(dtype)
    if (sample_weights == sample_weights[:, :1]).all():
        sample_weights = sample_weights[:, :1].clone()
    return Losses(problem.objective, targets[:, :, None], sample_weights[:, :, None])


def _solve_classes(basis: Basis, problem: Problem, Cs: Float[Tensor, " f"], columns: Int[Tensor, " s"]) -> _Heads:
    """The heads of all classes of a softmax; arguments as in `_solve_labels`, of which ``columns`` are all classes."""
    if not len(columns):
        return *basis.head(basis.mean.new_zeros(basis.coordinates.shape[1], 0)), torch.ones(0, dtype=torch.bool)
    losses = Losses("multinomial", problem.targets, problem.sample_weights.to(basis.coordinates.dtype)[:, :, None])
    start = losses.constant_solution(basis.coordinates.shape[1], len(columns))
    solved = solve(basis, losses, Cs[:1], start, tolerance=_TOLERANCE)
    solution = solved.weights[:, 0].double()
    # Probabilities do not depend on the mean of the biases; scikit-learn's biases also sum to zero.
    solution[-1] -= solution[-1].mean()
    return *basis.head(solution), solved.converged.expand(len(columns)).clone()


def _feature_notes(basis: Basis) -> list[str]:
    """A sentence about constant features, if there are any."""
    constant, total = int(basis.constant.sum()), len(basis.constant)
    if not constant:
        return []
    if constant == total:
        return [f"all {total:,} features are constant, so every prediction is the same"]
    return [f"{constant:,} of {total:,} features are constant, and are ignored"]
