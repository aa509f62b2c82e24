"""The sections on labels, targets and images: every heading and region of the page has a name of its own."""

import re
from pathlib import Path

import numpy as np
import pytest

from eyebright.check.facts import read_facts
from eyebright.check.overview import overview
from eyebright.check.overview_page import overview_sections
from eyebright.check.page import check_page
from eyebright.sources.source import Source
from eyebright.web.page import render_page
from support.photographs import photograph, saved
from support.sources import source_of_classes, source_of_labels, source_of_numbers, source_of_points

FILES = [f"{i}.jpg" for i in range(6)]
SOURCES = {
    "labels": source_of_labels(
        [["cat", "dog"], [], ["dog"], ["cat"], ["dog"], ["cat", "dog"]], FILES, part=["train"] * 6
    ),
    "classes": source_of_classes(["cat", "dog"] * 3, FILES),
    "points": source_of_points(np.arange(12.0).reshape(6, 1, 2), FILES, names=("nose",)),
    "numbers": source_of_numbers([[1.0], [2], [3], [4], [5], [float("nan")]], FILES, names=("width",)),
    "one number": source_of_numbers([[1.0]] * 6, FILES, names=("width",)),
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("pixels", [False, True])
def test_the_page_of_every_kind_has_unique_names_of_regions(tmp_path: Path, kind: str, pixels: bool) -> None:
    source: Source = SOURCES[kind]
    facts = (
        read_facts(saved(tmp_path, {name: photograph(i, (60, 80)) for i, name in enumerate(FILES)})) if pixels else None
    )
    sections = overview_sections(overview(source, facts))
    page = render_page(check_page(source, [], "6 images", overview=sections))
    headings = dict(re.findall(r'<h2 id="([^"]*)">([^<]*)</h2>', page))
    names = [*headings.values(), *re.findall(r'role="region" tabindex="0" aria-label="([^"]*)"', page)]
    assert len(names) == len(set(names))
    assert ("Images" in headings.values()) == pixels
    assert ("Labels" in headings.values()) == (kind in ("labels", "classes"))
