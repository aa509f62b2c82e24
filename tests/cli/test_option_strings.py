"""Messages name options as in Python in the library, and as they are typed on the command line."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import eyebright
from eyebright.cli.main import COMMANDS, options_of, run
from eyebright.cli.option_strings import with_option_strings

SOURCE = Path(eyebright.__file__).parent


@pytest.mark.parametrize(
    ("sentence", "typed"),
    [
        ("`skip_bad=True` skips it", "--skip-bad skips it"),
        ("`keep_statistics=False` trains them", "--no-keep-statistics trains them"),
        ("`bs` is 1, give `bs=2` or `device='cpu'`", "--bs is 1, give --bs 2 or --device cpu"),
        ("`source` is missing", "SOURCE is missing"),
        ("`num_workers=0` reads without processes", "--workers 0 reads without processes"),
        ("`none_label='No Finding'` says so", "--none-label 'No Finding' says so"),
        ("`delimiter=''` takes a cell as a class", "--delimiter '' takes a cell as a class"),
        ("a file `bs.txt` and `other` stay", "a file `bs.txt` and `other` stay"),
        ("skip_bad without backticks stays", "skip_bad without backticks stays"),
    ],
)
def test_options_in_backticks_become_what_is_typed(sentence: str, typed: str) -> None:
    assert with_option_strings(sentence, options_of("train")) == typed


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_names_options_as_they_are_typed(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    run([command, "--help"])
    shown = capsys.readouterr().out
    assert not [field.name for field in options_of(command) if f"`{field.name}`" in shown]


def texts(file: Path) -> Iterator[tuple[int, str]]:
    """Every text in a file that is no docstring."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield node.lineno, node.value


def names_of_the_library() -> set[str]:
    """The names of all functions, parameters and fields in the library."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in LIBRARY]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    fields = {node.target.id for node in nodes if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)}
    functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    return {node.arg for node in nodes if isinstance(node, ast.arg)} | fields | functions


LIBRARY = [file for file in sorted(SOURCE.rglob("*.py")) if "cli" not in file.relative_to(SOURCE).parts]


def test_no_file_of_the_library_names_a_flag() -> None:
    found = [
        f"{file}:{line}: {text}" for file in LIBRARY for line, text in texts(file) if re.search(r"(?<!\w)--[a-z]", text)
    ]
    assert not found


def test_what_the_library_names_in_backticks_exists() -> None:
    known = names_of_the_library() | {
        name for command in COMMANDS for field in options_of(command) for name in (field.name, *field.option.aliases)
    }
    named = {
        name: f"{file}:{line}"
        for file in LIBRARY
        for line, text in texts(file)
        for name in re.findall(r"`(\w+)[`=]", text)
    }
    assert {"skip_bad", "num_workers"} <= set(named)
    assert {name: place for name, place in named.items() if name not in known} == {}
