"""Class activation maps as ONNX nodes, and where the image is in the input of the network, to draw them on it."""

import numpy as np
from jaxtyping import Float

from eyebright.export.answers_graph import ImagePlace, Output
from eyebright.export.graph import Graph, Value

HEAT_MAPS = "heat_maps"
"""The output with the cells of the map of each label, float32, not scaled: `HeatMap.cells` of Grad-CAM."""
IMAGE_PLACE = "image_place"
"""The output with the position of the image in the input: (top, left, vertical, horizontal scale), in its pixels."""


def add_heat_maps(graph: Graph, maps: Value, weights: Float[np.ndarray, "k c"], place: ImagePlace) -> list[Output]:
    """Adds the nodes from the last feature map to a heat map of each output.

    Args:
        graph: gets the nodes.
        maps: float32, batch x channels x rows x columns.
        weights: the result of `eyebright.inference.class_activation.channel_weights`.
        place: where the image is.
    """
    n_images, rows, columns = (graph.side(maps, axis) for axis in (0, 2, 3))
    flat = graph.op("Reshape", maps, graph.integers(n_images, weights.shape[1], -1))
    sums = graph.op("MatMul", graph.constant(weights, np.float32), flat)
    n_places = graph.cast(graph.op("Mul", rows, columns), np.float32)
    cells = graph.op("Relu", graph.op("Div", sums, n_places))
    shape = graph.integers(n_images, len(weights), rows, columns)
    heat_map_outputs = [
        Output(HEAT_MAPS, graph.op("Reshape", cells, shape), np.float32, (len(weights), "rows", "columns"))
    ]
    if place.rows is None or place.columns is None:
        return heat_map_outputs
    axes = place.rows, place.columns
    scales = (graph.op("Div", axis.resized, axis.side) for axis in axes)
    numbers = graph.cast(graph.op("Concat", *(axis.offset for axis in axes), *scales, axis=0), np.float32)
    places = graph.op("Expand", numbers, graph.integers(n_images, 4))
    return [*heat_map_outputs, Output(IMAGE_PLACE, places, np.float32, (4,))]
