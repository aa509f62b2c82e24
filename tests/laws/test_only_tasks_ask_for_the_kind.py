"""No code outside of `eyebright.tasks` asks which kind of target it has: a block says what is needed of it."""

import re
from pathlib import Path

import pytest

import eyebright

SOURCE = Path(eyebright.__file__).parent
FILES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))
ASKS = {
    "isinstance of a block or a value": r"(isinstance|issubclass)\([^)]*\b(\w*Block|Points|LabelSet|frozenset)\b",
    "comparison of a kind": r"\b(source|table|block|task|target|block\(\))\.(kind|name|section|columns) *(==|!=|in\b)",
    "whether there are classes": r"\b(classes|vocab) is (not )?None",
    "type of a block": r"type\((block|task|target)\) *(is|==|in)\b",
}


@pytest.mark.parametrize("file", [f for f in FILES if not f.startswith(("tasks/", "types/"))])
def test_the_file_does_not_ask_for_the_kind(file: str) -> None:
    code = (SOURCE / file).read_text(encoding="utf-8")
    assert {name: found.group() for name, ask in ASKS.items() if (found := re.search(ask, code))} == {}


@pytest.mark.parametrize(
    "code",
    [
        "isinstance(block, PointBlock)",
        "isinstance(value, (Points, tuple))",
        "source.kind == 'category'",
        "if task.classes is None:",
        "type(target) is CategoryBlock",
    ],
)
def test_each_way_to_ask_is_found(code: str) -> None:
    assert any(re.search(ask, code) for ask in ASKS.values())
