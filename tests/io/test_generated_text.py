"""A generated text is replaced as long as nobody has edited it."""

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from eyebright.errors import ArtifactError
from eyebright.io.generated_text import marked, state_of, unmarked, write_generated


@given(st.text())
def test_what_was_marked_is_recognised_and_gives_the_text_back(text: str) -> None:
    found = unmarked(marked(text))
    assert found is not None
    assert found.rstrip("\n") == text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


@given(st.text(max_size=30), st.data())
def test_any_edit_before_the_comment_is_noticed(text: str, data: st.DataObject) -> None:
    whole = marked(text)
    at = data.draw(st.integers(0, len(whole) - 200)) if len(whole) > 200 else 0
    assert unmarked(whole[:at] + "x" + whole[at:]) is None


def test_a_text_with_the_line_ends_of_windows_is_not_edited() -> None:
    assert unmarked(marked("one\ntwo").replace("\n", "\r\n")) == "one\ntwo\n\n"


def test_a_file_is_replaced_until_it_is_edited(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    assert state_of(path) == "missing"
    assert write_generated(path, "one")
    assert write_generated(path, "two")
    assert state_of(path) == "generated"
    path.write_text(path.read_text().replace("two", "three"))
    assert state_of(path) == "edited"
    assert not write_generated(path, "four")
    assert path.read_text().startswith("three")


@pytest.mark.parametrize("content", [b"", b"mine\n", b"\xff\xfe", b"<!-- written by eyebright -->"])
def test_the_file_of_a_person_is_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "README.md"
    path.write_bytes(content)
    assert not write_generated(path, "one")
    assert path.read_bytes() == content


def test_a_text_with_the_bytes_of_a_file_name_is_written(tmp_path: Path) -> None:
    assert write_generated(tmp_path / "README.md", "caf\udce9")
    assert state_of(tmp_path / "README.md") == "generated"


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"cannot write '.*README.md': No such file or directory"):
        write_generated(tmp_path / "none" / "README.md", "one")
