"""Atomic writing: a file is the old one or the new one, never a partial one."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eyebright.export.files import TARGETS
from eyebright.export.record import PREPROCESS, RECORD
from eyebright.io.atomic import (
    exclusive_folder,
    link_target,
    prepared_file,
    remove_stale,
    write_atomically,
    write_text,
)


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


def start_writing(path: Path) -> "subprocess.Popen[str]":
    """A process that writes ``path``, and stays in the middle of it until it is killed."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom eyebright.io.atomic import write_atomically\n"
        "def write(file):\n    file.write_text('half')\n    (file.parent / '.tmpABC').write_text('of a library')\n"
        "    print('writing', flush=True)\n    time.sleep(600)\n"
        "write_atomically(Path(sys.argv[1]), write)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be locked there")
def test_what_a_killed_process_has_left_is_removed_by_the_next_one_that_writes_there(tmp_path: Path) -> None:
    killed, living = start_writing(tmp_path / "model.safetensors"), start_writing(tmp_path / "checkpoint.safetensors")
    try:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert len(list(tmp_path.glob(".model.safetensors.*/*"))) == 2
        write_atomically(tmp_path / "options.json", lambda temporary: temporary.write_text("new"))
        assert not list(tmp_path.glob(".model.safetensors.*"))
        assert len(list(tmp_path.glob(".checkpoint.safetensors.*/*"))) == 2, "another process still writes it"
    finally:
        living.kill()
        living.communicate()
        killed.communicate()
    write_atomically(tmp_path / "options.json", lambda temporary: temporary.write_text("new"))
    assert [file.name for file in tmp_path.iterdir()] == ["options.json"]


@pytest.mark.parametrize("name", ["predictions.tsv", "table", "a b.ONNX", "labels.parquet.gz", "x.unpacked"])
@pytest.mark.parametrize("inside", [None, ".NAME.0a1b2c3d", "NAME", ".NAME.ffffffff/.NAME.ffffffff"])
def test_what_a_killed_process_has_left_is_removed_whatever_the_name(
    name: str, inside: str | None, tmp_path: Path
) -> None:
    left = tmp_path / f".{name}.0a1b2c3d"
    left.mkdir()
    if inside is not None:
        file = left / inside.replace("NAME", name)
        file.parent.mkdir(exist_ok=True)
        file.touch()
    remove_stale(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "file",
    [
        ".objects.deadbeef/ab/1",
        ".photos.20240101/photos/a.jpg",
        ".labels.csv.20240101/labels.csv",
        ".photos.0a1b2c3d/photos/a.jpg",
        ".labels.csv.0a1b2c3d/notes.txt",
    ],
)
def test_a_hidden_folder_of_something_else_is_kept(tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).touch()
    (tmp_path / file.split("/")[0] / "labels.csv").touch()
    remove_stale(tmp_path)
    assert (tmp_path / file).is_file()


def test_temporary_files_of_older_versions_are_removed_when_nobody_can_be_writing_them(tmp_path: Path) -> None:
    for name in (".model.safetensors.0a1b2c3d", ".checkpoint.safetensors.0a1b2c3d", ".bashrc.0a1b2c3d"):
        (tmp_path / name).touch()
    os.utime(tmp_path / ".model.safetensors.0a1b2c3d", (0, 0))
    os.utime(tmp_path / ".bashrc.0a1b2c3d", (0, 0))
    remove_stale(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {".checkpoint.safetensors.0a1b2c3d", ".bashrc.0a1b2c3d"}


@pytest.mark.parametrize("name", [RECORD, PREPROCESS, *(name for names in TARGETS.values() for name in names)])
def test_what_a_killed_export_left_is_removed(tmp_path: Path, name: str) -> None:
    left = tmp_path / f".{name}.0a1b2c3d"
    left.touch()
    os.utime(left, (0, 0))
    remove_stale(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_many_threads_that_write_one_file_leave_the_file_of_one_of_them(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: write_atomically(path, lambda file: file.write_text(str(i))), range(100)))
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
    assert int(path.read_text()) in range(100)


def test_only_one_process_at_a_time_holds_a_folder(tmp_path: Path) -> None:
    hold = "import sys, time; from pathlib import Path; from eyebright.io.atomic import exclusive_folder\n"
    hold += "with exclusive_folder(Path(sys.argv[1])) as free: print(free, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with exclusive_folder(tmp_path) as is_free:
            assert not is_free
        other.kill()
    with exclusive_folder(tmp_path) as is_free:
        assert is_free
        with exclusive_folder(tmp_path) as again:
            assert not again
    with exclusive_folder(tmp_path) as is_free:
        assert is_free
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_free_soon_is_waited_for(tmp_path: Path) -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with exclusive_folder(tmp_path):
            held.set()
            done.wait(0.3)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(hold)
        held.wait()
        with exclusive_folder(tmp_path, wait=20) as is_free:
            assert is_free


def test_a_link_that_a_user_names_stays_and_its_file_is_written(tmp_path: Path) -> None:
    target, link = tmp_path / "deep" / "target.csv", tmp_path / "out.csv"
    link.symlink_to(target)
    write_text(link, "first", "table")
    assert (link.is_symlink(), target.read_text()) == (True, "first")
    write_text(link, "second", "table", follow_link=False)
    assert (link.is_symlink(), link.read_text(), target.read_text()) == (False, "second", "first")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert link_target(loop) == loop


@pytest.mark.parametrize("name", ["1--cat.png", "labels.jsonl", "classes.txt"])
def test_what_a_killed_process_left_of_a_heat_map_or_label_file_is_removed_by_the_next(
    name: str, tmp_path: Path
) -> None:
    left = tmp_path / f".{name}.dc11e9a1"
    left.mkdir()
    (left / left.name).write_bytes(b"half")
    write_atomically(tmp_path / name, lambda file: file.write_bytes(b"whole"))
    assert [file.name for file in tmp_path.iterdir()] == [name]
