"""Unpacking of archives: complete or not at all, and never outside of the folder."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from eyebright.errors import DownloadError
from eyebright.io.archives import archive_stem, unpack

FILES = {"pets/images/a.jpg": b"a", "pets/list ü.txt": b"list"}


def make_tar(path, members, mode="w:gz"):
    """Write a tar archive; members: name -> content, or a TarInfo (a link, a device)."""
    with tarfile.open(path, mode) as tar:
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
