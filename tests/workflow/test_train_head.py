"""`epochs=0`: a linear head on the frozen backbone, from a table to a model folder."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from eyebright.errors import InputError
from eyebright.evaluation.calibrate import fit_calibration
from eyebright.evaluation.decide import fit_decision
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.model_folder import load_evaluation, load_manifest
from eyebright.metrics.labels import mean_ap
from eyebright.sources.read import read_source
from eyebright.workflow import finish
from eyebright.workflow.effect import epochs_note
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.report import make_report
from eyebright.workflow.train_model import train_model
from support.images import coloured_squares
from support.learners import TINY_ARCH, use_random_weights

HEAD = TrainOptions(arch=TINY_ARCH, size=32, epochs=0, bs=6, device="cpu", progress="quiet")


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_random_weights(monkeypatch)
    rows = coloured_squares(tmp_path / "photos", 40)
    rows["person"] = [f"p{i // 2}" for i in range(len(rows))]
    rows[["fname", "labels", "is_valid", "person"]].to_csv(tmp_path / "t.csv", index=False)
    return tmp_path / "t.csv"


def train(table: Path, out: Path, *, options: TrainOptions = HEAD, resume: bool = False) -> list[str]:
    said: list[str] = []
    source = read_source(table, images=table.parent / "photos", labels=["labels"])
    train_model(source, out, options=options, resume=resume, say=said.append)
    return said


def test_the_folder_answers_as_its_evaluation_and_has_a_report_without_epochs(table: Path, tmp_path: Path) -> None:
    said = train(table, tmp_path / "model")
    assert any(
        re.fullmatch(r"a linear head was fitted to [\d,]+ features of each image, in [\d.]+ s", line) for line in said
    )
    assert "the model sees crops of 32x32 pixels" in said  # nothing is augmented
    evaluation, predictor = load_evaluation(tmp_path / "model"), load_predictor(tmp_path / "model")
    activated = torch.stack([each.activated for each in predictor.predict(evaluation.paths)])
    torch.testing.assert_close(activated, evaluation.activated, rtol=1e-5, atol=1e-5)
    page = (tmp_path / "model" / "report.html").read_bytes()
    assert b'id="training"' not in page
    make_report(tmp_path / "model")
    assert (tmp_path / "model" / "report.html").read_bytes() == page
    assert not (tmp_path / "model" / "checkpoint.safetensors").exists()
    assert json.loads((tmp_path / "model" / "options.json").read_text())["training"]["epochs"] == 0
    assert epochs_note(TrainOptions.load(tmp_path / "model")) == ""  # a repeated run gives no option without effect


def test_the_same_options_fit_the_same_head(table: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        train(table, tmp_path / name)
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("first", "second"))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_there_is_nothing_to_resume(table: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="`epochs=0` writes no checkpoint, so there is nothing to resume"):
        train(table, tmp_path / "model", resume=True)
    assert not (tmp_path / "model").exists()


def test_an_unreadable_image_is_an_error_that_says_how_to_skip_it(table: Path, tmp_path: Path) -> None:
    first = pd.read_csv(table).loc[lambda rows: ~rows["is_valid"], "fname"].iloc[0]
    path = table.parent / "photos" / str(first)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match="`skip_bad=True` skips it and lists it"):
        train(table, tmp_path / "model")


def test_folds_write_out_of_fold_outputs_for_all_labelled_images(table: Path, tmp_path: Path) -> None:
    said = train(table, tmp_path / "model", options=replace(HEAD, folds=4))
    evaluation = load_evaluation(tmp_path / "model", part="out_of_fold")
    assert len(evaluation) == 40
    expected = mean_ap(evaluation.activated, evaluation.targets)
    assert any(
        line.startswith(f"out of fold, 40 images by 4 heads on the pretrained backbone: mAP {expected:.3f} (")
        for line in said
    )
    train(table, tmp_path / "model")
    assert not (tmp_path / "model" / "out_of_fold.parquet").exists()


@pytest.mark.slow
def test_folds_before_fine_tuning_are_of_the_pretrained_backbone(table: Path, tmp_path: Path) -> None:
    options = replace(HEAD, folds=3, epochs=1, precision="float32")
    train(table, tmp_path / "tuned", options=options)
    train(table, tmp_path / "head", options=replace(options, epochs=0))
    tuned, head = (load_evaluation(tmp_path / name, part="out_of_fold") for name in ("tuned", "head"))
    assert torch.equal(tuned.outputs, head.outputs)


@pytest.mark.parametrize(("folds", "part"), [(None, "valid"), (2, "out_of_fold")])
def test_the_calibration_is_fitted_as_by_tune_and_the_thresholds_are_in_its_probabilities(
    table: Path, tmp_path: Path, folds: int | None, part: str
) -> None:
    said = train(table, tmp_path / "model", options=replace(HEAD, calibrate="temperature", folds=folds))
    evaluation, manifest = load_evaluation(tmp_path / "model"), load_manifest(tmp_path / "model")
    on = load_evaluation(tmp_path / "model", part="out_of_fold") if folds else evaluation
    assert manifest.decision.calibration == fit_calibration(on, kind="temperature").calibration
    assert manifest.decision.thresholds == fit_decision(evaluation).thresholds
    assert manifest.tuning["calibration"]["part"] == part
    assert any(line.startswith("calibration: temperature, as requested; on images") for line in said)
    assert 'id="tuning"' in (tmp_path / "model" / "report.html").read_text()


def test_a_model_whose_calibration_cannot_be_fitted_is_saved_without(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise InputError("one image is too few")

    monkeypatch.setattr(finish, "calibrated", fails)
    said = train(table, tmp_path / "model", options=replace(HEAD, calibrate="auto"))
    assert "no calibration: one image is too few" in said
    assert load_manifest(tmp_path / "model").decision.calibration.kind == "none"
