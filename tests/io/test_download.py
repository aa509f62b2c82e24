"""Data sets by name: found where they are unpacked, downloaded once, checked."""

import hashlib
import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eyebright.errors import DownloadError, InputError
from eyebright.io import download as module
from eyebright.io import transfer
from eyebright.io.download import URLs, download, untar_data

BODY = bytes(range(256)) * 1000
SUM = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path):
    """No test sees the user's own folders, and none waits."""
    monkeypatch.setenv("EYEBRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("EYEBRIGHT_DATA", raising=False)
    monkeypatch.setattr(transfer, "_PAUSE", 0.001)


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


# ------------------------------------------------------------------ one file


def test_a_file_is_downloaded_once(site, tmp_path):
    site.files["/a.bin"] = BODY
    for _ in range(2):
        assert (
            download(f"{site.url}/a.bin", tmp_path / "new" / "a.bin", size=len(BODY), sha256=SUM.upper()).read_bytes()
            == BODY
        )
    assert len(site.asked) == 1
    assert visible(tmp_path / "new") == ["a.bin"]


def test_a_wrong_sum_is_an_error_and_nothing_is_kept(site, tmp_path):
    site.files["/a.bin"] = BODY
    with pytest.raises(
        DownloadError, match=f"'.*/a.bin' is not the file that was expected: its sha256 is {SUM}, not 00ff"
    ):
        download(f"{site.url}/a.bin", tmp_path / "a.bin", sha256="00FF")
    assert visible(tmp_path) == []


def test_a_file_that_is_there_but_another_one_is_replaced(site, tmp_path):
    site.files["/a.bin"] = BODY
    (tmp_path / "a.bin").write_bytes(b"old")
    assert download(f"{site.url}/a.bin", tmp_path / "a.bin").read_bytes() == b"old"
    assert download(f"{site.url}/a.bin", tmp_path / "a.bin", sha256=SUM).read_bytes() == BODY


def test_the_old_file_stays_until_the_new_one_is_whole(site, tmp_path):
    site.files["/a.bin"] = BODY
    site.cut = [1000] + [0] * 10
    (tmp_path / "a.bin").write_bytes(b"old")
    with pytest.raises(DownloadError, match="broke off after 1,000 of 256,000 bytes"):
        download(f"{site.url}/a.bin", tmp_path / "a.bin", sha256=SUM)
    assert (tmp_path / "a.bin").read_bytes() == b"old"


def test_an_interrupted_download_goes_on_and_its_sum_is_that_of_the_whole(site, tmp_path):
    site.files["/a.bin"] = BODY
    site.cut = [1000] + [0] * 10
    with pytest.raises(DownloadError, match="are kept, the next call goes on from there"):
        download(f"{site.url}/a.bin", tmp_path / "a.bin", sha256=SUM)
    site.cut = []
    assert download(f"{site.url}/a.bin", tmp_path / "a.bin", sha256=SUM).read_bytes() == BODY
    assert site.asked[-1] == ("/a.bin", "bytes=1000-")
    assert visible(tmp_path) == ["a.bin"]


def test_several_at_once_download_only_once(site, tmp_path):
    site.files["/a.bin"] = BODY
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: download(f"{site.url}/a.bin", tmp_path / "a.bin"), range(4)))
    assert {path.read_bytes() for path in paths} == {BODY}
    assert len(site.asked) == 1


def test_a_folder_that_cannot_be_written_says_so(site, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match="cannot write to '.*file': "):
        download(f"{site.url}/a.bin", tmp_path / "file" / "a.bin")


# ------------------------------------------------------------------ data sets


@pytest.fixture
def pets(site):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        info = tarfile.TarInfo("oxford-iiit-pet/images/pug_1.jpg")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"pug"))
    site.files["/sets/oxford-iiit-pet.tgz"] = file.getvalue()
    return f"{site.url}/sets/oxford-iiit-pet.tgz?version=1"


def test_a_data_set_is_downloaded_and_unpacked_once(pets, site, tmp_path):
    folder = untar_data(pets)
    assert folder == tmp_path / "home" / "data" / "oxford-iiit-pet"
    assert (folder / "images" / "pug_1.jpg").read_bytes() == b"pug"
    assert untar_data(pets) == folder
    assert len(site.asked) == 1
    assert visible(tmp_path / "home" / "archive") == ["oxford-iiit-pet.tgz"]


