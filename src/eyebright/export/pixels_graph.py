"""Canonical pixels as ONNX nodes: uint8 images of any size, resized, cropped and padded for a network.

The numbers are those of `eyebright.image.canonical`: sizes and offsets are computed in float64 in the same order of
operations, so that they are the same integers. Pixels differ by less than 0.01 of an 8-bit level, since ``Resize``
computes its weights in float32.

``Resize`` computes the whole resized image, including the cropped parts: for an image that is a thousand times as long
as high these are almost all of it, and more than fits into memory. If the resized image would have more than
`MAX_RESIZED_RATIO` times the pixels of the output, only the visible part is computed, as two products with
the weights of the triangle filter, from the part of the image that it needs.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from eyebright.errors import InputError
from eyebright.export.graph import Graph, Value
from eyebright.image.canonical import EPSILON
from eyebright.transforms.draw import Transform, evaluation_params
from eyebright.transforms.serialize import preprocessing_to_json
from eyebright.transforms.spatial import crop_margin
from eyebright.types import Size

MAX_RESIZED_RATIO = 8
"""The most pixels of a resized image before its crop, as a multiple of those of the output."""


class Steps(NamedTuple):
    """The preprocessing of a model, as numbers.

    Args:
        method: how the first resize treats the aspect ratio: ``"crop"`` covers ``box``, ``"pad"`` fits into it, and
            ``"squish"`` changes it.
        box: (height, width) that the first resize aims at.
        first: (height, width) after the first crop or padding.
        scale: (vertical, horizontal) factor of all remaining steps.
        shift: (vertical, horizontal) shift of all remaining steps, in pixels of the output.
        output: (height, width) of the output.
    """

    method: str
    box: tuple[int, int]
    first: tuple[int, int]
    scale: tuple[float, float]
    shift: tuple[float, float]
    output: tuple[int, int]

    def to_json(self) -> dict[str, Any]:
        """The steps as JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in self._asdict().items()}


def steps_of(transforms: Sequence[Transform]) -> Steps:
    """The steps of a preprocessing that makes canonical pixels of one size.

    Args:
        transforms: those of validation images.

    Raises:
        InputError: the first of them is neither a `Resize` nor a `RandomResizedCrop`.
    """
    data = preprocessing_to_json(transforms)
    kind = str(data[0]["kind"]) if data else ""
    if kind not in _BOXES:
        raise InputError(f"a preprocessing that begins with {kind or 'nothing'} cannot be exported")
    first = Size.of(data[0]["size"])
    warp = evaluation_params(transforms[1:], first).warp
    output = warp.output_size
    (a, _, tx), (_, d, ty), _ = warp.matrix.tolist()
    method, margin = _BOXES[kind](data[0], first)
    return Steps(
        method,
        (first.height + margin, first.width + margin),
        (first.height, first.width),
        (d, a),
        (ty, tx),
        (output.height, output.width),
    )


_BOXES = {
    "Resize": lambda data, size: (str(data["method"]), 0),
    "RandomResizedCrop": lambda data, size: ("crop", crop_margin(size, data["val_xtra"])),
}
"""For each first transform, from its JSON and size: (method, margin of the box around the size)."""


class Placed(NamedTuple):
    """The position of the resized image in the output, along one axis: names of vectors with one number.

    Args:
        side: the side of the image, float64 (int64 in `eyebright.export.matmul_pixels_graph`, as the next two).
        resized: its side after the resize.
        offset: where it begins in the output; negative where it is cropped.
        begin: the first visible pixel of the resized image, int64; empty where no node needs it.
        end: the pixel after its last visible one.
    """

    side: Value
    resized: Value
    offset: Value
    begin: Value
    end: Value


class PixelNodes(NamedTuple):
    """The values that `add_pixels` has added.

    Args:
        pixels: float32 in [0, 1], batch x height x width x 3.
        rows: where the image is vertically.
        columns: where it is horizontally.
    """

    pixels: Value
    rows: Placed
    columns: Placed


