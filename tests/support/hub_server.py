"""A stand-in for the HTTP interface of the Hugging Face hub, on this machine: repositories, uploads and downloads.

It follows the requests of huggingface_hub: ``repos/create``, ``preupload``, LFS batches, ``commit`` (NDJSON), ``tree``,
and ``resolve`` with ``ETag``, ``X-Repo-Commit`` and ranges of bytes.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class StandIn:
    """What the server holds, and how it fails.

    Args:
        repositories: by name the files of the main branch, by path.
        private: names of repositories that only a request with a token sees.
        stored: large files by their SHA-256.
        requests: (method, path) of every request.
        fail: (part of a path, status) of requests that are refused.
        cut: paths whose next answer ends after half of its bytes.
        url: the url of the server.
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    stored: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    fail: dict[str, int] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    url: str = ""

    def commit(self, name: str) -> str:
        """The commit of a repository: a hash of its content."""
        digest = hashlib.sha1()
        for path, data in sorted(self.repositories[name].items()):
            digest.update(path.encode() + b"\0" + data)
        return digest.hexdigest()


@contextmanager
def running() -> Iterator[StandIn]:
    """A stand-in that answers until the end."""
    state = StandIn()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: StandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        pass

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def do_PUT(self) -> None:
        self._answer(self._body())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while length := int(self.rfile.readline(), 16):
            body += self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, body: bytes) -> None:
        path = unquote(urlsplit(self.path).path)
        self.state.requests.append((self.command, path))
        for part, status in self.state.fail.items():
            if part in path:
                return self._send(status, {"error": "refused"})
        for pattern, method in _ROUTES:
            if (match := re.fullmatch(pattern, path)) is not None:
                return getattr(self, method)(*match.groups(), body)
        return self._send(404, {"error": path}, {"X-Error-Code": "RepoNotFound"})

    def _create(self, body: bytes) -> None:
        given = json.loads(body)
        name = f"{given['organization']}/{given['name']}" if given.get("organization") else given["name"]
        if name in self.state.repositories:
            return self._send(409, {"error": "exists", "url": f"{self.state.url}/{name}"})
        self.state.repositories[name] = {}
        if given.get("private") or given.get("visibility") == "private":
            self.state.private.add(name)
        return self._send(200, {"url": f"{self.state.url}/{name}"})

    def _validate(self, body: bytes) -> None:
        self._send(200, {"errors": [], "warnings": []})

    def _preupload(self, name: str, revision: str, body: bytes) -> None:
        files = [
            {
                "path": one["path"],
                "uploadMode": "lfs" if one["path"].endswith((".safetensors", ".parquet")) else "regular",
                "shouldIgnore": False,
                "oid": None,
            }
            for one in json.loads(body)["files"]
        ]
        self._send(200, {"files": files})

    def _batch(self, name: str, body: bytes) -> None:
        objects: list[dict[str, Any]] = []
        for one in json.loads(body)["objects"]:
            upload = {"upload": {"href": f"{self.state.url}/lfs/{one['oid']}"}}
            known = one["oid"] in self.state.stored
            objects.append({"oid": one["oid"], "size": one["size"], **({} if known else {"actions": upload})})
        self._send(200, {"transfer": "basic", "objects": objects})

    def _store(self, oid: str, body: bytes) -> None:
        self.state.stored[oid] = body
        self._send(200, {})

    def _commit(self, name: str, revision: str, body: bytes) -> None:
        files = self.state.repositories[name]
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.state.stored[value["oid"]]
            elif entry["key"] == "deletedFile":
                files.pop(value["path"])
        commit = self.state.commit(name)
        self._send(200, {"commitUrl": f"{self.state.url}/{name}/commit/{commit}", "commitOid": commit})

    def _tree(self, name: str, revision: str, body: bytes) -> None:
        files = self.state.repositories.get(name)
        if files is None:
            return self._send(404, {}, {"X-Error-Code": "RepoNotFound"})
        return self._send(
            200,
            [
                {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for path, data in files.items()
            ],
        )

    def _info(self, name: str, revision: str, body: bytes) -> None:
        if name not in self.state.repositories:
            return self._send(404, {}, {"X-Error-Code": "RepoNotFound"})
        files = [{"rfilename": path} for path in self.state.repositories[name]]
        return self._send(200, {"id": name, "modelId": name, "sha": self.state.commit(name), "siblings": files})

    def _resolve(self, name: str, revision: str, path: str, body: bytes) -> None:
        files = self.state.repositories.get(name)
        hidden = name in self.state.private and "Authorization" not in self.headers
        if files is None or hidden:
            return self._send(401, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        commit = self.state.commit(name)
        if revision not in ("main", commit):
            return self._send(404, {}, {"X-Error-Code": "RevisionNotFound"})
        if path not in files:
            return self._send(404, {}, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        return self._send_file(path, files[path], commit)

    def _send_file(self, path: str, data: bytes, commit: str) -> None:
        begin = 0
        if (found := re.match(r"bytes=(\d+)-", self.headers.get("Range") or "")) is not None:
            begin = int(found[1])
        self.send_response(206 if begin else 200)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", commit)
        self.send_header("Accept-Ranges", "bytes")
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        if self.command == "HEAD":
            return
        if path in self.state.cut:
            self.state.cut.discard(path)
            self.wfile.write(data[begin : begin + (len(data) - begin) // 2])
            self.close_connection = True
            return
        self.wfile.write(data[begin:])

    def _send(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


_NAME = r"([\w.\-]+/[\w.\-]+)"
_ROUTES = (
    ("/api/repos/create", "_create"),
    ("/api/validate-yaml", "_validate"),
    (f"/api/models/{_NAME}/preupload/(.+)", "_preupload"),
    (f"/{_NAME}\\.git/info/lfs/objects/batch", "_batch"),
    ("/lfs/([0-9a-f]+)", "_store"),
    (f"/api/models/{_NAME}/commit/(.+)", "_commit"),
    (f"/api/models/{_NAME}/tree/(.+)", "_tree"),
    (f"/api/models/{_NAME}/revision/(.+)", "_info"),
    (f"/api/models/{_NAME}()", "_info"),
    (f"/{_NAME}/resolve/([^/]+)/(.+)", "_resolve"),
)
