"""A store gives back what was put into it, or nothing, whatever happens to its files."""

import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eyebright.errors import InputError
from eyebright.image import cache_store as stores
from eyebright.image.cache_store import SUBFOLDER, FolderStore, MemoryStore, Pixels, Store, available_memory

KEY = "ab12-1"


def some_pixels(seed: int = 0, shape: tuple[int, int] = (20, 30)) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


@pytest.fixture(params=["memory", "folder"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Store]:
    return MemoryStore if request.param == "memory" else lambda limit=None: FolderStore(tmp_path, limit)


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / SUBFOLDER).rglob("*") if path.is_file()]


def test_what_was_put_there_comes_back_and_nothing_else_does(make: Callable[..., Store]) -> None:
    store = make()
    assert store.get(KEY) is None
    store.put(KEY, some_pixels())
    store.put("cd34-2", some_pixels(1, (7, 1)))
    for _ in range(2):
        assert np.array_equal(store.get(KEY), some_pixels())
        assert np.array_equal(store.get("cd34-2"), some_pixels(1, (7, 1)))
    assert store.get("ab12-2") is None
    assert store.problem is None


def test_a_folder_may_lie_in_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    FolderStore("~/images").put(KEY, some_pixels())
    assert len(files(tmp_path / "images")) == 1
    with pytest.raises(InputError, match=r"cannot keep images in the folder '~nobody-there/x': .*; name another"):
        FolderStore("~nobody-there/x")


def test_what_is_kept_cannot_be_written_to_in_a_folder(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put(KEY, some_pixels())
    with pytest.raises(ValueError, match="read-only"):
        store.get(KEY)[0, 0] = 1


def test_a_store_that_is_full_keeps_what_it_has_and_says_so(make: Callable[..., Store]) -> None:
    store = make(4000)
    for number in range(5):
        store.put(f"ab{number}-1", some_pixels(number))  # 1,800 bytes each
    assert [store.get(f"ab{number}-1") is not None for number in range(5)] == [True, True, False, False, False]
    assert store.used_bytes <= 4000
    assert store.problem == "it is full (limit 0 MB), so the other images are decoded each time"


def test_a_folder_counts_what_other_runs_have_written(tmp_path: Path) -> None:
    FolderStore(tmp_path).put(KEY, some_pixels())
    later = FolderStore(tmp_path, limit=3000)
    assert later.used_bytes == later.count_bytes() == files(tmp_path)[0].stat().st_size
    later.put("cd34-1", some_pixels(1))
    assert later.get("cd34-1") is None
    assert np.array_equal(later.get(KEY), some_pixels())


def test_what_another_run_writes_meanwhile_is_counted_when_somebody_asks(tmp_path: Path) -> None:
    one, other = FolderStore(tmp_path), FolderStore(tmp_path)
    other.put(KEY, some_pixels())
    assert one.count_bytes() == other.used_bytes > 0


def test_two_runs_that_write_at_once_stay_near_the_limit(tmp_path: Path) -> None:
    limit = 100_000
    both = [FolderStore(tmp_path, limit) for _ in range(2)]
    for number in range(100):
        both[number % 2].put(f"{number:02}-1", some_pixels(number))
    assert 0.8 * limit < sum(path.stat().st_size for path in files(tmp_path)) < 1.1 * limit


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def lengthened(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"0")


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def turned(path: Path) -> None:
    """Height and width exchanged: everything else is right."""
    data = path.read_bytes()
    path.write_bytes(data[:8] + data[12:16] + data[8:12] + data[16:])


def another(path: Path) -> None:
    """A whole file, but of another image."""
    store = FolderStore(path.parent / "other")
    store.put("cd34-1", some_pixels(9))
    path.write_bytes(files(path.parent / "other")[0].read_bytes())


@pytest.mark.parametrize("damage", [flipped, cut_off, lengthened, zeros, emptied, turned, another])
@pytest.mark.parametrize("same_run", [True, False])
def test_a_damaged_file_counts_as_missing_and_is_written_anew(
    damage: Callable[[Path], None], same_run: bool, tmp_path: Path
) -> None:
    store = FolderStore(tmp_path)
    store.put(KEY, some_pixels())
    assert store.get(KEY) is not None
    [path] = files(tmp_path)
    damage(path)
    os.utime(path, ns=(1, 1))  # so that even a coarse clock tells
    store = store if same_run else FolderStore(tmp_path)
    assert store.get(KEY) is None
    store.put(KEY, some_pixels())
    assert np.array_equal(store.get(KEY), some_pixels())


def test_a_folder_that_is_deleted_meanwhile_is_filled_again(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put(KEY, some_pixels())
    shutil.rmtree(tmp_path / SUBFOLDER)
    assert store.get(KEY) is None
    assert store.count_bytes() == 0
    store.put(KEY, some_pixels())
    assert np.array_equal(store.get(KEY), some_pixels())


def test_a_full_disk_turns_writing_off_in_one_sentence_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    store.put(KEY, some_pixels())
    tried = []

    def half(path: Path, key: str, pixels: Pixels) -> None:
        tried.append(key)
        path.write_bytes(pixels.tobytes()[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stores, "_write", half)
    for number in range(3):
        store.put(f"cd{number}-1", some_pixels(number))
    assert tried == ["cd0-1"]
    assert store.problem == "nothing more can be written there (No space left on device)"
    assert len(files(tmp_path)) == 1
    assert np.array_equal(store.get(KEY), some_pixels())


def test_a_folder_that_became_read_only_is_still_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FolderStore(tmp_path).put(KEY, some_pixels())

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(stores, "write_atomically", refuse)
    store = FolderStore(tmp_path)
    store.put("cd34-1", some_pixels(1))
    assert np.array_equal(store.get(KEY), some_pixels())
    assert store.get("cd34-1") is None
    assert store.problem == "nothing more can be written there (Read-only file system)"


def test_a_file_in_the_place_of_the_folder_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot keep images in the folder '.*file': .+; name another"):
        FolderStore(tmp_path / "file")


def test_what_a_killed_run_left_half_written_is_deleted_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    FolderStore(tmp_path).put(KEY, some_pixels())
    old, new = (files(tmp_path)[0].with_name(f".{name}") for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    FolderStore(tmp_path)
    assert not old.exists()
    assert new.exists()


def test_other_files_of_the_folder_are_not_counted(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(bytes(10_000))
    assert FolderStore(tmp_path).used_bytes == 0


WRITES_AND_READS = """
import sys
import numpy as np
from eyebright.image.cache_store import FolderStore
store = FolderStore(sys.argv[1])
for number in range(150):
    pixels = np.random.default_rng(number).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    found = store.get(f"{number % 7:02}-{number}")
    assert found is None or np.array_equal(found, pixels)
    store.put(f"{number % 7:02}-{number}", pixels)
assert store.problem is None, store.problem
"""


def test_two_processes_fill_one_folder_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITES_AND_READS, str(tmp_path)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    store = FolderStore(tmp_path)
    for number in range(150):
        assert np.array_equal(store.get(f"{number % 7:02}-{number}"), some_pixels(number, (40, 50)))
    assert len(files(tmp_path)) == 150


def test_free_memory_is_some_of_what_there_is() -> None:
    assert 0 < available_memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_several_processes_together_take_no_more_memory_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_of_the_system", lambda: 8000)
    monkeypatch.setattr(stores, "_of_the_group", lambda: None)
    assert MemoryStore().limit == 2000
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")  # as torchrun says it
    assert MemoryStore().limit == 500
