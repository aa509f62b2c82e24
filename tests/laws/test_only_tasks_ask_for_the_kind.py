"""No code outside of `eyebright.tasks` asks which kind of target it has: a block says what is needed of it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

import eyebright
from eyebright.tasks.registry import TARGET_BLOCKS
from eyebright.tasks.task_type import KindWord, TaskType

SOURCE = Path(eyebright.__file__).parent
FILES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))
ASKS = {
    "isinstance of a block or a value": r"(isinstance|issubclass)\([^)]*\b(\w*Block|Points|LabelSet|frozenset)\b",
    "comparison of a kind": r"\b(source|table|block|task|target|block\(\))\.(kind|name|section|columns) *(==|!=|in\b)",
    "whether there are classes": r"\b(classes|vocab) is (not )?None",
    "type of a block": r"type\((block|task|target)\) *(is|==|in)\b",
    "attribute that only some blocks have": r"\b(getattr|hasattr)\((\w+\.)*(block|task|target)(\(\))?, *[\"']",
}
KINDS = {*get_args(TaskType), *get_args(KindWord), *TARGET_BLOCKS}
NAMES = ("kind", "task_type", "word")  # of variables and attributes that hold one of them


@pytest.mark.parametrize("file", [f for f in FILES if not f.startswith(("tasks/", "types/"))])
def test_the_file_does_not_ask_for_the_kind(file: str) -> None:
    assert asked((SOURCE / file).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "code",
    [
        "isinstance(block, PointBlock)",
        "isinstance(value, (Points, tuple))",
        "source.kind == 'category'",
        "if task.classes is None: pass",
        "type(target) is CategoryBlock",
        "target.task_type != 'points'",
        "source.block().task_type in ('labels', 'classes')",
        "TARGET_BLOCKS[source.kind].task_type == 'labels'",
        "'numbers' == task_type",
        "vocabulary.kind not in ('labels', 'class')",
        "kind == 'ordinal'",
        "match vocabulary.kind:\n    case 'class' if names: pass",
        "match block:\n    case PointBlock(): pass",
        "getattr(target, 'names', None) is not None",
        "hasattr(self.block, 'mirror')",
    ],
)
def test_each_way_to_ask_is_found(code: str) -> None:
    assert asked(code)


@pytest.mark.parametrize("code", ["REPORTS[block.task_type]", "finding.kind == 'copies'", "'labels' in table.columns"])
def test_a_table_by_kind_and_other_comparisons_are_allowed(code: str) -> None:
    assert asked(code) == []


def asked(code: str) -> list[str]:
    """The pieces of code that depend on which kind a target has, other than through a table."""
    return [*(match.group() for ask in ASKS.values() if (match := re.search(ask, code))), *compared(ast.parse(code))]


def compared(tree: ast.AST) -> Iterator[str]:
    """The comparisons of a kind with the name of one, and the cases for one kind."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(name_of(side) in NAMES for side in sides) and any(constants(side) & KINDS for side in sides):
                yield ast.unparse(node)
        elif isinstance(node, ast.Match):
            yield from (f"case {ast.unparse(case.pattern)}" for case in node.cases if is_kind(case.pattern))


def is_kind(pattern: ast.pattern) -> bool:
    return any(
        (isinstance(node, ast.MatchValue) and bool(constants(node.value) & KINDS))
        or (isinstance(node, ast.MatchClass) and ast.unparse(node.cls).endswith("Block"))
        for node in ast.walk(pattern)
    )


def name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def constants(node: ast.expr) -> set[str]:
    elements = node.elts if isinstance(node, (ast.Tuple, ast.List, ast.Set)) else [node]
    return {
        element.value for element in elements if isinstance(element, ast.Constant) and isinstance(element.value, str)
    }
