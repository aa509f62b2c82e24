"""Pixels by matrix products of integers and float32 are canonical in ONNX Runtime and in OpenVINO."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings, strategies as st

from eyebright.export.graph import OPSET, Graph
from eyebright.export.matmul_pixels_graph import add_pixels_by_matmul
from eyebright.export.pixels_graph import steps_of
from eyebright.image.canonical import canonical_pixels
from support.preprocessing import LEVEL, PREPROCESSING, SIZES, placement, random_images


@cache
def pixels_model(name: str) -> bytes:
    graph = Graph()
    nodes = add_pixels_by_matmul(graph, "images", steps_of(PREPROCESSING[name]))
    info, integer = onnx.helper.make_tensor_value_info, onnx.TensorProto.INT64
    axes = (nodes.rows, nodes.columns)
    made = onnx.helper.make_graph(
        graph.nodes,
        "pixels",
        [info("images", onnx.TensorProto.UINT8, ["n", "h", "w", 3])],
        [
            info(nodes.pixels, onnx.TensorProto.FLOAT, [None] * 4),
            *(info(name, integer, [1]) for axis in axes for name in (axis.resized, axis.offset)),
        ],
        graph.constants,
    )
    model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


@cache
def session(name: str) -> Any:
    return onnxruntime.InferenceSession(pixels_model(name))


def assert_canonical(name: str, size: tuple[int, int], found: Any = None) -> None:
    images, where = random_images(*size), placement(name, size)
    pixels, *places = session(name).run(None, {"images": images}) if found is None else found(images)
    assert [int(one[0]) for one in places] == [where.resized.height, where.top, where.resized.width, where.left]
    expected = np.stack([canonical_pixels(image, where) for image in images])
    assert pixels.shape == expected.shape
    np.testing.assert_allclose(pixels, expected, rtol=0, atol=LEVEL)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", PREPROCESSING)
def test_pixels_are_canonical(name: str, size: tuple[int, int]) -> None:
    assert_canonical(name, size)


@settings(max_examples=100)
@given(st.sampled_from(sorted(PREPROCESSING)), st.integers(1, 500), st.integers(1, 500))
def test_pixels_of_any_size_are_canonical(name: str, height: int, width: int) -> None:
    assert_canonical(name, (height, width))


@pytest.mark.parametrize("name", PREPROCESSING)
def test_openvino_computes_the_same(name: str, tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    (tmp_path / "pixels.onnx").write_bytes(pixels_model(name))
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled: Any = openvino.Core().compile_model(tmp_path / "pixels.onnx", "CPU", hint)
    for size in ((1, 1), (17, 1000), (55, 51), (375, 500), (505, 320)):  # 505 * 0.7 ends in one half
        assert_canonical(name, size, lambda images: list(compiled([images]).values()))
