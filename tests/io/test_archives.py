"""Unpacking of archives: complete or not at all, and never outside of the folder."""

import contextlib
import io
import random
import shutil
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from eyebright.errors import DownloadError
from eyebright.io import archive_limits
from eyebright.io.archives import archive_stem, unpack
from eyebright.io.atomic import temporary_folder

FILES = {"pets/images/a.jpg": b"a", "pets/list ü.txt": b"list"}


def make_tar(path, members, mode="w:gz"):
    """Write a tar archive; members: name -> content, or a TarInfo (a link, a device)."""
    with tarfile.open(path, mode) as tar:  # pyright: ignore[reportCallIssue]
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def make_zip(path, members):
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return path


def link(name, to, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("name", "mode"),
    [("p.tgz", "w:gz"), ("p.tar.gz", "w:gz"), ("p.tar.bz2", "w:bz2"), ("p.tar.xz", "w:xz"), ("p.tar", "w")],
)
def test_the_single_top_folder_of_a_tar_becomes_the_target_folder(name, mode, tmp_path):
    folder = unpack(make_tar(tmp_path / name, FILES, mode), tmp_path / "data" / "other-name")
    assert folder == tmp_path / "data" / "other-name"
    assert contents(folder) == {"images/a.jpg": b"a", "list ü.txt": b"list"}


def test_the_metadata_of_macos_in_a_zip_is_ignored(tmp_path):
    archive = make_zip(tmp_path / "p.zip", FILES | {"__MACOSX/pets/._a.jpg": b"junk"})
    assert contents(unpack(archive, tmp_path / "out")) == {"images/a.jpg": b"a", "list ü.txt": b"list"}


def test_several_entries_at_the_top_level_are_kept(tmp_path):
    archive = make_zip(tmp_path / "p.zip", {"train/a.jpg": b"a", "labels.csv": b"file,labels"})
    assert contents(unpack(archive, tmp_path / "out")) == {"train/a.jpg": b"a", "labels.csv": b"file,labels"}


def test_a_single_file_is_unpacked_into_the_target_folder(tmp_path):
    assert contents(unpack(make_zip(tmp_path / "p.zip", {"a.jpg": b"a"}), tmp_path / "out")) == {"a.jpg": b"a"}


def test_existing_content_of_the_target_folder_is_replaced(tmp_path):
    old = tmp_path / "out" / "old.txt"
    old.parent.mkdir()
    old.write_bytes(b"old")
    assert "old.txt" not in contents(unpack(make_tar(tmp_path / "p.tgz", FILES), tmp_path / "out"))


def test_links_within_an_archive_are_unpacked(tmp_path):
    archive = make_tar(tmp_path / "p.tgz", {"d/a.jpg": b"a", "d/b.jpg": link("d/b.jpg", "a.jpg")})
    assert contents(unpack(archive, tmp_path / "out")) == {"a.jpg": b"a", "b.jpg": b"a"}


UNSAFE = {
    "a name with .. at the start": {"../evil.txt": b"x"},
    "a name with .. inside": {"d/../../evil.txt": b"x"},
    "an absolute name": {"/tmp/evil.txt": b"x"},
    "a drive": {"C:/evil.txt": b"x"},
    "a symbolic link out": {"d/out": link("d/out", "../../evil")},
    "an absolute symbolic link": {"d/out": link("d/out", "/etc/passwd")},
    "a file through a link": {"d": link("d", ".."), "d/evil.txt": b"x"},
    "a hard link out": {"d/out": link("d/out", "../evil", tarfile.LNKTYPE)},
    "a device": {"d/null": link("d/null", "", tarfile.CHRTYPE)},
}


@pytest.mark.parametrize("members", UNSAFE.values(), ids=UNSAFE)
def test_an_unsafe_tar_is_refused_and_leaves_nothing(members, tmp_path):
    archive = make_tar(tmp_path / "p.tgz", {"good.txt": b"g"} | members)
    with pytest.raises(DownloadError, match=r"p.tgz' is not safe to unpack"):
        unpack(archive, tmp_path / "deep" / "data" / "out")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["p.tgz"]
    assert list((tmp_path / "deep" / "data").iterdir()) == []


