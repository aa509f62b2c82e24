"""``eyebright convert``: the file, and the command that reads it."""

import shlex
from pathlib import Path

import pytest

from eyebright.cli.main import run
from support.label_files import images, write_text


def test_the_command_that_is_said_reads_what_was_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images(tmp_path, "a.jpg", "b c.jpg")
    path = write_text(tmp_path / "t.csv", "file,labels,split\na.jpg,cat;dog,train\nb c.jpg,dog,valid\n")
    for to, suffix in (("csv", ".csv"), ("parquet", ".parquet"), ("coco", ""), ("labelstudio", "")):
        out = tmp_path / f"my {to}{suffix}"
        assert run(["convert", str(path), "--to", to, "--out", str(out)]) == 0
        said = capsys.readouterr().out.splitlines()
        [command] = [line.split("eyebright ", 1)[1] for line in said if line.startswith("read it with: ")]
        assert run([*shlex.split(command), "--no-pixels"]) == 0
        assert "2 images; 2 labels; train 1, valid 1" in capsys.readouterr().out


def test_what_a_format_cannot_hold_is_an_error_in_the_words_of_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    path = write_text(tmp_path / "t.csv", "file,labels\na.jpg,cat;dog\nb.jpg,dog\n")
    assert run(["convert", str(path), "--to", "folders", "--out", str(tmp_path / "o")]) == 2
    assert "cannot hold labels, only 'classes'; --to csv and --to parquet hold all" in capsys.readouterr().err
