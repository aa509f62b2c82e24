"""ONNX models that make pixels only, in the two ways of exported graphs, and the law that both obey."""

from functools import cache
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
import pytest

from eyebright.export import pixels_graph
from eyebright.export.graph import OPSET, Graph
from eyebright.export.matmul_pixels_graph import add_pixels_by_matmul
from eyebright.export.pixels_graph import add_pixels, steps_of
from eyebright.image.canonical import canonical_pixels
from support.preprocessing import LEVEL, PREPROCESSING, placement, random_images

Way = Literal["resize", "matmul"]


@cache
def pixels_model(way: Way, name: str, *, max_resized_ratio: float = 8) -> bytes:
    """The model of a preprocessing of `PREPROCESSING`; its outputs: the pixels, and by ``matmul`` their place."""
    graph, steps = Graph(), steps_of(PREPROCESSING[name])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixels_graph, "MAX_RESIZED_RATIO", max_resized_ratio)
        nodes = (add_pixels if way == "resize" else add_pixels_by_matmul)(graph, "images", steps)
    info, integer = onnx.helper.make_tensor_value_info, onnx.TensorProto.INT64
    axes = (nodes.rows, nodes.columns) if way == "matmul" else ()
    made = onnx.helper.make_graph(
        graph.nodes,
        "pixels",
        [info("images", onnx.TensorProto.UINT8, ["n", "h", "w", 3])],
        [
            info(nodes.pixels, onnx.TensorProto.FLOAT, [None] * 4),
            *(info(place, integer, [1]) for axis in axes for place in (axis.resized, axis.offset)),
        ],
        graph.constants,
    )
    model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


@cache
def session(way: Way, name: str, *, max_resized_ratio: float = 8) -> Any:
    """The model in ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(pixels_model(way, name, max_resized_ratio=max_resized_ratio), options)


def assert_canonical(way: Way, name: str, size: tuple[int, int], run: Any = None, **options: float) -> None:
    """Checks the pixels of random images of a size, and by ``matmul`` their place; ``run`` is another runtime."""
    images, where = random_images(*size), placement(name, size)
    found = session(way, name, **options).run(None, {"images": images}) if run is None else run(images)
    pixels, *places = found
    if way == "matmul":
        expected_places = [where.resized.height, where.top, where.resized.width, where.left]
        assert [int(place[0]) for place in places] == expected_places
    expected = np.stack([canonical_pixels(image, where) for image in images])
    assert pixels.shape == expected.shape
    np.testing.assert_allclose(pixels, expected, rtol=0, atol=LEVEL)
