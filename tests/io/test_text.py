"""Files that grow line by line: complete or beside, and never lost."""

import ast
import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, strategies

import eyebright
from eyebright.errors import MESSAGE_LIMIT, ArtifactError, InputError
from eyebright.io.atomic import write_text
from eyebright.io.text import growing_file, valid_unicode, warn

ANY_TEXT = strategies.text(strategies.characters(codec=None, exclude_categories=()))


@given(ANY_TEXT)
def test_any_text_becomes_text_that_can_be_encoded_and_valid_text_stays(text: str) -> None:
    valid = valid_unicode(text)
    assert valid.encode("utf-8").decode() == valid
    assert (valid == text) is not any("\ud800" <= character <= "\udfff" for character in text)


def test_the_bytes_of_a_file_name_in_another_encoding_become_escapes() -> None:
    assert valid_unicode(os.fsdecode(b"caf\xe9.png")) == r"caf\udce9.png"


def test_a_complete_file_replaces_the_old_one_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "new" / "p.csv"
    for content in ("a\udcff\n", "b\r\n"):
        with growing_file(path) as file:
            file.write(content)
            assert (tmp_path / "new" / "p.csv.part").read_bytes() == valid_unicode(content).encode()
            file.complete()
        assert path.read_bytes() == valid_unicode(content).encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["p.csv"]


def interrupted(path: Path, text: str) -> None:
    with growing_file(path) as file:
        file.write(text)
        assert file.partial.read_text() == text
        raise KeyboardInterrupt


def test_after_an_error_the_old_file_is_unchanged_and_the_lines_are_beside_it(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("old")
    for name in ("p.csv.part", "p.csv.part-2", "p.csv.part-3"):
        with pytest.raises(KeyboardInterrupt):
            interrupted(tmp_path / "p.csv", name)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "p.csv": "old", "p.csv.part": "p.csv.part", "p.csv.part-2": "p.csv.part-2", "p.csv.part-3": "p.csv.part-3",
    }  # fmt: skip


def test_what_an_interrupted_process_left_is_known_to_the_next_one(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path / "p.csv", "a")
    with growing_file(tmp_path / "p.csv") as file:
        assert (file.partial, file.earlier) == (tmp_path / "p.csv.part-2", [tmp_path / "p.csv.part"])
    with growing_file(tmp_path / "other.csv") as file:
        assert file.earlier == []


def test_a_file_to_which_nothing_was_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), growing_file(tmp_path / "p.csv"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_symbolic_link_stays_and_its_file_is_written(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "p.csv").symlink_to(tmp_path / "data" / "real.csv")
    with growing_file(tmp_path / "p.csv") as file:
        file.write("x")
        file.complete()
    assert (tmp_path / "p.csv").is_symlink()
    assert (tmp_path / "data" / "real.csv").read_text() == "x"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("folder", "cannot write '.*folder', which is a folder: name a file in it"),
        ("pipe", "cannot write '.*pipe', which is a device or a pipe: print instead"),
        ("file/p.csv", "cannot write '.*p.csv': .*; choose another"),
        ("x" * 300, "cannot write '.*x': file name too long; choose another"),
    ],
)
def test_a_file_that_can_never_be_written_is_an_error_at_once(name: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=says), growing_file(tmp_path / name):
        pytest.fail("it was opened")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder", "pipe"]
    assert (tmp_path / "file").read_text() == "kept"


def test_a_warning_is_printable_and_bounded_and_names_the_line_of_the_caller() -> None:
    def caller() -> None:
        warn("\x1b[31m" + "x" * 100_000)

    with pytest.warns(UserWarning, match=r"^\\x1b\[31mx+ \.\.\. \([\d,]+ characters omitted\)") as caught:
        caller()
    assert caught[0].filename == __file__
    assert len(str(caught[0].message)) <= MESSAGE_LIMIT


SOURCE = Path(eyebright.__file__).parent


def test_no_warning_is_raised_past_the_function_that_makes_it_printable() -> None:
    calls = {
        path.name
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "warnings.warn"
    }
    assert calls == {"text.py", "_deprecate.py"}


def test_the_error_of_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with growing_file(tmp_path / "p.csv") as file:
        file.write("a row\n")
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left on device: '.*p.csv'"):
            file.complete()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["a row\n"]


def test_the_error_of_a_write_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with growing_file(tmp_path / "p.csv") as file, monkeypatch.context() as patch:
        patch.setattr(file._stream, "flush", full)
        with pytest.raises(OSError, match="No space left on device: '.*p.csv'"):
            file.write("a row\n")


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    message = r"cannot write '.*p.csv': '.*a.csv' is a file, not a folder; choose another"
    with pytest.raises(InputError, match=message), growing_file(tmp_path / "a.csv" / "p.csv"):
        pass
    with pytest.raises(ArtifactError, match=r"cannot write the table '.*': '.*a.csv' is a file, not a folder"):
        write_text(tmp_path / "a.csv" / "deep" / "t.csv", "", "table")
