"""The resize inside an exported graph makes canonical pixels, for images of any size."""

from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings, strategies as st

from eyebright.errors import InputError
from eyebright.export import pixels_graph
from eyebright.export.graph import OPSET, Graph
from eyebright.export.pixels_graph import add_pixels, steps_of
from eyebright.export.preprocess import preprocess
from eyebright.image.canonical import canonical_pixels
from support.preprocessing import LEVEL, PREPROCESSING, SIZES, placement, random_images


@cache
def session(name: str, *, most_cropped: float = 8) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixels_graph, "MAX_RESIZED_RATIO", most_cropped)
        graph = Graph()
        nodes = add_pixels(graph, "images", steps_of(PREPROCESSING[name]))
    info = onnx.helper.make_tensor_value_info
    made = onnx.helper.make_graph(
        graph.nodes,
        "pixels",
        [info("images", onnx.TensorProto.UINT8, ["n", "h", "w", 3])],
        [info(nodes.pixels, onnx.TensorProto.FLOAT, [None] * 4)],
        graph.constants,
    )
    model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def assert_canonical(name: str, size: tuple[int, int], **options: float) -> None:
    images = random_images(*size)
    [pixels] = session(name, **options).run(None, {"images": images})
    expected = np.stack([canonical_pixels(image, placement(name, size)) for image in images])
    assert pixels.shape == expected.shape
    np.testing.assert_allclose(pixels, expected, rtol=0, atol=LEVEL)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", PREPROCESSING)
def test_pixels_are_canonical(name: str, size: tuple[int, int]) -> None:
    assert_canonical(name, size)


@settings(max_examples=100)
@given(st.sampled_from(sorted(PREPROCESSING)), st.integers(1, 700), st.integers(1, 700))
def test_pixels_of_any_size_are_canonical(name: str, height: int, width: int) -> None:
    assert_canonical(name, (height, width))


@pytest.mark.parametrize("name", PREPROCESSING)
def test_the_way_of_elongated_images_gives_the_same_pixels_of_others(name: str) -> None:
    assert_canonical(name, (75, 100), most_cropped=0)
    assert_canonical(name, (30, 20), most_cropped=0)


def test_a_very_elongated_image_takes_no_more_memory_than_it_shows() -> None:
    """Resized as a whole it would have 56 * 56 * 3,000,000 pixels."""
    assert_canonical("crop of a crop", (1, 3_000_000))


@settings(max_examples=60)
@given(st.sampled_from(sorted(PREPROCESSING)), st.integers(1, 300), st.integers(1, 300))
def test_the_reference_preprocessing_makes_canonical_pixels(name: str, height: int, width: int) -> None:
    [image] = random_images(height, width, 1)
    pixels, places = preprocess(image, steps_of(PREPROCESSING[name]).to_json())
    where = placement(name, (height, width))
    expected = canonical_pixels(image, where).transpose(2, 0, 1)
    assert pixels.dtype == np.float32
    assert pixels.flags.c_contiguous
    np.testing.assert_allclose(pixels, expected, rtol=0, atol=LEVEL)
    assert [offset for offset, _ in places] == [where.top, where.left]


def test_a_preprocessing_that_begins_with_nothing_cannot_be_exported() -> None:
    with pytest.raises(InputError, match="begins with nothing cannot be exported"):
        steps_of(())
