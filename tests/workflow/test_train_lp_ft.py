"""`train_model` by default: a fitted head, then all layers from there; the options of the book's head choose that."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from eyebright.errors import InputError
from eyebright.inference.model_folder import load_evaluation
from eyebright.report.data import ReportFacts
from eyebright.sources.read import read_source
from eyebright.workflow.fine_tuning_options import FineTuning, fine_tuning_of
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.report import make_report
from eyebright.workflow.train_model import train_model
from support.images import coloured_squares
from support.learners import TINY_ARCH, use_random_weights

OPTIONS = TrainOptions(arch=TINY_ARCH, size=32, epochs=1, bs=6, device="cpu", precision="float32", progress="quiet")


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_random_weights(monkeypatch)
    rows = coloured_squares(tmp_path / "photos", 40)
    rows[["fname", "labels", "is_valid"]].to_csv(tmp_path / "t.csv", index=False)
    return tmp_path / "t.csv"


def train(table: Path, out: Path, options: TrainOptions = OPTIONS) -> list[str]:
    said: list[str] = []
    source = read_source(table, images=table.parent / "photos", labels=["labels"])
    train_model(source, out, options=options, say=said.append)
    return said


def test_the_outcome_is_said_and_stands_in_the_report_and_in_the_manifest(table: Path, tmp_path: Path) -> None:
    said = train(table, tmp_path / "model", replace(OPTIONS, lr=1.0))  # too large: it makes the model worse
    (outcome,) = [line for line in said if line.startswith("fine-tuning changed mAP from")]
    assert re.fullmatch(r"fine-tuning changed mAP from .* in [\d.]+ s; the frozen model is kept", outcome)
    page = (tmp_path / "model" / "report.html").read_text()
    assert outcome[1:] in page
    assert "mAP, frozen" in page
    assert "The rows of the epochs have the scores of the fine-tuned weights, not of an averaged model." in page
    make_report(tmp_path / "model")
    assert (tmp_path / "model" / "report.html").read_text() == page
    scores = json.loads((tmp_path / "model" / "manifest.json").read_text())["report"]["frozen_scores"]
    train(table, tmp_path / "head", replace(OPTIONS, epochs=0))
    # Equal weights give equal outputs up to float32 rounding, which depends on the processor.
    assert scores == pytest.approx(json.loads((tmp_path / "head" / "manifest.json").read_text())["scores"], rel=1e-6)
    tuned, head = (load_evaluation(tmp_path / name) for name in ("model", "head"))
    torch.testing.assert_close(tuned.outputs, head.outputs, rtol=1e-5, atol=1e-5)


def test_the_report_has_the_settings_that_were_used_in_place_of_none(table: Path, tmp_path: Path) -> None:
    train(table, tmp_path / "model")
    settings = dict(json.loads((tmp_path / "model" / "manifest.json").read_text())["report"]["settings"])
    assert (settings["head"], settings["lr"], settings["lr_mult"]) == ("linear", "0.0003", "1")
    train(table, tmp_path / "head", replace(OPTIONS, epochs=0))
    unused = dict(json.loads((tmp_path / "head" / "manifest.json").read_text())["report"]["settings"])
    assert (unused["lr"], unused["head"], unused["minutes"]) == ("not used", "linear", "not used")


@pytest.mark.parametrize("epochs", [0, 1])
def test_no_setting_in_the_report_is_a_value_of_python(epochs: int, table: Path, tmp_path: Path) -> None:
    train(table, tmp_path / "model", replace(OPTIONS, epochs=epochs, clip=0.5, size=(32, 48)))
    settings = json.loads((tmp_path / "model" / "report.json").read_text())["settings"]
    assert [value for value in settings.values() if re.search(r"None|True|False|[(\[]", value) or not value] == []
    assert settings["folds"] == "none"
    assert settings["check"] == "on"
    assert settings["whole"] == "off"
    assert settings["size"] == "32x48"
    assert settings["normalize_by"] == "not used"  # the labels of an image have no points
    assert settings["clip"] == ("0.5" if epochs else "not used")


@pytest.mark.slow
@pytest.mark.parametrize("given", [{}, {"freeze_epochs": 0}, {"dropout": 0.1}, {"head": "linear", "lr": 1e-3}])
def test_the_saved_options_repeat_the_training(given: dict[str, object], table: Path, tmp_path: Path) -> None:
    train(table, tmp_path / "first", replace(OPTIONS, **given))
    saved = TrainOptions.load(tmp_path / "first")
    assert fine_tuning_of(saved) == fine_tuning_of(replace(OPTIONS, **given))
    assert None not in (saved.head, saved.lr, saved.lr_mult)  # a later version may have other defaults
    train(table, tmp_path / "second", saved)
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("first", "second"))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_options_that_are_for_the_head_of_the_book_choose_it() -> None:
    assert fine_tuning_of(TrainOptions()).head == "linear"
    assert fine_tuning_of(TrainOptions(lr=0.1, lr_mult=2, wise_ft=0.3)) == FineTuning("linear", 0.1, 2, wise_ft=0.3)
    book = fine_tuning_of(TrainOptions(head="book"))
    assert book.head == "book"
    assert fine_tuning_of(TrainOptions(freeze_epochs=0)) == book._replace(freeze_epochs=0)
    assert fine_tuning_of(TrainOptions(dropout=0)) == book._replace(dropout=0)
    assert fine_tuning_of(TrainOptions(augment_views=1, freeze_epochs=3)) == book._replace(freeze_epochs=3)


def test_options_that_contradict_the_head_are_refused() -> None:
    with pytest.raises(InputError, match="`freeze_epochs` is for `head='book'`, and `head='linear'` was given"):
        TrainOptions(head="linear", freeze_epochs=1)
    with pytest.raises(
        InputError, match="`wise_ft` is for `head='linear'`, and `dropout`, which is for `head='book'`,"
    ):
        TrainOptions(wise_ft=0.5, dropout=0.1)
    with pytest.raises(InputError, match="an average of batch-norm statistics matches neither model"):
        TrainOptions(wise_ft=0.5, keep_statistics=False)
    with pytest.raises(InputError, match="`epochs=0` fits a linear head, but `head='book'` needs an epoch"):
        TrainOptions(head="book", epochs=0)


def test_a_score_of_the_frozen_model_that_is_not_a_number_stays_one(table: Path, tmp_path: Path) -> None:
    rows = pd.read_csv(table)
    rows["stars"], rows["is_valid"] = rows.index % 3, rows.index == 4  # no kappa of one image
    rows[["fname", "stars", "is_valid"]].to_csv(tmp_path / "stars.csv", index=False)
    source = read_source(tmp_path / "stars.csv", images=tmp_path / "photos", labels=["stars"], kind="ratings")
    train_model(source, tmp_path / "model", options=OPTIONS)
    assert (tmp_path / "model" / "report.html").exists()
    scores = json.loads((tmp_path / "model" / "manifest.json").read_text())["report"]["frozen_scores"]
    assert scores["quadratic_kappa"] is None
    read = ReportFacts.from_json({"frozen_scores": scores}).frozen_scores
    assert math.isnan(read["quadratic_kappa"])
    assert read["mae"] == scores["mae"]
