"""A saved model meets new labelled images: its scores, and its answers kept as a part of the folder."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image as PILImage

from eyebright.cli.main import run
from eyebright.errors import ArtifactError, InputError
from eyebright.inference.change_manifest import save_manifest
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.model_folder import load_evaluation, load_manifest
from eyebright.report.data import ReportFacts
from eyebright.report.kinds import task_report
from eyebright.sources.read import read_source
from eyebright.workflow import evaluate as workflow
from eyebright.workflow.command_options.evaluation import EvaluateOptions
from eyebright.workflow.evaluate import NewScores, evaluate_model
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.read_options import ReadOptions
from eyebright.workflow.train_model import train_model
from eyebright.workflow.tune import undo_tuning
from support.learners import TINY_ARCH, use_random_weights

OPTIONS = TrainOptions(arch=TINY_ARCH, epochs=0, size=32, device="cpu", progress="quiet", workers=0)
COLOURS = ("red", "blue")


def write_images(folder: Path, count: int, *, seed: int, first_patient: int = 0) -> pd.DataFrame:
    """Images whose colour is their label, two of each patient, and the table of them."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, str, str]] = []
    for i in range(count):
        pixels = rng.integers(0, 80, (40, 40, 3), dtype=np.uint8)
        pixels[..., 2 * (i % 2)] += 150
        PILImage.fromarray(pixels).save(folder / f"{seed}-{i:02}.png")
        rows.append((f"{seed}-{i:02}.png", COLOURS[i % 2], f"p{first_patient + i // 2}"))
    return pd.DataFrame(rows, columns=["file", "labels", "patient"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 24 images, their table, and a model of any number of labels and one of one label."""
    root = tmp_path_factory.mktemp("trained")
    write_images(root / "old", 24, seed=0).to_csv(root / "old.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        use_random_weights(patch)
        for kind in ("labels", "class"):
            source = read_source(root / "old.csv", images=root / "old", kind=kind, group="patient", labels="labels")
            train_model(source, root / kind, options=OPTIONS)
    return root


@pytest.fixture
def root(trained: Path, tmp_path: Path) -> Path:
    """A copy of it, with twelve new images."""
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    write_images(copy / "new", 12, seed=1, first_patient=50).to_csv(copy / "new.csv", index=False)
    return copy


def evaluated(
    root: Path, *, model: str = "labels", table: str = "new", given: ReadOptions | None = None, **options: Any
) -> tuple[NewScores, list[str]]:
    said: list[str] = []
    reading = given or ReadOptions(images=root / "new", labels=("labels",), group="patient")
    chosen = EvaluateOptions(root / model, root / f"{table}.csv", device="cpu", **options)
    return evaluate_model(chosen, reading, say=said.append), said


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rewrite(root: Path, **columns: Sequence[Any]) -> None:
    pd.read_csv(root / "new.csv").assign(**columns).to_csv(root / "new.csv", index=False)


@pytest.mark.parametrize("model", ["labels", "class"])
def test_the_answers_are_those_of_the_predictor_and_the_folder_stays_as_it_was(root: Path, model: str) -> None:
    before = contents(root / model)
    found, said = evaluated(root, model=model)
    assert contents(root / model) == before
    predictions = load_predictor(root / model, device="cpu").predict(found.evaluation.paths)
    expected = torch.stack([one.activated for one in predictions])
    torch.testing.assert_close(found.evaluation.activated, expected, atol=1e-5, rtol=0)
    rows = task_report(found.evaluation, ReportFacts()).metric_rows()
    assert [row.line for row in found.rows] == [row.line for row in rows]
    assert all(row.images == 12 and row.interval is not None for row in found.rows)
    assert not any("left out" in one or "not new" in one for one in said)
    assert found.evaluation.groups == tuple(f"p{50 + i // 2}" for i in range(12))


def test_a_part_is_kept_with_its_groups_and_the_other_parts_stay(root: Path) -> None:
    folder = root / "labels"
    valid, before = load_evaluation(folder), contents(folder)
    found, _ = evaluated(root, part="promise")
    kept = load_evaluation(folder, part="promise")
    assert (len(kept), kept.part, kept.files) == (12, "promise", found.evaluation.files)
    assert torch.equal(kept.outputs, found.evaluation.outputs)
    assert torch.equal(kept.targets, found.evaluation.targets)
    assert kept.groups == found.evaluation.groups
    assert [path.resolve() for path in kept.paths] == [path.resolve() for path in found.evaluation.paths]
    again = load_evaluation(folder)
    assert torch.equal(again.outputs, valid.outputs)
    assert (again.files, again.groups) == (valid.files, valid.groups)
    pd.testing.assert_frame_equal(again.columns, valid.columns)
    assert contents(folder)["model.safetensors"] == before["model.safetensors"]
    undo_tuning(folder)
    after = contents(folder)
    assert after["evaluation.parquet"] == before["evaluation.parquet"]
    assert json.loads(after["manifest.json"]) == json.loads(before["manifest.json"])
    assert set(after) == set(before)


def test_a_kept_test_part_is_in_the_report(root: Path) -> None:
    found, _ = evaluated(root, part="test")
    report = json.loads((root / "labels" / "report.json").read_text())
    assert [row["value"] for row in report["test_metrics"]] == pytest.approx([row.value for row in found.rows])


def test_a_part_is_only_replaced_when_that_is_asked_for(root: Path) -> None:
    evaluated(root, part="promise")
    before = contents(root / "labels")
    with pytest.raises(InputError, match="has 12 images of the part 'promise' already; `replace=True` replaces them"):
        evaluated(root, part="promise")
    assert contents(root / "labels") == before
    rewrite(root, labels=["red"] * 12)
    evaluated(root, part="promise", replace=True)
    assert load_evaluation(root / "labels", part="promise").targets[:, 1].tolist() == [1.0] * 12


def test_promises_are_given_up_with_the_images_that_they_were_made_with(root: Path) -> None:
    evaluated(root, part="promise")
    manifest = load_manifest(root / "labels")
    save_manifest(root / "labels", replace(manifest, tuning={"promises": []}))
    evaluated(root, part="promise", replace=True)
    assert load_manifest(root / "labels").tuning == {}


def test_a_report_that_cannot_be_made_leaves_the_model_as_it_was(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Path, **__: Any) -> None:
        raise ArtifactError("the disk is full")

    before = contents(root / "labels")
    monkeypatch.setattr(workflow, "make_report", fails)
    with pytest.raises(ArtifactError, match="the disk is full"):
        evaluated(root, part="promise")
    after = contents(root / "labels")
    assert after["evaluation.parquet"] == before["evaluation.parquet"]
    assert json.loads(after["manifest.json"]) == json.loads(before["manifest.json"])


def test_what_could_be_undone_can_be_undone_after_a_failure_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: Path, **__: Any) -> None:
        raise KeyboardInterrupt

    evaluated(root, part="test")
    write_images(root / "new", 4, seed=2, first_patient=80).to_csv(root / "new.csv", index=False)
    before = contents(root / "labels")
    monkeypatch.setattr(workflow, "make_report", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluated(root, part="promise")
    assert contents(root / "labels") == before


# ------------------------------------------------------------------ images that the model has seen


def with_leaks(root: Path) -> None:
    """The first new images become a training image, a mirrored copy of another, and one of a patient of a third."""
    pixels = PILImage.open(root / "old" / "0-02.png").transpose(PILImage.Transpose.FLIP_LEFT_RIGHT)
    pixels.save(root / "new" / "1-01.png")
    patients = [*["p90", "p91", "p9"], *[f"p{60 + i}" for i in range(9)]]
    files = ["../old/0-00.png", *[f"1-{i:02}.png" for i in range(1, 12)]]
    rewrite(root, file=files, patient=patients)


def test_known_images_their_copies_and_groups_make_no_promise(root: Path) -> None:
    with_leaks(root)
    found, said = evaluated(root, part="promise")
    assert [path.name for path in found.evaluation.paths] == [f"1-{i:02}.png" for i in range(3, 12)]
    assert any(one.startswith("left out of promises: 3 copies of images for training or validation") for one in said)


def test_many_copies_of_one_training_image_make_no_promise_either(root: Path) -> None:
    pixels = PILImage.open(root / "old" / "0-02.png")
    for i in range(1, 12):
        pixels.save(root / "new" / f"1-{i:02}.png")
    rewrite(root, patient=[f"p{60 + i}" for i in range(12)])
    found, said = evaluated(root, part="promise")
    assert [path.name for path in found.evaluation.paths] == ["1-00.png"]
    assert any(one.startswith("left out of promises: 11 copies of images for training or validation") for one in said)


def test_known_images_are_left_out_of_a_test_part_that_is_kept(root: Path) -> None:
    with_leaks(root)
    found, said = evaluated(root, part="test")
    assert len(found.evaluation) == 9
    assert any(one.startswith("left out of testing: 3 copies of images for training") for one in said)


def test_images_of_the_model_that_have_gone_and_other_groups_are_said(root: Path) -> None:
    (root / "old" / "0-02.png").unlink()
    rewrite(root, person=pd.read_csv(root / "new.csv")["patient"])
    reading = ReadOptions(images=root / "new", labels=("labels",), group="person")
    _, said = evaluated(root, given=reading, part="promise")
    assert any(one.startswith("images of the model that no longer exist, so that copies") for one in said)
    assert any("have groups by 'patient', but these images have those of 'person'" in one for one in said)


def test_images_that_the_same_table_trains_on_make_no_promise(root: Path) -> None:
    rewrite(
        root,
        split=["train"] * 6 + ["promise"] * 6,
        patient=[*[f"p{60 + i}" for i in range(6)], "p60", *[f"p{70 + i}" for i in range(5)]],
    )
    found, _ = evaluated(root, part="promise")
    assert [path.name for path in found.evaluation.paths] == [f"1-{i:02}.png" for i in range(7, 12)]


def test_parts_of_other_data_are_no_training_images_of_the_model(root: Path) -> None:
    rewrite(root, split=["train"] * 6 + ["test"] * 6)
    found, said = evaluated(root)
    assert len(found.evaluation) == 12
    assert found.notices == []
    assert not any("not new to the model" in one for one in said)


def test_copies_of_test_images_make_no_promise(root: Path) -> None:
    evaluated(root, part="test")
    table = write_images(root / "new", 4, seed=2, first_patient=80)
    (root / "new" / "2-00.png").write_bytes((root / "new" / "1-00.png").read_bytes())
    table.to_csv(root / "new.csv", index=False)
    found, said = evaluated(root, part="promise")
    assert [path.name for path in found.evaluation.paths] == [
        "2-02.png",
        "2-03.png",
    ]  # 2-01 is of one patient with 2-00
    assert "left out of promises: 2 images that the model has for testing, or copies of them" in said


def test_without_pixels_only_files_and_groups_are_known(root: Path) -> None:
    with_leaks(root)
    found, _ = evaluated(root, part="promise", pixels=False)
    assert [path.name for path in found.evaluation.paths][:2] == ["1-01.png", "1-03.png"]


def test_known_images_stay_in_a_plain_evaluation_and_the_score_without_them_is_said(root: Path) -> None:
    with_leaks(root)
    found, said = evaluated(root)
    assert len(found.evaluation) == 12
    assert any(one.startswith("not new to the model, but used for the evaluation: 3 copies") for one in said)
    assert found.notices[0].startswith("3 of the 12 evaluated images are copies of training images")


def test_all_images_known_is_an_error(root: Path) -> None:
    reading = ReadOptions(images=root / "old", labels=("labels",), group="patient")
    with pytest.raises(InputError, match="no image is left to evaluate"):
        evaluated(root, table="old", given=reading, part="promise")


def test_where_the_training_data_have_gone_the_validation_images_are_still_known(root: Path) -> None:
    (root / "old.csv").rename(root / "moved.csv")
    reading = ReadOptions(images=root / "old", labels=("labels",), group="none")
    n_valid = len(load_evaluation(root / "labels"))
    found, said = evaluated(root, table="moved", given=reading, part="promise")
    assert len(found.evaluation) == 24 - n_valid
    assert any(
        "cannot be read again: there is no" in one and "training images are not recognised" in one for one in said
    )


def test_an_image_is_for_promises_or_for_tests(root: Path) -> None:
    evaluated(root, part="test")
    table = pd.read_csv(root / "new.csv")
    further = write_images(root / "new", 4, seed=2, first_patient=80)
    pd.concat([table[:5], further]).to_csv(root / "new.csv", index=False)
    found, said = evaluated(root, part="promise")
    assert len(found.evaluation) == 4
    assert "left out of promises: 5 images that the model has for testing, or copies of them" in said


# ------------------------------------------------------------------ the data


def test_the_images_of_the_part_are_taken_where_the_data_name_parts(root: Path) -> None:
    rewrite(root, split=["test"] * 6 + ["train"] * 6)  # two images of each patient
    reading = ReadOptions(images=root / "new", labels=("labels",), split="split")
    found, _ = evaluated(root, given=reading, part="test")
    assert len(found.evaluation) == 6
    with pytest.raises(InputError, match="train 6, test 6.*none is of the part 'promise'; `split='none'` uses all"):
        evaluated(root, given=reading, part="promise")
    assert len(evaluated(root, given=reading)[0].evaluation) == 12


def test_a_label_that_the_model_lacks_is_not_scored_and_an_image_of_such_a_class_is_left_out(root: Path) -> None:
    rewrite(root, labels=["green"] * 2 + ["red"] * 10)
    found, said = evaluated(root)
    assert len(found.evaluation) == 12
    assert "labels that the model does not have, which are not scored: 'green (2 images)'" in said
    assert "labels of the model that no image has: 'blue'" in said
    found, said = evaluated(root, model="class")
    assert len(found.evaluation) == 10
    assert any(one.startswith("left out of the evaluation: 2 images with a label that no training") for one in said)


def test_labels_without_a_column_are_unknown(root: Path) -> None:
    table = pd.read_csv(root / "new.csv")
    table.assign(red=[1, 0] * 6, other=[0, 1] * 6).drop(columns="labels").to_csv(root / "new.csv", index=False)
    reading = ReadOptions(images=root / "new", labels=("red,other",), group="none")
    found, said = evaluated(root, given=reading)
    assert found.evaluation.targets[:, 0].isnan().all()
    assert found.evaluation.targets[:, 1].tolist() == [1.0, 0.0] * 6
    assert "labels of the model that these data do not declare, so unknown: 'blue'" in said


def test_data_without_labels_are_an_error_that_names_predict(root: Path) -> None:
    pd.read_csv(root / "new.csv")[["file"]].to_csv(root / "new.csv", index=False)
    with pytest.raises(InputError, match="`eyebright predict` is for images without labels"):
        evaluated(root, given=ReadOptions(images=root / "new"))


def test_unreadable_images_are_listed(root: Path) -> None:
    (root / "new" / "1-03.png").write_bytes(b"no image")
    found, said = evaluated(root)
    assert len(found.evaluation) == 11
    assert [one for one in said if one.startswith("skipped: ") and "1-03.png" in one]


# ------------------------------------------------------------------ the command


def test_the_command_prints_scores_and_writes_page_and_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["evaluate", str(root / "labels"), str(root / "new.csv"), "--images", str(root / "new")]
    arguments += [
        "--labels",
        "labels",
        "--device",
        "cpu",
        "--json",
        str(root / "s.json"),
        "--out",
        str(root / "s.html"),
    ]
    assert run([*arguments, "--part", "promise"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("mAP ") and line.endswith("on 12 images, 24 known targets") for line in lines)
    assert lines[-1].endswith("--promise 'precision >= 0.9'")
    content = json.loads((root / "s.json").read_text())
    assert content["metrics"][0]["name"] == "mAP"
    assert [row["label"] for row in content["labels"]] == ["blue", "red"]
    assert "12 promise images" in (root / "s.html").read_text()
    assert run([*arguments, "--part", "promise"]) == 2
    assert "--replace replaces them" in capsys.readouterr().err


def test_bad_input_is_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(root / "labels")
    (root / "notes.html").write_text("notes")
    for arguments, message in (
        ([model, str(root / "no.csv")], "there is no '"),
        ([str(root), str(root / "new.csv")], "contains no model.safetensors"),
        ([model, str(root / "new.csv"), "--replace"], "--replace is for --part"),
        ([model, str(root / "new.csv"), "--out", str(root / "notes.html")], "notes.html"),
    ):
        assert run(["evaluate", *arguments]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1


def test_a_model_without_an_evaluation_can_be_scored_and_keeps_no_part(root: Path) -> None:
    folder = root / "labels"
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "evaluation": None}))
    (folder / "evaluation.parquet").unlink()
    assert load_manifest(folder).evaluation_hash is None
    assert len(evaluated(root)[0].evaluation) == 12
    with pytest.raises(ArtifactError, match=r"contains no evaluation\.parquet"):
        evaluated(root, part="promise")
