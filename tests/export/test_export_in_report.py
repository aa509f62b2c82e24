"""The comparison of an export stands in the report and in `inspect`, as long as the export fits the model."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eyebright.cli.main import run
from eyebright.errors import ArtifactError
from eyebright.export import export_onnx
from eyebright.export.files import Exported
from eyebright.export.page import ExportedPage
from eyebright.export.record import decision_hash, read_record
from eyebright.inference import inspect_export
from eyebright.inference.change_manifest import save_manifest
from eyebright.inference.inspect_folder import InspectedFile, inspect_folder
from eyebright.inference.model_folder import load_manifest, manifest_content
from eyebright.tasks.calibration import Temperature
from eyebright.tasks.threshold_hash import are_edited
from eyebright.types import Thresholds
from eyebright.workflow.command_options.folder import ExportOptions
from eyebright.workflow.export import export_model
from eyebright.workflow.report import make_report
from support.exports import cached_network


@pytest.fixture
def model(saved: Path, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the model folder with its export and its report in it; the images are beside it."""
    monkeypatch.setattr("eyebright.io.atomic._ATTEMPTS_TAKE", 0)
    (tmp_path / "photos").symlink_to(saved.parent / "photos")
    shutil.copytree(saved, tmp_path / "model")
    shutil.copytree(exported.folder, tmp_path / "model", dirs_exist_ok=True)
    return tmp_path / "model"


def change_record(folder: Path, **values: Any) -> None:
    path = folder / "export.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def retune(folder: Path) -> None:
    manifest = load_manifest(folder)
    save_manifest(folder, replace(manifest, decision=manifest.decision.with_thresholds(Thresholds(0.9))))


def damage_graph(folder: Path) -> None:
    (folder / "model_fixed.onnx").write_bytes(b"damaged")


def exports_of_report(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))["exports"]


@pytest.mark.slow
def test_the_report_and_inspect_have_the_numbers_of_the_comparison(model: Path, exported: Exported) -> None:
    make_report(model)
    found = exports_of_report(model)
    assert [one["file"] for one in found] == ["model.onnx", "model_fixed.onnx"]
    for one, parity in zip(found, exported.parity.values(), strict=True):
        assert one["images"] == parity.images
        assert one["largest_difference"] == parity.difference
        assert (one["decisions"], one["near"], one["changed"]) == (parity.answers, parity.near, parity.changed)
    inspected = inspect_folder(model)
    assert inspected.problems == []
    assert inspected.to_json()["exports"] == found


def test_without_an_export_there_is_none(saved: Path, tmp_path: Path) -> None:
    make_report(saved, out=tmp_path / "report.html")
    assert exports_of_report(tmp_path) == []
    assert inspect_folder(saved).to_json()["exports"] == []


CHANGES = {
    "tuned since": (retune, "export.json: has other thresholds or another calibration than the manifest; export it"),
    "a damaged graph": (damage_graph, "model_fixed.onnx: is damaged"),
    "another model": (lambda folder: change_record(folder, model={"id": "0"}), "export.json: belongs to another model"),
    "another form": (
        lambda folder: change_record(folder, files={"model.onnx": {"parity": 3, "sha256": "0"}}),
        "export.json: is damaged: the record of the export has no valid 'parity'",
    ),
}


@pytest.mark.parametrize("how", CHANGES)
def test_an_export_that_does_not_fit_is_named_and_not_shown(how: str, model: Path) -> None:
    do, problem = CHANGES[how]
    do(model)
    said: list[str] = []
    make_report(model, say=said.append)
    assert exports_of_report(model) == []
    assert [line.startswith("the export in the folder is not shown in the report: ") for line in said] == [True]
    found = inspect_folder(model)
    assert any(one.startswith(problem) for one in found.problems), found.problems
    assert found.exports == []


def test_a_record_that_names_a_file_elsewhere_is_refused(model: Path) -> None:
    files = read_record(model).files
    change_record(model, files={**files, "../photos/0.jpg": {"sha256": "0"}})
    with pytest.raises(ArtifactError, match=r"damaged: it names a file outside of the folder, '\.\./photos/0\.jpg'"):
        read_record(model)