def add_pixels(graph: Graph, images: Value, steps: Steps) -> PixelNodes:
    """Adds the nodes that make canonical pixels.

    Args:
        graph: gets the nodes.
        images: uint8, batch x height x width x 3.
        steps: what is done.
    """
    sides = [graph.cast(graph.side(images, axis), np.float64) for axis in (1, 2)]
    rows, columns = (
        _placed(graph, side, first, steps, axis)
        for axis, (side, first) in enumerate(zip(sides, _first_resized(graph, sides, steps), strict=True))
    )
    is_large = graph.op(
        "Greater",
        graph.op("Mul", rows.resized, columns.resized),
        graph.constant([MAX_RESIZED_RATIO * steps.output[0] * steps.output[1]], np.float64),
    )
    scalar = graph.op("Squeeze", is_large, graph.constant([0]))
    visible = graph.op(
        "If",
        scalar,
        then_branch=_by_matmul(graph, images, rows, columns),
        else_branch=_by_resize(graph, images, rows, columns),
    )
    levels = graph.op("Div", visible, graph.constant(255.0))
    in_range = graph.op("Min", levels, graph.constant(1.0))  # sums of rounded weights can exceed 1
    return PixelNodes(_pad(graph, in_range, rows, columns, steps), rows, columns)


def _first_resized(graph: Graph, sides: Sequence[Value], steps: Steps) -> list[Value]:
    """(height, width) after the first resize, as `canonical.fit_size` computes them."""
    boxes = [graph.constant([side], np.float64) for side in steps.box]
    if steps.method == "squish":
        return boxes
    ratios = [graph.op("Div", box, side) for box, side in zip(boxes, sides, strict=True)]
    scale = graph.op("Max" if steps.method == "crop" else "Min", *ratios)
    return [_resized_side(graph, graph.op("Mul", scale, side)) for side in sides]


def _resized_side(graph: Graph, side: Value) -> Value:
    """The side rounded half up, and at least 1."""
    rounded = graph.op("Floor", graph.op("Add", side, graph.constant([0.5 + EPSILON], np.float64)))
    return graph.op("Max", rounded, graph.constant([1.0], np.float64))


def _placed(graph: Graph, side: Value, resized_once: Value, steps: Steps, axis: int) -> Placed:
    """The composition of all steps along one axis, as `canonical.canonical_placement` computes it."""

    def number(value: float) -> Value:
        return graph.constant([value], np.float64)

    to_first = graph.op("Mul", graph.op("Sub", number(steps.first[axis]), resized_once), number(0.5))
    shift = graph.op(
        "Add", graph.op("Mul", _truncated(graph, to_first), number(steps.scale[axis])), number(steps.shift[axis])
    )
    scaled = graph.op("Mul", resized_once, number(steps.scale[axis]))
    resized = _resized_side(graph, scaled)
    centred = graph.op("Add", shift, graph.op("Mul", graph.op("Sub", scaled, resized), number(0.5)))
    away = graph.op("Mul", graph.op("Sign", centred), number(EPSILON))
    offset = _truncated(graph, graph.op("Add", centred, away))
    begin = graph.op("Max", graph.op("Neg", offset), number(0))
    end = graph.op("Min", graph.op("Sub", number(steps.output[axis]), offset), resized)
    return Placed(side, resized, offset, graph.cast(begin, np.int64), graph.cast(end, np.int64))


def _truncated(graph: Graph, value: Value) -> Value:
    """The number without its fraction, float64."""
    return graph.cast(graph.cast(value, np.int64), np.float64)


