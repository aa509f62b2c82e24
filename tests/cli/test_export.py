"""``eyebright export``: what is printed, and what is written."""

from pathlib import Path

import pytest

from eyebright.cli.main import run
from support.models import model_folder


@pytest.mark.slow
def test_an_export_is_compared_written_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = model_folder(tmp_path / "model")
    assert run(["export", str(model), "--to", "onnx", "--compared", "0"]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[:2] == ["exporting the network", "comparing 0 validation images with Python"]
    assert lines[2].startswith("only synthetic images are compared, since the validation images are unknown:")
    assert lines[3].startswith("model.onnx: 7 images (7 of them made): largest difference")
    assert [line.split(": ")[0] for line in lines[5:]] == [
        str(model / name) for name in ("model.onnx", "model_fixed.onnx", "preprocess.py")
    ]
    assert said.err == ""
    assert run(["export", str(model), "--check"]) == 0
    assert capsys.readouterr().out == f"all 3 files of the export in '{model}' are unchanged\n"
    (model / "model_fixed.onnx").write_bytes(b"damaged")
    assert run(["export", str(model), "--check"]) == 2
    assert "model_fixed.onnx' is damaged, or is not a file of this export" in capsys.readouterr().err


def test_an_error_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", str(tmp_path)]) == 2
    assert run(["export", str(tmp_path), "--to", "tensorflow"]) == 2
    assert run(["export", str(tmp_path), "--calibrate-on", str(tmp_path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert "contains no model.safetensors, but nothing" in lines[0]
    assert "--calibrate-on is for --precision int8" in lines[2]
    assert len(lines) == 3


@pytest.mark.slow
def test_a_page_is_written_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = model_folder(tmp_path / "model")
    assert run(["export", str(model), "--to", "page", "--compared", "0"]) == 0
    *_, compared, written = capsys.readouterr().out.splitlines()
    assert compared.startswith("its graph: 7 images (7 of them made): largest difference")
    assert written.startswith(f"{model / 'page.html'}: ")
    assert written.endswith(" MB; open it in a browser")


def test_what_a_page_does_not_have_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", str(tmp_path), "--to", "page", "--precision", "int8"]) == 2
    assert "a page has a float32 graph, so --precision cannot be int8; leave it out" in capsys.readouterr().err
    assert run(["export", str(tmp_path), "--to", "page", "--check"]) == 2
    assert "a page has no hash of its own; export it again" in capsys.readouterr().err
