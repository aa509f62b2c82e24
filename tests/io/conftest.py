"""A small web server for the tests of downloads."""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Site:
    """A web server on this machine, and how it misbehaves.

    Args:
        url: where it is.
        files: what it has, by path.
        tag: the ETag of every file; None for none at all.
        ranges: it can send a part of a file.
        cut: for each of the next answers, after how many bytes the connection breaks off.
        refuse: for each of the next requests, the status that it is answered with.
        asked: (path, Range header) of every request.
    """

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    tag: str | None = '"one"'
    ranges: bool = True
    cut: list[int] = field(default_factory=list)
    refuse: list[int] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)


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
        asked = self.headers.get("Range")
        path = self.path.partition("?")[0]
        site.asked.append((path, asked))
        body = site.files.get(path)
        if site.refuse or body is None:
            self.send_error(site.refuse.pop(0) if site.refuse else 404)
            return
        start = self._start(site, asked)
        if start >= len(body) > 0:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if site.tag is not None:
            self.send_header("ETag", site.tag)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = start + site.cut.pop(0) if site.cut else len(body)
        self.wfile.write(body[start:end])
        self.close_connection = True

    def _start(self, site: Site, asked: str | None) -> int:
        same = self.headers.get("If-Range") in (None, site.tag)
        match = re.fullmatch(r"bytes=(\d+)-", asked or "")
        return int(match[1]) if match and site.ranges and same else 0

    def log_message(self, *_args: Any) -> None:
        """Keep the tests quiet."""
