r"""A scripted browser corrects flipped labels on the page of ``eyebright review``; the server is killed in the middle.

5 % of the labels of a set are flipped at random and a model is trained on them (see ``suspects.py``). The script goes
through the suspects with the keyboard alone: it knows the labels before the flip, sets each label of the image that is
wrong by its letter, accepts the image with Enter, and goes on, until so many flipped labels are set right. Half way the
server is killed (SIGKILL) and started again by the same command; the page stays open. In the end the new table is
written, and each label of the images that were looked at is compared with the label before the flip.

    EYEBRIGHT_DATA=data python benchmarks/review_browser.py [pascal_2007] [--count 100] [--seed 0] [--keep FOLDER]
        [--json review_browser.json]
"""

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measure import save
from suspects import SETS, flip, read_set, train

from eyebright import read_source

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.chromium import Tab, chromium_path, running_chromium

ITEM = "fetch('api/items?list=suspects&limit=1&offset={}').then(r => r.json()).then(r => r.items[0])"
WAITING = "(document.body.dataset.waiting ?? '0') === '0'"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", nargs="?", default="pascal_2007", choices=[name for name in SETS if name != "pets"])
    parser.add_argument("--count", type=int, default=100, help="flipped labels to set right")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the model, which is used again")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        here = (args.keep or Path(temporary)) / f"{args.set}-{args.seed}"
        here.mkdir(parents=True, exist_ok=True)
        images, table = read_set(args.set)
        flipped, noisy = flip(table, args.seed)
        if not (here / "model" / "out_of_fold.parquet").exists():
            train(noisy, images, here)
        numbers = {"set": args.set, "flipped": int(flipped.sum())} | corrected(here, table, args.count, Path(temporary))
    for name, value in numbers.items():
        print(f"{name}: {value:.3g}" if isinstance(value, float) else f"{name}: {value}")
    save(args.json, numbers)


def corrected(here: Path, table: pd.DataFrame, count: int, temporary: Path) -> dict[str, Any]:
    """What a browser needs to set flipped labels right, and whether anything was lost."""
    program = chromium_path()
    if program is None:
        sys.exit("Chromium is not installed")
    truth = table.set_index("file").drop(columns="is_valid", errors="ignore")
    out, server = temporary / "new.csv", Server([str(here / "model")], temporary)
    with closing(server), running_chromium(temporary / "profile", program) as browser:
        tab = browser.open("about:blank")
        tab.look()
        tab.send("Page.navigate", url=f"{server.address}#list=suspects&view=single")
        tab.wait("document.body && document.body.dataset.ready")
        started, right, each, files = time.perf_counter(), 0, list[float](), list[str]()
        while right < count:
            item = tab.run(ITEM.format(len(files)))
            if item is None:
                break
            began = time.perf_counter()
            right += set_right(tab, item, truth)
            files.append(item["file"])
            tab.wait(f"document.getElementById('position').textContent.startsWith('{len(files) + 1} of')")
            each.append(time.perf_counter() - began)
            if server.kills == 0 and right >= count / 2:
                server.kill_and_start()
                tab.wait("fetch('api/session').then(r => r.ok, () => false)")
        tab.wait(WAITING)
        seconds = time.perf_counter() - started
        tab.run(
            "fetch('api/save', {method: 'POST', headers: {'content-type': 'application/json'}, body: '{}'})"
            ".then(r => r.json())"
        )
    wrong = wrong_cells(out, truth, files)
    milliseconds = np.quantile(each, [0.5, 0.95]) * 1000
    return {
        "set right": right,
        "images looked at": len(files),
        "seconds": seconds,
        "milliseconds an image, median": float(milliseconds[0]),
        "milliseconds an image, 95 %": float(milliseconds[1]),
        "kills of the server": server.kills,
        "labels of these images that are not as before the flip": wrong,
    }


def set_right(tab: Tab, item: dict[str, Any], truth: pd.DataFrame) -> int:
    """Sets each label of the image that is wrong, accepts it; returns how many were wrong."""
    keys = tab.run("fetch('api/session').then(r => r.json()).then(s => s.cells.map(c => [c.cell, c.key]))")
    true = truth.loc[name_of(item["file"], truth)]
    wrong = [key for cell, key in keys if item["current"][cell] != ("yes" if true[cell] else "no")]
    tab.keys(*wrong, "Enter")
    return len(wrong)


def name_of(file: str, truth: pd.DataFrame) -> str:
    """The name of an image in the table."""
    return file if file in truth.index else Path(file).name


def wrong_cells(out: Path, truth: pd.DataFrame, files: list[str]) -> int:
    """How many labels of the new table are not those before the flip, of the images that were looked at."""
    given = {name_of(str(row.path), truth): row.target for row in read_source(out)}
    names = [name_of(file, truth) for file in files]
    return sum((label in given[name]) != bool(truth.loc[name, label]) for name in names for label in truth.columns)


class Server:
    """``eyebright review`` in a process of its own.

    Args:
        arguments: the arguments of the command: what is reviewed.
        folder: the folder for the new table and the journal.
    """

    def __init__(self, arguments: list[str], folder: Path) -> None:
        self.kills = 0
        self._command = [sys.executable, "-m", "eyebright", "review", *arguments, "--no-browser"]
        self._command += ["--out", str(folder / "new.csv"), "--journal", str(folder / "journal")]
        self._process, self.address = self._start()

    def _start(self) -> tuple["subprocess.Popen[str]", str]:
        process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+/\S+/", line):
                return process, found[0]
        raise SystemExit("".join(lines))

    def kill_and_start(self) -> None:
        """Kills the process, as a crash does, and starts it again."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process, address = self._start()
        assert address == self.address
        self.kills += 1

    def close(self) -> None:
        """Ends the process as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=60)


if __name__ == "__main__":
    main()
