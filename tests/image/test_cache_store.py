"""Stores return the stored pixels or None, whatever happens to their files."""

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

from eyebright._system import memory
from eyebright.errors import InputError
from eyebright.image import cache_store as stores
from eyebright.image.cache_store import SUBFOLDER, Entry, FolderStore, MemoryStore, Store
from eyebright.image.rgb import Pixels

KEY = "ab12-1"


def some_pixels(seed: int = 0, shape: tuple[int, int] = (20, 30)) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


@pytest.fixture(params=["memory", "folder"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Store]:
    return MemoryStore if request.param == "memory" else lambda limit=None: FolderStore(tmp_path, limit)


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / SUBFOLDER).rglob("*") if path.is_file()]


def test_get_returns_the_stored_pixels_and_none_for_other_keys(make: Callable[..., Store]) -> None:
    store = make()
    assert store.get(KEY) is None
    store.put(KEY, some_pixels())
    store.put("cd34-2", some_pixels(1, (7, 1)))
    for _ in range(2):
        assert np.array_equal(store.get(KEY), some_pixels())
        assert np.array_equal(store.get("cd34-2"), some_pixels(1, (7, 1)))
    assert store.get("ab12-2") is None
    assert store.problem is None


def test_a_tilde_in_the_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    FolderStore("~/images").put(KEY, some_pixels())
    assert len(files(tmp_path / "images")) == 1
    with pytest.raises(InputError, match=r"cannot cache images in the folder '~unknown-user/x': .*; name another"):
        FolderStore("~unknown-user/x")


