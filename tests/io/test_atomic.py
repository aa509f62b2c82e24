"""Files are either the old ones or the new ones."""

import os
from pathlib import Path

import pytest

from eyebright.io.atomic import write_atomically


def test_the_new_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    write_atomically(path, lambda temporary: temporary.write_text("new"))
    assert path.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def half(temporary: Path) -> None:
        temporary.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, half)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_an_error_names_the_file_that_was_asked_for_and_not_the_temporary_one(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"No such file or directory: '.*missing/a.txt'$"):
        write_atomically(tmp_path / "missing" / "a.txt", lambda temporary: temporary.write_text("new"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder'$"):
        write_atomically(tmp_path / "folder", lambda temporary: temporary.write_text("new"))
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"file/a.txt'$"):
        write_atomically(tmp_path / "file" / "a.txt", lambda temporary: temporary.write_text("new"))


def test_a_writer_that_makes_private_files_does_not_make_a_private_file(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()

    def private(temporary: Path) -> None:
        temporary.unlink()
        os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600))

    write_atomically(tmp_path / "written", private)
    assert (tmp_path / "written").stat().st_mode == plain.stat().st_mode
