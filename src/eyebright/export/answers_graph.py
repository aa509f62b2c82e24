"""From a network's outputs to answers, as ONNX nodes: what a `Decision` does, for each kind of target.

Each kind has one entry in `ANSWERS`, by the name of its block: the nodes, and how an answer is compared with Python's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from eyebright.export.calibration_graph import add_calibration
from eyebright.export.graph import Graph, Value
from eyebright.export.pixels_graph import Placed
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.decision import Decision

Floats = np.ndarray[Any, np.dtype[Any]]


class Output(NamedTuple):
    """An output of an exported graph.

    Args:
        name: ``"probabilities"``, ``"decisions"`` (of labels: 1 yes, 0 no, -1 ask a person), ``"asks"``, ``"points"``
            or ``"values"``; or of another module.
        value: its name in the graph while it is made.
        dtype: the numpy dtype.
        shape: without the axis of images; a name where a side depends on the network.
    """

    name: str
    value: Value
    dtype: Any
    shape: tuple[int | str, ...]


class ImagePlace(NamedTuple):
    """The position of the image in the input of the network.

    Args:
        size: (height, width) of the input.
        rows: the image's place vertically; None: points are in pixels of the input.
        columns: its place horizontally.
    """

    size: tuple[int, int]
    rows: Placed | None = None
    columns: Placed | None = None


@dataclass(frozen=True)
class AnswerKind:
    """The answers of a graph for one kind of target.

    Args:
        add: adds the nodes from calibrated outputs to answers.
        margins: the distance of each answer from where it would change, from the numbers of the first output; None
            where answers are numbers.
        unit: what a difference of the first output is divided by, from the sizes of the images.
        measured_in: that unit in words.
        meaning: what the outputs are, in a sentence for the metadata.
        has_points: the first output are points, which the fixed graph gives in pixels of its input.
    """

    add: Callable[[Graph, Value, Decision, ImagePlace], list[Output]]
    margins: Callable[[Floats, Decision], Floats] | None
    unit: Callable[[TargetBlock, Floats], Floats]
    measured_in: str
    meaning: str
    has_points: bool = False


def add_answers(graph: Graph, outputs: Value, decision: Decision, place: ImagePlace) -> list[Output]:
    """Adds the nodes from a network's outputs to answers.

    Args:
        graph: gets the nodes.
        outputs: raw, float32, batch x outputs.
        decision: the decision of the saved model.
        place: where the image is in the input of the network.
    """
    calibrated = add_calibration(graph, outputs, decision.calibration)
    return ANSWERS[decision.target.name].add(graph, calibrated, decision, place)


# ------------------------------------------------------------------ labels


def _labels(graph: Graph, outputs: Value, decision: Decision, place: ImagePlace) -> list[Output]:
    probabilities = graph.op("Sigmoid", outputs)
    n_labels = decision.target.n_out
    upper, lower = thresholds_of(decision)
    decisions = graph.cast(graph.op("Greater", probabilities, graph.constant(upper, np.float32)), np.int64)
    if lower is not None:
        above = graph.cast(graph.op("Greater", probabilities, graph.constant(lower, np.float32)), np.int64)
        asked = graph.op("Sub", above, decisions)  # no lower threshold is above the other
        decisions = graph.op("Sub", decisions, asked)
    return [
        Output("probabilities", probabilities, np.float32, (n_labels,)),
        Output("decisions", decisions, np.int64, (n_labels,)),
    ]


def thresholds_of(decision: Decision) -> tuple[list[float], list[float] | None]:
    """(threshold of each label, lower threshold of each label or None)."""
    n_labels, thresholds = decision.target.n_out, decision.thresholds
    lower = thresholds.lower
    if lower is not None and not isinstance(lower, tuple):
        lower = (lower,) * n_labels
    return thresholds.per_class(n_labels).tolist(), None if lower is None else list(lower)


def _label_margins(probabilities: Floats, decision: Decision) -> Floats:
    upper, lower = thresholds_of(decision)
    each = [np.abs(probabilities - np.array(limits)) for limits in (upper, lower) if limits is not None]
    return np.minimum.reduce(each)


# ------------------------------------------------------------------ one class


def _one_class(graph: Graph, outputs: Value, decision: Decision, place: ImagePlace) -> list[Output]:
    probabilities = graph.op("Softmax", outputs, axis=1)
    best = graph.op("ArgMax", probabilities, axis=1, keepdims=0)
    return _class_outputs(graph, probabilities, best, decision)


def _class_outputs(graph: Graph, probabilities: Value, best: Value, decision: Decision) -> list[Output]:
    """Adds the third output, which is 1 if a person is asked because the class is not probable enough."""
    found = [
        Output("probabilities", probabilities, np.float32, (len(decision.target.classes),)),
        Output("decisions", best, np.int64, ()),
    ]
    if not decision.thresholds.is_three_way:
        return found
    columns = graph.constant([1])
    own = graph.op("GatherElements", probabilities, graph.op("Unsqueeze", best, columns), axis=1)
    is_sure = graph.op("Greater", own, graph.constant([class_threshold(decision)], np.float32))
    asks = graph.op("Squeeze", graph.cast(graph.op("Not", is_sure), np.int64), columns)
    return [*found, Output("asks", asks, np.int64, ())]


def class_threshold(decision: Decision) -> float:
    """The probability that the class of an image is above, or else a person is asked."""
    return float(decision.thresholds.per_class(1)[0])


def _class_margins(probabilities: Floats, decision: Decision) -> Floats:
    """Half of the lead over the second class: both can move; or what the class is from its threshold."""
    highest = np.sort(probabilities, axis=1)[:, -2:]
    return _with_abstention((highest[:, 1] - highest[:, 0]) / 2, highest[:, 1], decision)


def _with_abstention(margins: Floats, probabilities: Floats, decision: Decision) -> Floats:
    """The margins, or the distance of the probability of the class from its threshold where that is nearer."""
    if not decision.thresholds.is_three_way:
        return margins
    return np.minimum(margins, np.abs(probabilities - class_threshold(decision)))


def _ordinal(graph: Graph, outputs: Value, decision: Decision, place: ImagePlace) -> list[Output]:
    """The products of the sigmoids as sums of their logarithms; then the median class."""
    logs = graph.op("Neg", graph.op("Softplus", graph.op("Neg", outputs)))
    above = graph.op("Exp", graph.op("CumSum", logs, graph.constant(1)))
    columns = graph.constant([1])
    certain = graph.op("Pad", above, graph.constant([1, 0]), graph.constant(1.0), columns)
    never = graph.op("Pad", above, graph.constant([0, 1]), graph.constant(0.0), columns)
    probabilities = graph.op("Sub", certain, never)
    sums = graph.op("CumSum", graph.cast(probabilities, np.float64), graph.constant(1))
    inner = graph.op("Slice", sums, graph.constant([0]), graph.constant([-1]), columns)
    below = graph.cast(graph.op("Less", inner, graph.constant(0.5, np.float64)), np.int64)
    median = graph.op("ReduceSum", below, columns, keepdims=0)
    return _class_outputs(graph, probabilities, median, decision)


def _ordinal_margins(probabilities: Floats, decision: Decision) -> Floats:
    sums = probabilities.astype(np.float64).cumsum(axis=1)[:, :-1]
    median = (sums < 0.5).sum(axis=1, keepdims=True)
    own = np.take_along_axis(probabilities, median, axis=1)[:, 0]
    return _with_abstention(np.abs(sums - 0.5).min(axis=1), own, decision)


# ------------------------------------------------------------------ points and numbers


def _points(graph: Graph, outputs: Value, decision: Decision, place: ImagePlace) -> list[Output]:
    """From [-1, 1] over the network's input to pixels of the image, in float64."""
    n_points = decision.target.n_out // 2
    shape = graph.constant([-1, n_points, 2])
    points = graph.cast(graph.op("Reshape", outputs, shape), np.float64)
    half = graph.constant([place.size[1] / 2, place.size[0] / 2], np.float64)
    points = graph.op("Mul", graph.op("Add", points, graph.constant(1.0, np.float64)), half)
    if place.rows is not None and place.columns is not None:
        offset, resized, side = (
            graph.cast(graph.op("Concat", *pair, axis=0), np.float64)
            for pair in zip(
                *((axis.offset, axis.resized, axis.side) for axis in (place.columns, place.rows)), strict=True
            )
        )
        points = graph.op("Div", graph.op("Mul", graph.op("Sub", points, offset), side), resized)
    return [Output("points", graph.cast(points, np.float32), np.float32, (n_points, 2))]


