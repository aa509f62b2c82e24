"""Prediction sets and bounded means of a saved model: fitted from its saved evaluations, and in its predictions."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from eyebright.cli.main import run
from eyebright.errors import ArtifactError, InputError
from eyebright.evaluation.conformal import fit_sets
from eyebright.evaluation.risk_control import control_risk
from eyebright.export.record import decision_hash
from eyebright.inference.change_manifest import save_part
from eyebright.inference.inspect_folder import inspect_folder
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_evaluation, load_manifest
from eyebright.inference.predictions import Prediction, Predictions
from eyebright.inference.save_folder import save_model
from eyebright.models.build import model_description
from eyebright.report.data import ReportData
from eyebright.tasks.decision import Decision
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.workflow.command_options.evaluation import TuneOptions
from eyebright.workflow.report import make_report
from eyebright.workflow.tune import tune_model, undo_tuning
from eyebright.workflow.tune_sets import sizes_sentence
from support.tuned_models import evaluation, one_label, saved


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return saved(tmp_path / "model")


def tuned(folder: Path, **options: Any) -> list[str]:
    said: list[str] = []
    tune_model(TuneOptions(folder, **options), say=said.append)
    return said


def texts(data: ReportData, anchor: str) -> list[str]:
    """The sentences of a section."""
    section = next(section for section in data.sections if section.anchor == anchor)
    return [sentence for block in section.blocks for sentence in getattr(block, "sentences", [])]


@pytest.mark.parametrize(
    ("options", "fitted"),
    [
        ({"sets": 0.9}, {"coverage": 0.9}),
        ({"sets": 0.8, "sets_by_label": True}, {"coverage": 0.8, "by_label": True}),
        ({"sets": 0.8, "set_method": "rcps", "confidence": 0.9}, {"coverage": 0.8, "confidence": 0.9}),
    ],
)
def test_prediction_sets_are_fitted_to_the_images_that_chose_nothing(
    folder: Path, options: dict[str, Any], fitted: dict[str, Any]
) -> None:
    before = load_manifest(folder).decision
    said = tuned(folder, **options)
    promise = load_evaluation(folder, part="promise")
    expected = fit_sets(promise, **fitted)
    decision = load_manifest(folder).decision
    assert decision.prediction_sets == expected
    assert decision.thresholds == before.thresholds
    assert said[0].startswith(f"prediction sets: {expected.sentence}; ")
    inside = expected.sets(promise.activated)
    for row in (0, 7, 21):
        names = [name for name, one in zip(decision.target.output_names, inside[row], strict=True) if one]
        assert list(decision.prediction_set(promise.activated[row]) or ()) == names
    (sentence,) = texts(make_report(folder), "prediction-sets")
    assert sentence.endswith("(images of the part promise).")


def test_without_such_images_sets_are_an_estimate(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", held_out=False)
    said = tuned(folder, sets=0.9)
    assert "so this is an estimate from validation images" in said[0]
    assert load_manifest(folder).decision.prediction_sets == fit_sets(load_evaluation(folder), coverage=0.9)
    assert texts(make_report(folder), "prediction-sets")[0].endswith("(an estimate from validation images).")


def test_sets_of_one_class_cover_the_class_of_images_that_were_not_used(tmp_path: Path) -> None:
    valid, promise, new = one_label("valid", 300, 0), one_label("promise", 2000, 1), one_label("valid", 4000, 2)
    manifest = Manifest(model_description("test_resnet", 2, size=32), valid.decision)
    state = {"weight": torch.zeros(1)}
    folder = save_model(tmp_path / "model", manifest, state, evaluation=valid, held_out=[promise])
    tuned(folder, sets=0.95)
    decision = load_manifest(folder).decision
    found = [decision.prediction_set(row) or () for row in new.activated]
    names = decision.target.output_names
    covered = sum(names[int(target)] in inside for target, inside in zip(new.targets, found, strict=True)) / len(new)
    assert 0.93 < covered < 0.97  # 3.5 standard deviations of the images that fitted it and of those counted
    with pytest.raises(InputError, match="computed by lac or aps, got 'crc'"):
        tuned(folder, sets=0.9, set_method="crc")
    tuned(folder, sets=0.9, set_method="aps")
    assert all(decision.prediction_set(row) is not None for row in new.activated[:5])


@pytest.mark.parametrize("options", [{}, {"by_label": True}, {"method": "aps"}])
def test_sets_of_ratings_are_of_the_ratings_and_not_of_the_outputs(options: dict[str, Any]) -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(2000, 3, generator=generator).sort(dim=1, descending=True).values
    decision = Decision(OrdinalBlock([1, 2, 3, 4]))
    targets = torch.multinomial(decision.activate(outputs).clamp(min=0), 1, generator=generator)[:, 0]
    every = replace(evaluation("promise", 2000, 0), decision=decision, outputs=outputs, targets=targets)
    fitted, new = every.take(list(range(1000))), every.take(list(range(1000, 2000)))
    decision = decision.with_prediction_sets(fit_sets(fitted, coverage=0.8, **options))
    found = [decision.prediction_set(row) or () for row in new.activated]
    covered = sum("1234"[int(target)] in inside for target, inside in zip(new.targets, found, strict=True)) / 1000
    assert covered > 0.8 - 3.5 * (2 * 0.8 * 0.2 / 1000) ** 0.5
    assert Decision.from_json(json.loads(json.dumps(decision.to_json())), decision.target) == decision


def test_predictions_have_the_set_in_a_column_and_in_json(folder: Path) -> None:
    tuned(folder, sets=0.9)
    decision = load_manifest(folder).decision
    row = torch.tensor([0.9, 0.2, 0.999])
    inside = decision.prediction_set(row)
    assert inside is not None
    prediction = Prediction("a.jpg", decision.decode(row), row, label_set=inside)
    frame = Predictions([prediction], {}, decision.target).to_frame()
    assert list(frame.columns) == ["path", "labels", "cat", "dog", "rare", "label_set"]
    assert frame.loc[0, "label_set"] == ";".join(inside)
    assert prediction.to_json(decision.target)["label_set"] == list(inside)
    assert prediction.line(decision.target).endswith(f"; prediction set: {', '.join(inside)}")
    nothing = Prediction("a.jpg", decision.decode(row), row, label_set=())
    assert nothing.line(decision.target).endswith("; prediction set: empty")
    assert nothing.row(decision.target)[-1] == ""


@pytest.mark.parametrize(
    ("text", "risk", "bound"),
    [
        ("missed_labels <= 0.1", "missed_labels", 0.1),
        ("wrong_answers<=10%", "wrong_answers", 0.1),
        (" missed labels ≤ 5 % ", "missed_labels", 0.05),
    ],
)
def test_one_threshold_bounds_a_mean_over_images(folder: Path, text: str, risk: Any, bound: float) -> None:
    said = tuned(folder, risk=text)
    expected = control_risk(load_evaluation(folder, part="promise"), risk, bound)
    thresholds = load_manifest(folder).decision.thresholds
    assert thresholds.values == expected.threshold
    assert thresholds.metric == f"{risk} <= {bound:g}"
    assert said[0] == expected.sentence
    assert texts(make_report(folder), "risk-control") == [
        f"{expected.sentence} (images of the part promise).".capitalize()
    ]


def test_what_was_made_for_former_answers_is_given_up_and_said(folder: Path) -> None:
    tuned(folder, risk="missed_labels <= 0.1", sets=0.9)
    said = tuned(folder, promise=("precision >= 0.9",))
    assert "dropped, since the thresholds have changed: missed_labels <= 0.1" in said
    assert "risk" not in load_manifest(folder).tuning
    assert load_manifest(folder).decision.prediction_sets is not None, "the probabilities are the same"
    tuned(folder, risk="missed_labels <= 0.1")
    said = tuned(folder, objective="f1_macro")
    assert any(line.startswith("dropped, since the thresholds have changed: missed_labels <= 0.1;") for line in said)
    said = tuned(folder, calibrate="temperature")
    assert any(line.startswith("dropped, since the probabilities have changed: the prediction sets;") for line in said)
    assert load_manifest(folder).decision.prediction_sets is None
    assert "label_sets" not in load_manifest(folder).tuning
    undo_tuning(folder)
    assert load_manifest(folder).decision.prediction_sets is not None


def test_prediction_sets_are_removed_and_the_thresholds_stay(folder: Path) -> None:
    before = load_manifest(folder)
    tuned(folder, sets="0.9", set_method="rcps", confidence=0.9)
    said = tuned(folder, sets="none")
    after = load_manifest(folder)
    assert said[0] == "removed: the prediction sets with a coverage of 0.9"
    assert (after.decision, after.tuning) == (before.decision, before.tuning)
    assert all(section.anchor != "prediction-sets" for section in make_report(folder).sections)
    undo_tuning(folder)
    assert load_manifest(folder).decision.prediction_sets is not None


def test_prediction_sets_are_removed_beside_another_change(folder: Path) -> None:
    tuned(folder, sets=0.9)
    said = tuned(folder, sets="none", calibrate="temperature")
    assert not any("to keep them, repeat `sets`" in sentence for sentence in said), "they are removed on request"
    assert load_manifest(folder).decision.prediction_sets is None


def test_other_images_of_the_part_promise_end_the_sets(folder: Path) -> None:
    tuned(folder, sets=0.9)
    given_up = save_part(folder, evaluation("promise", 50, 9), replace=True)
    assert given_up == ("the prediction sets",)
    assert load_manifest(folder).decision.prediction_sets is None
    assert "label_sets" not in load_manifest(folder).tuning


def test_sets_that_are_an_estimate_from_other_images_stay_when_the_part_promise_is_replaced(folder: Path) -> None:
    tuned(folder, sets=0.9)
    content = json.loads((folder / "manifest.json").read_text())
    content["tuning"]["label_sets"]["part"] = "valid"
    (folder / "manifest.json").write_text(json.dumps(content))
    assert save_part(folder, evaluation("promise", 50, 9), replace=True) == ()
    assert load_manifest(folder).decision.prediction_sets is not None


def test_one_image_of_each_group_counts(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", groups=True)
    said = tuned(folder, sets=0.9, risk="wrong_answers <= 0.2")
    assert said.count("one image of each group counts: 200 of 400 images") == 2
    assert load_manifest(folder).tuning["risk"]["n_images"] == 200
    assert load_manifest(folder).tuning["label_sets"]["images"] == 200


def test_prediction_sets_leave_an_export_as_it_was(folder: Path) -> None:
    before = decision_hash(load_manifest(folder))
    tuned(folder, sets=0.9)
    assert decision_hash(load_manifest(folder)) == before
    tuned(folder, top_k=1)
    assert decision_hash(load_manifest(folder)) != before


def test_a_bound_whose_threshold_was_changed_by_hand_is_not_shown_as_kept(folder: Path) -> None:
    tuned(folder, risk="missed_labels <= 0.1")
    content = json.loads((folder / "manifest.json").read_text())
    content["decision"]["thresholds"]["values"] = 0.9
    (folder / "manifest.json").write_text(json.dumps(content))
    assert texts(make_report(folder), "risk-control") == [
        "Missed_labels <= 0.1 is no longer kept: another threshold was set."
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sets": 1.0}, "`sets` must be a coverage above 0 and below 1, such as 0.9, or 'none', got 1.0"),
        ({"sets": "off"}, "`sets` must be a coverage above 0 and below 1, such as 0.9, or 'none', got 'off'"),
        ({"sets": True}, "`sets` must be a coverage above 0 and below 1, such as 0.9, or 'none', got True"),
        ({"sets": "none"}, "the model has no prediction sets, so `sets` none has nothing to remove"),
        ({"sets": "none", "set_method": "crc"}, "`set_method` is for prediction sets, which `sets` none removes"),
        ({"sets": "none", "undo": True}, "`undo` reverts the last change, but `sets` is a new one"),
        ({"set_method": "crc"}, "there is nothing to change"),
        ({"set_method": "crc", "top_k": 1}, "`set_method` is for `sets`, which is not given"),
        ({"sets": 0.9, "set_method": "aps"}, "any number of labels per image are computed by crc or rcps, got 'aps'"),
        ({"sets": 0.9, "set_method": "rcps", "sets_by_label": True}, "rcps does not cover each label separately"),
        ({"sets": 0.9, "confidence": 0.5}, "only prediction sets by rcps have a `confidence`"),
        ({"risk": "missed_labels"}, "`risk` is written as 'missed_labels <= 0.1'"),
        ({"risk": "missed <= 0.1"}, "unknown risk 'missed'. Did you mean 'missed_labels'"),
        ({"risk": "missed_labels <= 1.5"}, "must be between 0 and 1"),
        ({"risk": "missed_labels <= 1e"}, "`risk` is written as"),
        (
            {"risk": "missed_labels <= 0.001"},
            "at least 999 are needed, got 3\\d\\d images with labels",
        ),
        ({"risk": "", "top_k": 2}, "`risk` and `top_k` both set the thresholds"),
        ({"risk": ""}, "`risk` is written as"),
        ({"risk": "missed_labels <= 0.1", "top_k": 2}, "`risk` and `top_k` both set the thresholds"),
        ({"risk": "missed_labels <= 0.1", "promise": ("recall >= .9",)}, "`risk` and `promise` both set"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_changes_nothing(
    folder: Path, options: dict[str, Any], message: str
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(InputError, match=message):
        tuned(folder, **options)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "edited",
    [
        {"limits": ["a"]}, {"limits": [0.1, 0.2]}, {"names": ["cat"]}, {"method": "lac"}, {"coverage": 2.0},
        {"coverage": "x"}, {"method": "magic"}, {"randomised": True}, {"n_images": None}, {"n_images": -3},
        {"limits": [float("-inf")]}, {"more": 1}, 3, [], {}, "x",
    ],
)  # fmt: skip
def test_edited_prediction_sets_are_one_sentence(folder: Path, edited: Any) -> None:
    tuned(folder, sets=0.9)
    content = json.loads((folder / "manifest.json").read_text())
    whole = content["decision"]["label_sets"]
    content["decision"]["label_sets"] = {**whole, **edited} if isinstance(edited, dict) and edited else edited
    (folder / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match="prediction sets") as caught:
        load_manifest(folder)
    assert "\n" not in str(caught.value)


def test_the_command_and_inspect_name_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tune", str(folder), "--sets", "0.9"]) == 0
    assert (
        "prediction sets: in expectation, the set of an image that has labels contains at least 90 % of them"
        in capsys.readouterr().out
    )
    assert inspect_folder(folder).to_json()["label_sets"]["coverage"] == 0.9
    assert run(["inspect", str(folder)]) == 0
    assert "prediction sets: method crc, coverage 0.9, confidence None, n_images " in capsys.readouterr().out
    assert run(["tune", str(folder), "--set-method", "crc", "--top-k", "1"]) == 2
    assert "--set-method is for --sets, which is not given" in capsys.readouterr().err


def test_sizes_are_said_in_shares_of_the_images() -> None:
    assert sizes_sentence([1, 6, 2, 1]) == (
        "1.3 labels in a set on average; none in 10 %, one in 60 %, several in 30 %"
    )
