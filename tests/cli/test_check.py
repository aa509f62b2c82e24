"""``eyebright check``: the sentences on the console, and the JSON file."""

import json
from pathlib import Path

import pytest

from eyebright.cli.main import run
from support.label_files import images, write_json, write_text


def test_what_was_understood_is_said_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    path = write_text(tmp_path / "t.csv", "file,labels\na.jpg,cat;dog\nb.jpg,\n")
    assert run(["check", str(path), "--json", str(tmp_path / "x.json")]) == 0
    said = capsys.readouterr().out
    assert "images are named in column 'file'" in said
    assert "2 images; 2 labels" in said
    found = json.loads((tmp_path / "x.json").read_text())["reading"]
    assert found["rows"] == {f"{tmp_path}/a.jpg": ["cat", "dog"], f"{tmp_path}/b.jpg": []}
    assert run(["check", str(path), "--json", str(tmp_path / "x.json")]) == 0  # its own file is written again


def test_an_error_names_the_options_as_they_are_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = images(tmp_path, "cat/a.jpg", "dog/b.jpg")
    write_text(root / "labels.csv", "file,label\ncat/a.jpg,old\ndog/b.jpg,new\n")
    assert run(["check", str(root)]) == 2
    assert "'labels.csv' as a table (--format table); or class folders (--format folders)" in capsys.readouterr().err
    assert run(["check", str(root), "--format", "folders"]) == 0


def test_a_file_that_is_no_check_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = images(tmp_path, "cat/a.jpg", "dog/b.jpg")
    other = write_json(tmp_path / "other.json", {"a": 1})
    before = other.read_bytes()
    assert run(["check", str(root), "--format", "folders", "--json", str(other)]) == 2
    assert "exists and holds no result of a check; choose another file" in capsys.readouterr().err
    assert other.read_bytes() == before


def test_a_tilde_that_the_shell_left_is_the_home_folder_unless_a_folder_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    write_text(images(home, "a.jpg") / "t.csv", "file,labels\na.jpg,cat\n")
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))
    assert run(["check", "~/t.csv", "--no-pixels", "--images=~", "--json=~/x.json"]) == 0
    assert (home / "x.json").is_file()
    assert not list(here.iterdir())
    (here / "~").mkdir()
    assert run(["check", str(home / "t.csv"), "--no-pixels", "--json=~/y.json"]) == 0
    assert [file.name for file in (here / "~").iterdir()] == ["y.json"]