def _numbers(graph: Graph, outputs: Value, decision: Decision, place: ImagePlace) -> list[Output]:
    block = decision.target.to_json()
    values = outputs
    if block["center"] is not None and block["scale"] is not None:
        scaled = graph.op("Mul", graph.cast(values, np.float64), graph.constant(block["scale"], np.float64))
        values = graph.cast(graph.op("Add", scaled, graph.constant(block["center"], np.float64)), np.float32)
    return [Output("values", values, np.float32, (decision.target.n_out,))]


def _probability(target: TargetBlock, sizes: Floats) -> Floats:
    return np.ones(1)


def _longer_side(target: TargetBlock, sizes: Float[np.ndarray, "n 2"]) -> Floats:
    return sizes.max(axis=1)[:, None, None]


def _deviation(target: TargetBlock, sizes: Floats) -> Floats:
    return np.array(target.to_json()["scale"] or [1.0])


_PROBABILITIES = "probabilities (after calibration)"
_ASKS_DESCRIPTION = "asks, where the model keeps a promise: 1 ask a person"
ANSWERS: dict[str, AnswerKind] = {
    "multicategory": AnswerKind(
        _labels,
        _label_margins,
        _probability,
        "in probability",
        f"{_PROBABILITIES} and decisions of each label: 1 yes, 0 no, -1 ask a person",
    ),
    "category": AnswerKind(
        _one_class,
        _class_margins,
        _probability,
        "in probability",
        f"{_PROBABILITIES}; decisions: index of the class; {_ASKS_DESCRIPTION}",
    ),
    "ordinal": AnswerKind(
        _ordinal,
        _ordinal_margins,
        _probability,
        "in probability",
        f"{_PROBABILITIES}; decisions: index of the median class; {_ASKS_DESCRIPTION}",
    ),
    "points": AnswerKind(
        _points, None, _longer_side, "of the image's longer side", "points (x, y) in pixels", has_points=True
    ),
    "regression": AnswerKind(_numbers, None, _deviation, "standard deviations", "values in the user's unit"),
}
"""The kinds of answers, by the name of the target block."""
