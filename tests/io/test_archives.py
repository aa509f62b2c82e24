"""Archives unpack completely or not at all, and never outside of their folder."""

import io
import tarfile
import zipfile

import pytest

from eyebright.errors import DownloadError
from eyebright.io.archives import archive_stem, unpack

FILES = {"pets/images/a.jpg": b"a", "pets/list ü.txt": b"list"}


def make_tar(path, members, mode="w:gz"):
    """members: name -> bytes, or a TarInfo (a link, a device)."""
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
def test_every_kind_of_tar_unpacks_and_its_single_folder_takes_the_name(name, mode, tmp_path):
    folder = unpack(make_tar(tmp_path / name, FILES, mode), tmp_path / "data" / "other-name")
    assert folder == tmp_path / "data" / "other-name"
    assert contents(folder) == {"images/a.jpg": b"a", "list ü.txt": b"list"}


def test_a_zip_unpacks_the_same_way_and_what_macos_adds_does_not_count(tmp_path):
    archive = make_zip(tmp_path / "p.zip", FILES | {"__MACOSX/pets/._a.jpg": b"junk"})
    assert contents(unpack(archive, tmp_path / "out")) == {"images/a.jpg": b"a", "list ü.txt": b"list"}


def test_several_things_at_the_top_stay_as_they_are(tmp_path):
    archive = make_zip(tmp_path / "p.zip", {"train/a.jpg": b"a", "labels.csv": b"file,labels"})
    assert contents(unpack(archive, tmp_path / "out")) == {"train/a.jpg": b"a", "labels.csv": b"file,labels"}


def test_a_single_file_is_put_into_the_folder(tmp_path):
    assert contents(unpack(make_zip(tmp_path / "p.zip", {"a.jpg": b"a"}), tmp_path / "out")) == {"a.jpg": b"a"}


def test_what_was_there_is_replaced(tmp_path):
    old = tmp_path / "out" / "old.txt"
    old.parent.mkdir()
    old.write_bytes(b"old")
    assert "old.txt" not in contents(unpack(make_tar(tmp_path / "p.tgz", FILES), tmp_path / "out"))


def test_links_inside_of_the_archive_work(tmp_path):
    archive = make_tar(tmp_path / "p.tgz", {"d/a.jpg": b"a", "d/b.jpg": link("d/b.jpg", "a.jpg")})
    assert contents(unpack(archive, tmp_path / "out")) == {"a.jpg": b"a", "b.jpg": b"a"}


UNSAFE = {
    "a name that climbs out": {"../evil.txt": b"x"},
    "a name that climbs out further down": {"d/../../evil.txt": b"x"},
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
def test_a_zip_that_slips_out_is_refused_and_leaves_nothing(name, tmp_path):
    archive = make_zip(tmp_path / "p.zip", {"good.txt": b"g", name: b"x"})
    with pytest.raises(DownloadError, match=r"p.zip' is not safe to unpack: '.*evil.txt' would land outside"):
        unpack(archive, tmp_path / "data" / "out")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["p.zip"]


@pytest.mark.parametrize("name", ["p.tgz", "p.tar.xz", "p.zip"])
def test_a_damaged_archive_leaves_nothing_and_says_what_to_do(name, tmp_path):
    whole = tmp_path / f"whole-{name}"
    body = {"d/a.bin": bytes(range(256)) * 400, "d/b.bin": bytes(range(255)) * 400}
    archive = make_zip(whole, body) if name == "p.zip" else make_tar(whole, body, "w:gz" if name == "p.tgz" else "w:xz")
    cut = tmp_path / name
    cut.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(DownloadError, match=rf"{name}' is damaged or no archive .*; delete it and try again"):
        unpack(cut, tmp_path / "data" / "out")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_page_instead_of_an_archive_is_an_error(tmp_path):
    (tmp_path / "p.tgz").write_text("<html>sign in</html>")
    with pytest.raises(DownloadError, match="is damaged or no archive"):
        unpack(tmp_path / "p.tgz", tmp_path / "out")


def test_a_missing_archive_says_so(tmp_path):
    with pytest.raises(DownloadError, match="cannot unpack '.*missing.zip' to '.*out': No such file"):
        unpack(tmp_path / "missing.zip", tmp_path / "out")


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
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
def test_the_stem_of_an_archive_is_its_name_without_the_ending(name, stem):
    assert archive_stem(name) == stem


@pytest.mark.parametrize("name", ["labels.csv", "model.gz", ""])
def test_another_ending_is_no_archive(name):
    with pytest.raises(DownloadError, match=r"is no archive that can be unpacked; known are .tar.gz"):
        archive_stem(name)
