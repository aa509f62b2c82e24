"""The pages that name tests: all named tests exist, and all tests of this folder are named."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGES = {
    "README.md": Path(__file__).with_name("README.md"),
    "coming-from-fastai.md": TESTS.parent / "docs" / "coming-from-fastai.md",
}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_all_tests_named_in_a_page_exist(page: Path) -> None:
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", page.read_text(encoding="utf-8"))
    assert len(named) > 20
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (TESTS / file).is_file() or f"def {name}(" not in (TESTS / file).read_text(encoding="utf-8")
    ]
    assert missing == []


def test_all_rows_are_in_the_table_and_all_tests_of_this_folder_are_named() -> None:
    page = PAGES["README.md"].read_text(encoding="utf-8")
    assert [int(row) for row in re.findall(r"(?m)^\| (\d+) \|", page)] == list(range(1, 28))
    for file in Path(__file__).parent.glob("test_*.py"):
        if file != Path(__file__):
            for name in re.findall(r"(?m)^def (test_\w+)\(", file.read_text(encoding="utf-8")):
                assert f"`differences/{file.name}::{name}`" in page, name
