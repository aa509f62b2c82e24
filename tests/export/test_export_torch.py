"""A saved model becomes a `torch.export` program that torch runs alone, and is written only if it answers the same."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from eyebright.errors import ArtifactError
from eyebright.export import export_torch
from eyebright.export.export_torch import EXTRA_FILE, export_torch_file
from eyebright.export.exportable import Validation, load_exportable
from eyebright.export.files import Exported
from eyebright.export.parity import LIMIT
from eyebright.export.record import check_export
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.model_folder import load_evaluation
from support.learners import SQUARES, small_learner, squares_block

ALONE = """
import json, sys
for name in ("eyebright", "pandas", "cv2", "torchvision", "timm", "onnx", "onnxruntime"):
    sys.modules[name] = None
import numpy, PIL.Image, PIL.ImageOps, torch
extra = {"eyebright.json": ""}
program = torch.export.load(sys.argv[1], extra_files=extra).module()
names = json.loads(json.loads(extra["eyebright.json"])["names"])
answers = []
for path in sys.argv[2:]:
    image = PIL.ImageOps.exif_transpose(PIL.Image.open(path)).convert("RGB")
    found = program(torch.from_numpy(numpy.array(image))[None])
    answers.append({name: value[0].tolist() for name, value in found.items()} | {"names": names})
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def program(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_torch_file(saved, out=tmp_path_factory.mktemp("program"))


@pytest.mark.slow
def test_a_program_says_what_was_compared_and_how_near_it_is(program: Exported, saved: Path) -> None:
    assert sorted(path.name for path in program.folder.iterdir()) == ["export.json", "model.pt2"]
    parity = program.parity["model.pt2"]
    assert parity.images == len(load_evaluation(saved).paths) + 7
    assert parity.difference <= LIMIT
    assert (parity.answers, parity.changed_far) == (3 * parity.images, 0)
    assert parity.ood is not None
    assert parity.ood.difference <= LIMIT
    assert "17 images (7 of them made): largest difference" in program.sentences[0]
    assert check_export(program.folder, saved).files["model.pt2"]["parity"] == parity.to_json()


@pytest.mark.slow
def test_torch_alone_loads_it_and_answers_the_same(program: Exported, saved: Path) -> None:
    paths = [str(path) for path in load_evaluation(saved).paths]
    run = subprocess.run(
        [sys.executable, "-c", ALONE, str(program.folder / "model.pt2"), *paths],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    answers = json.loads(run.stdout)
    for answer, one in zip(answers, load_predictor(saved, device="cpu", runtime="torch").predict(paths), strict=True):
        assert answer["probabilities"] == pytest.approx(one.activated.tolist(), abs=LIMIT)
        assert {name for name, yes in zip(answer["names"], answer["decisions"], strict=True) if yes == 1} == set(
            one.decoded
        )
        assert answer["ood_score"] == pytest.approx(one.ood_score, rel=LIMIT, abs=LIMIT)


def test_it_takes_batches_of_any_size_and_says_what_it_is(program: Exported) -> None:
    extra = {EXTRA_FILE: ""}
    module = torch.export.load(program.folder / "model.pt2", extra_files=extra).module()
    about = json.loads(extra[EXTRA_FILE])
    assert (about["contract"], about["kind"]) == ("2", "multicategory")
    assert about["input"].startswith("images: uint8 RGB of any height and width")
    for shape in ((1, 1, 1, 3), (3, 1, 200, 3), (2, 300, 1, 3), (5, 40, 60, 3)):
        answers = module(torch.zeros(shape, dtype=torch.uint8))
        assert list(answers) == ["probabilities", "decisions", "ood_score", "ood"]
        assert answers["decisions"].shape == (shape[0], 3)


def test_it_names_no_path_of_this_machine(program: Exported) -> None:
    with zipfile.ZipFile(program.folder / "model.pt2") as archive:
        content = b"".join(archive.read(name) for name in archive.namelist())
    for path in (Path(export_torch.__file__).parent, Path(torch.__file__).parent, Path.home()):
        assert str(path).encode() not in content


def test_a_program_that_answers_otherwise_is_not_written(
    program: Exported, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = (program.folder / "model.pt2").read_bytes()
    monkeypatch.setattr(export_torch, "torch_program", lambda _: data)
    batch = export_torch.program_batch

    def moved(content: bytes) -> Any:
        run = batch(content)
        return lambda images: {name: value + np.float32(0.001) for name, value in run(images).items()}

    monkeypatch.setattr(export_torch, "program_batch", moved)
    with pytest.raises(ArtifactError, match=r"nothing is written: model\.pt2 does not answer as Python does"):
        export_torch_file(saved, out=tmp_path, validation=Validation(None, []))
    assert list(tmp_path.iterdir()) == []


def test_what_torch_cannot_export_or_load_is_an_error_of_a_line(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no such operator\nand much more")

    monkeypatch.setattr(torch.export, "export", fail)
    with pytest.raises(ArtifactError, match=r"^torch\.export cannot export this model: no such operator$"):
        export_torch_file(saved, validation=Validation(None, []))
    with pytest.raises(ArtifactError, match="torch cannot load the exported program"):
        export_torch.program_batch(b"damaged")


@pytest.mark.slow
def test_an_export_to_another_target_stays_if_it_is_of_the_same_model(
    program: Exported, exported: Exported, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = (program.folder / "model.pt2").read_bytes()
    monkeypatch.setattr(export_torch, "torch_program", lambda _: data)
    shutil.copytree(exported.folder, tmp_path, dirs_exist_ok=True)
    made = export_torch_file(saved, out=tmp_path, validation=Validation(None, []))
    files = check_export(tmp_path, saved).files
    assert set(files) == {"model.onnx", "model_fixed.onnx", "preprocess.py", "model.pt2"}
    assert files["model.onnx"] == exported.record.files["model.onnx"]
    assert made.record.content["versions"]["onnx"] == exported.record.content["versions"]["onnx"]
    record = json.loads((tmp_path / "export.json").read_text())
    record["model"]["decision"] = "of other thresholds"
    (tmp_path / "export.json").write_text(json.dumps(record))
    made = export_torch_file(saved, out=tmp_path, validation=Validation(None, []))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.json", "model.pt2"]
    assert [line.split(" ")[0] for line in made.sentences[-2:]] == ["model.onnx", "model_fixed.onnx"]
    assert made.sentences[-1].endswith(
        "of a former export is removed: it belonged to another model or other thresholds"
    )


@pytest.mark.slow
@pytest.mark.parametrize("record", ["{", '{"contract": 1}'])
def test_a_graph_of_which_no_record_says_the_model_is_left_and_said(
    program: Exported, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: str
) -> None:
    data = (program.folder / "model.pt2").read_bytes()
    monkeypatch.setattr(export_torch, "torch_program", lambda _: data)
    (tmp_path / "model.onnx").write_bytes(b"mine")
    (tmp_path / "export.json").write_text(record)
    made = export_torch_file(saved, out=tmp_path, validation=Validation(None, []))
    assert (tmp_path / "model.onnx").read_bytes() == b"mine"
    assert made.sentences[-1] == (
        "model.onnx in this folder is not in export.json: its model is unknown, so do not use it"
    )
    again = export_torch_file(saved, out=tmp_path / "other", validation=Validation(None, []))
    assert not any(
        "former export" in sentence or "in this folder is not in" in sentence for sentence in again.sentences
    )


def test_a_program_that_cannot_run_is_an_error_of_a_line(program: Exported) -> None:
    batch = export_torch.program_batch((program.folder / "model.pt2").read_bytes())
    with pytest.raises(ArtifactError, match=r"^torch cannot run the exported program with 1x8x8x4 values: [^\n]+$"):
        batch(np.zeros((1, 8, 8, 4), dtype=np.uint8))


def test_points_are_in_pixels_of_the_given_image(folder: Path, table: pd.DataFrame) -> None:
    dls = squares_block(folder, **SQUARES["points"]).dataloaders(table, bs=8, num_workers=0)
    made = load_exportable(small_learner(dls).save_model(folder / "model"), Validation(None, []), packages=())
    module = export_torch._FromImages(made).eval()  # pyright: ignore[reportPrivateUsage]
    images = np.random.default_rng(0).integers(0, 256, (2, 90, 61, 3), dtype=np.uint8)
    with torch.no_grad():
        found = module(torch.from_numpy(images))["points"]
    expected = [one.activated.numpy() for one in made.predictor.predict([*images])]
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=LIMIT * 90)
