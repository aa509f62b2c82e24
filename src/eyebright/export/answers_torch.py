"""From a network's outputs to answers in torch operations that `torch.export` can keep, for each kind of target.

What `eyebright.tasks` computes is used where it can be; what looks at values there, such as the check for NaN, cannot.
Each kind has one entry in `TORCH_ANSWERS`, by the name of its block; its outputs are those of
`eyebright.export.answers_graph`.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from eyebright.export.answers_graph import class_threshold, thresholds_of
from eyebright.export.pixels_torch import PlacedAxis
from eyebright.metrics.ordinal import unchecked_median_class
from eyebright.tasks.decision import Decision

Places = tuple[PlacedAxis, PlacedAxis]
"""The position of the image in the input of the network, vertically and horizontally."""


def torch_answers(
    outputs: Float[Tensor, "b *k"], decision: Decision, places: Places, size: tuple[int, int]
) -> dict[str, Tensor]:
    """The answers by their names.

    Args:
        outputs: raw, float32.
        decision: the decision of the saved model.
        places: where the image is in the input of the network.
        size: (height, width) of the input.
    """
    calibrated = decision.calibration(outputs.reshape(-1, decision.target.n_out))
    return TORCH_ANSWERS[decision.target.name](calibrated, decision, places, size)


def _labels(outputs: Tensor, decision: Decision, *_: Any) -> dict[str, Tensor]:
    probabilities = decision.target.activate(outputs)
    upper, lower = thresholds_of(decision)
    is_yes = probabilities > torch.tensor(upper)
    decisions = is_yes.long()
    if lower is not None:
        decisions = decisions - ((probabilities > torch.tensor(lower)) & ~is_yes).long()
    return {"probabilities": probabilities, "decisions": decisions}


def _one_class(outputs: Tensor, decision: Decision, *_: Any) -> dict[str, Tensor]:
    probabilities = decision.target.activate(outputs)
    return _class_answers(probabilities, probabilities.argmax(dim=1), decision)


def _ordinal(outputs: Tensor, decision: Decision, *_: Any) -> dict[str, Tensor]:
    probabilities = decision.target.activate(outputs)
    return _class_answers(probabilities, unchecked_median_class(probabilities), decision)


def _class_answers(
    probabilities: Float[Tensor, "b k"], best: Int[Tensor, " b"], decision: Decision
) -> dict[str, Tensor]:
    """Adds the third output, which is 1 if a person is asked because the class is not probable enough."""
    answers = {"probabilities": probabilities, "decisions": best}
    if not decision.thresholds.is_three_way:
        return answers
    own = probabilities.gather(1, best[:, None])[:, 0]
    return {**answers, "asks": (~(own > torch.tensor(class_threshold(decision)))).long()}


def _points(outputs: Tensor, decision: Decision, places: Places, size: tuple[int, int]) -> dict[str, Tensor]:
    """From [-1, 1] over the network's input to pixels of the image, in float64."""
    points = outputs.reshape(-1, decision.target.n_out // 2, 2).double()
    rows, columns = places
    each = [
        ((points[..., i] + 1) * (size[1 - i] / 2) - axis.offset) * axis.side / axis.resized
        for i, axis in enumerate((columns, rows))
    ]
    return {"points": torch.stack(each, dim=-1).float()}


def _numbers(outputs: Tensor, decision: Decision, *_: Any) -> dict[str, Tensor]:
    block = decision.target.to_json()
    if block["center"] is None or block["scale"] is None:
        return {"values": outputs}
    scale, center = (torch.tensor(block[name], dtype=torch.float64) for name in ("scale", "center"))
    return {"values": (outputs.double() * scale + center).float()}


TORCH_ANSWERS: dict[str, Callable[[Tensor, Decision, Places, tuple[int, int]], dict[str, Tensor]]] = {
    "multicategory": _labels,
    "category": _one_class,
    "ordinal": _ordinal,
    "points": _points,
    "regression": _numbers,
}
"""The kinds of answers, by the name of the target block."""
