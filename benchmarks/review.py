"""How quickly the page of a review is answered, and the memory of the server and of the browser.

    python benchmarks/review.py --images 100000 --labels 20 [--browser PHOTOGRAPHS] --json review.json

For each kind of request the milliseconds of the first one and the median of the next ones: the answers are random,
requests go to the application, without a network, and the images are names alone. With ``--browser`` each image is a
link to one of the photographs of a folder, and headless Chromium goes through the page: seconds to the first paint,
and the memory of the page after 50 images and after 1,000 more of each kind (looked at one by one, as a grid,
confirmed).
"""

import argparse
import itertools
import json
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from eyebright.review.app import Request, ReviewApp
from eyebright.review.images import Thumbnails
from eyebright.review.items import Answers, ReviewItems
from eyebright.review.journal import Journal
from eyebright.review.server import ReviewServer
from eyebright.review.session import ReviewSession
from eyebright.review.values import Vocabulary

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.chromium import Tab, chromium_path, running_chromium

LOOKED_AT = 1_000
GRID_PAGES = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--labels", type=int, default=20)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--browser", type=Path, help="folder of photographs, for the memory of the browser")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        app = made_app(Path(folder), options.images, options.labels)
        found: dict[str, float] = {}
        for name, call in requests(app).items():
            found[f"{name}, first, ms"], found[f"{name}, ms"] = milliseconds(call)
        found["memory, MB"] = server_memory()
        app.close()
    if options.browser is not None:
        found |= in_browser(options.browser, options.images, options.labels)
    for name, value in found.items():
        print(f"{name:44s} {value:8.1f}")
    if options.json is not None:
        known = {"images": options.images, "labels": options.labels}
        options.json.write_text(json.dumps({**known, "found": found}, indent=1) + "\n")


def server_memory() -> float:
    """The most memory of this process, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Learner:
    """A model that could learn, so that the page proposes what to do next; nobody asks it."""

    can_learn, can_show = True, False

    def learn(self, *given: Any, **further: Any) -> Any:
        """Is not called."""
        raise NotImplementedError

    def heat_map(self, *given: Any, **further: Any) -> Any:
        """Is not called."""
        raise NotImplementedError


def made_app(folder: Path, images: int, labels: int) -> ReviewApp:
    """A review of so many images, of which a tenth has no labels yet."""
    generator = np.random.default_rng(0)
    names = tuple(f"label {k}" for k in range(labels))
    probabilities = generator.random((images, labels), dtype=np.float32)
    given = (generator.random((images, labels, 1), dtype=np.float32) < 0.1).astype(np.float32)
    given[::10] = np.nan
    predicted = (probabilities > 0.5).astype(np.float32)[:, :, None]
    items = ReviewItems(Vocabulary("labels", names), folder, [f"{i:07d}.jpg" for i in range(images)], given)
    answers = Answers(names, predicted, probabilities, [0.5] * labels, suggested=np.arange(0, images, 10))
    journal, _ = Journal.open(folder / "journal.jsonl", "labels")
    session = ReviewSession(items, journal, "somebody", answers=answers)
    return ReviewApp(session, Thumbnails(folder / "thumbnails"), Learner(), token="token", port=5000)


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
        "api/session": lambda _: ask("GET", "api/session"),
        "api/next": lambda _: ask("GET", "api/next"),
        "api/items, first page": lambda _: ask("GET", "api/items?list=all"),
        "api/items, last page": lambda _: ask("GET", f"api/items?list=all&offset={len(app.session.items) - 60}"),
        "api/items, suggested": lambda _: ask("GET", "api/items?list=suggested"),
        "api/items, worst mistakes": lambda _: ask("GET", "api/items?list=mistakes"),
        "api/items, search": lambda _: ask("GET", "api/items?query=999"),
        "api/items, likely": lambda _: ask("GET", "api/items?likely=label+3"),
        "api/change, 1 image": lambda count: change(count, 1),
        "api/change, 60 images": lambda count: change(count + 50, 60),
        "api/state": lambda _: ask("GET", "api/state?since=0"),
    }


def milliseconds(call: Callable[[int], Any], times: int = 15) -> tuple[float, float]:
    """(the first call, the median of several further ones)."""
    taken: list[float] = []
    for number in range(times + 1):
        started = time.perf_counter()
        call(number)
        taken.append(1000 * (time.perf_counter() - started))
    return taken[0], float(np.median(taken[1:]))


def in_browser(photographs: Path, images: int, labels: int) -> dict[str, float]:
    """What a browser needs that goes through the page."""
    program = chromium_path()
    if program is None:
        sys.exit("Chromium is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        app = made_app(folder, images, labels)
        files = itertools.cycle(sorted(photographs.resolve().glob("*.jpg")))
        for file in app.session.items.files:
            (folder / file).symlink_to(next(files))
        server = ReviewServer(app)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            with running_chromium(folder / "profile", program) as browser:
                tab = browser.open("about:blank")
                tab.look()
                return walked(tab, app.address)
        finally:
            server.stop()
            thread.join(timeout=20)


def walked(tab: Tab, address: str) -> dict[str, float]:
    """The memory of the page after images of each kind; it is loaded once."""
    tab.send("Page.navigate", url=f"{address}#list=all&view=single")
    ready = tab.wait("document.body && document.body.dataset.ready")
    paint = tab.run("performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000")
    look_at(tab, 0, 50)
    found = {"browser, first paint, s": float(paint), "browser, ready, s": float(ready)}
    found |= memory(tab, "50 images") | {"server, 50 images, MB": server_memory()}
    started = time.perf_counter()
    look_at(tab, 50, LOOKED_AT)
    found["browser, an image, ms"] = 1000 * (time.perf_counter() - started) / LOOKED_AT
    found |= memory(tab, f"{LOOKED_AT:,} images more")
    tab.keys("Escape")
    for _ in range(GRID_PAGES):
        tab.run("document.getElementById('page-on').click()")
        tab.wait("document.querySelectorAll('.tile img').length > 0 && document.body.dataset.ready")
    found |= memory(tab, f"{GRID_PAGES} pages more")
    tab.keys("Escape")
    confirm(tab, LOOKED_AT)
    return found | memory(tab, f"{LOOKED_AT:,} confirmed") | {"server, at the end, MB": server_memory()}


def look_at(tab: Tab, start: int, count: int) -> None:
    """Goes on by so many images with the keyboard."""
    for number in range(start + 1, start + count + 1):
        tab.keys("ArrowRight")
        tab.wait(f"document.getElementById('position').textContent.startsWith('{number + 1:,} of')")


def confirm(tab: Tab, count: int) -> None:
    """Confirms so many images, one after the other."""
    for _ in range(count):
        before = tab.run("document.getElementById('position').textContent")
        tab.keys("Enter")
        tab.wait(f"document.getElementById('position').textContent !== {json.dumps(before)}")
    tab.wait("(document.body.dataset.waiting ?? '0') === '0'")


def memory(tab: Tab, when: str) -> dict[str, float]:
    """Megabytes of the page's objects, and its nodes, after a collection of garbage."""
    tab.send("HeapProfiler.collectGarbage")
    used = tab.send("Runtime.getHeapUsage")["usedSize"] / 1e6
    return {f"browser, {when}, MB": used, f"browser, {when}, nodes": tab.send("Memory.getDOMCounters")["nodes"]}


if __name__ == "__main__":
    main()
