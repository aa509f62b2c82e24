"""Download of one file over HTTP that resumes after an interruption.

A partial file is only continued if the server confirms that the file has not changed: its validator (a strong ETag, or
otherwise its date) is stored in a metadata file next to the partial file and sent as ``If-Range`` (RFC 9110, section
13.1.5). A server that sends no validator, or does not support ranges, sends the whole file again.
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

from eyebright.errors import DownloadError, os_reason, printable, shortened

OnProgress = Callable[[int, int | None], None]
"""Called with the number of bytes received and the total number, which is None if the server does not send it."""

_MAX_ATTEMPTS = 5  # in a row that receive no new byte
_PAUSE = 1.0  # seconds before the second attempt; doubled for each later attempt
_TIMEOUT = 30.0  # seconds without receiving data
_CHUNK_BYTES = 1 << 20  # bytes
_RANGE_NOT_SATISFIABLE = 416
_TEMPORARY_ERRORS = (408, 425, 429, 500, 502, 503, 504)


def transfer(
    url: str,
    partial: Path,
    *,
    size: int | None = None,
    progress: OnProgress | None = None,
    timeout: float = _TIMEOUT,
    attempts: int = _MAX_ATTEMPTS,
) -> None:
    """Download ``url`` to ``partial``, retrying and resuming when the connection is lost.

    After an error or an interruption the received bytes stay in ``partial``, and the next call resumes from them.

    Args:
        url: http or https.
        partial: the file to write; a small metadata file is kept next to it.
        size: the expected size in bytes, if known.
        progress: called after each chunk.
        timeout: seconds without receiving data after which an attempt has failed.
        attempts: number of attempts in a row without a new byte after which the download has failed.

    Raises:
        DownloadError: the server cannot be reached, answers with an error or has a file of another size; or the disk
            is full.
    """
    check_url(url)
    largest, failures = _size_of(partial), 0
    while problem := _attempt(url, partial, size, progress, timeout):
        received = _size_of(partial)
        failures = 1 if received > largest else failures + 1
        largest = max(largest, received)
        if failures >= attempts:
            hint = (
                f"; the {received:,} bytes received are kept, and the next call resumes from them" if received else ""
            )
            raise DownloadError(f"cannot download '{url}': {problem}{hint}")
        time.sleep(_PAUSE * 2 ** (failures - 1))


def check_url(url: str) -> None:
    """Raises `DownloadError` for what is not an address of a file on a server.

    Raises:
        DownloadError: the scheme is not http or https, or there is no host or no valid port.
    """
    shown = shortened(printable(url))
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise DownloadError(f"cannot download '{shown}': the URL must begin with https:// or http://")
        if not parts.hostname or parts.port == 0 or not url.isprintable():
            raise DownloadError(f"cannot download '{shown}': it has no host, no valid port, or control characters")
        parts.hostname.encode("idna")
    except ValueError as error:  # UnicodeError is one, too
        raise DownloadError(f"cannot download '{shown}': it is not a valid URL ({shortened(str(error))})") from None


def delete_partial(partial: Path) -> None:
    """Delete a partial file and its metadata."""
    partial.unlink(missing_ok=True)
    delete_metadata(partial)


def delete_metadata(partial: Path) -> None:
    """Delete the metadata of a file that is complete."""
    _metadata_path(partial).unlink(missing_ok=True)


@dataclass(frozen=True)
class _Metadata:
    """Identifies the remote file that a partial file belongs to.

    Args:
        url: its URL.
        validator: its ETag or date; None if the server sent neither.
        total: its size in bytes; None if the server did not send it.
    """

    url: str
    validator: str | None
    total: int | None


def _attempt(url: str, partial: Path, size: int | None, progress: OnProgress | None, timeout: float) -> str | None:
    """None if the file is complete; otherwise the description of an error that may be temporary."""
    metadata = _read_metadata(partial, url)
    received = _size_of(partial) if metadata else 0
    if metadata and received and received == metadata.total:
        return None
    try:
        with urlopen(_request(url, received, metadata), timeout=timeout) as response:
            metadata, received = _start(response, url, partial, metadata, received)
            _check_size(url, partial, metadata.total, size)
            return _receive(response, partial, metadata.total, received, progress)
    except HTTPError as error:
        error.close()
        problem = f"the server answers {error.code} {error.reason}"
        if error.code == _RANGE_NOT_SATISFIABLE and received:
            delete_partial(partial)
        elif error.code not in _TEMPORARY_ERRORS:
            raise DownloadError(f"cannot download '{url}': {problem}") from error
        return problem
    except URLError as error:
        return f"the server cannot be reached ({error.reason})"
    except (OSError, http.client.HTTPException) as error:
        return f"the connection was lost ({error or type(error).__name__})"


def _request(url: str, received: int, metadata: _Metadata | None) -> Request:
    headers = {"User-Agent": "eyebright", "Accept-Encoding": "identity"}
    if received and metadata and metadata.validator:
        headers |= {"Range": f"bytes={received}-", "If-Range": metadata.validator}
    return Request(url, headers=headers)


def _start(
    response: http.client.HTTPResponse, url: str, partial: Path, metadata: _Metadata | None, received: int
) -> tuple[_Metadata, int]:
    """The metadata of the response, and the number of bytes in ``partial`` that it continues (0 for a whole file)."""
    if response.status == http.client.PARTIAL_CONTENT and metadata is not None:
        expected = f"bytes {received}-{(metadata.total or 0) - 1}/{metadata.total}"
        if response.headers.get("Content-Range", "") == expected:
            return metadata, received
        delete_partial(partial)
        raise http.client.HTTPException("the server sent another range than requested")
    length = response.headers.get("Content-Length")
    tag = response.headers.get("ETag", "")
    validator = tag if tag.startswith('"') else response.headers.get("Last-Modified")
    metadata = _Metadata(url, validator, int(length) if length else None)
    try:
        partial.write_bytes(b"")  # first, so that an old partial file never has new metadata
        _metadata_path(partial).write_text(json.dumps(asdict(metadata)), encoding="utf-8")
    except OSError as error:
        raise _write_error(partial, error) from error
    return metadata, 0


def _check_size(url: str, partial: Path, total: int | None, size: int | None) -> None:
    if size is not None and total is not None and total != size:
        delete_partial(partial)
        raise DownloadError(f"cannot download '{url}': expected {size:,} bytes, but the file has {total:,}")


def _receive(
    response: http.client.HTTPResponse, partial: Path, total: int | None, received: int, progress: OnProgress | None
) -> str | None:
    """Append the response to ``partial``; returns None or, like `_attempt`, the description of an error."""
    with partial.open("ab") as file:
        while chunk := response.read(_CHUNK_BYTES):
            try:
                file.write(chunk)
            except OSError as error:
                raise _write_error(partial, error) from error
            received += len(chunk)
            if progress is not None:
                progress(received, total)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and received < total:
        return f"the connection was lost after {received:,} of {total:,} bytes"
    return None


def _write_error(partial: Path, error: OSError) -> DownloadError:
    return DownloadError(f"cannot write '{partial}': {os_reason(error).lower()}")


def _metadata_path(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.json")


def _read_metadata(partial: Path, url: str) -> _Metadata | None:
    """The metadata of a partial file; None if it is missing, damaged or for another URL."""
    try:
        metadata = _Metadata(**json.loads(_metadata_path(partial).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return metadata if metadata.url == url else None


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
