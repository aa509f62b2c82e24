"""Chooses C, the inverse strength of the penalty, by cross-validation, for groups of outputs together.

Outputs of a group share their C: labels with similar numbers of positives, all classes, or each number. The best C of
labels with few positives cannot be measured on a single one of them. All labels and folds of a candidate are solved
together, each starting from its solution of the candidate before.

Axes: p problems (of an output and a fold), g groups of outputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from eyebright.errors import listing
from eyebright.train.linear_head.basis import Basis
from eyebright.train.linear_head.held_out import N_FOLDS, HeldOut, hold_out
from eyebright.train.linear_head.newton import solve
from eyebright.train.linear_head.problem import Problem

DEFAULT_C = 0.01
"""The value of C if nothing can be held out."""

_FREQUENCIES = (10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)
_MAX_NAMES = 5  # outputs named in a sentence
_MAX_NUMBERS = 20  # with more numbers all of them share one C
_GRID = tuple(10 ** (e / 2) for e in range(-10, 9))  # 1e-5 to 1e4
_SMALLER_CANDIDATES = tuple(10 ** (e / 2) for e in range(-11, -19, -1))  # down to 1e-9
_PATIENCE = 2  # number of candidates worse than the best after which the search ends
_CLEAR_RISE = 0.01  # relative rise of the loss that ends the search at once: the loss is a smooth function of log C
_MIN_GAIN = 1e-4  # relative gain in loss that a smaller candidate must have
_TOLERANCE = 1e-2  # tolerance of a probability: losses, which are flat around their minimum, hardly change


@dataclass(frozen=True)
class CChoice:
    """The C of a group of outputs, and its candidates.

    Args:
        outputs: the indices of the group's outputs.
        C: the chosen inverse strength of the penalty, as in scikit-learn: larger means less penalty.
        candidates: the values of C that were tried, ascending; empty if none was tried.
        losses: the mean held-out loss of a known cell for each candidate: log loss, or half the squared error of
            standardised numbers.
    """

    outputs: tuple[int, ...]
    C: float
    candidates: tuple[float, ...]
    losses: tuple[float, ...]


def choose_c(
    basis: Basis,
    problem: Problem,
    *,
    names: Sequence[str],
    candidates: Sequence[float] | None,
    groups: Int[Tensor, " n"] | None,
    seed: int,
) -> tuple[list[CChoice], list[str]]:
    """The C of each group of fitted outputs, chosen by the lowest held-out loss, and sentences about the choices.

    A group that cannot be tried, because its labels have one positive each, gets the C of the group with the nearest
    number of positives.

    Args:
        basis: the basis of all images.
        problem: the outputs to fit.
        names: the names of all outputs, for the sentences.
        candidates: the values of C to try; None tries powers of the square root of 10, upwards from 1e-5 until the
            held-out loss has risen, and downwards if it was lowest there.
        groups: the group of each image, which folds keep whole.
        seed: the seed of folds, and of the images and labels that are tried.
    """
    if not len(problem.to_fit):
        return [], []
    members = output_groups(problem)
    held_out = hold_out(basis, problem, members, groups, seed)
    if held_out is None:
        outputs = tuple(problem.to_fit.tolist())
        note = f"too few images to choose C by cross-validation: C = {DEFAULT_C}"
        return [CChoice(outputs, DEFAULT_C, (), ())], [note]
    tried = _search(held_out, len(members), candidates)
    choices = [
        _choice(tuple(problem.to_fit[positions].tolist()), tried[g], _nearest(tried, g))
        for g, positions in enumerate(members)
    ]
    notes = _edge_notes(choices, names, given=candidates is not None)
    if held_out.n_folds < N_FOLDS:
        kind = "images" if groups is None else "groups of images"
        notes.append(f"C is chosen with {held_out.n_folds} folds, because there are only as many {kind}")
    return choices, notes


def output_groups(problem: Problem) -> list[list[int]]:
    """Groups of fitted outputs whose C is chosen together, as positions in ``problem.to_fit``."""
    count = len(problem.to_fit)
    if problem.joint:
        return [list(range(count))]
    if problem.objective == "squared":
        return [[output] for output in range(count)] if count <= _MAX_NUMBERS else [list(range(count))]
    positives = (problem.targets * (problem.sample_weights > 0)).sum(dim=0)
    bins = torch.bucketize(positives, torch.tensor(_FREQUENCIES, dtype=torch.float64), right=True)
    return [(bins == bin_).nonzero()[:, 0].tolist() for bin_ in bins.unique().tolist()]


_Tried = dict[float, float]  # the mean held-out loss of each candidate


def _search(held_out: HeldOut, n_groups: int, candidates: Sequence[float] | None) -> list[_Tried]:
    """The held-out losses of the tried candidates of each group."""
    path = _Path(held_out, n_groups)
    if candidates is not None:
        for given in sorted(candidates):
            path.go(given, torch.ones(n_groups, dtype=torch.bool))
        return path.tried
    going = torch.ones(n_groups, dtype=torch.bool)
    for larger in _GRID:
        path.go(larger, going)
        going = torch.tensor([_goes_on(tried, upwards=True) for tried in path.tried])
    going = torch.tensor([_best(tried) == _GRID[0] for tried in path.tried])
    for smaller in _SMALLER_CANDIDATES:
        path.go(smaller, going)
        going &= torch.tensor([_goes_on(tried, upwards=False) for tried in path.tried])
    return path.tried


class _Path:
    """Solves the problems for one candidate after the other, each from the solution before.

    Args:
        held_out: the problems.
        n_groups: the number of groups of outputs.
    """

    def __init__(self, held_out: HeldOut, n_groups: int) -> None:
        self.tried: list[_Tried] = [{} for _ in range(n_groups)]
        self._held_out = held_out
        self._weights = held_out.losses.constant_solution(held_out.basis.coordinates.shape[1], held_out.n_outputs)

    def go(self, C: float, groups: Bool[Tensor, " g"]) -> None:
        """Adds the held-out loss of a candidate for some groups."""
        problems = groups[self._held_out.group].nonzero()[:, 0]
        if not len(problems):
            return
        losses, group = self._held_out.losses.select(problems), self._held_out.group[problems]
        Cs = torch.full((len(problems),), C, dtype=torch.float64)
        solution = solve(self._held_out.basis, losses, Cs, self._weights[:, problems], tolerance=_TOLERANCE)
        self._weights[:, problems] = solution.weights
        held = self._held_out.held[:, problems]
        summed = (losses.cells(solution.outputs) * held).sum(dim=0, dtype=torch.float64)
        for group_index in group.unique().tolist():
            in_group = group == group_index
            self.tried[group_index][C] = round(
                float(summed[in_group].sum() / held[:, in_group].sum(dtype=torch.float64)), 7
            )


def _best(tried: _Tried) -> float | None:
    """The candidate with the lowest loss, among equal ones the smallest; None without candidates."""
    return min(sorted(tried), key=lambda C: tried[C], default=None)


def _goes_on(tried: _Tried, *, upwards: bool) -> bool:
    """Whether the loss may still fall beyond the last candidate.

    It will not if it clearly rises or has risen twice; nor downwards if it is flat, since outputs are then constant.
    """
    best = _best(tried)
    if best is None:
        return False
    beyond = [loss for C, loss in tried.items() if (best < C if upwards else best > C)]
    ascending = [tried[C] for C in sorted(tried)]
    if not upwards and len(ascending) > 1 and ascending[1] - ascending[0] < _MIN_GAIN * ascending[0]:
        return False
    return len(beyond) < _PATIENCE and not any(loss > (1 + _CLEAR_RISE) * tried[best] for loss in beyond)


def _choice(outputs: tuple[int, ...], tried: _Tried, nearest: _Tried) -> CChoice:
    """The choice of a group.

    Args:
        outputs: the indices of the group's outputs.
        tried: the group's own candidates.
        nearest: the candidates of the nearest group that has any.
    """
    candidates = tuple(sorted(tried))
    C = _best(tried or nearest)
    assert C is not None
    return CChoice(outputs, C, candidates, tuple(tried[c] for c in candidates))


def _nearest(tried: Sequence[_Tried], group: int) -> _Tried:
    """The candidates of the nearest group that has any; of two equally near ones, that with more positives."""
    return tried[
        min((g for g, tried_of_group in enumerate(tried) if tried_of_group), key=lambda g: (abs(g - group), -g))
    ]


def _edge_notes(choices: Sequence[CChoice], names: Sequence[str], *, given: bool) -> list[str]:
    """A sentence for each choice that is the smallest or largest tried C."""
    notes: list[str] = []
    for choice in choices:
        if len(choice.candidates) < 2 or choice.C not in (choice.candidates[0], choice.candidates[-1]):
            continue
        end = "smallest" if choice.candidates[0] == choice.C else "largest"
        hardly = "; the features hardly predict it" if end == "smallest" else ""
        remedy = "; give candidates beyond it" if given else hardly
        which = listing([names[output] for output in choice.outputs], limit=_MAX_NAMES)
        notes.append(f"C of {which} (inverse regularisation) is the {end} that was tried, {choice.C:g}{remedy}")
    return notes
