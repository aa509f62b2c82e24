"""`ReviewServer`: serves the page only on this machine, at an address with a random token."""

import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eyebright._optional import import_optional
from eyebright.errors import InputError, os_reason
from eyebright.review.address import former_port, keep_port
from eyebright.review.app import Request, Response, ReviewApp, too_large
from eyebright.review.requests import MAX_BODY_BYTES

if TYPE_CHECKING:
    from fastapi import Request as WebRequest

_PURPOSE = "the page of `eyebright review`"
_MAX_DRAINED_BYTES = 16 * MAX_BODY_BYTES
_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]


class ReviewServer:
    """Serves one review on the loopback interface.

    Args:
        app: the application to serve.
        port: the port to listen at; None for a free one.

    Raises:
        MissingExtraError: the packages of ``eyebright[review]`` are not installed.
        InputError: the port is taken.
    """

    def __init__(self, app: ReviewApp, port: int | None = None) -> None:
        check_installed()
        self._app = app
        self._socket = _listening(port) if port is not None else _former_or_free(app.folder)
        app.port = self._socket.getsockname()[1]
        keep_port(app.folder, app.port)
        uvicorn = import_optional("uvicorn", extra="review", purpose=_PURPOSE)
        config = uvicorn.Config(
            web_app(app), log_config=None, log_level="critical", access_log=False, lifespan="off", ws="none",
            server_header=False, date_header=False, timeout_graceful_shutdown=2, h11_max_incomplete_event_size=65536,
        )  # fmt: skip
        self._server = uvicorn.Server(config)

    def run(self) -> None:
        """Serves until the process is interrupted or `stop` is called; then everything is closed."""
        try:
            with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again when it has ended
                self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()
            self._app.close()

    def stop(self) -> None:
        """Ends `run`, called from another thread."""
        self._server.should_exit = True


def check_installed() -> None:
    """Raises `MissingExtraError` unless the packages of the server are installed."""
    for package in ("fastapi", "uvicorn"):
        import_optional(package, extra="review", purpose=_PURPOSE)


def web_app(app: ReviewApp) -> Any:
    """The ASGI application."""
    fastapi = import_optional("fastapi", extra="review", purpose=_PURPOSE)
    concurrency = import_optional("fastapi.concurrency", extra="review", purpose=_PURPOSE)

    async def answer(request: "WebRequest") -> Any:
        asked = await _read(app, request)
        response = asked if isinstance(asked, Response) else await concurrency.run_in_threadpool(app.respond, asked)
        return fastapi.Response(response.body, response.status, headers=response.headers)

    web = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    web.add_route("/{place:path}", answer, methods=_METHODS)
    return web


async def _read(app: ReviewApp, request: "WebRequest") -> Request | Response:
    """The request with its body, or the reason for its rejection.

    The body of a rejected request is read, up to a limit, and discarded: otherwise a client that is still sending would
    find the connection closed, and many then report that instead of the answer.
    """
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers.raw}
    path = request.scope.get("raw_path", b"").split(b"?")[0].decode("latin-1")
    query = request.scope.get("query_string", b"").decode("latin-1")
    refused = app.refusal(request.method, path, headers)
    body, length = b"", 0
    async for block in request.stream():
        length += len(block)
        if length > _MAX_DRAINED_BYTES:
            return refused or too_large()
        if refused is None and length <= MAX_BODY_BYTES:
            body += block
    if refused is None and length > MAX_BODY_BYTES:
        refused = too_large()
    return refused or Request(request.method, path, query, headers, body)


def _former_or_free(folder: Path | None) -> socket.socket:
    """A socket at the port of the last review of the same images, so that an open page keeps working; else any."""
    former = None if folder is None else former_port(folder)
    if former is not None:
        with contextlib.suppress(InputError):
            return _listening(former)
    return _listening(None)


def _listening(port: int | None) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(("127.0.0.1", port or 0))
        found.listen(128)
    except OSError as error:
        found.close()
        raise InputError(f"cannot listen at `port` {port}: {os_reason(error)}; leave it out for a free one") from None
    return found
