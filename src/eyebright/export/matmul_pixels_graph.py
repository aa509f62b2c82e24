"""Canonical pixels as ONNX nodes for runtimes without an antialiased ``Resize`` and without float64, such as OpenVINO.

OpenVINO accepts ``Resize`` with ``antialias=1`` and computes other pixels, and its CPU plugin computes float64 in
float32, which can round a size that ends in one half the other way. So sizes and offsets are computed with integers, as
fractions of the sides of the image: the results are those of `eyebright.image.canonical`, whose tolerance of 1e-6
pixels finds the same halves. Along each axis, resize, crop and padding are one matrix product: the matrix has a row for
each pixel of the output; rows outside of the image are 0.
"""

from fractions import Fraction
from math import lcm

import numpy as np

from eyebright.export.graph import Graph, Value
from eyebright.export.pixels_graph import PixelNodes, Placed, Steps

_DENOMINATORS = 1 << 14  # of the factors of a preprocessing, which are ratios of sizes
_MAX_SIDE_PRODUCT = float(1 << 30)  # input side times resized side: below it, the integer distances fit into int32


def add_pixels_by_matmul(graph: Graph, images: Value, steps: Steps) -> PixelNodes:
    """Adds the nodes that compute canonical pixels; vectors of one int64 hold the position of the image.

    The largest number in them is about twice the product of the longer sides of image and input, times the ratio of
    the image's sides: in 32 bits, as OpenVINO computes, they are exact for images up to about 4 million pixels long.

    Args:
        graph: the graph that gets the nodes.
        images: uint8, batch x height x width x 3.
        steps: the resize, crop and padding.
    """
    sides = [graph.side(images, axis) for axis in (1, 2)]
    rows, columns = (
        _placed(graph, side, once_resized, steps, axis)
        for axis, (side, once_resized) in enumerate(zip(sides, _once_resized_sides(graph, sides, steps), strict=True))
    )
    n_images, height, width = (graph.side(images, axis) for axis in range(3))
    levels = graph.cast(images, np.float32)
    flat = graph.op("Reshape", levels, graph.integers(n_images, height, -1))
    down = graph.op("MatMul", _filter(graph, rows, steps.output[0]), flat)
    upright = graph.op("Reshape", down, graph.integers(n_images, steps.output[0], width, 3))
    resized = graph.op("MatMul", _filter(graph, columns, steps.output[1]), upright)
    scaled = graph.op("Div", resized, graph.constant(255.0))
    return PixelNodes(graph.op("Min", scaled, graph.constant(1.0)), rows, columns)


def _once_resized_sides(graph: Graph, sides: list[Value], steps: Steps) -> list[Value]:
    """(height, width) after the first resize: a side times the ratio that covers the box, or fits into it."""
    boxes = [graph.constant([side]) for side in steps.box]
    if steps.method == "squish":
        return boxes
    across = [graph.op("Mul", boxes[0], sides[1]), graph.op("Mul", boxes[1], sides[0])]  # to compare the two ratios
    is_vertical = graph.op("GreaterOrEqual" if steps.method == "crop" else "LessOrEqual", *across)
    box, side = (graph.op("Where", is_vertical, *pair) for pair in (boxes, sides))
    return [_rounded(graph, graph.op("Mul", box, length), side) for length in sides]


def _rounded(graph: Graph, numerator: Value, denominator: Value) -> Value:
    """A fraction rounded half up, and at least 1."""
    twice = graph.op("Add", graph.op("Mul", numerator, graph.constant([2])), denominator)
    return graph.op(
        "Max", graph.op("Div", twice, graph.op("Mul", denominator, graph.constant([2]))), graph.constant([1])
    )


def _placed(graph: Graph, side: Value, once_resized: Value, steps: Steps, axis: int) -> Placed:
    """The composition of all steps along one axis, as fractions with one denominator."""
    scale, shift = (Fraction(values[axis]).limit_denominator(_DENOMINATORS) for values in (steps.scale, steps.shift))
    shared = lcm(scale.denominator, shift.denominator)

    def number(value: Fraction | int) -> Value:
        return graph.constant([int(value)])

    scaled = graph.op("Mul", once_resized, number(scale * shared))
    resized = _rounded(graph, scaled, number(shared))
    to_first_output = _divided_toward_zero(graph, graph.op("Sub", number(steps.first[axis]), once_resized), 2)
    moved = graph.op("Add", graph.op("Mul", to_first_output, number(scale * shared)), number(shift * shared))
    rest = graph.op("Sub", scaled, graph.op("Mul", resized, number(shared)))
    centred = graph.op("Add", graph.op("Mul", moved, number(2)), rest)
    return Placed(side, resized, _divided_toward_zero(graph, centred, 2 * shared), "", "")


def _divided_toward_zero(graph: Graph, value: Value, divisor: int) -> Value:
    """The integer quotient truncated toward zero, however a runtime rounds negative quotients."""
    return graph.op("Mul", graph.op("Sign", value), graph.op("Div", graph.op("Abs", value), graph.constant([divisor])))


def _filter(graph: Graph, axis: Placed, n_out: int) -> Value:
    """The weights of the pixels of the image for each pixel of the output, along one axis."""
    positions = graph.op("Sub", graph.constant(np.arange(n_out)), axis.offset)
    is_inside = graph.op(
        "And",
        graph.op("GreaterOrEqual", positions, graph.constant([0])),
        graph.op("Less", positions, axis.resized),
    )
    distance = _distance(graph, axis, positions)
    weights = graph.op("Max", graph.op("Sub", graph.constant(1.0), distance), graph.constant(0.0))
    shown = graph.op("Unsqueeze", graph.cast(is_inside, np.float32), graph.constant([1]))
    weights = graph.op("Mul", weights, shown)
    sums = graph.op("Max", graph.op("ReduceSum", weights, graph.constant([1]), keepdims=1), graph.constant(1e-12))
    return graph.op("Div", weights, sums)


def _distance(graph: Graph, axis: Placed, positions: Value) -> Value:
    """The distance of each pixel of the image from the centre of each output pixel, as a share of the filter's support.

    It is a fraction of whole numbers where they fit into 32 bits, else computed in float32: of an image that is more
    than a thousand times as long as high, the weights then have errors of about 0.001.
    """
    side, resized = (graph.cast(value, np.float32) for value in (axis.side, axis.resized))
    count = graph.op("Squeeze", axis.side, graph.constant([0]))
    pixels = graph.op("Range", graph.constant(0), count, graph.constant(1))
    rows = graph.op("Unsqueeze", positions, graph.constant([1]))
    one, two = graph.constant([1]), graph.constant([2])
    doubled = [graph.op("Add", graph.op("Mul", value, two), one) for value in (pixels, rows)]
    longer = graph.op("Mul", graph.op("Max", side, resized), graph.constant(2.0))
    whole = [graph.op("Mul", *pair) for pair in zip(doubled, (axis.resized, axis.side), strict=True)]
    exact = graph.op("Div", graph.cast(graph.op("Abs", graph.op("Sub", *whole)), np.float32), longer)
    parts = [graph.cast(value, np.float32) for value in doubled]
    moved = graph.op("Sub", parts[0], graph.op("Mul", parts[1], graph.op("Div", side, resized)))
    rough = graph.op("Div", graph.op("Mul", graph.op("Abs", moved), resized), longer)
    fits = graph.op("Less", graph.op("Mul", side, resized), graph.constant(_MAX_SIDE_PRODUCT))
    return graph.op("Where", fits, exact, rough)
