"""The pages of formats are true: each example is built as its page shows, recognised, and read as the page says.

A page lists its files in a block with the title ``files``. The images among them are made here; the others are the
blocks that have their names as titles, or are written by the Python of the page.
"""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from eyebright.cli.main import run
from eyebright.io.files import IMAGE_EXTENSIONS
from eyebright.sources.read import read_source
from eyebright.sources.recognise import recognise
from eyebright.sources.registry import FORMATS, NAMES as NAMES_OF_IMAGES, format_named
from support.pages import ROOT, Block, blocks, command_lines, parse_command, run_python

FOLDER = ROOT / "docs" / "formats"
GUIDE = ROOT / "docs" / "guides" / "leave-a-hosted-service.md"
INDEX = FOLDER / "index.md"
NAMES = [each.name for each in FORMATS]
PAGES = [FOLDER / f"{name}.md" for name in NAMES]
_TABLE = "labels.csv"  # what `eyebright convert` writes
_REST = "..."  # the other lines of a command


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_page_is_read_as_the_page_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = FOLDER / f"{name}.md"
    monkeypatch.chdir(tmp_path)
    make_files(page)
    if format_named(name) is not NAMES_OF_IMAGES:  # which only an option says
        assert recognise(Path(command(page, "check")[0])).format.name == name
    shown = shown_lines(page)
    assert len(shown) >= 1
    assert run(["check", *command(page, "check")]) == 0
    assert capsys.readouterr().out.splitlines()[: len(shown)] == shown
    assert run(shlex.split(converting(page))) == 0
    assert Path(_TABLE).read_text(encoding="utf-8") == block_titled(page, _TABLE).text


@pytest.mark.parametrize("name", NAMES)
def test_a_page_trains_with_the_arguments_with_which_it_checks(name: str) -> None:
    page = FOLDER / f"{name}.md"
    data = command(page, "check")
    assert command(page, "train") == [*data, "--out", "model"]
    assert shlex.split(converting(page)) == ["convert", *data, "--out", _TABLE]


@pytest.mark.parametrize("name", NAMES)
def test_a_page_names_every_option_that_its_format_takes(name: str) -> None:
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    named = {option.replace("-", "_") for option in re.findall(r"--([a-z-]+)", text)}
    assert named >= {*format_named(name).options, "format"}
    assert f"`--format {name}`" in text


def test_every_page_belongs_to_a_format_and_the_index_links_to_each() -> None:
    assert sorted(FOLDER.glob("*.md")) == sorted([*PAGES, INDEX])
    listed = re.findall(r"(?m)^\| \[[^\]]+\]\(([a-z-]+)\.md\) \| `([a-z-]+)` \|", INDEX.read_text(encoding="utf-8"))
    assert all(link == name for link, name in listed)
    assert sorted(link for link, _ in listed) == sorted(NAMES)


@pytest.mark.parametrize("page", [*PAGES, GUIDE], ids=lambda page: page.stem)
def test_the_command_lines_in_the_text_of_a_page_parse(page: Path) -> None:
    for line in re.findall(r"`eyebright ([a-z]+ [^`]+)`", page.read_text(encoding="utf-8")):
        parse_command(shlex.split(line))


def test_a_page_is_at_most_a_screen_or_two() -> None:
    assert {
        page.name: count for page in PAGES if (count := len(page.read_text(encoding="utf-8").splitlines())) > 75
    } == {}


def test_the_guide_downloads_the_images_of_custom_vision_and_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    entries = json.loads(block_titled(GUIDE, "tagged.json").text)
    for number, entry in enumerate(entries):
        PIL.Image.new("RGB", (64, 48), (number, 0, 0)).save(f"o-{number}.png")
        entry["originalImageUri"] = Path(f"o-{number}.png").resolve().as_uri()
    Path("tagged.json").write_text(json.dumps(entries), encoding="utf-8")
    download = block_titled(GUIDE, "download.py").text
    exec(compile(download, str(GUIDE), "exec"), {})
    exec(compile(download, str(GUIDE), "exec"), {})  # what is there is kept
    source = read_source("tagged.json", images="photos")
    assert (source.kind, len(source)) == ("multicategory", 1)
    assert source[0].path.is_file()
    assert sorted(source[0].target) == ["hemlock", "moss"]


def make_files(page: Path) -> None:
    """Writes the files of the page's example into the working folder."""
    files = block_titled(page, "files").text.split()
    examples = {block.title: block for block in blocks(page) if block.title not in ("", "files", _TABLE)}
    for number, name in enumerate(files):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        if Path(name).suffix.lower() in IMAGE_EXTENSIONS:
            pixels = np.random.default_rng(number).integers(0, 255, (48, 64, 3), dtype=np.uint8)
            PIL.Image.fromarray(pixels).save(name)
        else:
            Path(name).write_text(examples.pop(name).text, encoding="utf-8")
    assert not examples, "a file that the page shows is not in its list"
    run_python(page)


def block_titled(page: Path, title: str) -> Block:
    """The only block of the page with this title."""
    (block,) = (one for one in blocks(page) if one.title == title)
    return block


def command(page: Path, name: str) -> list[str]:
    """The arguments of the only call of this command in the blocks of the page."""
    ((_, *arguments),) = (arguments for _, arguments in command_lines(page) if arguments[0] == name)
    return arguments


def converting(page: Path) -> str:
    """The arguments of the call of ``eyebright convert`` that the text of the page names."""
    (found,) = re.findall(r"`eyebright (convert [^`]+)`", page.read_text(encoding="utf-8"))
    return found


def shown_lines(page: Path) -> list[str]:
    """The lines that the page shows of what ``eyebright check`` prints, up to the dots."""
    (block,) = (one for one in blocks(page) if one.language == "console")
    lines = block.text.splitlines()
    return lines[1 : lines.index(_REST)]
