"""How quickly the page of a review is answered: milliseconds of each kind of request, and the memory of the process.

    python benchmarks/review.py --images 100000 --labels 20 --json review.json

The images are names alone (no files), the answers random; requests go to the application, without a network.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from eyebright.review.app import Request, ReviewApp
from eyebright.review.images import Thumbnails
from eyebright.review.items import Answers, ReviewItems
from eyebright.review.journal import Journal
from eyebright.review.session import ReviewSession
from eyebright.review.values import Vocabulary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--labels", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        app = made_app(Path(folder), options.images, options.labels)
        found = {name: median_ms(call) for name, call in requests(app).items()}
        found["memory, MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        app.close()
    for name, value in found.items():
        print(f"{name:32s} {value:8.1f}")
    if options.json is not None:
        options.json.write_text(json.dumps({**vars(options), "json": None, "found": found}, indent=1) + "\n")


def made_app(folder: Path, images: int, labels: int) -> ReviewApp:
    """A review of so many images, of which a tenth has no labels yet."""
    generator = np.random.default_rng(0)
    names = tuple(f"label {k}" for k in range(labels))
    probabilities = generator.random((images, labels), dtype=np.float32)
    given = (generator.random((images, labels, 1), dtype=np.float32) < 0.1).astype(np.float32)
    given[::10] = np.nan
    believed = (probabilities > 0.5).astype(np.float32)[:, :, None]
    items = ReviewItems(Vocabulary("labels", names), folder, [f"{i:07d}.jpg" for i in range(images)], given)
    answers = Answers(names, believed, probabilities, [0.5] * labels, suggested=np.arange(0, images, 10))
    journal, _ = Journal.open(folder / "journal.jsonl", "labels")
    session = ReviewSession(items, journal, "somebody", answers=answers)
    return ReviewApp(session, Thumbnails(folder / "thumbnails"), token="token", port=5000)


def requests(app: ReviewApp) -> dict[str, Callable[[int], Any]]:
    """By name: makes a request, and checks that it succeeds; the argument counts the requests."""

    def ask(method: str, place: str, body: Any = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        headers = {"host": "127.0.0.1:5000", "content-type": "application/json"}
        path, _, query = place.partition("?")
        response = app.respond(Request(method, f"/token/{path}", query, headers, data))
        assert response.status == 200, response.body

    def change(count: int, images: int) -> None:
        changes: list[dict[str, Any]] = []
        for number in range(images):
            row = count * 100 + number + 1
            was = app.session.vocabulary.row(app.session.current[row])["label 0"]
            changes.append({"id": row, "cell": "label 0", "was": was, "now": "no" if was == "yes" else "yes"})
        ask("POST", "api/change", {"action": f"{images}-{count}", "changes": changes})

    return {
        "api/session, ms": lambda _: ask("GET", "api/session"),
        "api/items, first page, ms": lambda _: ask("GET", "api/items?list=all"),
        "api/items, last page, ms": lambda _: ask("GET", f"api/items?list=all&offset={len(app.session.items) - 60}"),
        "api/items, suggested, ms": lambda _: ask("GET", "api/items?list=suggested"),
        "api/items, worst mistakes, ms": lambda _: ask("GET", "api/items?list=mistakes"),
        "api/items, search, ms": lambda _: ask("GET", "api/items?query=999"),
        "api/items, likely, ms": lambda _: ask("GET", "api/items?likely=label+3"),
        "api/change, 1 image, ms": lambda count: change(count, 1),
        "api/change, 60 images, ms": lambda count: change(count + 50, 60),
        "api/state, ms": lambda _: ask("GET", "api/state?since=0"),
    }


def median_ms(call: Callable[[int], Any], times: int = 15) -> float:
    """The median of several calls, without the first."""
    call(0)
    taken: list[float] = []
    for number in range(1, times + 1):
        started = time.perf_counter()
        call(number)
        taken.append(1000 * (time.perf_counter() - started))
    return float(np.median(taken))


if __name__ == "__main__":
    main()
