"""A local web server for the tests of downloads."""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Site:
    """A local web server with configurable failures.

    Args:
        url: its URL.
        files: the content of its files, by path.
        etag: the ETag of every file; None sends none.
        ranges: True if it supports range requests.
        lengths: True if it sends the length of every file.
        drop_after: for each of the next responses, the number of bytes after which the connection is closed.
        errors: for each of the next requests, the HTTP status of the response.
        requests: (path, Range header) of every request.
    """

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    etag: str | None = '"one"'
    ranges: bool = True
    lengths: bool = True
    drop_after: list[int] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)
    requests: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture
def site() -> Iterator[Site]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.site = Site(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.site  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        site: Site = self.server.site  # type: ignore[attr-defined]
        range_header = self.headers.get("Range")
        path = self.path.partition("?")[0]
        site.requests.append((path, range_header))
        body = site.files.get(path)
        if site.errors or body is None:
            self.send_error(site.errors.pop(0) if site.errors else 404)
            return
        start = self._start(site, range_header)
        if start >= len(body) > 0:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if site.etag is not None:
            self.send_header("ETag", site.etag)
        if site.lengths:
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = start + site.drop_after.pop(0) if site.drop_after else len(body)
        self.wfile.write(body[start:end])
        self.close_connection = True

    def _start(self, site: Site, range_header: str | None) -> int:
        unchanged = self.headers.get("If-Range") in (None, site.etag)
        match = re.fullmatch(r"bytes=(\d+)-", range_header or "")
        return int(match[1]) if match and site.ranges and unchanged else 0

    def log_message(self, *_args: Any) -> None:
        """Keep the tests quiet."""
