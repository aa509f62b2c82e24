"""The report in a browser, at the widths of a phone, a tablet and a screen."""

from collections.abc import Callable
from pathlib import Path

import pytest

from eyebright.report.data import ReportData
from eyebright.web.page import render_page
from support.chromium import chromium_path, running_chromium

WIDTHS = (360, 500, 800, 1000, 1100, 1200, 1400)
WIDE_TABLES = """[...document.querySelectorAll('table')].map(table => [table, table.closest('.scroll')])
    .filter(([table, box]) => table.getBoundingClientRect().width > box.getBoundingClientRect().width)"""


def test_a_table_that_is_too_wide_for_the_page_is_scrolled_and_shows_it(
    page: Callable[..., ReportData], tmp_path: Path
) -> None:
    program = chromium_path()
    if program is None:
        pytest.skip("Chromium is not installed")
    (tmp_path / "report.html").write_text(render_page(page()), encoding="utf-8")
    wide: dict[int, int] = {}
    with running_chromium(tmp_path / "chromium", program) as browser:
        tab = browser.open((tmp_path / "report.html").as_uri())
        tab.wait("document.readyState === 'complete'")
        for width in WIDTHS:
            tab.look(width=width)
            assert tab.run("document.documentElement.scrollWidth") <= width
            wide[width] = tab.run(f"{WIDE_TABLES}.length")
            assert tab.run(f"{WIDE_TABLES}.every(([table, box]) => box.scrollWidth >= table.offsetWidth)")
            styles = tab.run(
                f"[...new Set({WIDE_TABLES}.map(([table, box]) => getComputedStyle(box).overflowX))].join()"
            )
            assert styles == ("auto" if wide[width] else "")
            shadows = (
                f"{WIDE_TABLES}.every(([table, box]) => getComputedStyle(box).backgroundImage.includes('gradient'))"
            )
            assert tab.run(shadows)
    assert wide[360] > 0
    assert wide[1200] == wide[1400] == 0
