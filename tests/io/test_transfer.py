"""A file arrives whole whatever the server does, or the error says what to do; checked over a local web server."""

import os

import pytest

from eyebright.errors import DownloadError
from eyebright.io import transfer as module
from eyebright.io.transfer import transfer

BODY = os.urandom(300_000)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(module, "_PAUSE", 0.001)
    monkeypatch.setattr(module, "_CHUNK", 10_000)


@pytest.fixture
def part(tmp_path):
    return tmp_path / "file.part"


@pytest.fixture
def url(site):
    site.files["/file"] = BODY
    return f"{site.url}/file"


def test_a_file_arrives_as_it_is_and_progress_is_told(url, part):
    told = []
    transfer(url, part, progress=lambda done, total: told.append((done, total)))
    assert part.read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY))
    assert told == sorted(told)
    assert len(told) >= 30


def test_an_empty_file_arrives(site, part):
    site.files["/empty"] = b""
    transfer(f"{site.url}/empty", part)
    assert part.read_bytes() == b""


def test_a_connection_that_breaks_off_is_taken_up_where_it_was(url, site, part):
    site.cut = [100_000, 50_000]
    transfer(url, part)
    assert part.read_bytes() == BODY
    assert site.asked == [("/file", None), ("/file", "bytes=100000-"), ("/file", "bytes=150000-")]


def test_a_later_call_goes_on_where_an_interrupted_one_was(url, site, part):
    def interrupt(done, _total):
        if done >= 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="^$"):
        transfer(url, part, progress=interrupt)
    assert part.read_bytes() == BODY[: part.stat().st_size]
    arrived = part.stat().st_size
    transfer(url, part)
    assert part.read_bytes() == BODY
    assert site.asked[1:] == [("/file", f"bytes={arrived}-")]


def test_a_complete_part_is_not_asked_for_again(url, site, part):
    transfer(url, part)
    transfer(url, part)
    assert len(site.asked) == 1


def test_a_file_that_has_changed_meanwhile_is_never_glued_to_the_old_half(url, site, part):
    site.cut, site.refuse = [100_000], []
    interrupted(url, part, site)
    site.files["/file"], site.tag = BODY[::-1], '"two"'
    transfer(url, part)
    assert part.read_bytes() == BODY[::-1]


def interrupted(url, part, site):
    """Leave a third of the file in ``part``."""

    def interrupt(done, _total):
        if done >= 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="^$"):
        transfer(url, part, progress=interrupt)
    assert 0 < part.stat().st_size < len(BODY)


@pytest.mark.parametrize("tag", [None, 'W/"weak"'])
def test_without_a_strong_validator_the_file_comes_anew(tag, url, site, part):
    site.tag = tag
    interrupted(url, part, site)
    transfer(url, part)
    assert part.read_bytes() == BODY
    assert [asked for _, asked in site.asked] == [None, None]


def test_a_server_without_ranges_sends_the_whole_file_again(url, site, part):
    site.ranges = False
    interrupted(url, part, site)
    transfer(url, part)
    assert part.read_bytes() == BODY


def test_a_half_of_another_address_is_not_used(url, site, part):
    site.files["/other"] = BODY[::-1]
    interrupted(url, part, site)
    transfer(f"{site.url}/other", part)
    assert part.read_bytes() == BODY[::-1]


@pytest.mark.parametrize("note", ["", "{", "[]", '{"url": 1, "more": 2}'])
def test_a_half_with_a_damaged_note_is_not_used(note, url, site, part):
    part.write_bytes(b"rubbish")
    part.with_name("file.part.json").write_text(note)
    transfer(url, part)
    assert part.read_bytes() == BODY


def test_a_half_that_is_longer_than_the_file_starts_anew(url, site, part):
    interrupted(url, part, site)
    part.write_bytes(BODY + b"more")
    transfer(url, part)
    assert part.read_bytes() == BODY


def test_a_busy_server_is_asked_again(url, site, part):
    site.refuse = [503, 429, 500]
    transfer(url, part)
    assert part.read_bytes() == BODY


def test_a_server_that_stays_busy_is_an_error(url, site, part):
    site.refuse = [503] * 5
    with pytest.raises(DownloadError, match=r"cannot download 'http://127.*/file': the server answers 503"):
        transfer(url, part)
    assert len(site.asked) == 5


def test_a_missing_file_is_an_error_at_once(site, part):
    with pytest.raises(DownloadError, match=r"cannot download '.*/nowhere': the server answers 404 Not Found"):
        transfer(f"{site.url}/nowhere", part)
    assert len(site.asked) == 1


def test_a_file_that_is_cut_off_again_and_again_says_what_is_kept(url, site, part):
    site.cut = [100_000] + [0] * 10
    with pytest.raises(DownloadError, match=r"broke off after 100,000 of 300,000 bytes; the 100,000 bytes .* are kept"):
        transfer(url, part)
    site.cut = []
    transfer(url, part)
    assert part.read_bytes() == BODY


def test_a_server_that_cuts_off_and_cannot_go_on_is_not_asked_for_ever(url, site, part):
    site.ranges = False
    site.cut = [100_000] * 20
    with pytest.raises(DownloadError, match="broke off after 100,000 of 300,000"):
        transfer(url, part)
    assert len(site.asked) <= 6


def test_a_server_that_is_not_there_says_so(site, part):
    with pytest.raises(DownloadError, match=r"the server cannot be reached \(.*refused"):
        transfer("http://127.0.0.1:9/file", part)


def test_a_file_of_another_size_is_refused_before_it_is_fetched(url, part):
    with pytest.raises(DownloadError, match="it has 300,000 bytes now, 5 were expected; it has changed"):
        transfer(url, part, size=5)
    assert not part.exists()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.com/a.zip", "a.zip"])
def test_only_web_addresses_are_fetched(url, part):
    with pytest.raises(DownloadError, match="an address begins with https:// or http://"):
        transfer(url, part)


def test_a_full_disk_says_so(url, part, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", refuse)
    with pytest.raises(DownloadError, match=r"cannot write '.*file.part': no space left on device"):
        transfer(url, part)
