"""Download of many images: what is broken is said, and does not stop the others."""

import pytest

from eyebright.errors import InputError
from eyebright.io.download_images import download_images


def contents(folder):
    return sorted(path.read_bytes() for path in folder.iterdir())


def test_images_are_downloaded_and_a_second_call_adds_to_them(site, tmp_path):
    site.files = {"/a.png": b"one", "/b/a.png": b"two", "/c": b"three"}
    assert download_images(tmp_path / "new" / "bears", urls=[f"{site.url}/a.png", f"{site.url}/b/a.png"]) == {}
    assert download_images(tmp_path / "new" / "bears", urls=[f"{site.url}/c", f"{site.url}/a.png"]) == {}
    assert contents(tmp_path / "new" / "bears") == [b"one", b"three", b"two"]
    assert sorted(path.suffix for path in (tmp_path / "new" / "bears").iterdir()) == [".jpg", ".png", ".png"]
    assert [path for path, _ in site.requests].count("/a.png") == 1  # the same URL is not downloaded again


def test_an_address_that_differs_in_its_query_alone_is_another_image(site, tmp_path):
    site.files = {"/a.png": b"one"}
    download_images(tmp_path, urls=[f"{site.url}/a.png?id=1", f"{site.url}/a.png?id=2"])
    assert len(contents(tmp_path)) == 2


def test_broken_addresses_are_returned_with_a_warning_and_leave_no_files(site, tmp_path):
    site.files = {"/a.png": b"one"}
    urls = ["no url", f"{site.url}/missing.jpg", f"{site.url}/a.png", "http://[::bad"]
    with pytest.warns(UserWarning, match=r"3 of 4 images could not be downloaded, such as 'no url' \(cannot download"):
        failed = download_images(tmp_path, urls=urls)
    assert set(failed) == {urls[0], urls[1], urls[3]}
    assert "404" in failed[urls[1]]
    assert contents(tmp_path) == [b"one"]


def test_an_interrupted_download_leaves_no_part_of_a_file(site, tmp_path):
    site.files, site.drop_after = {"/a.png": b"0123456789"}, [4, 0, 0, 0]
    with pytest.warns(UserWarning, match="the connection was lost after 4 of 10 bytes"):
        download_images(tmp_path, urls=[f"{site.url}/a.png"])
    assert contents(tmp_path) == []


def test_names_are_kept_on_request_and_never_twice(site, tmp_path):
    site.files = {"/a.png": b"one", "/b/a.png": b"two"}
    (tmp_path / "a.png").write_bytes(b"mine")
    download_images(tmp_path, urls=[f"{site.url}/a.png", f"{site.url}/b/a.png"], preserve_filename=True)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert kept == {"a.png": b"mine", "a_1.png": b"one", "a_2.png": b"two"}


def test_names_in_urls_that_no_file_can_have_stop_no_download(site, tmp_path):
    long = "a" * 300
    site.files = {
        f"/{long}.png": b"one",
        f"/{long}b.png": b"two",
        "/nul%00.png": b"three",
        "/A.png": b"four",
        "/a.png": b"five",
    }
    urls = [site.url + path for path in site.files]
    assert download_images(tmp_path, urls=urls, preserve_filename=True) == {}
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert kept == {
        "a" * 200 + ".png": b"one", "a" * 200 + "_1.png": b"two", "nul.png": b"three", "A.png": b"four",
        "a_1.png": b"five",  # one file with A.png where case makes no difference
    }  # fmt: skip


def test_urls_come_from_a_file_up_to_max_pics(site, tmp_path):
    site.files = {"/a.png": b"one", "/b.png": b"two"}
    (tmp_path / "urls.txt").write_text(f"{site.url}/a.png\n\n{site.url}/b.png\n{site.url}/c.png\n")
    assert download_images(tmp_path / "to", tmp_path / "urls.txt", max_pics=2) == {}
    assert contents(tmp_path / "to") == [b"one", b"two"]


def test_wrong_arguments_are_errors(tmp_path):
    with pytest.raises(InputError, match="give `url_file`, a text file with one URL a line, or `urls`"):
        download_images(tmp_path)
    with pytest.raises(InputError, match="cannot read the list of URLs"):
        download_images(tmp_path, tmp_path / "missing.txt")
    with pytest.raises(InputError, match="`urls` is a list of URLs, got the text 'http://a'"):
        download_images(tmp_path, urls="http://a")
    with pytest.raises(TypeError, match="has no keyword 'url'. Did you mean 'urls'"):
        download_images(tmp_path, url=[])  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize("known", [True, False])
def test_a_file_that_is_too_large_for_an_image_fails_and_leaves_nothing(known, site, tmp_path, monkeypatch):
    monkeypatch.setattr("eyebright.io.download_images._MAX_BYTES", 2_000_000)
    site.files = {"/a.png": bytes(5_000_000), "/b.png": b"two"}
    site.lengths = known
    with pytest.warns(UserWarning, match=r"1 of 2 images .* \(the file has more than 2 MB, too many for an image\)"):
        download_images(tmp_path, urls=[f"{site.url}/a.png", f"{site.url}/b.png"])
    assert contents(tmp_path) == [b"two"]
