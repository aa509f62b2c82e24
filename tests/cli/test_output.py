"""Whatever prints a name escapes the characters that change a terminal."""

import ast
import io
import sys
from pathlib import Path
from typing import TextIO

import pytest
import torch
from rich.console import Console

import eyebright
from eyebright.cli.main import _print_usage_error, run
from eyebright.cli.output import print_data, say
from eyebright.errors import MESSAGE_LIMIT, printable
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
        "typer.echo(__version__)",
        "typer.echo(self.get_help(ctx))",
        "sys.stdout.write(options_page())",
    }
    assert set(calls) <= known


BAD = "\x1b[31mx\x1b]0;y\x07\u202e\r\nerror: z"


@pytest.mark.parametrize(
    "arguments",
    [
        [BAD],
        [f"--{BAD}"],
        [BAD, "--help"],
        ["train", BAD, "--out", "m"],
        ["train", f"--{BAD}", "m"],
        ["train", "a", BAD, "--out", "m"],
        ["train", "a", "--out", "m", "--epochs", BAD],
        ["train", "a", "--out", "m", "--progress", BAD],
        ["train", "--options", BAD],
        ["predict", "m", BAD, "--bs", BAD],
        ["predict", BAD, BAD],
        ["report", BAD],
        ["report", BAD, BAD],
        ["--debug", "report", BAD],
    ],
    ids=ascii,
)
def test_no_argument_changes_the_terminal_that_shows_the_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    debug = "--debug" in arguments
    assert run([one for one in arguments if one != "--debug"], debug=debug) == 2
    said = "".join(capsys.readouterr())
    assert said
    assert printable(said, keep="\n") == said
    assert "\nerror: z" not in said


def test_an_argument_of_100_000_characters_gives_a_short_message(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 100_000
    for arguments in (
        [long],
        ["train", long, "--out", "m"],
        ["train", "a", "--out", long],
        ["train", "a", "--out", "m", "--epochs", long],
        ["train", "a", f"--{long}"],
        ["predict", long, "a.jpg"],
        ["predict", "m", long],
        ["report", long],
        ["train", "--options", long],
    ):
        assert run(arguments) == 2, arguments[:2]
        said = "".join(capsys.readouterr())
        assert 20 < len(said) < 2 * MESSAGE_LIMIT
        assert "internal error" not in said


def test_what_typer_quotes_as_it_was_given_is_one_printable_line(capsys: pytest.CaptureFixture[str]) -> None:
    class WrongOptionError(Exception):
        exit_code = 2
        message = f"no such option: {BAD}{'x' * 100_000}"

        def show(self, file: TextIO) -> None:
            file.write(f"Usage: eyebright [OPTIONS]\n\nError: {self.message}\n")

    assert _print_usage_error(WrongOptionError()) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["Usage: eyebright [OPTIONS]", ""]
    assert lines[2].startswith(f"Error: no such option: {printable(BAD)}xxx")
    assert len(lines) == 3
    assert len(lines[2]) <= MESSAGE_LIMIT + len("Error: ")