def test_the_hash_that_needs_no_torch_is_that_of_the_export(saved: Path) -> None:
    content = manifest_content(saved)
    entries = {name: content[name] for name in ("target", "decision", "preprocessing", "pixels")}
    assert inspect_export.decision_hash(entries) == decision_hash(load_manifest(saved))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda decision: None, id="tuned"),
        pytest.param(lambda decision: decision["thresholds"].pop("hash"), id="of an older version"),
        pytest.param(lambda decision: edit_thresholds(decision, 0.25), id="edited"),
        pytest.param(lambda decision: edit_thresholds(decision, 1), id="edited to a whole number"),
        pytest.param(lambda decision: decision["calibration"].update(value=3), id="whole number in the calibration"),
    ],
)
def test_the_hash_without_torch_is_the_same_for_tuned_and_edited_decisions(
    model: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    manifest = load_manifest(model)
    tuned = Thresholds((0.5,) * len(manifest.target.output_names), metric="f1_macro")
    decision = manifest.decision.with_calibration(Temperature(3.0)).with_thresholds(tuned).to_json()
    assert "hash" in decision["thresholds"]
    change(decision)
    content = {**manifest_content(model), "decision": decision}
    (model / "manifest.json").write_text(json.dumps(content))
    entries = {name: content[name] for name in ("target", "decision", "preprocessing", "pixels")}
    assert inspect_export.decision_hash(entries) == decision_hash(load_manifest(model))


def edit_thresholds(decision: dict[str, Any], value: float) -> None:
    thresholds = decision["thresholds"]
    thresholds["values"] = [value] * len(thresholds["values"])


def test_a_calibration_written_with_a_whole_number_leaves_the_thresholds_and_their_metric(model: Path) -> None:
    decision = load_manifest(model).decision.with_calibration(Temperature(3.0))
    content = decision.with_thresholds(Thresholds(0.4, metric="f1_macro")).to_json()
    assert content["calibration"]["value"] == 3.0
    content["calibration"]["value"] = 3
    assert not are_edited(content)
    content["calibration"]["value"] = 4
    assert are_edited(content)


def test_the_hash_of_thresholds_is_no_part_of_a_graph(saved: Path) -> None:
    manifest = load_manifest(saved)
    decision = manifest.decision.with_thresholds(Thresholds(0.4, metric="f1_macro")).to_json()
    entries = {"target": {}, "decision": decision, "preprocessing": {}, "pixels": "canonical-1"}
    before = inspect_export.decision_hash(entries)
    decision["thresholds"].pop("hash")
    assert inspect_export.decision_hash(entries) == before


def test_an_export_puts_its_comparison_into_a_report_that_is_there(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export_onnx, "network_graph", cached_network(model))
    assert run(["export", str(model), "--compared", "2"]) == 0
    assert not (model / "report.html").exists()
    (model / "export.json").unlink()
    make_report(model)
    assert exports_of_report(model) == []
    assert run(["export", str(model), "--compared", "2"]) == 0
    assert f"the comparison is in the report, {model / 'report.html'}" in capsys.readouterr().out
    assert [one["images"] for one in exports_of_report(model)] == [9, 9]
    assert run(["inspect", str(model)]) == 0
    assert "exported model.onnx: float32, 9 images, largest difference" in capsys.readouterr().out


def test_a_report_whose_images_are_gone_keeps_its_thumbnails(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_report(model)
    before = (model / "report.html").read_bytes()
    (model.parent / "photos").unlink()
    monkeypatch.setattr(export_onnx, "network_graph", cached_network(model))
    assert run(["export", str(model)]) == 0
    said = capsys.readouterr().out
    assert "the comparison is not in the report yet: the validation images were not found; `eyebright report`" in said
    assert (model / "report.html").read_bytes() == before


def test_a_report_that_cannot_be_written_leaves_the_export(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (model / "report.html").write_text("my own notes")
    monkeypatch.setattr(export_onnx, "network_graph", cached_network(model))
    assert run(["export", str(model), "--compared", "1"]) == 0
    assert "the comparison is not in the report: " in capsys.readouterr().out
    assert (model / "report.html").read_text() == "my own notes"


def test_an_export_to_another_folder_says_that_the_report_has_it_not(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export_onnx, "network_graph", cached_network(model))
    (model / "report.html").write_text("a report")
    assert run(["export", str(model), "--compared", "0", "--out", str(tmp_path / "shipped")]) == 0
    said = f"the comparison is in '{tmp_path / 'shipped' / 'export.json'}'; the model's report shows only exports"
    assert said in capsys.readouterr().out
    assert (model / "report.html").read_text() == "a report"


def with_page(model: Path, page: ExportedPage) -> Path:
    shutil.copy(page.path, model / "page.html")
    return model / "page.html"


def test_an_offline_page_of_former_thresholds_is_named(model: Path, page: ExportedPage) -> None:
    def found() -> InspectedFile:
        return next(file for file in inspect_folder(model).files if file.name == "page.html")

    written = with_page(model, page)
    said: list[str] = []
    make_report(model, say=said.append)
    assert (found().check, [text for text in said if "page.html" in text]) == ("readable", [])
    retune(model)
    make_report(model, say=said.append)
    note = "has other thresholds or another calibration than the manifest; export it again"
    assert (found().check, found().note) == ("problem", note)
    assert f"page.html {note}" in said
    identifier = manifest_content(model)["id"]
    written.write_text(written.read_text(encoding="utf-8").replace(identifier, "0" * len(identifier)), encoding="utf-8")
    assert (found().check, found().note) == ("problem", "belongs to another model; export it again")
    written.write_text("<!doctype html>\n<p>mine</p>")
    assert found().check == "not checked"


def test_a_model_that_is_tuned_while_it_is_exported_is_reported(
    model: Path, page: ExportedPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(folder: Path, **_: Any) -> ExportedPage:
        retune(folder)
        return replace(page, path=with_page(folder, page))

    monkeypatch.setattr("eyebright.workflow.export.export_page", slow)
    said: list[str] = []
    export_model(ExportOptions(model, to="page"), say=said.append)
    assert any(text.startswith("the model was changed while it was exported") for text in said)
