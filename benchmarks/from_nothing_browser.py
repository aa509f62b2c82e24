r"""From nothing in the page itself: a scripted browser labels a folder by keyboard alone, as the page proposes.

500 images of a set with several labels are copied to a folder without their labels, and `eyebright review FOLDER
--labels ...` is opened in a headless Chromium. The script does what the line "Next: ..." of the page says. It presses
`.` to go there, waits while the page learns, and answers from the true labels with the keys of the page:

- one image: the letter of each label that is shown wrong, and Enter;
- a grid: Space on each exception, and Enter.

An answer is a key press that sets anything or marks an exception; one Enter on a grid counts as one. Keys that only
move (arrows and `.`) or start learning count as none. By hand an image takes one key for each of its labels, and one
Enter. After each action the server is asked which images carry the right labels, all of them set by the person. In the
end the table is written and compared with the true labels.

    EYEBRIGHT_DATA=data python benchmarks/from_nothing_browser.py [pascal_2007] [--images 500] [--seeds 5] \
        [--json from_nothing_browser.json]
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from from_nothing import WANTED, sentence, show
from measure import save
from review_browser import WAITING, Server, name_of
from suspects import read_set

from eyebright import read_source

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.chromium import Browser, Tab, chromium_path, running_chromium

SAYS_WHAT_IS_NEXT = (
    "fetch('api/state').then(r => r.json()).then(s => s.learning.state !== 'running' &&"
    " fetch('api/next').then(r => r.json()).then(n => JSON.stringify(n) === document.body.dataset.next))"
)
SHARES_RIGHT = """
Promise.all([0, 1, 2, 3, 4].map((k) => fetch(`api/items?list=all&limit=200&offset=${200 * k}`).then((r) => r.json())))
  .then((pages) => pages.flatMap((page) => page.items).map(({ file, current, predicted }) => {
    const cells = Object.entries(truth[file]);
    const isSet = cells.every(([cell, value]) => current[cell] === value);
    const shown = (cell) => (current[cell] === "unknown" ? predicted[cell] ?? "no" : current[cell]);
    return [isSet, cells.every(([cell, value]) => shown(cell) === value)];
  })).then((found) => [0, 1].map((k) => found.filter((one) => one[k]).length / found.length))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", nargs="?", default="pascal_2007", choices=("pascal_2007", "voc128"))
    parser.add_argument("--images", type=int, default=500, help="at most 1,000")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    program = chromium_path()
    if program is None:
        sys.exit("Chromium is not installed")
    root, table = read_set(args.set)
    labels = table.set_index("file").drop(columns="is_valid", errors="ignore")
    rows: list[dict[str, Any]] = []
    for seed in range(args.seeds):
        chosen = np.random.default_rng(seed).permutation(len(labels))[: args.images]
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "photos"
            copy_images(root, labels.index[chosen], folder)
            with running_chromium(Path(temporary) / "profile", program) as browser:
                rows.append({"seed": seed, **labelled(browser, folder, labels.iloc[chosen])})
        print(sentence(rows[-1]), f"; {rows[-1]['seconds']:.0f} s; wrong in the table: {rows[-1]['wrong']}", flush=True)
    show(rows)
    save(args.json, {"set": args.set, "rows": rows})


def copy_images(root: Path, files: pd.Index, folder: Path) -> None:
    """Copies images to a folder without any label."""
    for file in files:
        place = folder / file
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / file, place)


def labelled(browser: Browser, folder: Path, truth: pd.DataFrame) -> dict[str, Any]:
    """The share of images that carry the right labels after each action with its answers, and the counts."""
    names = list(truth.columns)
    server = Server([str(folder), "--labels", ",".join(names)], folder.parent)
    person = Person(browser, server.address, truth)
    answers, curve = {"image": 0, "grid": 0}, list[tuple[int, float, float]]()
    started = time.perf_counter()
    while (step := person.next_step())["kind"] != "done":
        if step["kind"] == "learn":
            person.learn()
            continue
        is_grid = step["kind"] == "grid"
        answers["grid" if is_grid else "image"] += person.answer_grid(step) if is_grid else person.answer_image(step)
        curve.append((sum(answers.values()), *person.shares_right()))
    seconds = time.perf_counter() - started
    person.save()
    server.close()
    return {
        "by_hand": int(truth.to_numpy().sum()) + len(truth),
        "reached": next(count for count, share, _ in curve if share >= WANTED),
        "all": curve[-1][0],
        "answers": answers,
        "seconds": seconds,
        "wrong": wrong_cells(folder.parent / "new.csv", truth),
        "curve": curve,
    }


