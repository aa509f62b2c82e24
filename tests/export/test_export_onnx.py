"""A saved model is exported, compared with Python, and written only if it answers the same."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from eyebright.errors import ArtifactError, InputError, MissingExtraError
from eyebright.export import export_onnx
from eyebright.export.export_onnx import export_onnx_files
from eyebright.export.exportable import validation_images
from eyebright.export.files import Exported
from eyebright.export.parity import LIMIT
from eyebright.export.record import check_export, read_export, read_record
from eyebright.image.canonical import LIBRARY_PIXELS
from eyebright.image.image import Image
from eyebright.inference.change_manifest import save_manifest
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.model_folder import load_evaluation, load_manifest
from eyebright.inference.out_of_distribution import OutOfDistribution
from eyebright.types import Thresholds
from support.exports import cached_network
from support.models import model_folder

EXAMPLE = Path(__file__).parents[2] / "examples" / "answer_with_onnxruntime.py"
FILES = ["export.json", "model.onnx", "model_fixed.onnx", "preprocess.py"]
BLOCKED = """
import runpy, sys
for name in ("torch", "eyebright", "pandas", "cv2", "torchvision", "timm"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def copied(exported: Exported, saved: Path, tmp_path: Path) -> Path:
    """A copy of the model folder with its export in it."""
    shutil.copytree(saved, tmp_path / "model")
    shutil.copytree(exported.folder, tmp_path / "model", dirs_exist_ok=True)
    return tmp_path / "model"


def photos(saved: Path) -> list[Path]:
    return list(load_evaluation(saved).paths)


@pytest.mark.slow
def test_an_export_says_what_was_compared_and_how_near_it_is(exported: Exported, saved: Path) -> None:
    assert sorted(path.name for path in exported.folder.iterdir()) == FILES
    assert set(exported.parity) == {"model.onnx", "model_fixed.onnx"}
    for parity in exported.parity.values():
        assert parity.images == len(photos(saved)) + parity.made == 17
        assert parity.difference <= LIMIT
        assert parity.answers == 3 * parity.images
        assert parity.changed_far == 0
    assert "17 images (7 of them made): largest difference" in exported.sentences[0]
    record = check_export(exported.folder)
    assert record.files["model.onnx"]["parity"] == exported.parity["model.onnx"].to_json()
    assert record.content["contract"] == 2


def test_the_graph_says_what_it_is(exported: Exported, saved: Path) -> None:
    session = onnxruntime.InferenceSession(read_export(exported.folder))
    meta = session.get_modelmeta().custom_metadata_map
    thresholds = load_manifest(saved).decision.thresholds
    names = load_manifest(saved).target.output_names
    assert (meta["contract"], meta["kind"], json.loads(meta["names"])) == ("2", "multicategory", list(names))
    assert json.loads(meta["thresholds"]) == [thresholds.values] * 3
    assert json.loads(meta["lower_thresholds"]) == [thresholds.lower] * 3
    assert len(meta["fingerprint"]) == 64
    assert [(one.name, one.type, one.shape) for one in session.get_inputs()] == [
        ("images", "tensor(uint8)", ["batch", "height", "width", 3])
    ]
    assert [(one.name, one.shape) for one in session.get_outputs()] == [
        ("probabilities", ["batch", 3]),
        ("decisions", ["batch", 3]),
        ("ood_score", ["batch"]),
        ("ood", ["batch"]),
    ]
    assert json.loads(meta["ood_threshold"]) == 1
    assert "ood: 1 above ood_threshold" in meta["answers"]


def test_a_batch_of_images_of_any_size_has_the_answers_of_python(exported: Exported, saved: Path) -> None:
    session: Any = onnxruntime.InferenceSession(read_export(exported.folder))
    images = [Image.create(path).pixels() for path in photos(saved)]
    images = [image for image in images if image.shape == images[0].shape]
    probabilities, scores = session.run(["probabilities", "ood_score"], {"images": np.stack(images)})
    expected = load_predictor(saved, device="cpu", runtime="torch").predict(images)
    np.testing.assert_allclose(probabilities, [one.activated.numpy() for one in expected], rtol=0, atol=LIMIT)
    expected_scores = np.array([one.ood_score for one in expected], dtype=np.float64)
    np.testing.assert_allclose(scores, expected_scores, rtol=LIMIT, atol=LIMIT)


def test_the_out_of_distribution_score_is_compared_with_that_of_python(exported: Exported, saved: Path) -> None:
    for name, parity in exported.parity.items():
        assert parity.ood is not None
        assert parity.ood.difference <= LIMIT
        assert parity.ood.changed_far == 0
        assert exported.record.files[name]["parity"]["ood"]["difference"] == parity.ood.difference
    assert "out-of-distribution score: largest difference" in exported.sentences[0]
    unlike = np.full((1, 60, 80, 3), 255, np.uint8)
    session: Any = onnxruntime.InferenceSession(read_export(exported.folder))
    score, flag = session.run(["ood_score", "ood"], {"images": unlike})
    [prediction] = load_predictor(saved, device="cpu", runtime="torch").predict([unlike[0]])
    assert (bool(flag[0]), prediction.is_ood) == (True, True)
    assert score[0] == pytest.approx(prediction.ood_score, rel=LIMIT)


def test_a_graph_whose_out_of_distribution_scores_differ_is_not_written(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_onnx, "network_graph", cached_network(copied))
    build = export_onnx.whole_graph

    def moved(*given: Any, ood: OutOfDistribution) -> bytes:
        return build(*given, ood=replace(ood, offset=ood.offset + 1e-3))

    monkeypatch.setattr(export_onnx, "whole_graph", moved)
    with pytest.raises(
        ArtifactError, match=r"Python does: .*; out-of-distribution score: largest difference 0\.000\d+,"
    ):
        export_onnx_files(copied, validation=validation_images(copied, most=1))


def test_a_model_without_an_out_of_distribution_score_has_no_output_for_it(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copied / "out_of_distribution.safetensors").unlink()  # a copy of a folder may lack it
    monkeypatch.setattr(export_onnx, "network_graph", cached_network(copied))
    made = export_onnx_files(copied, validation=validation_images(copied, most=1))
    session = onnxruntime.InferenceSession(read_export(copied))
    assert [one.name for one in session.get_outputs()] == ["probabilities", "decisions"]
    assert "ood_threshold" not in made.record.content
    assert made.parity["model.onnx"].ood is None


def test_a_program_without_eyebright_or_torch_answers_the_same(exported: Exported, saved: Path) -> None:
    paths = [str(path) for path in photos(saved)]
    run = subprocess.run(
        [sys.executable, "-c", BLOCKED, str(EXAMPLE), str(exported.folder), *paths],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    answers = json.loads(run.stdout)
    expected = load_predictor(saved, device="cpu", runtime="torch").predict(paths).to_json()
    assert [one["path"] for one in answers] == paths
    for answer, one in zip(answers, expected, strict=True):
        assert (answer["labels"], answer["ask"]) == (one["labels"], one["ask"])
        assert answer["probabilities"] == pytest.approx(one["probabilities"], abs=LIMIT)
        assert answer["ood_score"] == pytest.approx(one["ood_score"], rel=LIMIT, abs=LIMIT)
        assert answer["ood"] is one["ood"] or abs(one["ood_score"] - 1) <= LIMIT  # one has the threshold as its score
    assert any(one["ask"] for one in answers)


def test_the_example_refuses_a_damaged_graph(copied: Path, saved: Path) -> None:
    (copied / "model.onnx").write_bytes(b"damaged")
    run = subprocess.run(
        [sys.executable, str(EXAMPLE), str(copied), str(photos(saved)[0])], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "is damaged" in run.stderr


# ------------------------------------------------------------------ what is refused


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit of the graph": (lambda folder: flip(folder / "model.onnx"), "damaged, or is not a file of this export"),
    "no graph": (lambda folder: (folder / "model.onnx").unlink(), "model.onnx' cannot be read: No such file"),
    "no record": (lambda folder: (folder / "export.json").unlink(), "contains no export.json, which an export writes"),
    "no JSON": (lambda folder: (folder / "export.json").write_text("{"), "export.json' is damaged: it is not JSON"),
    "nothing in it": (lambda folder: (folder / "export.json").write_text("[]"), "damaged: it has no list of files"),
    "another version": (lambda folder: change(folder, contract=3), "is of version 3 of exported graphs"),
    "no hash": (lambda folder: change(folder, files={"model.onnx": {}}), "damaged: a file has no hash"),
    "no such file": (lambda folder: change(folder, files={}), "knows no model.onnx, only"),
    "another model": (
        lambda folder: change(folder, model={"id": "0"}),
        "the export is of another model than the one in",
    ),
    "tuned since": (lambda folder: retune(folder), "has other thresholds or another calibration than manifest.json"),
}


def change(folder: Path, **values: Any) -> None:
    path = folder / "export.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def retune(folder: Path) -> None:
    manifest = load_manifest(folder)
    save_manifest(folder, replace(manifest, decision=manifest.decision.with_thresholds(Thresholds(0.9))))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_foreign_export_is_refused(damage: str, copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eyebright.io.atomic._ATTEMPTS_TAKE", 0)
    read_export(copied)
    do, says = DAMAGES[damage]
    do(copied)
    with pytest.raises(ArtifactError, match=says):
        read_export(copied)


def with_other_thresholds(build: Callable[..., bytes]) -> Callable[..., bytes]:
    def wrong(network: Any, steps: Any, decision: Any, metadata: Any, **options: Any) -> bytes:
        return build(network, steps, decision.with_thresholds(Thresholds(0.0)), metadata, **options)

    return wrong


def test_an_export_that_answers_otherwise_is_not_written(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    monkeypatch.setattr(export_onnx, "network_graph", cached_network(copied))
    monkeypatch.setattr(export_onnx, "whole_graph", with_other_thresholds(export_onnx.whole_graph))
    with pytest.raises(
        ArtifactError, match="nothing is written: model.onnx does not answer as Python does: .* decisions changed"
    ):
        export_onnx_files(copied)
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before


@pytest.mark.parametrize("how", ["full disk", "no permission", "interrupted"])
def test_after_an_error_the_former_export_is_complete(how: str, copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    monkeypatch.setattr(export_onnx, "network_graph", cached_network(copied))
    errors: dict[str, BaseException] = {
        "full disk": OSError(28, "No space left on device"),
        "no permission": PermissionError(13, "Permission denied"),
        "interrupted": KeyboardInterrupt(),
    }

    def fail(*_: object) -> None:
        raise errors[how]

    monkeypatch.setattr(Path, "write_bytes", fail)
    if how == "interrupted":
        with pytest.raises(KeyboardInterrupt):
            export_onnx_files(copied, validation=validation_images(copied, most=1))
    else:
        with pytest.raises(ArtifactError, match="cannot save the export in .*; what was there before is unchanged"):
            export_onnx_files(copied, validation=validation_images(copied, most=1))
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before
    check_export(copied)


def test_a_former_graph_with_another_contract_is_replaced(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copied / "export.json").unlink()
    (copied / "model.onnx").write_bytes(b"former")
    (copied / "model.onnx.sha256").write_text("hash")
    why = load_predictor(copied, device="cpu").runtime.why
    assert why == (
        "model.onnx is a graph of an older version of eyebright, which is no longer used; save_onnx writes network.onnx"
    )
    monkeypatch.setattr(export_onnx, "network_graph", cached_network(copied))
    export_onnx_files(copied, validation=validation_images(copied, most=1))
    assert not (copied / "model.onnx.sha256").exists()
    assert load_predictor(copied, device="cpu").runtime.why == "there is no network.onnx in the model folder"


# ------------------------------------------------------------------ models and images that are missing


def test_without_validation_images_only_made_ones_are_compared(
    copied: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(export_onnx, "network_graph", cached_network(copied))
    exported = export_onnx_files(copied, validation=validation_images(copied, images=tmp_path))
    assert exported.sentences[0].startswith(
        "only synthetic images are compared, since none of the 10 validation images"
    )
    assert exported.parity["model.onnx"].images == exported.parity["model.onnx"].made == 7
    (copied / "evaluation.parquet").unlink()
    monkeypatch.setattr("eyebright.io.atomic._ATTEMPTS_TAKE", 0)
    assert "contains no evaluation.parquet" in export_onnx_files(copied).sentences[0]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"preprocessing": ()}, "keeps different image sizes, and an exported graph needs a fixed one"),
        ({"pixels_version": LIBRARY_PIXELS}, "version 'legacy-1', whose pixels depend on the installed libraries"),
    ],
)
def test_a_model_that_no_graph_can_be_is_refused(options: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        export_onnx_files(model_folder(tmp_path / "model", **options))


def test_an_export_in_another_folder_is_compared_with_the_model_that_is_named(exported: Exported, copied: Path) -> None:
    assert check_export(exported.folder, copied).files
    retune(copied)
    with pytest.raises(ArtifactError, match=r"other thresholds or another calibration than manifest\.json in"):
        check_export(exported.folder, copied)


def test_a_narrower_graph_of_a_former_export_is_removed(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copied / "model_int8.onnx").write_bytes(b"with other thresholds eyebright")
    monkeypatch.setattr(export_onnx, "network_graph", cached_network(copied))
    export_onnx_files(copied)
    assert not (copied / "model_int8.onnx").exists()


def test_a_folder_without_a_model_is_refused(tmp_path: Path, saved: Path) -> None:
    with pytest.raises(ArtifactError, match="there is no model folder"):
        export_onnx_files(tmp_path / "none")
    with pytest.raises(ArtifactError, match="contains no model.safetensors, but nothing"):
        export_onnx_files(tmp_path)
    with pytest.raises(InputError, match="there is no folder of images"):
        validation_images(saved, images=tmp_path / "none")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_a_package_that_is_missing_is_named(package: str, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=f"needs the package '{package}': pip install 'eyebright\\[onnx\\]'"):
        export_onnx_files(saved)


def test_a_record_of_another_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="contains no export.json"):
        read_record(tmp_path)