@pytest.mark.parametrize(
    "name", ["../evil.txt", "d/../../evil.txt", "/evil.txt", "..\\evil.txt", "C:\\evil.txt", "\\evil.txt"]
)
def test_an_unsafe_zip_is_refused_and_leaves_nothing(name, tmp_path):
    archive = make_zip(tmp_path / "p.zip", {"good.txt": b"g", name: b"x"})
    with pytest.raises(DownloadError, match=r"p.zip' is not safe to unpack: '.*evil.txt' would be written outside"):
        unpack(archive, tmp_path / "data" / "out")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["p.zip"]


@pytest.mark.parametrize("name", ["p.tgz", "p.tar.xz", "p.zip"])
def test_a_damaged_archive_is_refused_and_leaves_nothing(name, tmp_path):
    complete = tmp_path / f"complete-{name}"
    body = {"d/a.bin": bytes(range(256)) * 400, "d/b.bin": bytes(range(255)) * 400}
    archive = (
        make_zip(complete, body) if name == "p.zip" else make_tar(complete, body, "w:gz" if name == "p.tgz" else "w:xz")
    )
    truncated = tmp_path / name
    truncated.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(DownloadError, match=rf"{name}' is damaged or not an archive .*; delete it and try again"):
        unpack(truncated, tmp_path / "data" / "out")
    assert list((tmp_path / "data").iterdir()) == []


def test_an_html_page_instead_of_an_archive_is_refused(tmp_path):
    (tmp_path / "p.tgz").write_text("<html>sign in</html>")
    with pytest.raises(DownloadError, match="is damaged or not an archive"):
        unpack(tmp_path / "p.tgz", tmp_path / "out")


def test_a_missing_archive_raises_an_error_that_says_so(tmp_path):
    with pytest.raises(DownloadError, match="cannot unpack '.*missing.zip' to '.*out': No such file"):
        unpack(tmp_path / "missing.zip", tmp_path / "out")


def test_a_full_disk_during_unpacking_leaves_nothing(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tarfile.TarFile.makefile", refuse)
    with pytest.raises(DownloadError, match=r"cannot unpack '.*p.tgz' to '.*out': No space left on device"):
        unpack(make_tar(tmp_path / "p.tgz", FILES), tmp_path / "data" / "out")
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "stem"),
    [("oxford-iiit-pet.tgz", "oxford-iiit-pet"), ("a.b.TAR.GZ", "a.b"), ("x.zip", "x"), ("y.tar", "y")],
)
def test_the_stem_of_an_archive_is_its_name_without_the_suffix(name, stem):
    assert archive_stem(name) == stem


@pytest.mark.parametrize("name", ["labels.csv", "model.gz", ""])
def test_the_stem_of_another_suffix_is_refused(name):
    with pytest.raises(DownloadError, match=r"is not a supported archive; supported are .tar.gz"):
        archive_stem(name)


def test_a_folder_that_contains_the_working_or_home_folder_is_not_replaced(tmp_path, monkeypatch):
    archive = make_zip(tmp_path / "p.zip", FILES)
    inside = tmp_path / "work" / "inside"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    for to in ("..", ".", inside, inside.parent):
        with pytest.raises(DownloadError, match="would be replaced, and the working folder is in it; choose another"):
            unpack(archive, to)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(inside))
    monkeypatch.setenv("USERPROFILE", str(inside))
    with pytest.raises(DownloadError, match="would be replaced, and the home folder is in it"):
        unpack(archive, tmp_path / "work")
    assert inside.is_dir()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_is_not_replaced(kind, tmp_path):
    archive = make_zip(tmp_path / "p.zip", FILES)
    (tmp_path / "other").mkdir()
    if kind == "file":
        (tmp_path / "to").write_text("mine")
    else:
        (tmp_path / "to").symlink_to(tmp_path / "other")
    with pytest.raises(DownloadError, match="it is not a folder; delete it or choose another"):
        unpack(archive, tmp_path / "to")
    assert (tmp_path / "to").exists()


