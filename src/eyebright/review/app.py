"""`ReviewApp`: the answer to each request of the page, without a network; see ``docs/guides/review.md``.

Only the page itself may send requests: its address contains a random token, the ``Host`` must be this machine (or a
name that leads here could be used to read the answers: DNS rebinding), and requests of other pages are recognised by
``Origin`` and ``Sec-Fetch-Site``. Images are identified by numbers, so no request can name a file.
"""

import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from eyebright.errors import ArtifactError, EyebrightError, InputError, printable
from eyebright.review import requests
from eyebright.review.images import MAX_SIDE, Thumbnails, image_size, jpeg, png
from eyebright.review.learning import Learning, ReviewModel
from eyebright.review.listing import Lists
from eyebright.review.next_step import next_step
from eyebright.review.refusal import Refusal
from eyebright.review.session import ReviewSession

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The content security policy of the page."""

_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_NO_STORE, _KEPT = "no-store", "private, max-age=3600"
_MAX_LOG = 500


@dataclass(frozen=True)
class Request:
    """A request of the page.

    Args:
        method: the HTTP method.
        path: the path of the address, as it was sent.
        query: the parameters of the address.
        headers: the headers by their names in lower case.
        body: the body; empty for GET.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """The answer to a request.

    Args:
        status: the HTTP status.
        body: the content.
        media_type: the media type of the content.
        cache: the header ``Cache-Control``.
        location: the header ``Location``; empty: none.
    """

    status: int
    body: bytes
    media_type: str = "application/json"
    cache: str = _NO_STORE
    location: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers of HTTP."""
        where = {"location": self.location} if self.location else {}
        kind = self.media_type + ("; charset=utf-8" if self.media_type.startswith("text/") else "")
        return {"content-type": kind, "cache-control": self.cache, **_HEADERS, **where}


@dataclass(eq=False)
class ReviewApp:
    """Answers the requests of the page of one review; may be called from many threads.

    Args:
        session: the images and their known values.
        thumbnails: the thumbnails of the images.
        model: the model that learns and computes heat maps; None without a model.
        save: the function that writes the new table and returns the answer for the page; None: nothing can be written.
        out: the name of the new table, for the page.
        token: the token in the address of the page.
        port: the port of the server; 0 until it is known.
        folder: the folder of the journal, where the server saves its port; None: it is not saved.
    """

    session: ReviewSession
    thumbnails: Thumbnails
    model: ReviewModel | None = None
    save: Callable[[], Mapping[str, Any]] | None = None
    out: str = ""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    port: int = 0
    folder: Path | None = None

    def __post_init__(self) -> None:
        self.lists = Lists(self.session)
        self.learning = Learning(self.session, self.model, self.lists.prepare)
        self._assets = packaged_assets()

    @property
    def address(self) -> str:
        """The address of the page."""
        return f"http://127.0.0.1:{self.port}/{self.token}/"

    def refusal(self, method: str, path: str, headers: Mapping[str, str]) -> Response | None:
        """The answer to a request that is rejected before its body is read; None if it is accepted."""
        hosts = {f"127.0.0.1:{self.port}", f"localhost:{self.port}"}
        if headers.get("host", "") not in hosts:
            return _error(403, "this server answers only at the address that it has printed")
        other_origin = "origin" in headers and headers["origin"] not in {f"http://{host}" for host in hosts}
        if other_origin or headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return _error(403, "requests of other pages are rejected")
        if self._place(path) is None:
            return _error(404, "there is nothing at this address")
        if method not in ("GET", "POST"):
            return _error(405, "only GET and POST are answered")
        return _body_refusal(headers) if method == "POST" else None

    def respond(self, request: Request) -> Response:
        """The answer to a request; no request is an error of the program."""
        refused = self.refusal(request.method, request.path, request.headers)
        if refused is not None:
            return refused
        place = self._place(request.path) or ""
        if not request.path.endswith("/") and not place:
            return Response(307, b"", "text/plain", location=f"/{self.token}/")
        try:
            return self._post(place, request) if request.method == "POST" else self._get(place, request)
        except Refusal as refusal:
            details = dict(refusal.details)
            if "rows" in details:
                details["items"] = [self.lists.item(row) for row in details.pop("rows")[: requests.MAX_PAGE_SIZE]]
            return _error(refusal.status, refusal.sentence, details)

    def close(self) -> None:
        """Ends the work in the background, and closes the journal."""
        self.learning.close()
        self.thumbnails.close()
        with self.session.lock:
            self.session.journal.close()

    # ------------------------------------------------------------------ GET

    def _place(self, path: str) -> str | None:
        """The requested path below the token; None if the token is wrong."""
        _, _, rest = path.partition("/")
        token, _, place = rest.partition("/")
        is_right = hmac.compare_digest(token.encode(errors="surrogateescape"), self.token.encode())
        return unquote(place, errors="replace") if is_right else None

    def _get(self, place: str, request: Request) -> Response:
        if place in self._assets:
            data, media_type = self._assets[place]
            return Response(200, data, media_type)
        answers: Mapping[str, Callable[[dict[str, str]], Any]] = {
            "api/session": lambda _: self._session_facts(),
            "api/items": self._items,
            "api/log": self._log,
            "api/state": self._state,
            "api/next": lambda _: next_step(self.session, self.lists, can_learn=self.learning.can_start),
        }
        parameters = requests.parse_query(request.query)
        if place in answers:
            return _json(200, answers[place](parameters))
        what, _, number = place.rpartition("/")
        if what not in ("api/item", "thumbnail", "image", "heat-map"):
            raise Refusal(404, "there is nothing at this address")
        row = requests.parse_integer(number, "id")
        if row >= len(self.session.items):
            raise Refusal(404, f"there is no image {row}")
        return self._image(what, row, parameters)

    def _image(self, what: str, row: int, parameters: Mapping[str, str]) -> Response:
        path = self.session.items.path(row)
        if what == "thumbnail":
            return Response(200, self.thumbnails.get(path), "image/jpeg", _KEPT)
        if what == "image":
            return Response(200, jpeg(path, MAX_SIDE), "image/jpeg", _KEPT)
        if what == "heat-map":
            return self._heat_map(row, parameters.get("cell", ""))
        with self.session.lock:
            item = self.lists.item(row)
            log = [self._shown(entry) for entry in self.session.history.after(0) if row in self.session.rows(entry)]
        width, height = (0, 0) if item["missing"] else _size_or_nothing(path)
        return _json(200, {**item, "width": width, "height": height, "log": log[:_MAX_LOG]})

    def _heat_map(self, row: int, cell: str) -> Response:
        if self.model is None or not self.model.can_show:
            raise Refusal(409, "there is no model for heat maps")
        if cell not in self.session.vocabulary.names:
            raise Refusal(400, f"there is no label '{cell[:100]}'")
        try:
            pixels = self.model.heat_map(self.session.items.path(row), cell, MAX_SIDE)
        except EyebrightError as error:
            raise Refusal(409, str(error)) from None
        return Response(200, png(pixels), "image/png")

    def _session_facts(self) -> dict[str, Any]:
        session = self.session
        with session.lock:
            answers, vocabulary = session.answers, session.vocabulary
            thresholds, lower = (
                ({}, {}) if answers is None else map(answers.by_name, (answers.thresholds, answers.lower))
            )
            keys = keys_of(vocabulary.names)
            cells = [
                {"cell": name, "key": keys[name], "threshold": thresholds.get(name), "lower": lower.get(name)}
                for name in vocabulary.names
            ]
            return {
                "title": session.items.title,
                "kind": vocabulary.kind,
                "cells": cells,
                "ordered": session.items.ordered,
                "mirror": session.items.mirror,
                "lists": self.lists.summary(),
                "can": {
                    "learn": self.learning.can_start,
                    "heatMap": self.model is not None and self.model.can_show,
                    "addLabel": vocabulary.has_probabilities,
                    "save": self.save is not None,
                },
                "out": self.out,
                "who": session.who,
                "revision": session.revision,
                "counts": session.counts(),
            }

    def _items(self, parameters: dict[str, str]) -> dict[str, Any]:
        query = requests.images_query(parameters)
        total, items = self.lists.page(query)
        self.thumbnails.prepare(self.session.items.path(item["id"]) for item in items if not item["missing"])
        return {"revision": self.session.revision, "total": total, "items": items}

    def _log(self, parameters: dict[str, str]) -> dict[str, Any]:
        offset, limit = (requests.parse_integer(parameters.get(name, default), name) for name, default in _LOG_DEFAULTS)
        session = self.session
        with session.lock:
            entries = session.history.entries
            if "id" in parameters:
                row = requests.parse_integer(parameters["id"], "id")
                entries = [entry for entry in entries if row in session.rows(entry)]
            last = len(entries) - offset
            shown = entries[max(last - min(limit, _MAX_LOG), 0) : max(last, 0)]
            return {"total": len(entries), "entries": [self._shown(entry) for entry in reversed(shown)]}

    def _shown(self, entry: Any) -> dict[str, Any]:
        return entry.shown(undone=self.session.history.is_undone(entry))

    def _state(self, parameters: dict[str, str]) -> dict[str, Any]:
        session = self.session
        since = requests.parse_integer(parameters.get("since", "0"), "since")
        with session.lock:
            return {
                "revision": session.revision,
                "changed": session.changed_since(since),
                "counts": session.counts(),
                "learning": self.learning.to_json(),
                "saved": session.history.last_saved(),
            }

    # ------------------------------------------------------------------ POST

    def _post(self, place: str, request: Request) -> Response:
        actions: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
            "api/change": self._change,
            "api/undo": self._undo,
            "api/redo": self._redo,
            "api/learn": self._learn,
            "api/label": self._label,
            "api/save": self._save,
        }
        if place not in actions:
            raise Refusal(404, "there is nothing at this address")
        if len(request.body) > requests.MAX_BODY_BYTES:
            return too_large()
        return _json(200, actions[place](requests.parse_body(request.body)))

    def _change(self, body: Mapping[str, Any]) -> dict[str, Any]:
        with self.session.lock:
            action = requests.change_action(body, self.session)
            before = self.session.revision
            revision = self.session.change(action)
            if self.session.revision != before and (action.changes or action.reviewed):
                self.learning.note_change(action)
        return {"revision": revision}

    def _undo(self, body: Mapping[str, Any]) -> dict[str, Any]:
        revision, undone = self.session.undo(requests.action_name(body), requests.action_reference(body))
        self.learning.cancel()
        return {"revision": revision, "undone": undone.shown(undone=True)}

    def _redo(self, body: Mapping[str, Any]) -> dict[str, Any]:
        revision, redone = self.session.redo(requests.action_name(body), requests.action_reference(body))
        self.learning.cancel()
        return {"revision": revision, "redone": redone.shown(undone=True)}

    def _learn(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.learning.start()
        return {"learning": self.learning.to_json()}

    def _label(self, body: Mapping[str, Any]) -> dict[str, Any]:
        name = body.get("add")
        if not isinstance(name, str):
            raise Refusal(400, "`add` is the name of a label")
        revision = self.session.add_name(requests.action_name(body), name)
        self.learning.cancel()
        return {"revision": revision}

    def _save(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.save is None:
            raise Refusal(409, "there is no file to write")
        try:
            return self.save()
        except ArtifactError as error:
            raise Refusal(507, str(error)) from None
        except InputError as error:
            raise Refusal(409, str(error)) from None


_LOG_DEFAULTS = (("offset", "0"), ("limit", "100"))

RESERVED_KEYS = frozenset("jkurhnpxz")
"""Letters that are keys of the page itself."""


def keys_of(names: tuple[str, ...]) -> dict[str, str | None]:
    """A key for each label: a free letter of its name, then any other letter, then a digit; otherwise None."""
    free = [letter for letter in "abcdefghijklmnopqrstuvwxyz" if letter not in RESERVED_KEYS]
    keys: dict[str, str | None] = {}
    for name in names:
        own = next((letter for letter in name.lower() if letter in free), None)
        if own is not None:
            free.remove(own)
        keys[name] = own
    free += list("123456789")
    for name in names:
        if keys[name] is None and free:
            keys[name] = free.pop(0)
    return keys


def packaged_assets() -> dict[str, tuple[bytes, str]]:
    """(content, type) of the page and of each of its files, by the place below the token."""
    web = resources.files("eyebright.web")
    files = {"assets/page.css": web.joinpath("page.css")}
    for room in ("shared", "review"):
        files |= {f"assets/{file.name}": file for file in web.joinpath("assets", room).iterdir()}
    known = {place: file for place, file in files.items() if f".{place.rpartition('.')[2]}" in _TYPES}
    found = {place: (file.read_bytes(), _TYPES[f".{place.rpartition('.')[2]}"]) for place, file in known.items()}
    return {"": found.pop("assets/index.html"), **found}


def too_large() -> Response:
    """The answer to a request that is too large."""
    return _error(413, f"a request has at most {requests.MAX_BODY_BYTES:,} bytes; send fewer images at once")


def _size_or_nothing(path: Any) -> tuple[int, int]:
    try:
        return image_size(path)
    except Refusal:
        return 0, 0


def _json(status: int, content: Any) -> Response:
    return Response(status, json.dumps(content, separators=(",", ":"), allow_nan=False).encode())


def _body_refusal(headers: Mapping[str, str]) -> Response | None:
    """The answer to a request whose body is not JSON or too long, by its headers; None if it is accepted."""
    if headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        return _error(415, "a request is JSON: application/json")
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdecimal() or len(length) > 15:
        return _error(400, "the length of the request is not a number")
    return too_large() if int(length) > requests.MAX_BODY_BYTES else None


def _error(status: int, sentence: str, details: Mapping[str, Any] | None = None) -> Response:
    return _json(status, {"error": printable(sentence), **(details or {})})
