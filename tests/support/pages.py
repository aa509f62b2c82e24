"""The fenced blocks of Markdown pages: their Python is run on small images, their command lines are parsed."""

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

import eyebright
from eyebright.cli.command import CommandArguments, add_command
from eyebright.cli.main import COMMANDS
from eyebright.learner.learner import Learner
from eyebright.learner.vision_learner import vision_learner
from eyebright.workflow import train_model
from support.learners import TINY_ARCH

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(
    r"^(?P<fence>```+)(?P<language>\w*)(?:[ \t]+title=\"(?P<title>[^\"\n]+)\")?[^\n]*\n(?P<text>.*?)^(?P=fence)[ \t]*$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Args:
        page: the file.
        line: the number of its first line.
        language: the word after the fence; may be empty.
        text: what is between the fences.
        title: what stands after ``title=``; may be empty.
    """

    page: Path
    line: int
    language: str
    text: str
    title: str = ""


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page, text.count("\n", 0, match.start("text")) + 1, match["language"], match["text"], match["title"] or ""
        )
        for match in _FENCE.finditer(text)
    ]


def pages() -> list[Path]:
    """The pages that people read: README.md and all of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def run_python(page: Path) -> None:
    """Runs the Python blocks of a page in order, in one namespace, in the working folder; errors name the line."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.language == "python":
            code = "\n" * (block.line - 1) + block.text  # so that a traceback has the lines of the page
            exec(compile(code, str(page), "exec"), names)


def command_lines(page: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, arguments) of each call of ``eyebright`` in the blocks that are no Python."""
    for block in blocks(page):
        if block.language != "python":
            continued = re.sub(r"\\\n\s*", " ", block.text)
            for number, line in enumerate(continued.splitlines(), block.line):
                if match := re.match(r"(?:\$ )?(eyebright .*)", line):
                    yield number, shlex.split(match[1], comments=True)[1:]


def parse_command(arguments: list[str]) -> None:
    """Parses the arguments of ``eyebright`` as the command line does, without running the command.

    Raises:
        Exception: there is no such command or option, or a value is invalid.
    """
    if arguments[0] not in COMMANDS:
        raise ValueError(f"there is no command '{arguments[0]}'")
    function, option_classes = COMMANDS[arguments[0]]

    def parsed(given: CommandArguments) -> None:
        for cls in option_classes():
            given.parse(cls)

    parsed.__name__, parsed.__doc__ = function.__name__, function.__doc__
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    add_command(app, parsed, *option_classes())
    typer.main.get_command(app).main([one for one in arguments[1:] if one != "--debug"], standalone_mode=False)


def use_tiny_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every learner with timm's network for tests, in float32 and without output, whatever the page asks."""
    tiny = _with_tiny_network(vision_learner)
    monkeypatch.setattr(eyebright, "vision_learner", tiny)
    monkeypatch.setattr(train_model, "vision_learner", tiny)


def _with_tiny_network(make: Callable[..., Learner]) -> Callable[..., Learner]:
    def made(data: Any, arch: Any, **options: Any) -> Learner:
        return make(data, TINY_ARCH, **{**options, "pretrained": False, "precision": "float32", "progress": "quiet"})

    return made
