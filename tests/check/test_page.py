"""The page about labelled images: what was found, with thumbnails, in one file."""

import html
import json
import re
from pathlib import Path

import pytest

from eyebright.check.finding import Finding
from eyebright.check.page import check_page
from eyebright.cli.main import run
from eyebright.sources.read import read_source
from eyebright.web.page import render_page
from support.label_files import write_text
from support.photographs import copy_of, photograph, saved

HOSTILE = "<img src=x onerror=alert(1)>"


def labelled_copies(folder: Path) -> Path:
    """A table of eight images; one for validation is a copy of a training image with another label."""
    images = {f"{i}.jpg": photograph(i) for i in range(7)}
    saved(folder / "images", images | {"copy.jpg": copy_of(images["0.jpg"], 5)})
    rows = [f"{i}.jpg,{'cat' if i % 2 else 'dog'},train" for i in range(7)]
    return write_text(folder / "labels.csv", "file,labels,split\n" + "\n".join([*rows, "copy.jpg,cat,valid"]) + "\n")


def test_the_page_shows_what_leaks_with_its_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = labelled_copies(tmp_path)
    arguments = ["check", str(table), "--images", str(tmp_path / "images")]
    assert run([*arguments, "--page", str(tmp_path / "c.html"), "--json", str(tmp_path / "c.json"), "--strict"]) == 1
    printed = capsys.readouterr().out
    assert "error [duplicates_across_parts]: 1 of the 1 validation images have a copy in another part" in printed
    assert "Split again with --split none" in printed
    assert "0.jpg = copy.jpg" in printed
    text = (tmp_path / "c.html").read_text()
    assert "duplicates across parts" in text
    assert "for validation" in text
    assert len(re.findall(r'<img src="data:image/jpeg', text)) >= 2
    assert not re.findall(r'(?:src|href)="https?:', text)
    found = json.loads((tmp_path / "c.json").read_text())["findings"]
    groups = {one["kind"]: one["groups"] for one in found}
    assert groups["duplicates_across_parts"] == groups["near_duplicates"] == [["0.jpg", "copy.jpg"]]
    assert {one["severity"] for one in found if one["kind"] == "duplicates_across_parts"} == {"error"}


def test_without_pixels_only_labels_are_checked_and_strict_passes_clean_data(tmp_path: Path) -> None:
    table = labelled_copies(tmp_path)
    assert run(["check", str(table), "--images", str(tmp_path / "images"), "--no-pixels"]) == 0
    images = {f"{i:02}.jpg": photograph(i) for i in range(40)}
    saved(tmp_path / "clean", images)
    rows = "\n".join(f"{name},{'a' if i % 2 else 'b'}" for i, name in enumerate(images))
    clean = write_text(tmp_path / "clean" / "labels.csv", f"file,labels\n{rows}\n")
    assert run(["check", str(clean), "--strict"]) == 0


def test_a_page_that_is_no_page_is_kept_and_found_before_images_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = labelled_copies(tmp_path)
    other = write_text(tmp_path / "notes.html", "my notes")
    assert run(["check", str(table), "--images", str(tmp_path / "images"), "--page", str(other)]) == 2
    printed = capsys.readouterr()
    assert "notes.html' exists" in printed.err
    assert printed.out == ""
    assert other.read_text() == "my notes"


def test_hostile_names_are_escaped_and_words_are_as_the_reader_types_them(tmp_path: Path) -> None:
    source = read_source(labelled_copies(tmp_path), images=tmp_path / "images")
    finding = Finding("rare_labels", "note", HOSTILE, "`few` images", 1, files=("0.jpg",), labels=(HOSTILE, "'\"&"))
    page = render_page(check_page(source, [finding], HOSTILE, worded=lambda text: text.replace("`few`", "--few")))
    assert HOSTILE not in page
    assert "--few images" in page
    [labels] = re.findall(r'data-labels="([^"]*)"', page)

    assert json.loads(html.unescape(labels)) == [HOSTILE, "'\"&"]


def test_a_page_without_findings_says_so(tmp_path: Path) -> None:
    source = read_source(labelled_copies(tmp_path), images=tmp_path / "images")
    page = render_page(check_page(source, [], "8 images"))
    assert "nothing found" in page
    assert "<article" not in page
