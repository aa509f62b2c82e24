"""One file from a server to the disk, going on where an earlier try broke off.

A half is only continued when the server says that the file is still the same one: its validator (a strong ETag, else
its date) is kept in a note beside the half and sent as ``If-Range`` (RFC 9110, section 13.1.5). A server that has
neither, or that cannot send ranges, gives the whole file again.
"""

import http.client
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from eyebright.errors import DownloadError

OnProgress = Callable[[int, int | None], None]
"""Called with the bytes that are there and, when it is known, how many there will be."""

_ATTEMPTS = 5  # in a row without a new byte
_PAUSE = 1.0  # seconds before the second attempt; doubled for each one after it
_TIMEOUT = 30.0  # seconds without a byte
_CHUNK = 1 << 20
_RANGE_NOT_SATISFIABLE = 416
_WORTH_ANOTHER_TRY = (408, 425, 429, 500, 502, 503, 504)


def transfer(url: str, part: Path, *, size: int | None = None, progress: OnProgress | None = None) -> None:
    """Fill ``part`` with what is at ``url``, trying again and going on when the connection breaks off.

    What has arrived stays in ``part`` when this fails or is interrupted; the next call goes on from there.

    Args:
        url: http or https.
        part: the file for what has arrived; a small note is kept beside it.
        size: how many bytes there must be, where that is known.
        progress: told after each piece.

    Raises:
        DownloadError: the server refuses, has a file of another size, or cannot be reached; or the disk is full.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise DownloadError(f"cannot download '{url}': an address begins with https:// or http://")
    most, failures = _size_of(part), 0
    while problem := _attempt(url, part, size, progress):
        there = _size_of(part)
        failures = 1 if there > most else failures + 1
        most = max(most, there)
        if failures >= _ATTEMPTS:
            kept = f"; the {there:,} bytes that arrived are kept, the next call goes on from there" if there else ""
            raise DownloadError(f"cannot download '{url}': {problem}{kept}")
        time.sleep(_PAUSE * 2 ** (failures - 1))


def forget(part: Path) -> None:
    """Remove what has arrived, and its note."""
    part.unlink(missing_ok=True)
    forget_note(part)


def forget_note(part: Path) -> None:
    """Remove the note alone, when the file is complete."""
    _note_path(part).unlink(missing_ok=True)


@dataclass(frozen=True)
class _Note:
    """Which file a half belongs to."""

    url: str
    validator: str | None
    total: int | None


def _attempt(url: str, part: Path, size: int | None, progress: OnProgress | None) -> str | None:
    """None when the whole file is there, else what went wrong and may go better the next time."""
    note = _read_note(part, url)
    have = _size_of(part) if note else 0
    if note and have and have == note.total:
        return None
    try:
        with urlopen(_request(url, have, note), timeout=_TIMEOUT) as response:
            note, have = _begin(response, url, part, note, have)
            _check_size(url, part, note.total, size)
            return _receive(response, part, note, have, progress)
    except HTTPError as error:
        error.close()
        answer = f"the server answers {error.code} {error.reason}"
        if error.code == _RANGE_NOT_SATISFIABLE and have:
            forget(part)
        elif error.code not in _WORTH_ANOTHER_TRY:
            raise DownloadError(f"cannot download '{url}': {answer}") from error
        return answer
    except URLError as error:
        return f"the server cannot be reached ({error.reason})"
    except (OSError, http.client.HTTPException) as error:
        return f"the connection broke off ({error or type(error).__name__})"


def _request(url: str, have: int, note: _Note | None) -> Request:
    headers = {"User-Agent": "eyebright", "Accept-Encoding": "identity"}
    if have and note and note.validator:
        headers |= {"Range": f"bytes={have}-", "If-Range": note.validator}
    return Request(url, headers=headers)


def _begin(
    response: http.client.HTTPResponse, url: str, part: Path, note: _Note | None, have: int
) -> tuple[_Note, int]:
    """The note for what is about to arrive, and how many bytes of it are there already."""
    if response.status == http.client.PARTIAL_CONTENT and note is not None:
        if response.headers.get("Content-Range", "") == f"bytes {have}-{(note.total or 0) - 1}/{note.total}":
            return note, have
        forget(part)
        raise http.client.HTTPException("the server sent another part than was asked for")
    length = response.headers.get("Content-Length")
    tag = response.headers.get("ETag", "")
    validator = tag if tag.startswith('"') else response.headers.get("Last-Modified")
    note = _Note(url, validator, int(length) if length else None)
    try:
        part.write_bytes(b"")  # before the note: an old half must never lie beside a new note
        _note_path(part).write_text(json.dumps(asdict(note)), encoding="utf-8")
    except OSError as error:
        raise _cannot_write(part, error) from error
    return note, 0


def _check_size(url: str, part: Path, total: int | None, size: int | None) -> None:
    if size is not None and total is not None and total != size:
        forget(part)
        raise DownloadError(
            f"cannot download '{url}': it has {total:,} bytes now, {size:,} were expected; it has changed"
        )


def _receive(
    response: http.client.HTTPResponse, part: Path, note: _Note, have: int, progress: OnProgress | None
) -> str | None:
    with part.open("ab") as file:
        while chunk := response.read(_CHUNK):
            try:
                file.write(chunk)
            except OSError as error:
                raise _cannot_write(part, error) from error
            have += len(chunk)
            if progress is not None:
                progress(have, note.total)
        file.flush()
        os.fsync(file.fileno())
    if note.total is not None and have < note.total:
        return f"the connection broke off after {have:,} of {note.total:,} bytes"
    return None


def _cannot_write(part: Path, error: OSError) -> DownloadError:
    return DownloadError(f"cannot write '{part}': {(error.strerror or str(error)).lower()}")


def _note_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_note(part: Path, url: str) -> _Note | None:
    """The note beside a half, when it is about the same address."""
    try:
        note = _Note(**json.loads(_note_path(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # no note, or one that was cut off: the half is worth nothing
    return note if note.url == url else None


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
