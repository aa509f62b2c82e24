"""Reviews of made images, without a model: the application alone, or a server in a thread."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from eyebright.review.app import Request, ReviewApp
from eyebright.review.images import Thumbnails
from eyebright.review.items import NO_SUSPECTS, Answers, ReviewItems, Suspects
from eyebright.review.journal import Journal
from eyebright.review.learning import ReviewModel
from eyebright.review.server import ReviewServer
from eyebright.review.session import ReviewSession
from eyebright.review.table import NewTable
from eyebright.review.values import Vocabulary, unknown_values
from eyebright.sources.source import Source

PORT = 5000
JSON = {"content-type": "application/json"}


def make_images(folder: Path, names: Sequence[str], size: tuple[int, int] = (40, 30)) -> None:
    """Small images, each of another colour."""
    for number, name in enumerate(names):
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", size, (number * 37 % 256, 100, 200)).save(place, format="JPEG")


def label_items(root: Path, files: Sequence[str], given: Any = None, labels: Sequence[str] = ("cat", "dog")) -> Any:
    """Items with labels; NaN, or None for all, is unknown."""
    vocabulary = Vocabulary("labels", tuple(labels))
    if given is None:
        return ReviewItems(vocabulary, root, tuple(files), unknown_values(vocabulary, len(files)))
    return ReviewItems(vocabulary, root, tuple(files), np.array(given, dtype=np.float32)[:, :, None])


def open_app(
    items: ReviewItems,
    folder: Path,
    *,
    answers: Answers | None = None,
    suspects: Suspects = NO_SUSPECTS,
    model: ReviewModel | None = None,
    source: Source | None = None,
    out: Path | None = None,
    to: str = "csv",
    who: str = "ann",
    origin: Path | None = None,
) -> ReviewApp:
    """The application, with its journal in a folder."""
    journal, content = Journal.open(folder / "journal.jsonl", items.vocabulary.kind)
    session = ReviewSession(items, journal, who, suspects, answers, now=lambda: "2026-01-01T00:00:00+00:00")
    try:
        session.replay(content)
    except BaseException:
        journal.close()
        raise
    kinds = {"labels": "multicategory", "class": "category", "points": "points", "numbers": "regression"}
    kind = kinds[items.vocabulary.kind] if source is None else source.kind
    table = None if out is None else NewTable(session, source, kind, out, to=to, origin=origin)
    save = None if table is None else table.save
    return ReviewApp(session, Thumbnails(folder / "thumbnails"), model, save=save, token="token", port=PORT)


@dataclass
class Answer:
    """What an application or a server answered."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        """The JSON in it."""
        return json.loads(self.body)


def get(app: ReviewApp, place: str, **headers: str) -> Answer:
    """The answer to GET."""
    path, _, query = place.partition("?")
    asked = Request("GET", f"/{app.token}/{path}", query, {"host": f"127.0.0.1:{app.port}", **headers})
    response = app.respond(asked)
    return Answer(response.status, response.body, response.headers)


def post(app: ReviewApp, place: str, body: Any, **headers: str) -> Answer:
    """The answer to POST; bytes are sent as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    known = {"host": f"127.0.0.1:{app.port}", **JSON, "content-length": str(len(data)), **headers}
    response = app.respond(Request("POST", f"/{app.token}/{place}", "", known, data))
    return Answer(response.status, response.body, response.headers)


def change(row: int, cell: str, was: Any, now: Any) -> dict[str, Any]:
    """A change as the page sends it."""
    return {"id": row, "cell": cell, "was": was, "now": now}


@contextmanager
def running(app: ReviewApp) -> Generator[str, None, None]:
    """The address of a server in a thread, which ends with the ``with``."""
    server = ReviewServer(app)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield app.address
    finally:
        server.stop()
        thread.join(timeout=20)


def ask(address: str, body: Any = None, **headers: str) -> Answer:
    """The answer of a server: to POST with a body, else to GET."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(address, data, {**({} if data is None else JSON), **named})
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return Answer(response.status, response.read(), dict(response.headers))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read(), dict(error.headers))