def _by_resize(outer: Graph, images: Value, rows: Placed, columns: Placed) -> Any:
    """The visible part: the whole image is resized, then cropped."""
    graph = Graph(outer)
    sizes = graph.integers(*(graph.cast(axis.resized, np.int64) for axis in (rows, columns)))
    resized = graph.op(
        "Resize",
        graph.cast(images, np.float32),
        "",
        "",
        sizes,
        mode="linear",
        antialias=1,
        exclude_outside=1,
        coordinate_transformation_mode="half_pixel",
        axes=[1, 2],
    )
    begin, end = (
        graph.integers(*places) for places in zip(*((axis.begin, axis.end) for axis in (rows, columns)), strict=True)
    )
    return graph.subgraph(graph.op("Slice", resized, begin, end, graph.constant([1, 2])))


def _by_matmul(outer: Graph, images: Value, rows: Placed, columns: Placed) -> Any:
    """Only the visible part, as products with the filter's weights along each axis."""
    graph = Graph(outer)
    down, across = (_filter(graph, axis) for axis in (rows, columns))
    begin, end = graph.integers(down.first, across.first), graph.integers(down.last, across.last)
    needed = graph.cast(graph.op("Slice", images, begin, end, graph.constant([1, 2])), np.float32)
    n_images, height, width = (graph.side(needed, axis) for axis in range(3))
    flat = graph.op("Reshape", needed, graph.integers(n_images, height, -1))
    resized = graph.op("MatMul", down.weights, flat)
    upright = graph.op("Reshape", resized, graph.integers(n_images, -1, width, 3))
    return graph.subgraph(graph.op("MatMul", across.weights, upright))


class _Filter(NamedTuple):
    """The weights of the visible pixels along one axis, and the pixels of the image that they are for."""

    weights: Value
    first: Value
    last: Value


def _filter(graph: Graph, axis: Placed) -> _Filter:
    """The triangle filter of `canonical.canonical_pixels`, for only the visible pixels."""

    def number(value: float) -> Value:
        return graph.constant([value], np.float64)

    shrink = graph.op("Div", axis.side, axis.resized)
    support = graph.op("Max", shrink, number(1))

    def centre(pixel: Value) -> Value:
        return graph.op("Mul", graph.op("Add", pixel, number(0.5)), shrink)

    begin, end = (graph.cast(place, np.float64) for place in (axis.begin, axis.end))
    lowest = graph.op("Sub", centre(begin), support)
    highest = graph.op("Add", centre(graph.op("Sub", end, number(1))), support)
    first = graph.op("Max", graph.op("Floor", lowest), number(0))
    last = graph.op("Min", graph.op("Ceil", highest), axis.side)
    inputs = graph.op("Add", _range(graph, first, last), number(0.5))
    centres = graph.op("Unsqueeze", centre(_range(graph, begin, end)), graph.constant([1]))
    distance = graph.op("Div", graph.op("Abs", graph.op("Sub", inputs, centres)), support)
    weights = graph.op("Max", graph.op("Sub", number(1), distance), number(0))
    sums = graph.op("ReduceSum", weights, graph.constant([1]), keepdims=1)
    normalised = graph.cast(graph.op("Div", weights, sums), np.float32)
    return _Filter(normalised, graph.cast(first, np.int64), graph.cast(last, np.int64))


def _range(graph: Graph, begin: Value, end: Value) -> Value:
    """The whole numbers from ``begin`` to before ``end``, float64."""
    start, stop = (graph.op("Squeeze", value, graph.constant([0])) for value in (begin, end))
    return graph.op("Range", start, stop, graph.constant(1.0, np.float64))


def _pad(graph: Graph, visible: Value, rows: Placed, columns: Placed, steps: Steps) -> Value:
    """The visible part on black, of the size of the output."""
    before, after = [], []
    for axis, placed in enumerate((rows, columns)):
        begin = graph.cast(graph.op("Max", placed.offset, graph.constant([0.0], np.float64)), np.int64)
        length = graph.op("Add", begin, graph.op("Sub", placed.end, placed.begin))
        before.append(begin)
        after.append(graph.op("Sub", graph.constant([steps.output[axis]]), length))
    return graph.op("Pad", visible, graph.integers(*before, *after), "", graph.constant([1, 2]))