class Person:
    """Somebody who knows the true labels, at the keyboard of the page.

    Args:
        browser: where the page is opened.
        address: the address of the page.
        truth: 0 or 1 for each file and label.
    """

    def __init__(self, browser: Browser, address: str, truth: pd.DataFrame) -> None:
        self._truth = truth
        self._tab: Tab = browser.open("about:blank")
        self._tab.look()
        self._tab.send("Page.navigate", url=address)
        self._tab.wait("document.body && document.body.dataset.ready")
        cells = self._tab.run("fetch('api/session').then(r => r.json()).then(s => s.cells)")
        self._keys = {one["cell"]: one["key"] for one in cells}
        known = {file: {name: "yes" if value else "no" for name, value in row.items()} for file, row in self._rows()}
        self._tab.run(f"globalThis.truth = {json.dumps(known)}; 0")

    def _rows(self) -> Any:
        return ((str(file), row.to_dict()) for file, row in self._truth.iterrows())

    def next_step(self) -> dict[str, Any]:
        """What the page proposes, as soon as all is written and learnt."""
        self._tab.wait(WAITING)
        self._tab.wait(SAYS_WHAT_IS_NEXT, 600)
        return json.loads(self._tab.run("document.body.dataset.next"))

    def learn(self) -> None:
        """Starts learning by the key of what is proposed."""
        self._tab.keys(".")
        self._tab.wait("fetch('api/state').then(r => r.json()).then(s => s.learning.model > 0)", 600)

    def answer_image(self, step: dict[str, Any]) -> int:
        """Sets the labels of the image that is proposed; returns the number of answers."""
        if not self._tab.run("document.getElementById('next-take').hidden"):
            self._tab.keys(".")
        (file,) = self._files(step["place"], 1)
        self._tab.wait(f"document.getElementById('file').textContent === {json.dumps(file)}")
        shown = "[...document.querySelectorAll('.label')].map(one => [one.dataset.cell, one.ariaChecked])"
        true = self._truth.loc[file]
        wrong = [self._keys[cell] for cell, value in self._tab.run(shown) if (value == "true") != bool(true[cell])]
        self._tab.keys(*wrong, "Enter")
        return len(wrong) + 1

    def answer_grid(self, step: dict[str, Any]) -> int:
        """Marks the exceptions of the grid that is proposed, and sets it; returns the number of answers."""
        files = self._files(step["place"], step["count"])
        names = "JSON.stringify([...document.querySelectorAll('.tile .file')].map(one => one.textContent))"
        are_shown = f"{names} === {json.dumps(json.dumps(files, separators=(',', ':')))}"
        self._tab.wait(f"{are_shown} || !document.getElementById('next-take').hidden")
        if not self._tab.run(are_shown):
            self._tab.keys(".")
        self._tab.wait(are_shown)
        self._tab.wait("document.activeElement.matches('.tile')")
        true = self._truth.loc[files, step["label"]].to_numpy() == 1
        exceptions = np.flatnonzero(true != (step["answer"] == "yes"))
        keys, at = list[str](), 0
        for place in exceptions.tolist():
            keys += ["ArrowRight"] * (place - at) + [" "]
            at = place
        self._tab.keys(*keys, "Enter")
        return len(exceptions) + 1

    def _files(self, place: dict[str, Any], count: int) -> list[str]:
        """The images of a place."""
        order = "".join(f"&{name}={place[name]}" for name in ("likely", "unlikely") if place[name])
        query = f"api/items?list={place['list']}&offset={place['at']}&limit={count}{order}"
        return self._tab.run(f"fetch({json.dumps(query)}).then(r => r.json()).then(p => p.items.map(i => i.file))")

    def shares_right(self) -> tuple[float, float]:
        """(images whose labels are set and right, images that are right with what is proposed), by the server."""
        self._tab.wait(WAITING)
        done, right = self._tab.run(SHARES_RIGHT)
        return done, right

    def save(self) -> None:
        """Writes the table."""
        self._tab.run("document.getElementById('save').click()")
        self._tab.wait("fetch('api/state').then(r => r.json()).then(s => s.saved)")


def wrong_cells(table: Path, truth: pd.DataFrame) -> int:
    """How many labels of the written table are not the true ones, or missing."""
    given = {name_of(str(row.path), truth): row.target for row in read_source(table)}
    return sum((label in given[file]) != bool(truth.loc[file, label]) for file in truth.index for label in truth)


if __name__ == "__main__":
    main()
