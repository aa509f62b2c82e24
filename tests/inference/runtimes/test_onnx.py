"""The exported ONNX graph: its outputs, its metadata and the errors of export and loading."""

import json
import sys
from pathlib import Path

import onnx
import pytest
import torch

from eyebright.errors import ArtifactError, MissingExtraError
from eyebright.image.canonical import CANONICAL, LIBRARY_PIXELS, PixelsVersion
from eyebright.inference.model_folder import model_hash
from eyebright.inference.runtimes import onnx_export
from eyebright.inference.runtimes.onnx_export import export_onnx, without_code_notes
from eyebright.inference.runtimes.onnx_runtime import GraphMetadata, load_onnx_runtime
from eyebright.inference.runtimes.torch_runtime import runner, torch_runtime
from eyebright.models.split_model import FeatureExtractor, split_at_head
from support.models import SIZE, pixels, small_graph, small_model


@pytest.mark.slow
@pytest.mark.parametrize("version", [CANONICAL, LIBRARY_PIXELS])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_batches_of_any_length_have_the_outputs_of_the_model(count: int, version: PixelsVersion) -> None:
    expected = runner(small_model(), torch.device("cpu"))(pixels(count, version))
    given = load_onnx_runtime(small_graph(version))[0].run(pixels(count, version))
    assert given.shape == (count, 3)
    torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-5)


def test_the_features_are_those_of_torch() -> None:
    images = pixels(3)
    ours, theirs = torch_runtime(small_model(), torch.device("cpu")), load_onnx_runtime(small_graph())[0]
    assert ours.run_with_features is not None
    assert theirs.run_with_features is not None
    (outputs, expected), (given, features) = ours.run_with_features(images), theirs.run_with_features(images)
    torch.testing.assert_close(given, outputs, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(given, split_at_head(small_model()).head(features), rtol=1e-4, atol=1e-5)


def test_a_graph_of_an_older_version_has_no_features() -> None:
    graph = onnx.load_from_string(small_graph())
    del graph.graph.output[1]
    runtime, _ = load_onnx_runtime(graph.SerializeToString())
    assert runtime.run_with_features is None
    assert runtime.run(pixels(2)).shape == (2, 3)


@pytest.mark.parametrize(("version", "dtype"), [(CANONICAL, "FLOAT"), (LIBRARY_PIXELS, "UINT8")])
def test_the_graph_is_valid_and_takes_preprocessed_pixels(version: PixelsVersion, dtype: str) -> None:
    graph = onnx.load_from_string(small_graph(version))
    onnx.checker.check_model(graph, full_check=True)
    [images], [outputs, features] = graph.graph.input, graph.graph.output
    assert images.name == "images"
    assert images.type.tensor_type.elem_type == onnx.TensorProto.DataType.Value(dtype)
    assert [axis.dim_value or axis.dim_param for axis in images.type.tensor_type.shape.dim] == ["batch", *SIZE, 3]
    assert (outputs.name, features.name) == ("outputs", "features")


def test_the_metadata_has_the_hash_and_the_times_of_both_runtimes() -> None:
    metadata = load_onnx_runtime(small_graph())[1]
    assert metadata.model_hash == model_hash(small_model().description, small_model().state_dict())
    assert metadata.pixels_version == CANONICAL
    assert metadata.torch_ms > 0
    assert metadata.onnx_ms > 0
    assert metadata.onnx_is_faster == (metadata.onnx_ms < metadata.torch_ms)


def test_the_metadata_of_old_and_new_graphs_are_read() -> None:
    new = GraphMetadata("abc", 2.0, 1.0, CANONICAL)
    stored = json.loads(new.to_json())
    assert stored == {"fingerprint": "abc", "torch_ms": 2.0, "onnx_ms": 1.0, "pixels": "canonical-1"}
    assert GraphMetadata.from_json(json.dumps(stored)) == new
    del stored["pixels"]
    assert GraphMetadata.from_json(json.dumps(stored)).pixels_version == "legacy-1"


def test_other_weights_or_another_description_have_another_hash() -> None:
    first, second = small_model(0), small_model(1)
    same = model_hash(first.description, first.state_dict())
    assert same == model_hash(first.description, small_model(0).state_dict())
    assert same != model_hash(first.description, second.state_dict())
    other = first.description.from_json({**first.description.to_json(), "y_range": [0, 1]})
    assert same != model_hash(other, first.state_dict())


@pytest.mark.slow
def test_a_graph_with_other_outputs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(onnx_export._FromPixels):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            outputs, features = super().forward(images)
            return outputs + 0.01, features

    monkeypatch.setattr(onnx_export, "_FromPixels", Wrong)
    with pytest.raises(ArtifactError, match=r"the outputs of onnx differ from those of the model by up to 0\.01"):
        export_onnx(small_model(), SIZE, model_hash="", pixels_version=CANONICAL)


def test_a_model_that_torch_cannot_export_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FeatureExtractor, "forward", lambda self, x: self.backbone(x / 255) if x.max() > 9 else x)
    with pytest.raises(ArtifactError, match="torch cannot export this model to ONNX: "):
        export_onnx(small_model(), SIZE, model_hash="", pixels_version=CANONICAL)


@pytest.mark.parametrize("place", [Path(onnx_export.__file__).parent, Path(torch.__file__).parent, Path.home()])
def test_a_graph_holds_no_path_of_the_machine(place: Path) -> None:
    assert f"{place}/".encode() not in small_graph()


def test_notes_about_the_code_are_removed_from_a_graph_of_an_older_version() -> None:
    graph = onnx.load_from_string(small_graph())
    for part in (graph, graph.graph, graph.graph.node[0], graph.graph.input[0], graph.graph.initializer[0]):
        part.doc_string = "File /home/secret/code.py"
    graph.graph.node[1].metadata_props.add(key="stack_trace", value="/home/secret")
    inner = graph.graph.node[2].attribute.add(name="body", type=onnx.AttributeProto.GRAPH).g
    inner.node.add(op_type="Identity", doc_string="/home/secret")
    clean = without_code_notes(graph.SerializeToString())
    assert b"secret" not in clean
    graph = onnx.load_from_string(clean)
    del graph.graph.node[2].attribute[-1]
    assert graph.SerializeToString() == small_graph()


def test_what_is_no_graph_has_no_notes_to_remove() -> None:
    with pytest.raises(ArtifactError, match="the graph is not an ONNX file"):
        without_code_notes(b"no graph")


@pytest.mark.parametrize("graph", [b"", b"no graph"])
def test_a_damaged_graph_raises_an_artifact_error(graph: bytes) -> None:
    with pytest.raises(ArtifactError, match="the graph cannot be used: "):
        load_onnx_runtime(graph)


def test_a_graph_without_the_metadata_of_eyebright_is_refused() -> None:
    graph = onnx.load_from_string(small_graph())
    del graph.metadata_props[:]
    with pytest.raises(ArtifactError, match="the graph cannot be used: .*eyebright"):
        load_onnx_runtime(graph.SerializeToString())


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_without_the_extra_the_error_has_the_pip_command(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"'{package}': pip install 'eyebright\[onnx\]'"):
        export_onnx(small_model(), SIZE, model_hash="", pixels_version=CANONICAL)
