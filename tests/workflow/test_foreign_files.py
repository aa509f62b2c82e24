"""Training replaces no file of another program, whatever its name."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from eyebright.errors import InputError
from eyebright.workflow.foreign_files import check_no_foreign_files
from eyebright.workflow.report import make_report
from support.tuned_models import saved

FOREIGN: dict[str, Callable[[Path], object]] = {
    "manifest.json": lambda path: path.write_text('{"name": "app", "icons": []}'),
    "model.safetensors": lambda path: save_file({"a": torch.ones(2)}, path, metadata={"format": "pt"}),
    "options.json": lambda path: path.write_text('{"theme": "dark"}'),
    "history.csv": lambda path: path.write_text("date,price\n2020-01-01,3\n"),
    "report.html": lambda path: path.write_text("<p>mine</p>"),
    "report.json": lambda path: path.write_text("[1, 2]"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_of_another_program_is_named_and_kept(name: str, tmp_path: Path) -> None:
    FOREIGN[name](tmp_path / name)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(InputError, match=f"{name}' exists and .*; training would replace it; give another `out`, or"):
        check_no_foreign_files(tmp_path)
    assert (tmp_path / name).read_bytes() == before


def test_an_empty_folder_none_and_one_of_other_files_can_be_written(tmp_path: Path) -> None:
    check_no_foreign_files(tmp_path / "new")
    (tmp_path / "labels.csv").write_text("file,labels\n")
    (tmp_path / "manifest.json").touch()
    check_no_foreign_files(tmp_path)


def test_a_report_json_whose_keys_another_program_has_sorted_can_be_replaced(tmp_path: Path) -> None:
    content = {"schema": "eyebright-report-1", "a": {"b": [1, 2]}, "title": "x"}
    (tmp_path / "report.json").write_text(json.dumps(content, sort_keys=True))
    check_no_foreign_files(tmp_path)
    (tmp_path / "report.json").write_text(json.dumps(content | {"schema": "another-1"}, sort_keys=True))
    with pytest.raises(InputError, match="exists and holds no numbers of a report"):
        check_no_foreign_files(tmp_path)


@pytest.mark.parametrize("damage", ["manifest.json", "model.safetensors", ""])
def test_the_folder_of_a_model_can_be_written_also_if_one_of_its_files_is_damaged(damage: str, tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    (folder / "options.json").write_text("{")
    if damage:
        (folder / damage).write_text("x")
    check_no_foreign_files(folder)
    if damage == "model.safetensors":
        content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        assert {"schema", "model", "versions"} <= set(content)


def damaged(folder: Path) -> Path:
    """The folder of a model whose weights and manifest are cut off."""
    saved(folder)
    for name in ("model.safetensors", "manifest.json"):
        (folder / name).write_bytes(b"{" + bytes(30))
    return folder


def test_the_folder_of_a_model_can_be_written_also_if_weights_and_manifest_are_damaged(tmp_path: Path) -> None:
    folder = damaged(tmp_path / "model")
    with pytest.raises(InputError, match=r"manifest.json' exists and is damaged, unreadable, or of another program;"):
        check_no_foreign_files(folder)
    (folder / "options.json").write_text(json.dumps({"schema": 1, "training": {}}))
    check_no_foreign_files(folder)


def test_a_sound_file_of_another_program_is_kept_also_beside_options_of_a_training(tmp_path: Path) -> None:
    (tmp_path / "options.json").write_text(json.dumps({"schema": 1, "training": {}}))
    (tmp_path / "manifest.json").write_text(json.dumps({"name": "a web page", "icons": []}))
    with pytest.raises(InputError, match=r"manifest.json' exists and belongs to no model of Eyebright;"):
        check_no_foreign_files(tmp_path)


@pytest.mark.parametrize("indent", [None, 4])
def test_numbers_of_a_report_may_be_indented_anew(indent: int | None, tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    make_report(folder)
    content = json.loads((folder / "report.json").read_text())
    (folder / "report.json").write_text(json.dumps(content, indent=indent))
    check_no_foreign_files(folder)
    make_report(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_in_the_place_of_the_report_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "report.json")
    check_no_foreign_files(tmp_path)
