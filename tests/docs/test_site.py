"""The built site: every link leads somewhere, and nothing is loaded from a network."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.pages import ROOT

pytest.importorskip("mkdocs")
pytest.importorskip("material")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built as ``make docs`` builds it: a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_pages_load_nothing_from_a_network(site: Path) -> None:
    pages, styles = sorted(site.rglob("*.html")), sorted(site.rglob("*.css"))
    assert len(pages) > 20
    assert styles
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert re.findall(r"<(?:script|img|iframe|source)[^>]*\ssrc=[\"']?(?:https?:)?//[^>]*", text) == [], page
        assert re.findall(r"<link[^>]*\shref=[\"']?(?:https?:)?//[^>]*", text) == [], page
    for style in styles:
        assert re.findall(r"(?:url\(|@import\s*)[\"']?(?:https?:)?//[^)]*", style.read_text(encoding="utf-8")) == []


def test_the_search_works_without_a_server(site: Path) -> None:
    index = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    assert index.startswith("var __index = ")
    assert "tune_thresholds" in index
    assert 'src="assets/iframe-worker.js"' in (site / "index.html").read_text(encoding="utf-8")


def test_links_between_pages_do_not_need_a_server(site: Path) -> None:
    links = re.findall(r'href="([^"#:]+)"', (site / "index.html").read_text(encoding="utf-8"))
    assert "guides/points.html" in links
    for link in links:
        assert (site / link).is_file(), link
