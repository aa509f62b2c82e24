"""Atomic writing: a file is the old one or the new one, never a partial one."""

import os
from pathlib import Path

import pytest

from eyebright.io.atomic import prepared_file, write_atomically


def test_a_written_file_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    write_atomically(path, lambda temporary: temporary.write_text("new"))
    assert path.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_after_a_failed_write_the_old_file_is_unchanged_and_no_temporary_file_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_part(temporary: Path) -> None:
        temporary.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.*a\.txt'$"):
        write_atomically(path, write_part)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_an_error_names_the_target_file_and_not_the_temporary_one(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"No such file or directory: '.*missing/a.txt'$"):
        write_atomically(tmp_path / "missing" / "a.txt", lambda temporary: temporary.write_text("new"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder'$"):
        write_atomically(tmp_path / "folder", lambda temporary: temporary.write_text("new"))
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"file/a.txt'$"):
        write_atomically(tmp_path / "file" / "a.txt", lambda temporary: temporary.write_text("new"))


def test_an_error_that_names_another_file_is_unchanged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="other.txt'$"):
        write_atomically(tmp_path / "a.txt", lambda _: (tmp_path / "other.txt").read_text())


def test_a_prepared_file_replaces_the_old_one_only_when_it_is_renamed(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with prepared_file(path, lambda temporary: temporary.write_text("new")):
        assert path.read_text() == "old"
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.txt", "old")]
    with prepared_file(path, lambda temporary: temporary.write_text("new")) as rename:
        rename()
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.txt", "new")]


def test_the_file_has_the_permissions_of_the_umask_whatever_the_writer_creates(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()

    def write_private_file(temporary: Path) -> None:
        temporary.unlink()
        os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600))

    write_atomically(tmp_path / "written", write_private_file)
    assert (tmp_path / "written").stat().st_mode == plain.stat().st_mode
