"""A saved model is tuned from its saved evaluations alone: calibration, thresholds, promises; and back."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from eyebright.cli.main import run
from eyebright.errors import ArtifactError, EyebrightError, InputError
from eyebright.evaluation.calibrate import fit_calibration
from eyebright.evaluation.promise import Promise
from eyebright.evaluation.promises import PromiseResult, keep_promise
from eyebright.evaluation.selective import keep_accuracy
from eyebright.evaluation.three_way import abstention_curves
from eyebright.evaluation.tune import tune
from eyebright.inference.change_manifest import save_manifest
from eyebright.inference.inspect_folder import inspect_folder
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_evaluation, load_manifest
from eyebright.inference.save_folder import save_model
from eyebright.io.atomic import exclusive_folder
from eyebright.models.build import model_description
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import Decision
from eyebright.types import Thresholds
from eyebright.web.blocks import Sentences, Table
from eyebright.workflow.command_options.evaluation import TuneOptions
from eyebright.workflow.command_options.folder import ReportOptions
from eyebright.workflow.report import make_report, report_model
from eyebright.workflow.tune import tune_model, undo_tuning
from support.tuned_models import evaluation, one_label, saved


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return saved(tmp_path / "model")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def tuned(folder: Path, **options: Any) -> list[str]:
    said: list[str] = []
    tune_model(TuneOptions(folder, **options), say=said.append)
    return said


# ------------------------------------------------------------------------------- thresholds and calibration


@pytest.mark.parametrize(
    ("options", "objective"),
    [
        ({"objective": "f2_macro"}, "f2_macro"),
        ({"cost": "fn=5,fp=1"}, "cost fn=5,fp=1"),
        ({"budget": "100/1000"}, "budget 100/1000"),
        ({"top_k": 1}, "top_k 1"),
        ({"objective": "f1_macro", "on": "out_of_fold"}, "f1_macro"),
        ({"objective": "f1_macro", "one_threshold": True}, "f1_macro"),
    ],
)
def test_thresholds_are_those_that_the_objective_gives(folder: Path, options: dict[str, Any], objective: str) -> None:
    said = tuned(folder, **options)
    on = load_evaluation(folder, part=options.get("on", "valid"))
    expected = tune(on, objective, per_class="one_threshold" not in options)
    assert load_manifest(folder).decision.thresholds == expected.thresholds
    assert load_evaluation(folder).decision.thresholds == expected.thresholds
    assert "to expect on new images" in said[0]
    assert load_manifest(folder).tuning["thresholds"]["objective"] == expected.objective
    assert "Tuning" in (folder / "report.html").read_text()


def test_a_calibration_is_fitted_and_the_thresholds_are_tuned_in_its_probabilities(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", scale=0.3)  # the outputs are far too sure
    before = load_evaluation(folder)
    said = tuned(folder, calibrate="auto")
    after = load_evaluation(folder)
    fitted = fit_calibration(before)
    assert fitted.evidence.kind != "none"
    assert after.decision.calibration == fitted.calibration
    assert after.decision.thresholds == tune(after, "f1_macro").thresholds
    assert said[0].startswith(f"calibration: {fitted.evidence.kind}, ")
    assert torch.equal(after.outputs, before.outputs)
    assert not torch.equal(after.activated, before.activated)
    assert load_manifest(folder).tuning["calibration"]["part"] == "valid"


# ------------------------------------------------------------------------------- promises


def test_a_promise_is_made_from_the_images_that_chose_nothing(folder: Path) -> None:
    said = tuned(folder, promise=("precision >= 0.9",))
    expected = keep_promise(
        evaluation("promise", 400, 1),
        Promise("precision", 0.9),
        chosen_on=evaluation("out_of_fold", 500, 2),
    )
    manifest = load_manifest(folder)
    assert [PromiseResult.from_json(one) for one in manifest.tuning["promises"]] == [expected]
    assert expected.is_promise
    assert {label.label: label.kept for label in expected.labels} == {"cat": True, "dog": True, "rare": False}
    values = manifest.decision.thresholds.values
    assert values == pytest.approx(tuple(label.threshold for label in expected.labels))
    assert said[0].startswith("promise: precision >= 0.9 with 95 % confidence for 2 of 3 labels")
    assert any("rare: never answered yes" in line for line in said)
    page = (folder / "report.html").read_text()
    assert "Promises" in page
    assert "which were held out" in page


def test_the_images_of_a_group_count_once(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", groups=True)
    said = tuned(folder, promise=("precision >= 0.8",))
    assert "one image of each of 200 groups" in said[0]


def test_without_such_images_it_is_an_estimate_and_is_not_called_a_promise(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", held_out=False)
    said = tuned(folder, promise=("precision >= 0.8",))
    assert said[0].startswith("the model has no images of the part promise, so this is an estimate")
    assert not any("promise" in line for line in said[1:])
    report = json.loads((folder / "report.json").read_text())
    assert "promise" not in " ".join(report["overview"]["cannot"])
    assert report["overview"]["changes"][0]["rule"] == "estimate_needs_images"
    assert any(line.startswith("estimate: precision >= 0.8") for line in said)
    assert ">Estimates</" in (folder / "report.html").read_text()


def test_with_two_promises_a_person_is_asked_between_them(folder: Path) -> None:
    said = tuned(folder, promise=("recall >= 0.9", "precision >= 0.9"))
    thresholds = load_manifest(folder).decision.thresholds
    assert thresholds.is_three_way
    assert thresholds.metric == "precision >= 0.9 and recall >= 0.9"
    promise = load_evaluation(folder, part="promise")
    share = 100 * float(thresholds.abstains(promise.activated).any(dim=1).double().mean())
    assert said[-1].startswith(f"a person is asked about a label of {share:.3g} % of these images")
    assert [one["promise"]["metric"] for one in load_manifest(folder).tuning["promises"]] == ["precision", "recall"]


def test_how_many_ask_is_drawn_against_both_promises(folder: Path) -> None:
    tuned(folder, promise=("recall >= 0.9", "precision >= 0.8"))
    manifest = load_manifest(folder)
    promise, other = load_evaluation(folder, part="promise"), load_evaluation(folder, part="out_of_fold")
    promises = (Promise("precision", 0.8), Promise("recall", 0.9))
    expected = [curve.to_json() for curve in abstention_curves(promise, *promises, chosen_on=other)]
    assert manifest.tuning["asking"] == json.loads(json.dumps(expected))
    report = json.loads((folder / "report.json").read_text())
    assert report["asking"] == manifest.tuning["asking"]
    images = 100 * float(manifest.decision.thresholds.abstains(promise.activated).any(dim=1).double().mean())
    blocks = next(section for section in report["sections"] if section["anchor"] == "promises")["blocks"]
    said = [one for block in blocks if block["kind"] == "sentences" for one in block["sentences"]]
    assert said[-1].startswith(f"With precision >= 0.8 and recall >= 0.9, {images:.3g} % of the images and ")
    (charts,) = (block["charts"] for block in blocks if block["kind"] == "charts")
    assert [chart["title"] for chart in charts] == ["images that go to a person", "answers that go to a person"]
    assert f"recall: {100 * expected[1]['images'][0]:.3g} % at 0.6, {images:.3g} % at 0.9" in charts[0]["text"]
    tuned(folder, promise=("precision >= 0.9",))
    assert "asking" not in load_manifest(folder).tuning
    assert json.loads((folder / "report.json").read_text())["asking"] is None


def test_the_report_says_where_the_threshold_of_each_label_comes_from(folder: Path) -> None:
    def origin() -> str:
        report = json.loads((folder / "report.json").read_text())
        return next(section for section in report["sections"] if section["anchor"] == "labels")["intro"]

    tuned(folder, objective="f2_macro")
    assert "tuned for f2_macro" in origin()
    tuned(folder, promise=("precision >= 0.9",), label="cat")
    assert "1 set for precision >= 0.9 ('cat'), 2 tuned for f2_macro before ('dog', 'rare')" in origin()
    manifest = load_manifest(folder)
    cat, dog, _ = manifest.decision.thresholds.values  # type: ignore[misc]
    by_hand = replace(manifest.decision.thresholds, values=(cat, dog, 0.77))
    save_manifest(folder, replace(manifest, decision=manifest.decision.with_thresholds(by_hand)))
    make_report(folder)
    assert "1 tuned for f2_macro before ('dog'), 1 set by hand ('rare')" in origin()
    tuned(folder, promise=("precision >= 0.9", "recall >= 0.8"))
    assert "one threshold per label, set for precision >= 0.9 and recall >= 0.8; between" in origin()


def test_a_promise_for_one_label_leaves_the_others_and_their_promises(folder: Path) -> None:
    tuned(folder, promise=("precision >= 0.9",), label="cat")
    first = load_manifest(folder)
    assert isinstance(first.decision.thresholds.values, tuple)
    assert first.decision.thresholds.values[1:] == (0.5, 0.5)
    tuned(folder, promise=("precision >= 0.8",), label="dog")
    second = load_manifest(folder)
    assert isinstance(second.decision.thresholds.values, tuple)
    assert second.decision.thresholds.values[0] == first.decision.thresholds.values[0]
    assert [one["promise"]["label"] for one in second.tuning["promises"]] == ["cat", "dog"]
    tuned(folder, promise=("precision >= 0.7",), label="cat")
    labels = [(one["promise"]["label"], one["promise"]["bound"]) for one in load_manifest(folder).tuning["promises"]]
    assert labels == [("dog", 0.8), ("cat", 0.7)]


def test_other_thresholds_end_the_promises(folder: Path) -> None:
    tuned(folder, promise=("precision >= 0.9",))
    said = tuned(folder, objective="f1_macro")
    assert "promises" not in load_manifest(folder).tuning
    assert any(line.startswith("dropped, since the thresholds have changed: precision >= 0.9;") for line in said)


# ------------------------------------------------------------------------------- back, and what cannot be done


def test_the_last_change_can_be_taken_back(folder: Path) -> None:
    tuned(folder, objective="f1_macro")
    before = contents(folder)
    tuned(folder, promise=("precision >= 0.9",))
    assert contents(folder)["report.html"] != before["report.html"]
    undo_tuning(folder)
    after = contents(folder)
    assert json.loads(after.pop("manifest.json")) == json.loads(before.pop("manifest.json"))
    before.pop("manifest.previous.json")
    assert after == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "there is nothing to change: give `objective`"),
        ({"objective": "f1_makro"}, "thresholds cannot be tuned for 'f1_makro'.*f1_macro"),
        ({"objective": "f1_macro", "top_k": 2}, "`objective` and `top_k` are two objectives"),
        ({"undo": True, "top_k": 2}, "`undo` reverts the last change"),
        ({"label": "cat", "top_k": 2}, "`label` is for `promise`"),
        ({"one_threshold": True, "promise": ("recall >= .5",)}, "`one_threshold` is for `objective`"),
        ({"promise": ("precision > 1",)}, "a promise"),
        ({"promise": ("precisoin >= 0.9",)}, "unknown metric of a promise: 'precisoin'.*precision"),
        ({"promise": ("precision >= 0.9",), "label": "lion"}, "unknown label 'lion'"),
        ({"promise": ("precision >= 0.9", "fpr <= 0.1")}, "one of precision or fpr for yes, and one of recall"),
        ({"promise": ("recall >= 0.9",) * 3}, "a model keeps one promise, or two together"),
        ({"calibrate": "magic"}, "unknown `calibrate` .magic."),
        ({"budget": "ten"}, "budget"),
        ({"objective": "f1_macro", "promise": ("recall >= 0.9",)}, "`objective` and `promise` both set the thresholds"),
        ({"on": "out_of_fold", "promise": ("recall >= 0.9",)}, "`on` is for `calibrate` and the objectives"),
        ({"promise": ("precision >= 0.9", "recall >= 0.9"), "keep_former": True}, "`keep_former` is for one `promise`"),
        ({"promise": ("precision >= 0.9999",)}, "no label can keep precision >= 0.9999 with these 400 images"),
        ({"promise": ("precision >= 0.9",), "confidence": 1 - 1e-14}, "must differ from 0 and 1 by more than 1e-9"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_changes_nothing(
    folder: Path, options: dict[str, Any], message: str
) -> None:
    before = contents(folder)
    with pytest.raises(InputError, match=message):
        tuned(folder, **options)
    assert contents(folder) == before


def test_a_model_of_one_label_per_image_has_no_thresholds(tmp_path: Path) -> None:
    block = CategoryBlock(["cat", "dog"])
    one = replace(
        evaluation("valid", 40, 0),
        decision=Decision(block),
        outputs=torch.randn(40, 2, generator=torch.Generator().manual_seed(0)),
        targets=torch.arange(40) % 2,
    )
    manifest = Manifest(model_description("test_resnet", 2, size=32), one.decision)
    folder = save_model(tmp_path / "model", manifest, {"weight": torch.zeros(1)}, evaluation=one)
    before = contents(folder)
    with pytest.raises(InputError, match="this model is a CategoryBlock; it supports `calibrate`"):
        tuned(folder, objective="f1_macro")
    with pytest.raises(InputError, match="with one label per image: it can keep one promise of accuracy"):
        tuned(folder, promise=("precision >= 0.9",))
    with pytest.raises(InputError, match="with one label per image.* and `keep_former`"):
        tuned(folder, promise=("accuracy >= 0.9",), keep_former=True)
    with pytest.raises(InputError, match="cannot keep accuracy >= 0.99 with these 40 images, so it is unchanged"):
        tuned(folder, promise=("accuracy >= 0.99",))
    assert contents(folder) == before
    tuned(folder, calibrate="temperature")
    assert load_manifest(folder).decision.calibration.kind == "temperature"


def saved_class_model(folder: Path) -> Path:
    """A model with one label per image, and its evaluations on validation images and on images of the part promise."""
    valid, promise = one_label("valid", 300, 0), one_label("promise", 600, 1)
    manifest = Manifest(model_description("test_resnet", 2, size=32), valid.decision)
    return save_model(folder / "model", manifest, {"weight": torch.zeros(1)}, evaluation=valid, held_out=[promise])


def test_a_model_of_one_label_per_image_promises_the_accuracy_of_what_it_answers(tmp_path: Path) -> None:
    valid, promise = one_label("valid", 300, 0), one_label("promise", 600, 1)
    folder = saved_class_model(tmp_path)
    said = tuned(folder, promise=("accuracy >= 0.95",))
    expected = keep_accuracy(promise, Promise("accuracy", 0.95), chosen_on=valid)
    assert expected.kept
    assert said[0] == str(expected)
    assert load_manifest(folder).decision.thresholds == expected.thresholds
    assert "promised with 95 % confidence" in (folder / "report.html").read_text()
    with pytest.raises(InputError, match="this model is a CategoryBlock"):
        tuned(folder, cost="fn=5,fp=1")
    said = tuned(folder, calibrate="temperature")
    assert "dropped, since the thresholds have changed: accuracy >= 0.95; to keep them, repeat them" in said
    assert load_manifest(folder).decision.thresholds == Thresholds()
    undo_tuning(folder)
    assert load_manifest(folder).decision.thresholds == expected.thresholds


def test_accuracy_is_not_promised_of_any_number_of_labels(folder: Path) -> None:
    with pytest.raises(InputError, match="for any number of labels promise precision, recall or fpr"):
        tuned(folder, promise=("accuracy >= 0.9",))


@pytest.mark.parametrize("name", ["evaluation.parquet", "out_of_fold.parquet", "manifest.json"])
def test_a_damaged_file_is_one_line_and_the_model_stays(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:-20])
    before = contents(folder)
    assert run(["tune", str(folder), "--objective", "f2_macro"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert name in lines[0]
    assert contents(folder) == before


def test_the_command_says_what_it_found_and_undoes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tune", str(folder), "--promise", "precision >= 0.9", "--label", "cat"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("promise: precision >= 0.9 with 95 % confidence for 1 of 1 label (the label 'cat')")
    assert out[-1] == f"report: {folder / 'report.html'}"
    assert run(["tune", str(folder), "--undo"]) == 0
    assert capsys.readouterr().out.startswith("the model decides as it did before the last change")
    assert run(["tune", str(folder), "--undo"]) == 2
    assert "there is nothing to undo" in capsys.readouterr().err


def test_the_first_screen_blames_the_promise_and_not_the_weights(folder: Path) -> None:
    tuned(folder, promise=("precision >= 0.9", "recall >= 0.9"))
    overview = json.loads((folder / "report.json").read_text())["overview"]
    assert overview["cannot"][:2] == [
        "Never answered yes, since no threshold passed its test: 'rare'.",
        "Answers that ask a person count as no in the scores here.",
    ]
    assert not any("it finds 0 of" in sentence for sentence in overview["cannot"])


def test_sentences_of_three_answers_say_no_below_the_lower_threshold(folder: Path) -> None:
    said = tuned(folder, promise=("precision >= 0.9", "recall >= 0.9"))
    recalls = [line for line in said if "recall at least" in line]
    assert recalls
    assert all("no at or below" in line and "yes above" not in line for line in recalls)
    assert all("were answered yes or went to a person" in line for line in recalls)


def test_the_lower_threshold_that_is_said_is_the_one_in_use(folder: Path) -> None:
    tuned(folder, promise=("precision >= 0.6", "recall >= 0.6"))
    manifest = load_manifest(folder)
    lower, upper = manifest.decision.thresholds.lower, manifest.decision.thresholds.values
    assert isinstance(lower, tuple)
    assert isinstance(upper, tuple)
    yes, no = (PromiseResult.from_json(one) for one in manifest.tuning["promises"])
    assert lower == pytest.approx(tuple(label.threshold for label in no.labels))
    assert upper == pytest.approx(tuple(label.threshold for label in yes.labels))
    assert any(label.tested > label.threshold for label in no.labels if label.kept)


@pytest.mark.parametrize("second", [("precision >= 0.9",), ("precision >= 0.9", "recall >= 0.8")])
def test_a_promise_for_another_label_keeps_both_thresholds_of_the_first(folder: Path, second: tuple[str, ...]) -> None:
    tuned(folder, promise=("precision >= 0.97", "recall >= 0.97"), label="cat")
    first = load_manifest(folder).decision.thresholds
    assert isinstance(first.lower, tuple)
    assert isinstance(first.values, tuple)
    assert first.lower[0] < first.values[0]
    tuned(folder, promise=second, label="dog")
    after = load_manifest(folder).decision.thresholds
    assert isinstance(after.lower, tuple)
    assert isinstance(after.values, tuple)
    assert (after.lower[0], after.values[0]) == (first.lower[0], first.values[0])
    assert len(load_manifest(folder).tuning["promises"]) == 2 + len(second)


def test_a_report_that_cannot_be_written_leaves_the_decision(folder: Path) -> None:
    (folder / "report.html").write_text("<p>of somebody else</p>")
    before = load_manifest(folder).decision
    with pytest.raises(EyebrightError, match=r"report\.html"):
        tuned(folder, objective="f2_macro")
    assert load_manifest(folder).decision == before


@pytest.mark.parametrize("promises", ["x", None, [{"foo": 1}], [3]])
def test_edited_promises_are_one_sentence(folder: Path, promises: Any) -> None:
    content = json.loads((folder / "manifest.json").read_text())
    content["tuning"] = {"promises": promises}
    (folder / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(EyebrightError, match="wrong form"):
        tuned(folder, promise=("precision >= 0.9",))


def test_a_promise_whose_threshold_was_changed_by_hand_is_not_shown(folder: Path) -> None:
    tuned(folder, promise=("precision >= 0.9",))
    content = json.loads((folder / "manifest.json").read_text())
    content["decision"]["thresholds"]["values"][0] = 0.01
    (folder / "manifest.json").write_text(json.dumps(content))
    section = next(section for section in make_report(folder).sections if section.anchor == "promises")
    said, _, table = section.blocks
    assert isinstance(said, Sentences)
    assert isinstance(table, Table)
    assert said.sentences == ["precision >= 0.9 is no longer kept for 'cat': other thresholds were set."]
    assert [row[0].text for row in table.rows] == ["dog", "rare"]


def edit_calibration(folder: Path) -> None:
    """What a person does who writes another temperature into the manifest."""
    content = json.loads((folder / "manifest.json").read_text())
    content["decision"]["calibration"] = {"kind": "temperature", "value": 3}
    (folder / "manifest.json").write_text(json.dumps(content))


def sentences(folder: Path, anchor: str) -> list[str]:
    """All sentences of a section of the report."""
    sections = [section for section in make_report(folder).sections if section.anchor == anchor]
    blocks = [block for section in sections for block in section.blocks]
    assert not any(isinstance(block, Table) for block in blocks)
    return [text for block in blocks if isinstance(block, Sentences) for text in block.sentences]


def test_promises_end_with_the_calibration_that_they_were_measured_with(folder: Path) -> None:
    tuned(folder, promise=("precision >= 0.9", "recall >= 0.9"))
    tuned(folder, sets="0.8")
    assert len(inspect_folder(folder).facts["promises"]) == 2
    assert inspect_folder(folder).facts["label_sets"]["coverage"] == 0.8
    edit_calibration(folder)
    reason = (
        "it was measured with another calibration than the one in manifest.json, which was edited since; "
        "`eyebright tune` with the same promise, bound or coverage measures it again."
    )
    ended = f"is no longer kept: {reason}"
    assert sentences(folder, "promises") == [f"Precision >= 0.9 {ended}", f"Recall >= 0.9 {ended}"]
    assert sentences(folder, "prediction-sets") == [f"The model has no prediction sets any more: {reason}"]
    report = json.loads((folder / "report.json").read_text())
    assert report["asking"] is None
    assert "set by hand" in next(section for section in report["sections"] if section["anchor"] == "labels")["intro"]
    assert "No promise was made" in (folder / "README.md").read_text()
    found = inspect_folder(folder)
    assert (found.facts["promises"], found.facts["label_sets"]) == ([], None)
    assert "what was measured before the edit no longer holds: promises, prediction sets" in next(
        file.note for file in found.files if file.name == "manifest.json"
    )
    assert load_manifest(folder).decision.prediction_sets is None


def test_a_bound_of_a_mean_ends_with_the_calibration_that_it_was_measured_with(folder: Path) -> None:
    tuned(folder, risk="missed_labels <= 0.3")
    assert inspect_folder(folder).facts["risk"]["bound"] == 0.3
    edit_calibration(folder)
    assert sentences(folder, "risk-control") == [
        "Missed_labels <= 0.3 is no longer kept: it was measured with another calibration than the one in "
        "manifest.json, which was edited since; `eyebright tune` with the same promise, bound or coverage measures it "
        "again."
    ]
    assert inspect_folder(folder).facts["risk"] is None


def test_a_promise_of_accuracy_ends_with_the_calibration_that_it_was_measured_with(tmp_path: Path) -> None:
    folder = saved_class_model(tmp_path)
    tuned(folder, promise=("accuracy >= 0.8",))
    edit_calibration(folder)
    assert sentences(folder, "promises") == [
        "Accuracy >= 0.8 is no longer kept: it was measured with another calibration than the one in "
        "manifest.json, which was edited since; `eyebright tune` with the same promise, bound or coverage measures it "
        "again."
    ]
    assert inspect_folder(folder).facts["promises"] == []


def test_tuning_drops_what_was_measured_with_a_calibration_that_was_edited_since(folder: Path) -> None:
    tuned(folder, promise=("precision >= 0.9",), label="cat")
    edit_calibration(folder)
    said = tuned(folder, promise=("precision >= 0.9",), label="dog")
    assert said[0].startswith(
        "the calibration in manifest.json was edited, and these were measured with the one before"
    )
    assert said[0].endswith("are removed: promises; to keep them, tune them again")
    results = load_manifest(folder).tuning["promises"]
    assert [[label["label"] for label in result["labels"]] for result in results] == [["dog"]]
    assert "Table" in [type(block).__name__ for block in promise_blocks(folder)]


def test_promises_of_a_version_without_hashes_are_taken_as_they_are(folder: Path) -> None:
    tuned(folder, promise=("precision >= 0.9",))
    content = json.loads((folder / "manifest.json").read_text())
    assert set(content["tuning"].pop("measured_with")) >= {"promises"}
    (folder / "manifest.json").write_text(json.dumps(content))
    assert "Table" in [type(block).__name__ for block in promise_blocks(folder)]
    assert len(inspect_folder(folder).facts["promises"]) == 1


def promise_blocks(folder: Path) -> list[Any]:
    """The blocks of the section on promises."""
    return list(next(section for section in make_report(folder).sections if section.anchor == "promises").blocks)


def test_inspect_lists_no_promise_whose_threshold_was_edited(folder: Path) -> None:
    tuned(folder, promise=("precision >= 0.9",))
    content = json.loads((folder / "manifest.json").read_text())
    content["decision"]["thresholds"]["values"][0] = 0.01
    (folder / "manifest.json").write_text(json.dumps(content))
    found = inspect_folder(folder)
    assert found.facts["promises"] == []
    assert "no longer holds: promises" in next(file.note for file in found.files if file.name == "manifest.json")


def test_a_change_beside_another_process_that_writes_is_refused(folder: Path) -> None:
    before = contents(folder)
    with exclusive_folder(folder):
        for change in (lambda: tuned(folder, objective="f2_macro"), lambda: undo_tuning(folder)):
            with pytest.raises(
                ArtifactError,
                match="another process is changing the model in .* wait until it ends",
            ):
                change()
    assert contents(folder) == before


def test_a_report_of_the_thresholds_before_a_change_that_was_killed_is_found(folder: Path) -> None:
    make_report(folder)
    assert inspect_folder(folder).problems == []
    manifest = load_manifest(folder)  # what a tuning writes before the report
    save_manifest(folder, replace(manifest, decision=manifest.decision.with_thresholds(Thresholds(0.9))))
    (problem,) = inspect_folder(folder).problems
    assert problem.startswith("report.json: belongs to another model or other thresholds")
    make_report(folder)
    assert inspect_folder(folder).problems == []
    content = json.loads((folder / "report.json").read_text())
    del content["manifest"]  # an older version wrote none
    (folder / "report.json").write_text(json.dumps(content))
    assert inspect_folder(folder).problems == []


def test_a_folder_in_the_place_of_the_report_leaves_the_model_as_it_was(folder: Path) -> None:
    (folder / "report.html").mkdir()
    before = load_manifest(folder).decision.thresholds
    with pytest.raises(ArtifactError, match=r"cannot write the report '.*report.html': Is a directory$"):
        tuned(folder, objective="f2_macro")
    assert load_manifest(folder).decision.thresholds == before


def test_the_numbers_of_a_report_are_written_after_all_that_they_vouch_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_report(folder)
    before = contents(folder)
    tuned(folder, objective="f2_macro")
    for name in ("report.html", "README.md"):
        (folder / name).write_bytes(before[name])

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("eyebright.workflow.report.write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        make_report(folder)
    assert all(contents(folder)[name] != before[name] for name in ("report.html", "README.md"))


def test_a_report_in_the_folder_beside_another_process_that_writes_is_refused(folder: Path, tmp_path: Path) -> None:
    before = contents(folder)
    with exclusive_folder(folder):
        with pytest.raises(ArtifactError, match="another process is changing the model in .* wait until it ends"):
            report_model(ReportOptions(folder))
        report_model(ReportOptions(folder, out=tmp_path / "elsewhere.html"))
    assert contents(folder) == before


def test_the_report_of_a_tuned_model_is_the_one_that_the_report_command_writes(folder: Path) -> None:
    tuned(folder, objective="f2_macro", calibrate="temperature")
    before = contents(folder)
    make_report(folder)
    assert contents(folder) == before


# ------------------------------------------------------------------------------- what a person has changed


@pytest.mark.parametrize("edit", ["a threshold", "the calibration"])
def test_thresholds_that_were_edited_by_hand_are_not_taken_for_tuned(folder: Path, edit: str) -> None:
    tuned(folder, objective="f1_macro", calibrate="temperature")
    assert load_manifest(folder).decision.thresholds.metric == "f1_macro"
    path = folder / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content), encoding="utf-8")
    assert load_manifest(folder).decision.thresholds.metric == "f1_macro", "another layout of the file changes nothing"
    if edit == "a threshold":
        content["decision"]["thresholds"]["values"][0] = 1
    else:
        content["decision"]["calibration"]["value"] = 3.5
    path.write_text(json.dumps(content), encoding="utf-8")
    assert load_manifest(folder).decision.thresholds.metric is None
    notes = {file.name: file.note for file in inspect_folder(folder).files}
    assert notes["manifest.json"] == "thresholds or calibration were edited by hand: they are not tuned for a metric"
    make_report(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "the thresholds were tuned for it on these same images" not in page
    assert ("The model has other thresholds by now: these scores are not theirs." in page) == (edit == "a threshold")


def test_a_report_that_a_person_wrote_is_named_without_an_option_that_tuning_lacks(folder: Path) -> None:
    (folder / "report.html").write_text("<p>mine</p>", encoding="utf-8")
    with pytest.raises(
        EyebrightError, match=r"report.html' exists and holds no report; rename or remove it: in a model"
    ):
        tuned(folder, objective="f2_macro")
    assert (folder / "report.html").read_text(encoding="utf-8") == "<p>mine</p>"
    assert load_manifest(folder).decision.thresholds.metric != "f2_macro"
