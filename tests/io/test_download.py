"""Download of files and datasets: found if unpacked, downloaded once, verified."""

import hashlib
import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eyebright.errors import DownloadError, InputError
from eyebright.io import download as module, transfer
from eyebright.io.download import URLs, download, untar_data

BODY = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def isolate(monkeypatch, tmp_path):
    """Keeps the tests away from the user's folders and makes retries fast."""
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
            download(
                f"{site.url}/a.bin", tmp_path / "new" / "a.bin", size=len(BODY), sha256=SHA256.upper()
            ).read_bytes()
            == BODY
        )
    assert len(site.requests) == 1
    assert visible(tmp_path / "new") == ["a.bin"]


def test_a_file_with_a_wrong_checksum_is_refused_and_deleted(site, tmp_path):
    site.files["/a.bin"] = BODY
    with pytest.raises(DownloadError, match=f"'.*/a.bin' is not the expected file: its sha256 is {SHA256}, not 00ff"):
        download(f"{site.url}/a.bin", tmp_path / "a.bin", sha256="00FF")
    assert visible(tmp_path) == []


def test_an_existing_file_with_another_checksum_is_replaced(site, tmp_path):
    site.files["/a.bin"] = BODY
    (tmp_path / "a.bin").write_bytes(b"old")
    assert download(f"{site.url}/a.bin", tmp_path / "a.bin").read_bytes() == b"old"
    assert download(f"{site.url}/a.bin", tmp_path / "a.bin", sha256=SHA256).read_bytes() == BODY


def test_an_existing_file_is_kept_until_the_download_is_complete(site, tmp_path):
    site.files["/a.bin"] = BODY
    site.drop_after = [1000] + [0] * 10
    (tmp_path / "a.bin").write_bytes(b"old")
    with pytest.raises(DownloadError, match="was lost after 1,000 of 256,000 bytes"):
        download(f"{site.url}/a.bin", tmp_path / "a.bin", sha256=SHA256)
    assert (tmp_path / "a.bin").read_bytes() == b"old"


def test_a_resumed_download_is_verified_as_a_whole(site, tmp_path):
    site.files["/a.bin"] = BODY
    site.drop_after = [1000] + [0] * 10
    with pytest.raises(DownloadError, match="are kept, and the next call resumes from them"):
        download(f"{site.url}/a.bin", tmp_path / "a.bin", sha256=SHA256)
    site.drop_after = []
    assert download(f"{site.url}/a.bin", tmp_path / "a.bin", sha256=SHA256).read_bytes() == BODY
    assert site.requests[-1] == ("/a.bin", "bytes=1000-")
    assert visible(tmp_path) == ["a.bin"]


def test_concurrent_downloads_of_one_file_download_it_once(site, tmp_path):
    site.files["/a.bin"] = BODY
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: download(f"{site.url}/a.bin", tmp_path / "a.bin"), range(4)))
    assert {path.read_bytes() for path in paths} == {BODY}
    assert len(site.requests) == 1


def test_a_folder_that_cannot_be_written_raises_an_error_that_says_so(site, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match="cannot write to '.*file': "):
        download(f"{site.url}/a.bin", tmp_path / "file" / "a.bin")


# ------------------------------------------------------------------ datasets


@pytest.fixture
def pets(site):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        info = tarfile.TarInfo("oxford-iiit-pet/images/pug_1.jpg")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"pug"))
    site.files["/sets/oxford-iiit-pet.tgz"] = file.getvalue()
    return f"{site.url}/sets/oxford-iiit-pet.tgz?version=1"


def test_a_dataset_is_downloaded_and_unpacked_once(pets, site, tmp_path):
    folder = untar_data(pets)
    assert folder == tmp_path / "home" / "data" / "oxford-iiit-pet"
    assert (folder / "images" / "pug_1.jpg").read_bytes() == b"pug"
    assert untar_data(pets) == folder
    assert len(site.requests) == 1
    assert visible(tmp_path / "home" / "archive") == ["oxford-iiit-pet.tgz"]


@pytest.mark.parametrize(("force_color", "expected"), [("1", True), ("", False)])
def test_a_progress_bar_is_shown_in_a_terminal_only(force_color, expected, pets, monkeypatch, capfd):
    monkeypatch.setenv("FORCE_COLOR", force_color)  # makes rich treat the output as a terminal
    untar_data(pets)
    out, err = capfd.readouterr()
    assert out == ""
    assert ("oxford-iiit-pet.tgz" in err) is expected


def test_the_folder_of_unpacked_datasets_is_searched_first(pets, site, tmp_path, monkeypatch):
    folder = tmp_path / "sets" / "oxford-iiit-pet"
    folder.mkdir(parents=True)
    monkeypatch.setenv("EYEBRIGHT_DATA", str(folder.parent))
    assert untar_data(URLs.PETS) == folder
    assert untar_data(pets) == folder
    assert site.requests == []


def test_a_dataset_that_is_not_in_that_folder_is_downloaded(pets, tmp_path, monkeypatch):
    monkeypatch.setenv("EYEBRIGHT_DATA", str(tmp_path / "nowhere"))
    assert untar_data(pets).is_relative_to(tmp_path / "home")


def test_force_download_replaces_the_folder(pets, site):
    folder = untar_data(pets)
    (folder / "mine.txt").write_text("added")
    assert untar_data(pets, force_download=True) == folder
    assert visible(folder) == ["images"]
    assert len(site.requests) == 2