def test_pixels_from_a_folder_store_are_read_only(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put(KEY, some_pixels())
    with pytest.raises(ValueError, match="read-only"):
        store.get(KEY)[0, 0] = 1


def test_a_full_store_keeps_its_entries_and_reports_the_problem(make: Callable[..., Store]) -> None:
    store = make(4000)
    for number in range(5):
        store.put(f"ab{number}-1", some_pixels(number))  # 1,800 bytes each
    assert [store.get(f"ab{number}-1") is not None for number in range(5)] == [True, True, False, False, False]
    assert store.used_bytes <= 4000
    assert store.problem == "it is full (limit 0 MB), so the other images are decoded each time"


def test_features_are_stored_exactly_and_take_the_last_sixteenth_of_the_space(make: Callable[..., Store]) -> None:
    store = make(40_000)
    for number in range(25):
        store.put(f"ab{number}-1", some_pixels(number))
    assert store.used_bytes <= 40_000 * 15 // 16
    assert store.problem == "it is full (limit 0 MB), so the other images are decoded each time"
    features = np.random.default_rng(0).normal(size=(20, 100)).astype(np.float32)
    for number, row in enumerate(features):
        store.put(f"cd{number}", row)
    found = [store.get(f"cd{number}") for number in range(20)]
    assert sum(row is not None for row in found) >= 5
    assert all(row is None or np.array_equal(row, features[number]) for number, row in enumerate(found))
    assert store.used_bytes <= 40_000
    assert store.problem == "it is full (limit 0 MB), so the other features are computed each time"


def test_a_folder_store_counts_the_files_of_earlier_runs(tmp_path: Path) -> None:
    FolderStore(tmp_path).put(KEY, some_pixels())
    store = FolderStore(tmp_path, limit=3000)
    assert store.used_bytes == store.measure() == files(tmp_path)[0].stat().st_size
    store.put("cd34-1", some_pixels(1))
    assert store.get("cd34-1") is None
    assert np.array_equal(store.get(KEY), some_pixels())


def test_measuring_includes_the_files_of_runs_at_the_same_time(tmp_path: Path) -> None:
    first, second = FolderStore(tmp_path), FolderStore(tmp_path)
    second.put(KEY, some_pixels())
    assert first.measure() == second.used_bytes > 0


def test_two_runs_that_write_at_the_same_time_stay_near_the_limit(tmp_path: Path) -> None:
    limit = 100_000
    runs = [FolderStore(tmp_path, limit) for _ in range(2)]
    for number in range(100):
        runs[number % 2].put(f"{number:02}-1", some_pixels(number))
    assert 0.8 * limit < sum(path.stat().st_size for path in files(tmp_path)) < 1.1 * limit


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def append_a_byte(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"0")


def fill_with_zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def swap_height_and_width(path: Path) -> None:
    """Swaps height and width in the header and keeps the rest."""
    data = path.read_bytes()
    path.write_bytes(data[:8] + data[12:16] + data[8:12] + data[16:])


def replace_by_another_image(path: Path) -> None:
    """Writes a valid file of another image."""
    store = FolderStore(path.parent / "other")
    store.put("cd34-1", some_pixels(9))
    path.write_bytes(files(path.parent / "other")[0].read_bytes())


@pytest.mark.parametrize(
    "damage",
    [flip_a_bit, truncate, append_a_byte, fill_with_zeros, empty, swap_height_and_width, replace_by_another_image],
)
@pytest.mark.parametrize("same_run", [True, False])
@pytest.mark.parametrize("entry", [some_pixels(), some_pixels()[:2].ravel().astype(np.float32)])
def test_a_damaged_file_counts_as_missing_and_is_written_again(
    damage: Callable[[Path], None], entry: Entry, same_run: bool, tmp_path: Path
) -> None:
    store = FolderStore(tmp_path)
    store.put(KEY, entry)
    assert store.get(KEY) is not None
    assert store.n_damaged == 0
    [path] = files(tmp_path)
    damage(path)
    os.utime(path, ns=(1, 1))  # a new time, even if the file system has a coarse clock
    store = store if same_run else FolderStore(tmp_path)
    assert store.get(KEY) is None
    assert store.n_damaged == 1
    store.put(KEY, entry)
    assert np.array_equal(store.get(KEY), entry)


def test_a_deleted_folder_is_created_again(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put(KEY, some_pixels())
    shutil.rmtree(tmp_path / SUBFOLDER)
    assert store.get(KEY) is None
    assert store.measure() == 0
    store.put(KEY, some_pixels())
    assert np.array_equal(store.get(KEY), some_pixels())


def test_a_full_disk_stops_writing_and_leaves_no_partial_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderStore(tmp_path)
    store.put(KEY, some_pixels())
    attempts = []

    def write_part(path: Path, key: str, pixels: Pixels) -> None:
        attempts.append(key)
        path.write_bytes(pixels.tobytes()[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stores, "_write", write_part)
    for number in range(3):
        store.put(f"cd{number}-1", some_pixels(number))
    assert attempts == ["cd0-1"]
    assert store.problem == "no more images can be written to it (No space left on device)"
    assert len(files(tmp_path)) == 1
    assert np.array_equal(store.get(KEY), some_pixels())


def test_a_read_only_folder_can_still_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FolderStore(tmp_path).put(KEY, some_pixels())

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(stores, "write_atomically", refuse)
    store = FolderStore(tmp_path)
    store.put("cd34-1", some_pixels(1))
    assert np.array_equal(store.get(KEY), some_pixels())
    assert store.get("cd34-1") is None
    assert store.problem == "no more images can be written to it (Read-only file system)"


def test_a_file_in_place_of_the_folder_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot cache images in the folder '.*file': .+; name another"):
        FolderStore(tmp_path / "file")


def test_old_temporary_files_are_deleted_and_recent_ones_are_kept(tmp_path: Path) -> None:
    FolderStore(tmp_path).put(KEY, some_pixels())
    old, new = (files(tmp_path)[0].with_name(f".{name}") for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"partial")
    os.utime(old, (time.time() - 7200,) * 2)
    FolderStore(tmp_path)
    assert not old.exists()
    assert new.exists()


def test_other_files_in_the_folder_are_not_counted(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(bytes(10_000))
    assert FolderStore(tmp_path).used_bytes == 0


WRITES_AND_READS = """
import sys
import numpy as np
from eyebright.image.cache_store import FolderStore
store = FolderStore(sys.argv[1])
for number in range(150):
    pixels = np.random.default_rng(number).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    cached = store.get(f"{number % 7:02}-{number}")
    assert cached is None or np.array_equal(cached, pixels)
    store.put(f"{number % 7:02}-{number}", pixels)
assert store.problem is None, store.problem
"""


def test_two_processes_can_fill_one_folder_at_the_same_time(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITES_AND_READS, str(tmp_path)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    store = FolderStore(tmp_path)
    for number in range(150):
        assert np.array_equal(store.get(f"{number % 7:02}-{number}"), some_pixels(number, (40, 50)))
    assert len(files(tmp_path)) == 150


def test_the_default_memory_limit_is_divided_between_local_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_system_memory", lambda: 8000)
    monkeypatch.setattr(memory, "_cgroup_memory", lambda: None)
    assert MemoryStore().limit == 2000
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")  # set by torchrun
    assert MemoryStore().limit == 500
