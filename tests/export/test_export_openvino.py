"""A saved model becomes files of OpenVINO's own format, written only if OpenVINO answers as Python does with them."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eyebright.cli.main import run
from eyebright.errors import ArtifactError, MissingExtraError
from eyebright.export import export_openvino
from eyebright.export.export_openvino import FLOAT32, export_openvino_files
from eyebright.export.exportable import validation_images
from eyebright.export.files import Exported
from eyebright.export.parity import LIMIT
from eyebright.export.record import check_export
from eyebright.inference.load_predictor import load_predictor
from eyebright.types import Thresholds
from support.exports import cached_network

FILES = ["export.json", "model.bin", "model.xml", "model_fixed.bin", "model_fixed.xml", "preprocess.py"]


@pytest.fixture(scope="module")
def converted(saved: Path, exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    pytest.importorskip("openvino")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_openvino, "network_graph", cached_network(exported.folder))
        validation = validation_images(saved, most=3)
        return export_openvino_files(saved, out=tmp_path_factory.mktemp("openvino"), validation=validation)


def test_both_graphs_are_compared_in_openvino(converted: Exported, saved: Path) -> None:
    assert sorted(path.name for path in converted.folder.iterdir()) == FILES
    assert set(converted.parity) == {"model.xml", "model_fixed.xml"}
    for parity in converted.parity.values():
        assert (parity.images, parity.made) == (10, 7)
        assert parity.difference <= LIMIT
        assert parity.changed_far == 0
        assert parity.ood is not None
        assert parity.ood.difference <= LIMIT
    assert any("INFERENCE_PRECISION_HINT f32" in line for line in converted.sentences)
    record = check_export(converted.folder, saved)
    assert record.files["model.xml"]["runtime_options"] == FLOAT32
    assert record.files["model.xml"]["weights"] == "model.bin"


def test_openvino_alone_answers_images_of_any_size(converted: Exported, saved: Path) -> None:
    openvino: Any = pytest.importorskip("openvino")
    core = openvino.Core()
    model = core.read_model(converted.folder / "model.xml")
    assert model.get_rt_info(["eyebright", "contract"]).astype(str) == "2"
    compiled = core.compile_model(model, "CPU", FLOAT32)
    images = np.random.default_rng(0).integers(0, 256, (2, 90, 61, 3), dtype=np.uint8)
    found = compiled([images])["probabilities"]
    expected = [
        one.activated.numpy() for one in load_predictor(saved, device="cpu", runtime="torch").predict([*images])
    ]
    np.testing.assert_allclose(found, expected, rtol=0, atol=LIMIT)


def test_the_size_of_a_graph_is_that_of_both_its_files(converted: Exported) -> None:
    from eyebright.evaluation.exported_graphs import exported_graphs

    whole = next(graph for graph in exported_graphs(converted.record.files) if graph.file == "model.xml")
    assert whole.bytes == sum((converted.folder / name).stat().st_size for name in ("model.xml", "model.bin"))


def with_other_thresholds(build: Callable[..., bytes]) -> Callable[..., bytes]:
    def wrong(network: Any, steps: Any, decision: Any, metadata: Any, **options: Any) -> bytes:
        return build(network, steps, decision.with_thresholds(Thresholds(0.0)), metadata, **options)

    return wrong


def test_what_answers_otherwise_is_not_written(
    exported: Exported, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr(export_openvino, "network_graph", cached_network(exported.folder))
    monkeypatch.setattr(export_openvino, "fixed_graph", with_other_thresholds(export_openvino.fixed_graph))
    with pytest.raises(ArtifactError, match=r"nothing is written: model_fixed\.xml does not answer as Python does"):
        export_openvino_files(saved, out=tmp_path, validation=validation_images(saved, most=0))
    assert list(tmp_path.iterdir()) == []


def test_what_openvino_cannot_read_is_an_error_of_a_line(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    (tmp_path / "model.xml").write_text("<no graph>")
    with pytest.raises(ArtifactError, match=r"^OpenVINO cannot load 'model\.xml': [^\n]+$"):
        export_openvino.openvino_batch(tmp_path / "model.xml")


def test_a_package_that_is_missing_is_named(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"needs the package 'openvino': pip install 'eyebright\[openvino\]'"):
        export_openvino_files(saved)


def test_a_lower_precision_is_for_onnx(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for target in ("openvino", "torch-export"):
        assert run(["export", str(tmp_path), "--to", target, "--precision", "int8"]) == 2
        assert f"--precision int8 is for --to onnx, not for {target}; leave it out" in capsys.readouterr().err
