"""Kills trainings at different times, resumes them, and reports what was left and which weights differ.

    python tests/workflow/kill_trainings.py COUNT FOLDER

Each training is a fork of this process that is killed (SIGKILL): one in four after a part of the time that a whole one
takes, the others after an epoch, in the middle of writing a checkpoint, or of the model. Then it is resumed, or started
again if no epoch was complete. Prints a line for each violation and a summary as JSON: how many folders have temporary
files after that, and how many resumed trainings have the weights of an uninterrupted one.
"""

import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from safetensors.torch import load_file

from eyebright.inference.folder_format import WEIGHTS
from eyebright.learner import vision_learner
from eyebright.models.build import build_model
from eyebright.sources.read import read_source
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.train_model import CHECKPOINT, train_model

IMAGES, EPOCHS, SIZE = 24, 3, 32
RESULTS = {"model.safetensors", "manifest.json", "evaluation.parquet", "options.json", "history.csv", "report.html"}


def main(count: int, folder: Path) -> None:
    """Prints what killing `count` trainings did."""
    # No weights are downloaded.
    vision_learner.build_model = lambda description, *, pretrained, **options: build_model(description, **options)
    table = _images(folder / "photos")
    _run(table, folder / "first", resume=False)  # imports what is imported late, which each fork would do again
    start = time.perf_counter()
    _end(_train(table, folder / "whole", resume=False))
    seconds = time.perf_counter() - start
    whole = load_file(folder / "whole" / WEIGHTS)
    found = Counter[str]()
    for i in range(count):
        out = folder / f"{i}"
        killed = _train(table, out, resume=False)
        _wait_for(i, out, seconds * (i + 0.5) / count)
        os.kill(killed, signal.SIGKILL)
        os.waitpid(killed, 0)
        before = _leftovers(out)
        resume = (out / CHECKPOINT).exists()
        _end(_train(table, out, resume=resume))
        after = _leftovers(out)
        same = all(torch.equal(tensor, whole[name]) for name, tensor in load_file(out / WEIGHTS).items())
        found["killed"] += 1
        found["temporary files right after the kill"] += bool(before)
        found["temporary files after the next training"] += bool(after)
        found["resumed"] += resume
        found["resumed to the same weights"] += resume and same
        found["started again to the same weights"] += not resume and same
        if after or not same:
            sys.stdout.write(f"training {i}: resumed {resume}, same weights {same}, left {after}\n")
    sys.stdout.write(json.dumps(found) + "\n")


def _wait_for(i: int, out: Path, seconds: float) -> None:
    """Waits for the moment of kill ``i``, but at most a minute."""
    if i % 4 == 0:
        time.sleep(seconds)
        return
    epoch, end = i // 4 % EPOCHS, time.monotonic() + 60
    seen: set[int] = set()
    while time.monotonic() < end and len(seen) <= epoch:
        names = [path.name for path in out.iterdir()] if out.exists() else []
        if i % 4 == 3 and any(name.startswith(f".{WEIGHTS}.") for name in names):
            return
        if i % 4 == 2 and len(seen) == epoch and any(name.startswith(f".{CHECKPOINT}.") for name in names):
            return
        if i % 4 != 3 and CHECKPOINT in names:
            with contextlib.suppress(FileNotFoundError):  # it has just been deleted
                seen.add((out / CHECKPOINT).stat().st_mtime_ns)
        time.sleep(0.0005)


def _images(folder: Path) -> Path:
    draw = np.random.default_rng(0)
    rows = ["file,labels"]
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(IMAGES):
        PIL.Image.fromarray(draw.integers(0, 256, (40, 40, 3), np.uint8)).save(folder / f"{i:02}.png")
        rows.append(f"{i:02}.png,{('a', 'b', 'a;b', '')[i % 4]}")
    table = folder / "labels.csv"
    table.write_text("\n".join(rows) + "\n")
    return table


def _train(table: Path, out: Path, *, resume: bool) -> int:
    """The id of a process that trains."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        _run(table, out, resume=resume)
        code = 0
    finally:
        os._exit(code)
    raise AssertionError("it has ended")


def _run(table: Path, out: Path, *, resume: bool) -> None:
    torch.set_num_threads(1)
    options = TrainOptions(
        arch="test_resnet", size=SIZE, epochs=EPOCHS, bs=8, precision="float32", workers=1, progress="quiet"
    )
    train_model(read_source(table), out, options=options, resume=resume, say=lambda _: None)


def _end(child: int) -> None:
    """Waits for a training run, which has to succeed."""
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise SystemExit("a training run failed")


def _leftovers(out: Path) -> list[str]:
    """What a complete training does not write."""
    if not out.exists():
        return []
    known = {*RESULTS, CHECKPOINT, "report.json", "README.md", "training_images.json"}
    return sorted(path.name for path in out.iterdir() if path.name not in known)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
