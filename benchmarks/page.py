"""The offline page in headless Chromium: seconds to ready and per image, size of the file, difference from Python.

    python benchmarks/page.py model/page.html --model model/ --images photos/ --count 200 --json page.json

The page is opened from the disk in a new profile. Seconds to ready are counted from the start of the page, so they
contain reading the file, unpacking, starting the runtime and loading the graph; seconds per image contain decoding. Of
both the parts are said: until the document is parsed, and of the median image decoding and the graph. The answers are
the CSV that the page gives, compared with `Predictor` on the same files.
"""

import argparse
import csv
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eyebright import get_image_files, load_predictor

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.chromium import Browser, Tab, chromium_path, running_chromium

WATCH = """
globalThis.Worker = class extends Worker {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", ({ data }) => data.seconds && (globalThis.taken ??= []).push(data.seconds));
  }
};
"""
"""Keeps the seconds that the worker of the page notes for each image."""


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="the folder of the model in the page")
    parser.add_argument("--images", type=Path, required=True, help="a folder of images")
    parser.add_argument("--count", type=int, default=200, help="images, evenly taken from the folder")
    parser.add_argument("--opened", type=int, default=5, help="how often the page is opened")
    parser.add_argument("--json", type=Path, help="write the numbers to a file")
    options = parser.parse_args()
    found = get_image_files(options.images)
    paths = [found[i * len(found) // options.count] for i in range(min(options.count, len(found)))]
    program = chromium_path()
    if program is None:
        sys.exit("Chromium is not installed")
    with tempfile.TemporaryDirectory() as folder, running_chromium(Path(folder), program) as browser:
        opened = [_opened(browser, options.page) for _ in range(options.opened)]
        rows, seconds, parts = _answered_in_parts(browser, options.page, paths, Path(folder))
    numbers = {
        "bytes": options.page.stat().st_size,
        "seconds_to_ready": statistics.median(ready for _, ready, _ in opened),
        "of_these_until_the_document_is_parsed": statistics.median(parsed for _, _, parsed in opened),
        "images": len(paths),
        "seconds_per_image": seconds / len(paths),
        **parts,
        **compared(options.model, paths, rows),
    }
    print(json.dumps(numbers, indent=2))
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")


def compared(model: Path, paths: Sequence[Path], rows: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The largest difference of a number, and how many answers differ; images that the page refuses are counted."""
    predictor = load_predictor(model, runtime="torch", device="cpu")
    frame = predictor.predict(paths).to_frame()
    has_labels = "labels" in frame.columns[1:2]
    first = 2 if has_labels else 1
    last = (
        len(frame.columns)
        - (1 if predictor.manifest.decision.thresholds.is_three_way else 0)
        - (0 if predictor.ood is None else 2)
    )
    by_name = {row[0]: row for row in rows[1:]}
    answered = [
        (one, by_name[Path(one[0]).name]) for one in frame.itertuples(index=False) if Path(one[0]).name in by_name
    ]
    apart = [
        np.abs(np.array(ours[first:last]) - np.array(theirs[first:last], dtype=float)).max()
        for ours, theirs in answered
    ]
    scores = [(ours[-2:], theirs[-2:]) for ours, theirs in answered] if predictor.ood is not None else []
    unlike = {
        "largest_difference_of_ood_score": max((abs(ours[0] - float(theirs[0])) for ours, theirs in scores), default=0),
        "ood": sum(ours[1] == "yes" for ours, _ in scores),
        "images_with_another_ood": sum(ours[1] != theirs[1] for ours, theirs in scores),
    }
    changed = [ours[0] for ours, theirs in answered if has_labels and ours[1] != theirs[1]]
    return {
        "answered": len(answered),
        "largest_difference": float(max(apart, default=0.0)),
        "median_difference": float(np.median(apart)) if apart else 0.0,
        "images_with_another_answer": len(changed),
        **unlike,
        "browser_differs": [Path(one[0][0]).name for one, far in zip(answered, apart, strict=True) if far > 1e-4],
    }


def answered(browser: Browser, page: Path, paths: Sequence[Path], folder: Path) -> tuple[list[list[str]], float]:
    """(rows of the CSV that a page gives for images, the columns first; seconds from choosing to the last answer).

    Args:
        browser: a running one.
        page: the file of the page.
        paths: images; a row has only their file names.
        folder: an empty folder for the download.
    """
    rows, seconds, _ = _answered_in_parts(browser, page, paths, folder)
    return rows, seconds


def answered_in_chromium(page: Path, paths: Sequence[Path]) -> list[list[str]]:
    """The rows of the CSV that a page gives for images, the columns first, in a browser started for it."""
    program = chromium_path()
    if program is None:
        sys.exit("Chromium is not installed")
    with tempfile.TemporaryDirectory() as folder, running_chromium(Path(folder), program) as browser:
        return answered(browser, page, paths, Path(folder))[0]


def _answered_in_parts(
    browser: Browser, page: Path, paths: Sequence[Path], folder: Path
) -> tuple[list[list[str]], float, dict[str, float]]:
    """As `answered`, and the seconds of the median image: decoding, and the graph."""
    tab, _, _ = _opened(browser, page)
    started = time.perf_counter()
    tab.choose_files("#choose", list(paths))
    is_done = f"document.querySelectorAll('.card').length === {len(paths)} && document.body.dataset.open === '0'"
    tab.wait(is_done, 1800)
    taken = tab.run("globalThis.taken ?? []")
    parts = {
        f"seconds_of_{what}": statistics.median(one[name] for one in taken) if taken else float("nan")
        for what, name in (("decoding", "read"), ("the_graph", "answer"))
    }
    return _downloaded(browser, tab, folder), time.perf_counter() - started, parts


def _opened(browser: Browser, page: Path) -> tuple[Tab, float, float]:
    """(the tab, seconds until it is ready, seconds until the document is parsed)."""
    tab = browser.open("about:blank")
    tab.send("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
    tab.send("Page.navigate", url=page.resolve().as_uri())
    ready = float(tab.wait("document.body && document.body.dataset.ready"))
    parsed = float(tab.run("performance.getEntriesByType('navigation')[0].domInteractive")) / 1000
    return tab, ready, parsed


def _downloaded(browser: Browser, tab: Tab, folder: Path) -> list[list[str]]:
    """The rows of the CSV that the page gives."""
    browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    tab.run("document.querySelector('#download').click()")
    file = folder / "predictions.csv"
    while not file.exists():
        time.sleep(0.05)
    return list(csv.reader(io.StringIO(file.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
