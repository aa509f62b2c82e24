"""Every Python block of README.md and of docs/ runs, and every command line of theirs has options that exist."""

import re
from pathlib import Path

import pytest

from support.pages import ROOT, blocks, command_lines, pages, parse_command, run_python

WITH_PYTHON = [page for page in pages() if any(block.language == "python" for block in blocks(page))]
WITH_COMMANDS = [page for page in pages() if any(command_lines(page))]
LANGUAGES = {"python", "console", "text", "csv", ""}
OF_FORMATS = {"json", "xml", "yaml"}


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_the_python_of_a_page_runs(page: Path, working_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_python(page)


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_the_command_lines_of_a_page_parse(page: Path) -> None:
    for line, arguments in command_lines(page):
        try:
            parse_command(arguments)
        except Exception as error:
            error.add_note(f"{name_of(page)} line {line}: eyebright {' '.join(arguments)}")
            raise


def test_pages_with_python_and_commands_are_found() -> None:
    assert {"README.md", "docs/index.md"} <= {name_of(page) for page in WITH_PYTHON}
    assert {"README.md", "docs/index.md"} <= {name_of(page) for page in WITH_COMMANDS}


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_a_block_has_a_language_that_is_checked(page: Path) -> None:
    found = blocks(page)
    assert {block.language for block in found} <= LANGUAGES | OF_FORMATS
    # what is not checked here is an example of a page of a format, which is read under its title
    assert [block.line for block in found if block.language in OF_FORMATS and not block.title] == []


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_a_page_has_no_path_of_the_machine_that_made_it(page: Path) -> None:
    found = re.findall(r"(?<![\w.])/(?:tmp|home|root|work|opt|mnt|Users)/[^\s'\"`]*", page.read_text(encoding="utf-8"))
    assert found == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train labels.csv --out model --epoch 3", "[Nn]o such option"),
        ("train labels.csv --out model --epochs -1", "epochs"),
        ("trian labels.csv", "there is no command 'trian'"),
        ("predict model", "Missing parameter: images"),
    ],
)
def test_a_command_line_that_is_wrong_does_not_parse(arguments: str, message: str) -> None:
    with pytest.raises(Exception, match=message):
        parse_command(arguments.split())


def test_an_error_in_a_page_has_the_line_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n```python\nx = 1\n```\n\n```text\n1 / 0\n```\n\n```python\nx / 0\n```\n")
    with pytest.raises(ZeroDivisionError) as caught:
        run_python(page)
    assert caught.traceback[-1].lineno == 11  # from 0
