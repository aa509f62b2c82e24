"""The guide to label files names every format that is read."""

import re
from pathlib import Path

from eyebright.sources.registry import FORMATS

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "sources.md"


def test_the_table_of_formats_lists_each_of_them_once() -> None:
    listed = re.findall(r"^\| `([a-z][a-z-]*)` \|", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sorted(listed) == sorted(each.name for each in FORMATS)
