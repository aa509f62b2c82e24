"""Pixels by matrix products of integers and float32 are the same in OpenVINO; in ONNX Runtime: `test_pixels_graph`."""

from pathlib import Path
from typing import Any

import pytest

from support.pixels_models import assert_canonical, pixels_model
from support.preprocessing import PREPROCESSING


@pytest.mark.parametrize("name", PREPROCESSING)
def test_openvino_computes_the_same(name: str, tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    (tmp_path / "pixels.onnx").write_bytes(pixels_model("matmul", name))
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled: Any = openvino.Core().compile_model(tmp_path / "pixels.onnx", "CPU", hint)
    for size in ((1, 1), (17, 1000), (55, 51), (375, 500), (505, 320)):  # 505 * 0.7 ends in one half
        assert_canonical("matmul", name, size, lambda images: list(compiled([images]).values()))
