"""The page about the report explains every section that the code can write."""

import ast
import re

import pytest

from support.pages import ROOT

REPORT = ROOT / "src" / "eyebright" / "report"
OTHER_PAGES = {"comparison.py"}  # the sections of ``eyebright compare``


def strings(expression: ast.expr, scope: ast.AST) -> set[str]:
    """The string literals that the expression can have, those assigned to its names in ``scope`` included."""
    if isinstance(expression, ast.Constant):
        return {str(expression.value)}
    if isinstance(expression, ast.IfExp):
        return strings(expression.body, scope) | strings(expression.orelse, scope)
    assert isinstance(expression, ast.Name), ast.dump(expression)
    values = [
        node.value
        for node in ast.walk(scope)
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == expression.id for t in node.targets)
    ]
    assert values, f"'{expression.id}' is not assigned in its file"
    return set().union(*(strings(value, scope) for value in values))


def titles_in_the_code() -> set[str]:
    titles: set[str] = set()
    for path in REPORT.rglob("*.py"):
        if path.name in OTHER_PAGES:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Section":
                titles |= strings(call.args[0], tree)
    return titles


def titles_on_the_page() -> list[str]:
    text = (ROOT / "docs" / "guides" / "report.md").read_text(encoding="utf-8")
    [table] = re.findall(r"## The sections\n\n.*\n\n((?:\|.*\n)+)", text)
    rows = [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()[2:]]
    return [title for row in rows for title in re.split(r", or |, ", row)]


def test_the_page_explains_every_section_of_the_report_and_no_other() -> None:
    on_the_page = titles_on_the_page()
    assert len(on_the_page) == len(set(on_the_page))
    assert set(on_the_page) == titles_in_the_code() | {"Scores"}  # which the template of the page has


@pytest.mark.parametrize("title", ["Labels to look at", "Split", "Promises", "Estimates", "At a glance"])
def test_sections_are_found_in_the_code(title: str) -> None:
    assert title in titles_in_the_code()
