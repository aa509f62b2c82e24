"""Every kind of finding is in the guide, and is worded like the others."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import eyebright.check

SOURCES = sorted(Path(eyebright.check.__file__).parent.glob("*.py"))
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "check.md"


def calls(name: str) -> Iterator[ast.Call]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                yield node


def argument(call: ast.Call, name: str, position: int) -> ast.expr | None:
    named = [one.value for one in call.keywords if one.arg == name]
    return named[0] if named else call.args[position] if len(call.args) > position else None


def texts(node: ast.expr | None) -> set[str]:
    """The texts that an expression can be; of points and of numbers where ``what`` is in it."""
    match node:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.JoinedStr():
            source = ast.unparse(node)[2:-1]
            return {source.replace("{what}", what) for what in ("points", "numbers")}
        case ast.IfExp():
            return texts(node.body) | texts(node.orelse)
        case _:
            return set()


def kinds() -> set[str]:
    found = [texts(argument(call, "kind", 0)) for call in calls("Finding")]
    found += [texts(argument(call, "kind", 0)) for call in calls("_Check")]
    return set[str]().union(*found)


def test_the_guide_has_every_kind_and_no_other() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    rows = [kind for first in re.findall(r"(?m)^\| (`\w+`(?:, `\w+`)?) \|", text) for kind in re.findall(r"\w+", first)]
    assert len(rows) == len(set(rows))
    assert set(rows) == kinds()


def wording() -> list[str]:
    """The sentences and remedies that are written where the finding is made."""
    places = [
        argument(call, name, position)
        for call in calls("Finding")
        for name, position in [("sentence", 2), ("remedy", 3)]
    ]
    return [
        ast.unparse(one).lstrip("f").strip("'\"") for one in places if isinstance(one, (ast.Constant, ast.JoinedStr))
    ]


@pytest.mark.parametrize("text", wording())
def test_a_sentence_begins_and_ends_like_one(text: str) -> None:
    assert re.match(r"[A-Z0-9{']", text)
    assert text.endswith((".", "}"))
