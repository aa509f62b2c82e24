"""A lower precision is written beside float32, with what it costs."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from eyebright.errors import ArtifactError, InputError
from eyebright.export import export_onnx, precision
from eyebright.export.export_onnx import calibration_images, export_onnx_files
from eyebright.export.exportable import validation_images
from eyebright.export.files import Exported
from eyebright.export.precision import Cost, to_int8
from eyebright.export.record import check_export, read_export
from eyebright.inference.load_predictor import load_predictor
from support.exports import cached_network


@pytest.fixture(scope="module")
def training_images(saved: Path) -> list[Path]:
    """Images beside the validation images, and these too."""
    return sorted((saved.parent / "photos").glob("*.*"))


@pytest.mark.parametrize("narrow", ["float16", "int8"])
def test_a_narrower_graph_has_its_cost_beside_it(
    narrow: Any,
    exported: Exported,
    saved: Path,
    training_images: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(export_onnx, "network_graph", cached_network(exported.folder))
    on = training_images if narrow == "int8" else []
    made = export_onnx_files(saved, out=tmp_path, precision=narrow, calibrate_on=on)
    name = f"model_{narrow}.onnx"
    assert set(made.record.files) == {"model.onnx", "model_fixed.onnx", "preprocess.py", name}
    assert isinstance(made.cost, Cost)
    assert made.cost.metric == "mAP"
    assert made.cost.parity.images == 10
    assert made.cost.bytes < 0.7 * made.cost.float32_bytes
    assert made.cost.score == pytest.approx(made.cost.float32_score, abs=0.2)
    assert made.sentences[-1] == f"{name}: {made.cost.sentence}"
    facts = check_export(tmp_path).files[name]
    assert (facts["precision"], facts["cost"]) == (narrow, json.loads(json.dumps(made.cost.to_json())))
    assert facts["calibrated_on"] == (30 if on else 0)
    session = onnxruntime.InferenceSession(read_export(tmp_path, name))
    assert session.get_modelmeta().custom_metadata_map["precision"] == narrow
    assert [one.name for one in session.get_outputs()] == ["probabilities", "decisions", "ood_score", "ood"]
    assert made.cost.parity.ood is not None
    assert np.isfinite(made.cost.parity.ood.difference)
    assert "out-of-distribution score: largest difference" in made.cost.sentence


def test_the_ranges_are_never_those_of_images_that_are_compared(saved: Path, training_images: list[Path]) -> None:
    validation = validation_images(saved)
    found = calibration_images(saved, training_images, validation)
    assert len(found) == len(training_images) - len(validation.paths)
    assert not set(found) & set(validation.paths)
    with pytest.raises(
        InputError, match="no image is left for the ranges of INT8: each of the 10 is missing, or among those"
    ):
        calibration_images(saved, validation.paths, validation)


def test_without_training_images_the_message_says_what_to_give(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eyebright.io.atomic._ATTEMPTS_TAKE", 0)
    copied = Path(shutil.copytree(saved, tmp_path / "model"))
    (copied / "training_images.json").unlink()
    with pytest.raises(InputError, match="does not know the training images: `calibrate_on` names a folder"):
        export_onnx_files(copied, precision="int8")


def test_a_trained_model_knows_its_training_images(saved: Path, training_images: list[Path]) -> None:
    validation = validation_images(saved)
    found = calibration_images(saved, [], validation)
    expected = {str(path) for path in training_images} - set(validation.paths)
    assert len(expected) == 30
    assert set(found) == expected


def test_training_images_have_moved_as_the_validation_images_have(
    saved: Path, training_images: list[Path], tmp_path: Path
) -> None:
    photos = Path(shutil.copytree(saved.parent / "photos", tmp_path / "moved"))
    found = calibration_images(saved, [], validation_images(saved, images=photos))
    assert {Path(path).parent for path in found} == {photos}
    assert len(found) == 30
    with pytest.raises(
        InputError, match=r"no image is left for the ranges of INT8: each of the 30 .* such as '.*empty/"
    ):
        calibration_images(saved, [], validation_images(saved, images=empty(tmp_path)))


def empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def test_images_for_the_ranges_that_cannot_be_read_are_an_error(
    saved: Path, exported: Exported, tmp_path: Path
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no image")
    network = cached_network(exported.folder)()
    with pytest.raises(ArtifactError, match="none of the images that INT8 is calibrated on can be read"):
        to_int8(network, load_predictor(saved, device="cpu", runtime="torch"), [str(tmp_path / "a.jpg")])


def test_a_network_that_cannot_be_converted_is_an_error(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxruntime.transformers import float16

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("an operator\nis unknown")

    monkeypatch.setattr(float16, "convert_float_to_float16", fail)
    with pytest.raises(ArtifactError, match="the network cannot be converted to float16: an operator$"):
        precision.to_float16(cached_network(exported.folder)())


@pytest.fixture
def narrow_images(saved: Path, tmp_path: Path) -> Path:
    """A copy of the validation images, of which one is cut off."""
    shutil.copytree(saved.parent / "photos", tmp_path / "photos")
    one = tmp_path / "photos" / validation_images(saved).paths[0].rpartition("/")[2]
    one.write_bytes(one.read_bytes()[:40])
    return tmp_path / "photos"


def test_an_image_that_cannot_be_read_is_not_measured(
    exported: Exported, saved: Path, narrow_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_onnx, "network_graph", cached_network(exported.folder))
    validation = validation_images(saved, images=narrow_images)
    made = export_onnx_files(saved, out=tmp_path / "shipped", precision="float16", validation=validation)
    assert made.cost is not None
    assert made.cost.parity.images == len(validation.paths) - 1
    assert made.cost.score is not None


def test_answers_that_are_not_finite_are_refused(
    exported: Exported, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    validation, graph = validation_images(saved), read_export(exported.folder)
    numbers = {"probabilities": np.full((1, 3), np.nan), "decisions": np.zeros((1, 3))}
    scores = {"ood_score": np.full(1, np.nan), "ood": np.zeros(1)}
    runs = iter([precision.whole_run(graph), lambda _: {**numbers, **scores}])
    monkeypatch.setattr(precision, "whole_run", lambda _: next(runs))
    with pytest.raises(
        ArtifactError, match="for 10 of 10 validation images the answers in this precision are not finite"
    ):
        precision.measure_cost(load_predictor(saved), validation.evaluation, validation.paths, (graph, graph))


def test_without_validation_images_the_cost_is_not_measured(
    exported: Exported, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_onnx, "network_graph", cached_network(exported.folder))
    made = export_onnx_files(
        saved, out=tmp_path, precision="float16", validation=validation_images(saved, images=tmp_path)
    )
    assert made.cost is not None
    assert made.cost.score is None
    assert "its answers are not measured, since there are no validation images" in made.cost.sentence