@pytest.mark.parametrize(("terminal", "expected"), [("1", True), ("", False)])
def test_a_bar_is_shown_in_a_terminal_and_nothing_in_a_log(terminal, expected, pets, monkeypatch, capfd):
    monkeypatch.setenv("FORCE_COLOR", terminal)  # rich takes it for a terminal
    untar_data(pets)
    out, err = capfd.readouterr()
    assert out == ""
    assert ("oxford-iiit-pet.tgz" in err) is expected


def test_a_folder_of_unpacked_sets_is_looked_into_first(pets, site, tmp_path, monkeypatch):
    there = tmp_path / "sets" / "oxford-iiit-pet"
    there.mkdir(parents=True)
    monkeypatch.setenv("EYEBRIGHT_DATA", str(there.parent))
    assert untar_data(URLs.PETS) == there
    assert untar_data(pets) == there
    assert site.asked == []


def test_a_set_that_is_not_among_the_unpacked_ones_is_downloaded(pets, tmp_path, monkeypatch):
    monkeypatch.setenv("EYEBRIGHT_DATA", str(tmp_path / "nowhere"))
    assert untar_data(pets).is_relative_to(tmp_path / "home")


def test_forcing_downloads_and_unpacks_anew(pets, site):
    folder = untar_data(pets)
    (folder / "mine.txt").write_text("added")
    assert untar_data(pets, force_download=True) == folder
    assert visible(folder) == ["images"]
    assert len(site.asked) == 2


def test_the_folders_can_be_chosen_as_in_the_book(pets, tmp_path):
    assert untar_data(pets, base=tmp_path / "b") == tmp_path / "b" / "data" / "oxford-iiit-pet"
    assert untar_data(pets, base=tmp_path / "b", c_key="sets") == tmp_path / "b" / "sets" / "oxford-iiit-pet"
    folder = untar_data(pets, archive=tmp_path / "packed", data=tmp_path / "unpacked")
    assert folder == tmp_path / "unpacked" / "oxford-iiit-pet"
    assert visible(tmp_path / "packed") == ["oxford-iiit-pet.tgz"]


def test_without_any_setting_the_home_is_that_of_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("EYEBRIGHT_HOME")
    monkeypatch.setattr(Path, "expanduser", lambda path: Path(str(path).replace("~", str(tmp_path))))
    there = tmp_path / ".eyebright" / "data" / "pascal_2007"
    there.mkdir(parents=True)
    assert untar_data(URLs.PASCAL_2007) == there


def test_a_home_that_the_system_does_not_know_is_said(monkeypatch):
    monkeypatch.setenv("EYEBRIGHT_HOME", "~nobody-of-this-name/sets")
    with pytest.raises(InputError, match=r"^the folder '~nobody-of-this-name/sets' starts from a home .* EYEBRIGHT_"):
        untar_data(URLs.PASCAL_2007)


def test_what_cannot_be_downloaded_says_how_to_do_without(site):
    with pytest.raises(DownloadError, match=r"answers 404 .*let EYEBRIGHT_DATA name the folder that holds 'gone'"):
        untar_data(f"{site.url}/gone.zip")


def test_the_known_size_is_checked(pets, monkeypatch):
    monkeypatch.setitem(module._SIZES, pets, 7)
    with pytest.raises(DownloadError, match=r"bytes now, 7 were expected; it has changed"):
        untar_data(pets)


def test_an_address_that_is_no_archive_is_refused(site):
    with pytest.raises(DownloadError, match="'labels.csv' is no archive"):
        untar_data(f"{site.url}/labels.csv")


def test_every_named_set_is_an_archive_at_a_secure_address():
    every = {name: url for name, url in vars(URLs).items() if name.isupper()}
    assert len(every) == len(set(every.values())) == 13
    assert all(url.startswith("https://") and url.endswith((".tgz", ".zip")) for url in every.values())


@pytest.mark.shared
@pytest.mark.parametrize("url", [URLs.PETS, URLs.PASCAL_2007, URLs.BIWI_HEAD_POSE, URLs.FRIDGE_OBJECTS])
def test_the_unpacked_sets_beside_the_repository_are_found(url, shared_data, monkeypatch):
    monkeypatch.setenv("EYEBRIGHT_DATA", str(shared_data))
    assert untar_data(url).parent == shared_data
