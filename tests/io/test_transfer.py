"""Resumable download, against a local web server that loses connections, refuses requests or changes files."""

import os

import pytest

from eyebright.errors import DownloadError
from eyebright.io import transfer as module
from eyebright.io.transfer import transfer

BODY = os.urandom(300_000)


@pytest.fixture(autouse=True)
def fast_retries(monkeypatch):
    monkeypatch.setattr(module, "_PAUSE", 0.001)
    monkeypatch.setattr(module, "_CHUNK_BYTES", 10_000)


@pytest.fixture
def partial(tmp_path):
    return tmp_path / "file.partial"


@pytest.fixture
def url(site):
    site.files["/file"] = BODY
    return f"{site.url}/file"


def test_a_file_is_downloaded_and_progress_is_reported(url, partial):
    reports = []
    transfer(url, partial, progress=lambda done, total: reports.append((done, total)))
    assert partial.read_bytes() == BODY
    assert reports[-1] == (len(BODY), len(BODY))
    assert reports == sorted(reports)
    assert len(reports) >= 30


def test_an_empty_file_is_downloaded(site, partial):
    site.files["/empty"] = b""
    transfer(f"{site.url}/empty", partial)
    assert partial.read_bytes() == b""


def test_a_download_resumes_after_a_lost_connection(url, site, partial):
    site.drop_after = [100_000, 50_000]
    transfer(url, partial)
    assert partial.read_bytes() == BODY
    assert site.requests == [("/file", None), ("/file", "bytes=100000-"), ("/file", "bytes=150000-")]


def test_the_next_call_resumes_an_interrupted_download(url, site, partial):
    def interrupt(done, _total):
        if done >= 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="^$"):
        transfer(url, partial, progress=interrupt)
    assert partial.read_bytes() == BODY[: partial.stat().st_size]
    received = partial.stat().st_size
    transfer(url, partial)
    assert partial.read_bytes() == BODY
    assert site.requests[1:] == [("/file", f"bytes={received}-")]


def test_a_complete_partial_file_is_not_requested_again(url, site, partial):
    transfer(url, partial)
    transfer(url, partial)
    assert len(site.requests) == 1


def test_a_file_that_changed_on_the_server_is_downloaded_from_the_start(url, site, partial):
    site.drop_after, site.errors = [100_000], []
    download_partially(url, partial, site)
    site.files["/file"], site.etag = BODY[::-1], '"two"'
    transfer(url, partial)
    assert partial.read_bytes() == BODY[::-1]


def download_partially(url, partial, site):
    """Download about a third of the file to ``partial``."""

    def interrupt(done, _total):
        if done >= 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="^$"):
        transfer(url, partial, progress=interrupt)
    assert 0 < partial.stat().st_size < len(BODY)


@pytest.mark.parametrize("tag", [None, 'W/"weak"'])
def test_without_a_strong_validator_the_file_is_downloaded_from_the_start(tag, url, site, partial):
    site.etag = tag
    download_partially(url, partial, site)
    transfer(url, partial)
    assert partial.read_bytes() == BODY
    assert [range_header for _, range_header in site.requests] == [None, None]


def test_a_server_without_ranges_sends_the_whole_file_again(url, site, partial):
    site.ranges = False
    download_partially(url, partial, site)
    transfer(url, partial)
    assert partial.read_bytes() == BODY


def test_a_partial_file_of_another_url_is_not_used(url, site, partial):
    site.files["/other"] = BODY[::-1]
    download_partially(url, partial, site)
    transfer(f"{site.url}/other", partial)
    assert partial.read_bytes() == BODY[::-1]


@pytest.mark.parametrize("metadata", ["", "{", "[]", '{"url": 1, "more": 2}'])
def test_a_partial_file_with_damaged_metadata_is_not_used(metadata, url, site, partial):
    partial.write_bytes(b"rubbish")
    partial.with_name("file.partial.json").write_text(metadata)
    transfer(url, partial)
    assert partial.read_bytes() == BODY


def test_a_partial_file_longer_than_the_file_is_discarded(url, site, partial):
    download_partially(url, partial, site)
    partial.write_bytes(BODY + b"more")
    transfer(url, partial)
    assert partial.read_bytes() == BODY


def test_a_temporary_server_error_is_retried(url, site, partial):
    site.errors = [503, 429, 500]
    transfer(url, partial)
    assert partial.read_bytes() == BODY


def test_a_lasting_server_error_is_reported_after_five_attempts(url, site, partial):
    site.errors = [503] * 5
    with pytest.raises(DownloadError, match=r"cannot download 'http://127.*/file': the server answers 503"):
        transfer(url, partial)
    assert len(site.requests) == 5


def test_a_missing_file_is_reported_without_a_retry(site, partial):
    with pytest.raises(DownloadError, match=r"cannot download '.*/nowhere': the server answers 404 Not Found"):
        transfer(f"{site.url}/nowhere", partial)
    assert len(site.requests) == 1


def test_the_error_of_a_lost_connection_says_how_many_bytes_are_kept(url, site, partial):
    site.drop_after = [100_000] + [0] * 10
    with pytest.raises(DownloadError, match=r"was lost after 100,000 of 300,000 bytes; the 100,000 bytes .* are kept"):
        transfer(url, partial)
    site.drop_after = []
    transfer(url, partial)
    assert partial.read_bytes() == BODY


def test_retries_end_when_a_server_without_ranges_loses_each_connection(url, site, partial):
    site.ranges = False
    site.drop_after = [100_000] * 20
    with pytest.raises(DownloadError, match="was lost after 100,000 of 300,000"):
        transfer(url, partial)
    assert len(site.requests) <= 6


def test_an_unreachable_server_raises_an_error_that_says_so(site, partial):
    with pytest.raises(DownloadError, match=r"the server cannot be reached \(.*refused"):
        transfer("http://127.0.0.1:9/file", partial)


def test_a_file_of_another_size_is_refused_before_it_is_downloaded(url, partial):
    with pytest.raises(DownloadError, match="expected 5 bytes, but the file has 300,000"):
        transfer(url, partial, size=5)
    assert not partial.exists()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.com/a.zip", "a.zip"])
def test_only_http_and_https_urls_are_downloaded(url, partial):
    with pytest.raises(DownloadError, match="the URL must begin with https:// or http://"):
        transfer(url, partial)


def test_a_full_disk_during_a_download_raises_an_error_that_says_so(url, partial, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", refuse)
    with pytest.raises(DownloadError, match=r"cannot write '.*file.partial': no space left on device"):
        transfer(url, partial)


@pytest.mark.parametrize(
    "url",
    ["http://[::1/x", "http://a\0b/x", "http://a/\0", "http://a:99999/x", "http://a:b/x", "http:///x", "http://a..b/x"],
)
def test_what_is_no_address_is_an_error_that_shows_it_with_escapes(url, partial):
    with pytest.raises(DownloadError, match="cannot download 'http:") as raised:
        transfer(url, partial)
    assert "\0" not in str(raised.value)
    assert not partial.exists()
