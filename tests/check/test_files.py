"""Files that no row names, and rows that no file has."""

import json
from pathlib import Path

import pytest

from eyebright.check import files as checked
from eyebright.check.facts import read_facts
from eyebright.check.files import MISSING, file_findings
from eyebright.check.finding import Finding
from eyebright.sources.read import read_source
from eyebright.sources.source import Source
from support.label_files import images, write_text


def found(source: Source, *, with_facts: bool = True) -> dict[str, Finding]:
    facts = read_facts([source.root / file for file in source.files], threads=1) if with_facts else None
    findings = file_findings(source, facts)
    assert len(json.loads(json.dumps([one.to_json() for one in findings]))) == len(findings)
    return {one.kind: one for one in findings}


def table(root: Path, *rows: str) -> Source:
    return read_source(write_text(root / "t.csv", "\n".join(["file,label", *rows]) + "\n"))


def test_a_folder_whose_images_are_all_named_has_no_findings(tmp_path: Path) -> None:
    images(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden.jpg").touch()
    assert found(read_source(tmp_path)) == {}
    assert found(table(tmp_path, "./a/1.jpg,cat", "b/2.jpg,dog")) == {}


def test_images_that_no_row_names_are_counted_by_folder(tmp_path: Path) -> None:
    images(tmp_path, "a/1.jpg", "a/2.jpg", "b/c/3.JPG", "b/c/4.png")
    finding = found(table(tmp_path, "a/1.jpg,cat", "a/2.jpg,dog"))["unnamed_files"]
    assert (finding.figure, finding.files, finding.severity) == (2, ("b/c/3.JPG", "b/c/4.png"), "note")
    assert finding.details["folders"] == {"b/c": 2}
    assert "No row names 2 images in" in finding.sentence


def test_rows_that_no_file_has_are_an_error_with_their_lines(tmp_path: Path) -> None:
    images(tmp_path, "1.jpg")
    finding = found(table(tmp_path, "1.jpg,cat", "2.jpg,dog", "3.jpg,dog"))["missing_files"]
    assert (finding.files, finding.severity, finding.details["lines"]) == (("2.jpg", "3.jpg"), "error", [3, 4])


def test_without_facts_it_is_not_known_whether_files_are_missing(tmp_path: Path) -> None:
    images(tmp_path, "1.jpg")
    assert found(table(tmp_path, "1.jpg,cat", "2.jpg,dog"), with_facts=False) == {}


def test_the_reason_of_a_missing_file_is_that_of_the_reader(tmp_path: Path) -> None:
    assert read_facts([tmp_path / "no.jpg"], threads=1).errors == {0: MISSING}


def test_links_are_not_followed(tmp_path: Path) -> None:
    images(tmp_path, "data/1.jpg", "elsewhere/2.jpg")
    (tmp_path / "data" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "3.jpg").symlink_to(tmp_path / "elsewhere" / "2.jpg")
    assert found(table(tmp_path / "data", "1.jpg,cat")) == {}


def test_images_that_the_data_leave_out_are_listed_with_the_reason_and_are_not_unnamed(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    base = table(tmp_path, "a.jpg,cat")
    left_out = Source(
        kind=base.kind, root=base.root, files=base.files, targets=base.targets, left_out={"b.jpg": "not labelled yet"}
    )
    finding = found(left_out)
    assert list(finding) == ["left_out"]
    assert finding["left_out"].details["reasons"] == {"not labelled yet": 1}


def test_a_folder_of_too_many_files_is_not_searched_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images(tmp_path, *(f"{folder}/{i}.jpg" for folder in "abc" for i in range(4)))
    monkeypatch.setattr(checked, "MAX_ENTRIES", 8)
    finding = found(table(tmp_path, "a/0.jpg,cat"))["unnamed_files"]
    assert "No row names at least " in finding.sentence
    assert finding.figure < 11


def test_a_folder_that_is_gone_has_no_unnamed_files(tmp_path: Path) -> None:
    source = table(images(tmp_path, "1.jpg"), "1.jpg,cat")
    assert (
        file_findings(Source(kind=source.kind, root=tmp_path / "gone", files=source.files, targets=source.targets))
        == []
    )
