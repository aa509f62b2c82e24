"""Labels that look the same on a screen."""

import unicodedata
from pathlib import Path

import PIL.Image
import pytest
from hypothesis import given, strategies as st

from eyebright.sources.read import read_source
from eyebright.sources.source import Source
from eyebright.sources.spelling import plain_spelling

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def table(folder: Path, *labels: str, header: str = "file,labels") -> Source:
    rows = [f"{i}.jpg,{label}" for i, label in enumerate(labels)]
    (folder / "labels.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    return read_source(folder / "labels.csv")


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (COMPOSED, DECOMPOSED, COMPOSED),
        (DECOMPOSED, COMPOSED, COMPOSED),
        ("cat", "cat\u200b", "cat"),
        ("\ufeffcat", "cat", "cat"),
        ("big  cat", "big\u00a0cat", "big cat"),
    ],
)
@pytest.mark.parametrize("header", ["file,labels", "file,label"])
def test_spellings_that_look_the_same_are_one_label(
    first: str, second: str, kept: str, header: str, tmp_path: Path
) -> None:
    source = table(tmp_path, f"{first};cow" if header == "file,labels" else first, second, "cow", header=header)
    labels = [{target} if isinstance(target, str) else set(target) for target in source.targets]
    assert labels == [{kept, "cow"} if header == "file,labels" else {kept}, {kept}, {"cow"}]
    (said,) = [message for message in source.messages if "look the same" in message]
    assert said.endswith(f"are '{kept}'")
    assert ascii(first)[1:-1] in said
    assert "''" not in said
    assert ascii(second)[1:-1] in said


def test_rows_of_one_image_whose_labels_look_the_same_agree(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(f"file,labels\na.jpg,{COMPOSED}\na.jpg,{DECOMPOSED}\n", encoding="utf-8")
    assert [set(target) for target in read_source(tmp_path / "labels.csv").targets] == [{COMPOSED}]


def test_one_unusual_spelling_alone_stays_as_it_is(tmp_path: Path) -> None:
    source = table(tmp_path, DECOMPOSED, "big  cat;cow", "cow")
    assert [set(target) for target in source.targets] == [{DECOMPOSED}, {"big  cat", "cow"}, {"cow"}]
    assert not [message for message in source.messages if "look the same" in message]


def test_labels_that_differ_in_case_stay_different_and_are_said(tmp_path: Path) -> None:
    source = table(tmp_path, "Cat", "cat", "cow")
    assert [set(target) for target in source.targets] == [{"Cat"}, {"cat"}, {"cow"}]
    assert "labels that differ in upper and lower case only, which stay different: 'Cat', 'cat'" in source.messages


def test_a_question_mark_among_labels_that_look_the_same_stays_unknown(tmp_path: Path) -> None:
    source = table(tmp_path, f"{COMPOSED};?", DECOMPOSED, "cow")
    assert set(source.targets[0]) == {COMPOSED}
    assert source.targets[0].unknown == {"cow"}


def test_class_folders_that_look_the_same_are_one_class(tmp_path: Path) -> None:
    for name in (COMPOSED, DECOMPOSED, "cow"):
        (tmp_path / name).mkdir()
        PIL.Image.new("RGB", (8, 8)).save(tmp_path / name / f"{len(name)}.png")
    assert sorted(read_source(tmp_path).targets) == [COMPOSED, COMPOSED, "cow"]


@given(st.text())
def test_a_plain_spelling_is_plain_and_composed(label: str) -> None:
    plain = plain_spelling(label)
    assert plain_spelling(plain) == plain
    assert unicodedata.is_normalized("NFC", plain)
    assert plain_spelling(unicodedata.normalize("NFD", label)) == plain


def test_labels_that_are_the_same_number_stay_different_and_are_said(tmp_path: Path) -> None:
    source = table(tmp_path, "1", "1.0", "2", header="file,label")
    assert list(source.targets) == ["1", "1.0", "2"]
    assert "labels that are the same number, which stay different: '1', '1.0'" in source.messages


@pytest.mark.parametrize("invisible", ["\ufe0f", "\u034f", "\u3164", "\x07", "\x7f", "\U000e0101"])
def test_selectors_fillers_and_controls_do_not_make_another_label(invisible: str, tmp_path: Path) -> None:
    source = table(tmp_path, f"cat{invisible}", "cat", "cow")
    assert [set(target) for target in source.targets] == [{"cat"}, {"cat"}, {"cow"}]
    assert any("labels that look the same are one" in message for message in source.messages)


def test_joined_emoji_and_flags_that_look_different_stay_different(tmp_path: Path) -> None:
    family, people = "\U0001f468\u200d\U0001f467", "\U0001f468\U0001f467"
    flags = [f"\U0001f3f4\U000e0067\U000e0062\U000e0065{end}\U000e007f" for end in ("\U000e006e", "\U000e0073")]
    source = table(tmp_path, family, people, *flags)
    assert len({label for target in source.targets for label in target}) == 4
