"""The reference has every public name, and the page of errors every class and messages that the code has."""

import ast
import doctest
import importlib.util
import inspect
import re
from functools import cache
from typing import Any

import pytest

import eyebright
from eyebright import all as notebook, errors, recipes
from eyebright.errors import EyebrightError
from eyebright.learner.not_taken import NOT_TAKEN
from support.pages import ROOT

pytest.importorskip("mkdocs")

ERRORS_PAGE = ROOT / "docs" / "errors.md"


@pytest.fixture(scope="module")
def hooks() -> Any:
    """The module of the site's hooks."""
    return module_of_docs("hooks")


def module_of_docs(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def all_pages(hooks: Any) -> dict[str, str]:
    """The pages with entries, by their place beside the reference."""
    made = {path.removeprefix("reference/"): page for path, page in hooks.reference_pages().items()}
    return {**made, "../errors.md": ERRORS_PAGE.read_text(encoding="utf-8")}


def identifiers(page: str) -> list[str]:
    return re.findall(r"(?m)^::: (\S+)$", page)


def test_every_public_name_has_an_entry_and_a_link(hooks: Any) -> None:
    pages = all_pages(hooks)
    entries = [one for page in pages.values() for one in identifiers(page)]
    index = pages["index.md"]
    for name, module in eyebright._MODULE_OF.items():
        assert entries.count(f"{module}.{name}") == 1, name
        assert re.search(rf"\[`{name}`\]\(([./\w]+\.md)#{re.escape(module)}\.{name}\)", index), name


def test_every_link_of_the_reference_leads_to_an_entry(hooks: Any) -> None:
    pages = all_pages(hooks)
    links = {link for page in pages.values() for link in re.findall(r"\(([./\w]+\.md)#(eyebright[\w.]+)\)", page)}
    assert len(links) > 50
    for file, identifier in links:
        assert identifier in identifiers(pages[file]), identifier


@pytest.mark.parametrize(("face", "module"), [("all", notebook), ("recipes", recipes)])
def test_every_name_of_a_star_import_is_on_its_page(face: str, module: Any, hooks: Any) -> None:
    page = hooks.reference_pages()[f"reference/{'notebooks' if face == 'all' else face}.md"]
    shown = {one.split(".")[-1] for one in identifiers(page)} | set(re.findall(r"`([A-Za-z_]\w*)`", page))
    assert set(module.__all__) - set(NOT_TAKEN) - shown == set()


def test_entries_are_where_python_finds_them(hooks: Any) -> None:
    for page in hooks.reference_pages().values():
        for one in identifiers(page):
            module, name = one.rsplit(".", 1)
            assert hasattr(importlib.import_module(module), name), one


@pytest.mark.parametrize("name", ["hooks", "doctests"])
def test_the_examples_of_the_modules_of_the_site_are_right(name: str) -> None:
    results = doctest.testmod(module_of_docs(name))
    assert results.attempted >= 1
    assert results.failed == 0


def test_links_out_of_the_site_become_paths(hooks: Any) -> None:
    text = "[gold](../tests/gold/README.md), [why](why.md), [data](../reference/data.md)"
    expected = "gold, `tests/gold/README.md`, [why](why.md), [data](../reference/data.md)"
    assert hooks.without_links_outside(text) == expected


# ------------------------------------------------------------------------------- errors


def test_every_error_class_has_its_section() -> None:
    classes = {
        name
        for name, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, EyebrightError) and cls.__module__ == errors.__name__
    }
    page = ERRORS_PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"(?m)^## (\w+)$", page)) >= classes
    assert {one.rsplit(".", 1)[1] for one in identifiers(page)} == classes


def messages() -> list[str]:
    """The messages in the tables of the page: the first cell of each row, with … for what varies."""
    page = ERRORS_PAGE.read_text(encoding="utf-8")
    return re.findall(r"(?m)^\| `([^`]+)` \|", page)


def test_every_message_of_the_page_is_one_of_the_code() -> None:
    assert len(messages()) > 40
    assert [message for message in messages() if not _is_in_code(message)] == []


def _is_in_code(message: str) -> bool:
    """Whether the message is in a template; the quick look for its longest part first, since few templates have it."""
    parts = [part.strip() for part in message.split("…")]
    longest, pattern = max(parts, key=len), ".*?".join(map(re.escape, parts))
    return any(longest in template and re.search(pattern, template) for template in templates())


@cache
def templates() -> set[str]:
    """All texts in the code, formatted ones with … for their values."""
    found: set[str] = set()
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.JoinedStr(values=values):
                    found.add("".join(str(one.value) if isinstance(one, ast.Constant) else "…" for one in values))
                case ast.Constant(value=str(text)):
                    found.add(text)
                case _:
                    pass
    return found
