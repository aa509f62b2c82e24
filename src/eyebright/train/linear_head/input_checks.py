"""Checks of the features, targets and options of a linear head, before anything is computed."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from eyebright._choices import HeadObjective
from eyebright.errors import InputError, count_text, short_repr

_BLOCK_IMAGES = 8192


def check_inputs(
    features: Float[Tensor, "n d"],
    targets: Tensor,
    objective: HeadObjective,
    names: Sequence[str] | None,
    sample_weight: Float[Tensor, " n"] | None,
    groups: Int[Tensor, " n"] | None,
) -> tuple[list[str], Float[Tensor, " n"]]:
    """The names of the outputs, and the weight of each image in float64.

    Args:
        features: pooled features.
        targets: see `fit_linear_head`.
        objective: ``"binary"``, ``"multinomial"`` or ``"squared"``, see `fit_linear_head`.
        names: the names of the outputs, or None.
        sample_weight: the weight of each image, or None.
        groups: the group of each image, or None.

    Raises:
        InputError: features are NaN or infinite, no target is known, or shapes or values are invalid.
    """
    check_features(features)
    n = len(features)
    for name, values in (("targets", targets), ("sample_weight", sample_weight), ("groups", groups)):
        if values is not None and len(values) != n:
            raise InputError(f"`{name}` must have a row for each of the {n:,} images, got {len(values):,}")
    check_targets(targets, objective)
    weights = torch.ones(n, dtype=torch.float64) if sample_weight is None else sample_weight.double()
    wrong = int((~weights.isfinite() | (weights < 0)).sum())
    if wrong:
        raise InputError(f"`sample_weight` must be finite and not negative; {wrong:,} of {n:,} are not")
    known = targets >= 0 if objective == "multinomial" else (~targets.isnan()).any(dim=1)
    if not (known & (weights > 0)).any():
        condition = " with a weight above 0" if sample_weight is not None else ""
        raise InputError(f"none of the {n:,} images{condition} has a known target, so there is nothing to fit")
    return output_names(targets, objective, names), weights


def check_features(features: Float[Tensor, "n d"]) -> None:
    """Checks pooled features.

    Raises:
        InputError: there are no features, or some are NaN or infinite.
    """
    if features.ndim != 2 or not features.numel():
        raise InputError(f"features must have the shape (images, features), got {tuple(features.shape)}")
    wrong = sum(int((~block.isfinite()).any(dim=1).sum()) for block in features.split(_BLOCK_IMAGES))
    if wrong:
        raise InputError(
            f"{wrong:,} of {count_text(len(features), 'image')} have features that are NaN or infinite; compute them "
            "in float32, or leave these images out"
        )


def check_targets(targets: Tensor, objective: HeadObjective) -> None:
    """Checks the targets of a head.

    Raises:
        InputError: shape, dtype or values are invalid for the objective.
    """
    if objective not in ("binary", "multinomial", "squared"):
        raise InputError(f"`objective` must be 'binary', 'multinomial' or 'squared', got {short_repr(objective)}")
    if objective == "multinomial":
        if targets.ndim != 1 or targets.dtype != torch.int64:
            raise InputError(f"classes must be one int64 index per image, got {_described(targets)}")
        if len(targets) and int(targets.min()) < -1:
            raise InputError(f"classes must be indices from 0 on, or -1 where unknown; got {int(targets.min())}")
        return
    if targets.ndim != 2 or not targets.shape[1] or not targets.is_floating_point():
        raise InputError(f"targets must be floats of shape (images, outputs), got {_described(targets)}")
    if objective == "binary" and bool(((targets < 0) | (targets > 1)).any()):
        outside = int(((targets < 0) | (targets > 1)).sum())
        raise InputError(f"targets of labels must be from 0 to 1, or NaN where unknown; {outside:,} are not")
    if objective == "squared" and targets.isinf().any():
        raise InputError(f"numbers must be finite, or NaN where unknown; {int(targets.isinf().sum()):,} are infinite")


def checked_c(C: "float | Sequence[float] | None") -> list[float] | None:
    """The values of C to choose from, ascending and without repetitions; None for a grid.

    Raises:
        InputError: there is no value, or one is not positive and finite.
    """
    if C is None:
        return None
    candidates = [float(C)] if isinstance(C, (int, float)) else [float(c) for c in C]
    wrong = [c for c in candidates if not 0 < c < float("inf")]
    if wrong or not candidates:
        raise InputError(f"`C` must be positive and finite, got {short_repr(wrong[0] if wrong else C)}")
    return sorted(set(candidates))


def output_names(targets: Tensor, objective: HeadObjective, names: Sequence[str] | None) -> list[str]:
    """The names of the outputs; without names numbers from 0.

    Raises:
        InputError: there are more or fewer names than outputs.
    """
    n_outputs = int(targets.max()) + 1 if objective == "multinomial" else targets.shape[1]
    if names is None:
        return [str(i) for i in range(n_outputs)]
    if len(names) < n_outputs or (objective != "multinomial" and len(names) > n_outputs):
        raise InputError(f"`names` must have a name for each of the {n_outputs:,} outputs, got {len(names):,}")
    return [str(name) for name in names]


def _described(targets: Tensor) -> str:
    return f"shape {tuple(targets.shape)} of {str(targets.dtype).removeprefix('torch.')}"
