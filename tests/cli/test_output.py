"""Whatever prints a name escapes the characters that change a terminal."""

import ast
import io
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console

import eyebright
from eyebright.cli.main import run
from eyebright.cli.output import print_data, say
from eyebright.inference.predictions import Prediction, Predictions
from eyebright.tasks.category import CategoryBlock
from eyebright.train.observers.progress import _plain

CLI = sorted((Path(eyebright.__file__).parent / "cli").glob("*.py"))


def test_a_line_has_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    say("model\x1b]0;x\x07: a\nb", err=True)
    assert capsys.readouterr().err == "model\\x1b]0;x\\x07: a\\nb\n"


def test_data_are_escaped_on_a_terminal_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    print_data("a\x1b\n")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_data("a\x1b\n")
    assert capsys.readouterr().out == "a\x1b\na\\x1b\n"


def test_an_error_names_a_file_with_escapes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["predict", str(tmp_path / "m\x1b[31m"), str(tmp_path / "a.png")]) == 2
    said = capsys.readouterr().err
    assert "m\\x1b[31m" in said
    assert "\x1b" not in said


def test_predictions_are_shown_with_escapes() -> None:
    block = CategoryBlock(vocab=["a\x1b[2J", "b"])
    found = Predictions(
        [Prediction("x\u202e.png", "a\x1b[2J", torch.tensor([0.9, 0.1]))], {"y\r.png": "bad\x07"}, block
    )
    assert repr(found) == "x\\u202e.png: a\\x1b[2J\ny\\r.png: skipped, bad\\x07"


def test_the_table_of_a_training_has_no_control_characters() -> None:
    out = io.StringIO()
    _plain(Console(file=out))("0  f1 of \x1b[2Jcat  0.5")
    assert out.getvalue() == "0  f1 of \\x1b[2Jcat  0.5\n"


@pytest.mark.parametrize("path", [path for path in CLI if path.name != "output.py"], ids=lambda path: path.name)
def test_no_command_prints_past_the_function_that_escapes(path: Path) -> None:
    calls = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("typer.echo", "print", "sys.stdout.write")
    ]
    known = {
        "typer.echo(metadata.version('eyebright'))",
        "typer.echo(self.get_help(ctx))",
        "sys.stdout.write(options_page())",
    }
    assert set(calls) <= known
