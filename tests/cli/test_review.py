"""The command that goes on with a review, and mistakes on the command line."""

import shlex
from pathlib import Path

import pytest

from eyebright.cli.main import run
from eyebright.cli.review import command_line
from eyebright.workflow.command_options.labelling import ReviewOptions


@pytest.mark.parametrize(
    ("options", "command"),
    [
        (ReviewOptions(Path("model")), "eyebright review model"),
        (ReviewOptions(Path("photos"), labels=("cat,dog", "bird")), "eyebright review photos --labels cat,dog,bird"),
        (
            ReviewOptions(Path("a b"), Path("new"), out=Path("l.csv"), journal=Path("j"), kind="class"),
            "eyebright review 'a b' new --out l.csv --journal j --kind class",
        ),
    ],
)
def test_the_command_that_goes_on_names_what_was_named(options: ReviewOptions, command: str) -> None:
    assert command_line(options) == command
    assert shlex.split(command)[1] == "review"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "there is no"),
        (["nothing", "--port", "99999999"], "port"),
        (["nothing", "--kind", "clas"], "kind"),
        ([], "Missing argument"),
    ],
)
def test_a_mistake_is_one_sentence_and_no_server(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["review", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