def test_the_old_folder_is_kept_if_the_new_one_cannot_be_renamed(tmp_path, monkeypatch):
    archive = make_zip(tmp_path / "p.zip", FILES)
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "mine.txt").write_text("mine")
    rename = Path.rename

    def fail(path, to):
        if path.name == "pets":
            raise OSError(28, "No space left on device")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(DownloadError, match="cannot unpack .*: No space left on device"):
        unpack(archive, tmp_path / "to")
    assert contents(tmp_path / "to") == {"mine.txt": b"mine"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


# ------------------------------------------------------------------ what an archive unpacks to


ZEROS = {"d/a.bin": bytes(6_000_000), "d/b.bin": bytes(6_000_000)}


def make(name, members, folder):
    """An archive of the format that the name says."""
    if name.endswith(".zip"):
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as zipped:
            for member, content in members.items():
                zipped.writestr(member, content)
        return folder / name
    return make_tar(folder / name, members, {"tgz": "w:gz", "bz2": "w:bz2", ".xz": "w:xz", "tar": "w"}[name[-3:]])


@pytest.mark.parametrize("name", ["p.zip", "p.tgz", "p.tar.bz2", "p.tar.xz", "p.tar"])
def test_an_archive_that_unpacks_to_more_than_the_limit_is_refused_and_leaves_nothing(name, tmp_path):
    archive = make(name, ZEROS, tmp_path)
    says = r"' \([\d,.]+ (MB|bytes)\) unpacks to 12.0 MB or more, and the limit is 10.0 MB; .* raise `max_bytes`"
    with pytest.raises(DownloadError, match=says):
        unpack(archive, tmp_path / "data" / "out", max_bytes=10_000_000)
    assert list((tmp_path / "data").iterdir()) == []
    assert sum(map(len, contents(unpack(archive, tmp_path / "out", max_bytes=12_000_000)).values())) == 12_000_000


@pytest.mark.parametrize("name", ["p.zip", "p.tgz"])
def test_without_a_limit_it_is_twenty_times_the_archive_but_at_least_a_gigabyte(name, tmp_path, monkeypatch):
    archive = make(name, ZEROS, tmp_path)
    unpack(archive, tmp_path / "out")
    monkeypatch.setattr(archive_limits, "MIN_BYTES", 10_000_000)
    with pytest.raises(DownloadError, match=r"unpacks to 12.0 MB or more, and the limit is 10.0 MB"):
        unpack(archive, tmp_path / "other")
    monkeypatch.setattr(archive_limits, "TIMES", 12_000_000 // archive.stat().st_size + 1)
    unpack(archive, tmp_path / "other")


def test_a_zip_whose_headers_say_less_than_comes_out_is_damaged_and_never_written_in_full(tmp_path, monkeypatch):
    archive = make("p.zip", ZEROS, tmp_path)
    archive.write_bytes(archive.read_bytes().replace(struct.pack("<L", 6_000_000), struct.pack("<L", 1000)))
    largest = []
    rmtree = shutil.rmtree
    monkeypatch.setattr(
        "shutil.rmtree", lambda path, **more: (largest.extend(map(len, contents(path).values())), rmtree(path, **more))
    )
    with pytest.raises(DownloadError, match="is damaged or not an archive"):
        unpack(archive, tmp_path / "data" / "out")
    assert max(largest) <= 1000
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w"])
def test_what_follows_the_last_file_of_a_tar_is_bounded_too(mode, tmp_path):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a.txt"))
    padded = file.getvalue() + bytes(40_000_000)
    opened = {"w:gz": archive_limits.gzip.open, "w:xz": archive_limits.lzma.open, "w": open}[mode]
    with opened(tmp_path / "p.tar", "wb") as packed:
        packed.write(padded)
    with pytest.raises(DownloadError, match=r"unpacks to more than the limit of 1.0 MB; .* raise `max_bytes`"):
        unpack(tmp_path / "p.tar", tmp_path / "data" / "out", max_bytes=1_000_000)
    assert list((tmp_path / "data").iterdir()) == []


def test_a_header_of_a_tar_that_says_it_has_gigabytes_is_not_read(tmp_path):
    info = tarfile.TarInfo("a.txt")
    info.pax_headers = {"comment": "x" * 20_000_000}
    archive = make_tar(tmp_path / "p.tgz", {"a.txt": info})
    with pytest.raises(DownloadError, match=r"a header declares 20,\d\d\d,\d\d\d bytes"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("name", ["p.zip", "p.tgz"])
def test_an_archive_of_too_many_files_is_refused_and_leaves_nothing(name, tmp_path):
    archive = make(name, {f"{i}.txt": b"" for i in range(30)}, tmp_path)
    with pytest.raises(DownloadError, match=r"holds more than 20 files; if you trust it, raise `max_files`"):
        unpack(archive, tmp_path / "data" / "out", max_files=20)
    assert list((tmp_path / "data").iterdir()) == []
    assert len(contents(unpack(archive, tmp_path / "out", max_files=30))) == 30


@pytest.mark.parametrize("wide", [True, False])
def test_the_entries_of_a_zip_are_counted_before_python_makes_an_object_of_each(wide, tmp_path, monkeypatch):
    monkeypatch.setattr("zipfile.ZIP_FILECOUNT_LIMIT", 10 if wide else 10**9)  # more files need the 64-bit directory
    archive = make("p.zip", {f"{i}.txt": b"" for i in range(30)}, tmp_path)
    assert (b"PK\6\6" in archive.read_bytes()) is wide
    monkeypatch.setattr("zipfile.ZipFile", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(DownloadError, match="holds more than 20 files"):
        unpack(archive, tmp_path / "out", max_files=20)


@pytest.mark.parametrize("name", ["p.zip", "p.tgz"])
def test_an_archive_that_the_disk_has_no_room_for_is_refused_before_the_file_is_written(name, tmp_path, monkeypatch):
    archive = make(name, ZEROS, tmp_path)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=7_000_000))
    with pytest.raises(DownloadError, match=r"12.0 MB or more, and only 7.0 MB are free in '.*data'; make room"):
        unpack(archive, tmp_path / "data" / "out")
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("name", ["p.zip", "p.tgz"])
def test_a_file_in_thousands_of_folders_is_refused_and_leaves_nothing(name, tmp_path):
    deep = {"/".join("d" * (depth + 1)) + "/x": b"" for depth in range(0, 1500, 100)}
    with pytest.raises(DownloadError, match=r"is in \d+ folders, at most 100 can be made"):
        unpack(make(name, deep, tmp_path), tmp_path / "data" / "out")
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("name", ["p.tar", "p.tgz"])
@pytest.mark.parametrize("damage", ["changed", "cut"])
def test_files_behind_a_damaged_header_of_a_tar_are_not_lost_in_silence(name, damage, tmp_path):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for member in ("a.txt", "b.txt", "c.txt"):
            info = tarfile.TarInfo(member)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
    data = bytearray(file.getvalue())
    data[1024 + 150] ^= 0xFF  # in the checksum of the second header
    if damage == "cut":
        del data[1024 + 200 :]
    with (archive_limits.gzip.open if name == "p.tgz" else open)(tmp_path / name, "wb") as packed:
        packed.write(data)
    with pytest.raises(DownloadError, match="a header in it is damaged"):
        unpack(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["p.zip", "p.tgz", "p.tar"])
@pytest.mark.parametrize("inner", ["inner.zip", "inner.tgz", "inner.tar"])
def test_archives_in_an_archive_stay_packed(name, inner, tmp_path):
    packed = make(inner, {"deep.txt": b"deep"}, tmp_path).read_bytes()
    archive = make(name, {"other.txt": b"x", inner: packed}, tmp_path)
    assert contents(unpack(archive, tmp_path / "out")) == {inner: packed, "other.txt": b"x"}


def test_what_a_killed_process_has_unpacked_is_removed_but_never_that_of_a_living_one(tmp_path):
    archive = make_tar(tmp_path / "p.tgz", FILES)
    left = tmp_path / "data" / ".out.unpacked.0123abcd"
    (left / "all").mkdir(parents=True)
    (left / "all" / "half.jpg").write_bytes(b"half")
    with temporary_folder(tmp_path / "data" / "other.unpacked") as living:
        unpack(archive, tmp_path / "data" / "out")
        assert sorted((tmp_path / "data").iterdir()) == sorted([living, tmp_path / "data" / "out"])


@pytest.mark.parametrize("name", ["p.zip", "p.tgz", "p.tar.bz2", "p.tar.xz", "p.tar"])
def test_a_changed_archive_is_unpacked_or_a_download_error(name, tmp_path):
    members = {f"d/{i}.bin": bytes(range(256)) * i for i in range(1, 12)}
    good = make(name, members, tmp_path).read_bytes()
    draw = random.Random(7)
    for _ in range(120):
        data = bytearray(good)
        for _ in range(draw.choice((1, 1, 3, 30))):
            data[draw.randrange(len(data))] = draw.choice((0, 0xFF, draw.randrange(256)))
        if draw.random() < 0.2:
            del data[draw.randrange(len(data)) :]
        (tmp_path / name).write_bytes(data)
        with contextlib.suppress(DownloadError):
            unpack(tmp_path / name, tmp_path / "data" / "out")
            shutil.rmtree(tmp_path / "data" / "out")
        assert list((tmp_path / "data").iterdir()) == []
