"""The hash of a file finds other content, and reads no more than a few blocks."""

import tarfile
from pathlib import Path

from eyebright.io.file_hash import file_hash, file_hashes


def test_equal_content_has_one_hash_wherever_it_lies(tmp_path: Path) -> None:
    content = bytes(range(256)) * 900
    for name in ("a.jpg", "b.png"):
        (tmp_path / name).write_bytes(content)
    with tarfile.open(tmp_path / "all.tar", "w") as archive:
        archive.add(tmp_path / "a.jpg", "inside/a.jpg")
    hashes = file_hashes([str(tmp_path / "a.jpg"), str(tmp_path / "b.png"), f"{tmp_path / 'all.tar'}::inside/a.jpg"])
    assert len(set(hashes)) == 1
    assert hashes[0]


def test_another_size_beginning_middle_or_end_has_another_hash(tmp_path: Path) -> None:
    for size in (1, 5000, 16384, 16385, 3_000_000):
        content = bytearray(size)
        path = tmp_path / "a.bmp"
        hashes: set[str] = set()
        for place in (None, 0, size // 7 * 2, size - 1):
            changed = bytearray(content)
            if place is not None:
                changed[place] += 1
            path.write_bytes(changed)
            hashes.add(file_hash(str(path)))
        path.write_bytes(content + b"\0")
        hashes.add(file_hash(str(path)))
        assert len(hashes) == (3 if size == 1 else 5), size


def test_files_that_cannot_be_read_have_no_hash(tmp_path: Path) -> None:
    names = [str(tmp_path / "gone.jpg"), str(tmp_path), "a\0.jpg", f"{tmp_path / 'gone.tar'}::a.jpg", "x" * 5000]
    assert set(file_hashes([None, *names])) == {""}
