"""The calibration of a decision as ONNX nodes, for each kind of `eyebright.tasks.calibration`."""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from eyebright.export.graph import Graph, Value
from eyebright.tasks.calibration import Calibration


def add_calibration(graph: Graph, outputs: Value, calibration: Calibration) -> Value:
    """Adds the nodes of a calibration; returns the calibrated outputs, batch x outputs.

    Args:
        graph: gets the nodes.
        outputs: raw, float32, batch x outputs.
        calibration: the calibration of a saved decision.
    """
    return CALIBRATIONS[calibration.kind](graph, outputs, calibration)


def _none(graph: Graph, outputs: Value, calibration: Any) -> Value:
    return outputs


def _temperature(graph: Graph, outputs: Value, calibration: Any) -> Value:
    return graph.op("Div", outputs, graph.constant(calibration.value, np.float32))


def _platt(graph: Graph, outputs: Value, calibration: Any) -> Value:
    scaled = graph.op("Mul", outputs, graph.constant(calibration.slopes, np.float32))
    return graph.op("Add", scaled, graph.constant(calibration.offsets, np.float32))


def _beta(graph: Graph, outputs: Value, calibration: Any) -> Value:
    a, b, c = (graph.constant(numbers, np.float32) for numbers in (calibration.a, calibration.b, calibration.c))
    high = graph.op("Mul", b, graph.op("Softplus", outputs))
    low = graph.op("Mul", a, graph.op("Softplus", graph.op("Neg", outputs)))
    return graph.op("Add", graph.op("Sub", high, low), c)


def _isotonic(graph: Graph, outputs: Value, calibration: Any) -> Value:
    """A search in the sorted knots: the number of knots that are not above an output, for each label."""
    tables = [_float32(graph, table) for table in calibration.tables]
    knots, values, slopes, highest = tables
    last = calibration.tables[2].shape[1] - 1
    columns = graph.op("Transpose", outputs, perm=[1, 0])
    third, axis = graph.constant([2]), graph.constant([1])
    reached = graph.op("GreaterOrEqual", graph.op("Unsqueeze", columns, third), graph.op("Unsqueeze", knots, axis))
    count = graph.op("ReduceSum", graph.cast(reached, np.int64), third, keepdims=0)
    at = graph.op("Clip", graph.op("Sub", count, graph.constant(1)), graph.constant(0), graph.constant(last))

    def there(table: Value) -> Value:
        return graph.op("GatherElements", table, at, axis=1)

    rise = graph.op("Mul", there(slopes), graph.op("Sub", columns, there(knots)))
    calibrated = graph.op("Min", graph.op("Add", there(values), rise), there(highest))
    return graph.op("Transpose", calibrated, perm=[1, 0])


def _float32(graph: Graph, table: Tensor) -> Value:
    return graph.constant(table.numpy(), np.float32)


CALIBRATIONS: dict[str, Callable[[Graph, Value, Any], Value]] = {
    "none": _none,
    "temperature": _temperature,
    "platt": _platt,
    "beta": _beta,
    "isotonic": _isotonic,
}
"""The function that adds each kind of calibration, by its name."""