def test_archive_data_base_and_c_key_choose_the_folders_as_in_fastai(pets, tmp_path):
    assert untar_data(pets, base=tmp_path / "b") == tmp_path / "b" / "data" / "oxford-iiit-pet"
    assert untar_data(pets, base=tmp_path / "b", c_key="sets") == tmp_path / "b" / "sets" / "oxford-iiit-pet"
    folder = untar_data(pets, archive=tmp_path / "packed", data=tmp_path / "unpacked")
    assert folder == tmp_path / "unpacked" / "oxford-iiit-pet"
    assert visible(tmp_path / "packed") == ["oxford-iiit-pet.tgz"]


def test_the_default_folder_is_in_the_users_home(monkeypatch, tmp_path):
    monkeypatch.delenv("EYEBRIGHT_HOME")
    monkeypatch.setattr(Path, "expanduser", lambda path: Path(str(path).replace("~", str(tmp_path))))
    folder = tmp_path / ".eyebright" / "data" / "pascal_2007"
    folder.mkdir(parents=True)
    assert untar_data(URLs.PASCAL_2007) == folder


def test_an_unknown_home_folder_raises_an_error_that_names_the_variable(monkeypatch):
    monkeypatch.setenv("EYEBRIGHT_HOME", "~unknown-user/sets")
    with pytest.raises(InputError, match=r"^the home folder in '~unknown-user/sets' is unknown .* EYEBRIGHT_HOME"):
        untar_data(URLs.PASCAL_2007)


def test_the_error_of_a_failed_download_names_eyebright_data(site):
    with pytest.raises(DownloadError, match=r"answers 404 .*unpacked folder 'gone', set EYEBRIGHT_DATA"):
        untar_data(f"{site.url}/gone.zip")


def test_the_known_size_of_an_archive_is_verified(pets, monkeypatch):
    monkeypatch.setitem(module._SIZES, pets, 7)
    with pytest.raises(DownloadError, match=r"expected 7 bytes, but the file has"):
        untar_data(pets)


def test_a_url_that_is_not_an_archive_is_refused(site):
    with pytest.raises(DownloadError, match="'labels.csv' is not a supported archive"):
        untar_data(f"{site.url}/labels.csv")


def test_every_named_dataset_is_an_archive_at_an_https_url():
    urls = {name: url for name, url in vars(URLs).items() if name.isupper()}
    assert len(urls) == len(set(urls.values())) == 32
    assert all(url.startswith("https://") and url.endswith((".tgz", ".zip")) for url in urls.values())


@pytest.mark.parametrize(
    "name",
    [".tgz", "..tgz", "...tgz", ".... .zip", ". .zip", "%2E%2E.tgz", "a%5Cb.tgz", "a%00.tgz", "C%3A.zip", ".tar.gz"],
)
@pytest.mark.parametrize("force", [True, False])
def test_a_url_whose_name_is_no_folder_is_refused_and_deletes_nothing(name, force, site, pets, tmp_path):
    site.files[f"/sets/{name}"] = site.files["/sets/oxford-iiit-pet.tgz"]
    folder = untar_data(pets)
    (tmp_path / "home" / "mine.txt").write_text("kept")
    with pytest.raises(DownloadError, match="is not the name of an archive: '.*' cannot name a folder"):
        untar_data(f"{site.url}/sets/{name}", force_download=force)
    assert visible(tmp_path / "home") == ["archive", "data", "mine.txt"]
    assert visible(folder) == ["images"]


def test_a_failed_forced_download_keeps_the_archive_and_the_folder(pets, site, tmp_path):
    folder = untar_data(pets)
    packed = site.files.pop("/sets/oxford-iiit-pet.tgz")
    with pytest.raises(DownloadError, match="answers 404"):
        untar_data(pets, force_download=True)
    assert (tmp_path / "home" / "archive" / "oxford-iiit-pet.tgz").read_bytes() == packed
    assert visible(folder) == ["images"]


def test_a_forced_download_never_replaces_a_folder_that_contains_the_archive(pets, tmp_path):
    folder = tmp_path / "data" / "oxford-iiit-pet"
    untar_data(pets, data=folder.parent)
    with pytest.raises(DownloadError, match="would be replaced, and the archive is in it"):
        untar_data(pets, data=folder.parent, archive=folder / "archives", force_download=True)
    assert (folder / "images" / "pug_1.jpg").read_bytes() == b"pug"


@pytest.mark.shared
@pytest.mark.parametrize("url", [URLs.PETS, URLs.PASCAL_2007, URLs.BIWI_HEAD_POSE, URLs.FRIDGE_OBJECTS])
def test_the_shared_unpacked_datasets_are_found(url, shared_data, monkeypatch):
    monkeypatch.setenv("EYEBRIGHT_DATA", str(shared_data))
    assert untar_data(url).parent == shared_data


@pytest.mark.parametrize("url", ["http://[::1/x.tgz", "http://a\0/x.tgz", "http://a:b/x.tgz"])
def test_what_is_no_address_is_a_download_error_of_every_function(url, tmp_path):
    with pytest.raises(DownloadError, match="cannot download 'http:"):
        untar_data(url, base=tmp_path)
    with pytest.raises(DownloadError, match="cannot download 'http:"):
        download(url, tmp_path / "x")
