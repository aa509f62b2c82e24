"""The measurements of ``growth.py``, each run in a process of its own, with JSON on standard input and output.

Seconds are elapsed time. Megabytes are the memory of the whole process, including torch and all other libraries.
"""

import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import torch
from memory import process_tree, written

from eyebright.data.block import DataBlock
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.getters import ColReader
from eyebright.data.image_dataloaders import ImageDataLoaders
from eyebright.evaluation.thresholds import tune_thresholds
from eyebright.learner.vision_learner import vision_learner
from eyebright.metrics.meter import Meter
from eyebright.sources.checked_split import checked_split
from eyebright.sources.read import read_source
from eyebright.sources.split import ColSplitter, LabelSplitter, RandomSplitter, TrainTestSplitter
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Resize
from eyebright.workflow.check import check_source
from eyebright.workflow.command_options.data import SplitOptions
from eyebright.workflow.split import make_split, write_split

FILES = 20  # image files; tables of any length repeat their names
LABELS = 20
IMAGE_SIZE = (48, 64)  # (h, w) in pixels: small, so that decoding does not dominate
BATCH_SIZE = 64
METRIC_IMAGES = 2_000  # rows of outputs for metrics and thresholds
TRAINING_IMAGES = 320  # for 20 epochs of training

Prepare = Callable[[pd.DataFrame, Path], Callable[[], object]]


def main() -> None:
    kind, name, number = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(KINDS[kind](name, number, Path(folder))))


# ---------------------------------------------------------------------- rows of a table


def rows(name: str, number: int, folder: Path) -> dict[str, float]:
    """Seconds and peak memory of one stage for a table with ``number`` rows; no image is read."""
    stage = STAGES[name](table(number), folder)
    gc.collect()
    before = reset_peak()
    start = time.perf_counter()
    stage()
    return {"seconds": time.perf_counter() - start, "MB before": before, "MB at most": status("VmHWM")}


def stratify_one(frame: pd.DataFrame, _: Path) -> Callable[[], object]:
    return lambda: checked_split(TrainTestSplitter(0.2, 0, list(frame["fname"])), frame)


def stratify_several(frame: pd.DataFrame, _: Path) -> Callable[[], object]:
    label_sets = {text: tuple(text.split(" ")) for text in frame["labels"].unique()}
    labels = [label_sets[text] for text in frame["labels"]]
    return lambda: checked_split(LabelSplitter(labels, 0.2, 0), frame)


def dataloaders(frame: pd.DataFrame, folder: Path) -> Callable[[], object]:
    return lambda: count_images(block(folder).dataloaders(frame, bs=BATCH_SIZE))


def python_getters(frame: pd.DataFrame, folder: Path) -> Callable[[], object]:
    names = frame["fname"].tolist()
    with_getters = block(folder).new(get_x=lambda name: folder / name, get_y=lambda name: [name[:3]])
    return lambda: count_images(with_getters.dataloaders(names, bs=BATCH_SIZE))


def from_csv(frame: pd.DataFrame, folder: Path) -> Callable[[], object]:
    frame.to_csv(folder / "labels.csv", index=False)
    return lambda: count_images(ImageDataLoaders.from_csv(folder, label_delim=" ", bs=BATCH_SIZE))


def read_table(frame: pd.DataFrame, folder: Path) -> Callable[[], object]:
    unique = frame.assign(fname=[f"{i:08}.png" for i in range(len(frame))])  # repeated file names would be merged
    unique.to_csv(folder / "labels.csv", index=False)
    return lambda: read_source(folder / "labels.csv")


def count_images(dls: DataLoaders) -> int:
    """The number of images in the batches of an epoch; only their indices are drawn."""
    return sum(len(batch) for loader in dls for batch in loader.index_batches(0))


STAGES: dict[str, Prepare] = {
    "random split": lambda frame, _: lambda: checked_split(RandomSplitter(seed=0), frame),
    "split by column": lambda frame, _: lambda: checked_split(ColSplitter(), frame),
    "stratified split, one label": stratify_one,
    "stratified split, several labels": stratify_several,
    "datasets: split, read and check targets": lambda frame, folder: lambda: block(folder).datasets(frame),
    "datasets and batches of an epoch": dataloaders,
    "the same with getters in Python": python_getters,
    "fingerprint": lambda frame, folder: block(folder).datasets(frame).fingerprint,
    "from_csv": from_csv,
    "table of the command line": read_table,
}

MAX_ROWS = {"table of the command line": 1_000_000}


# ---------------------------------------------------------------------- read, check and split a table


def split(_: str, number: int, folder: Path) -> dict[str, float]:
    """Seconds of each step of ``eyebright split``, and the peak memory; no image is read, and none exists.

    The table has 100 labels, of which an image has up to five, and three images of each patient.
    """
    write_patients(folder / "labels.csv", number)
    before = reset_peak()
    seconds: dict[str, float] = {}

    def timed(name: str, function: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = function()
        seconds[name] = time.perf_counter() - start
        return result

    source = timed("read", lambda: read_source(folder / "labels.csv", labels="labels", delimiter=";"))
    timed("check without pixels", lambda: check_source(source, pixels=False))
    options = SplitOptions(folder / "labels.csv")
    made = timed("split and prove", lambda: make_split(source, options))
    timed("write", lambda: write_split(made, folder / "split.csv"))
    return {**seconds, "MB before": before, "MB at most": status("VmHWM")}


def write_patients(path: Path, number: int) -> None:
    """A table of images with labels and patients, written in pieces."""
    random = np.random.default_rng(0)
    frequencies = 1 / np.arange(1, 101) ** 0.8
    with path.open("w") as file:
        file.write("file,labels,patient_id\n")
        for start in range(0, number, 100_000):
            several = min(100_000, number - start)
            drawn = random.choice(100, (several, 5), p=frequencies / frequencies.sum())
            kept = random.integers(0, 6, several)
            for i in range(several):
                labels = ";".join(f"label{label}" for label in sorted(set(drawn[i, : kept[i]].tolist())))
                file.write(f"images/{(start + i) // 3:08}/{start + i:08}.jpg,{labels},P{(start + i) // 3:08}\n")


# ---------------------------------------------------------------------- images of an epoch


def epochs(name: str, number: int, folder: Path) -> dict[str, list[float]]:
    """Seconds of epochs of loading: the first, which also starts the threads, and one or two more."""
    dls = block(folder, training=True).dataloaders(with_images(number, folder), bs=min(BATCH_SIZE, number // 4))
    return {"seconds": [epoch_seconds(dls) for _ in range(3 if number <= 10_000 else 2)]}


def epoch_seconds(dls: DataLoaders) -> float:
    start = time.perf_counter()
    for _ in dls.train:
        pass
    return time.perf_counter() - start


# ---------------------------------------------------------------------- twenty epochs


def loading(name: str, workers: int, folder: Path) -> dict[str, Any]:
    """Memory after each of twenty epochs of loading with this number of threads or processes."""
    dls = block(folder, training=True).dataloaders(
        with_images(2_000, folder), bs=BATCH_SIZE, num_workers=workers, processes=name == "processes"
    )
    return after_epochs(lambda: epoch_seconds(dls))


def training(name: str, workers: int, folder: Path) -> dict[str, Any]:
    """Memory after each of twenty epochs of training, including validation and metrics."""
    dls = block(folder, training=True).dataloaders(
        with_images(TRAINING_IMAGES, folder), bs=32, num_workers=workers, processes=name == "processes"
    )
    learner = vision_learner(
        dls, "test_resnet", pretrained=False, metrics=dls.target.metrics(), precision="float32", progress="quiet"
    )
    return after_epochs(lambda: learner.fit(1, 1e-3))


def after_epochs(epoch: Callable[[], object]) -> dict[str, Any]:
    megabytes, threads, processes = list[float](), list[float](), list[int]()
    for _ in range(20):
        epoch()
        gc.collect()
        tree = process_tree(os.getpid())
        megabytes.append(sum(map(written, tree)))
        threads.append(status("Threads"))
        processes.append(len(tree))
    return {"MB": megabytes, "threads": threads, "processes": processes}


# ---------------------------------------------------------------------- classes


def classes(name: str, number: int, folder: Path) -> dict[str, float]:
    """Seconds and peak memory of metrics, or of threshold tuning, with ``number`` classes."""
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(METRIC_IMAGES, number, generator=random)
    targets = (logits + torch.randn(METRIC_IMAGES, number, generator=random) > 2.5).float()
    target = MultiCategoryBlock(vocab=[f"label{i}" for i in range(number)])
    before = reset_peak()
    start = time.perf_counter()
    if name == "metrics":
        meter = Meter(target.metrics())
        for first in range(0, METRIC_IMAGES, BATCH_SIZE):
            meter.add(logits[first : first + BATCH_SIZE], targets[first : first + BATCH_SIZE])
        meter.result(target.activate)
    else:
        tune_thresholds(target.activate(logits), targets)
    return {"seconds": time.perf_counter() - start, "MB before": before, "MB at most": status("VmHWM")}


# ---------------------------------------------------------------------- shared


def table(number: int) -> pd.DataFrame:
    """A table with a file name, two labels and a validation flag in each row, at random."""
    random = np.random.default_rng(0)
    labels = np.array([f"label{i}" for i in range(LABELS)], dtype=object)
    pairs = np.array([f"{first} {second}" for first in labels for second in labels], dtype=object)
    files = np.array([f"{i:03}.png" for i in range(FILES)], dtype=object)
    return pd.DataFrame(
        {
            "fname": pd.Series(files[random.integers(0, FILES, number, dtype=np.int32)]),
            "labels": pd.Series(pairs[random.integers(0, len(pairs), number, dtype=np.int32)]),
            "is_valid": random.random(number, dtype=np.float32) < 0.2,
        }
    )


def with_images(number: int, folder: Path) -> pd.DataFrame:
    """A table whose image files exist in ``folder``."""
    random = np.random.default_rng(0)
    for i in range(FILES):
        PIL.Image.fromarray(random.integers(0, 256, (*IMAGE_SIZE, 3), dtype=np.uint8)).save(folder / f"{i:03}.png")
    return table(number)


def block(folder: Path, *, training: bool = False) -> DataBlock:
    """The data block for the table; ``training`` adds augmentation."""
    return DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock),
        get_x=ColReader("fname", pref=folder),
        get_y=ColReader("labels", label_delim=" "),
        splitter=RandomSplitter(seed=0),
        item_tfms=Resize(40),
        batch_tfms=aug_transforms(size=32) if training else None,
    )


def reset_peak() -> float:
    """The resident memory in MB; also resets its recorded peak (VmHWM)."""
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def status(field: str) -> float:
    """A field of Linux's status of this process: MB, or a number."""
    words = next(line.split() for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(words[1]) / 1024 if words[-1] == "kB" else float(words[1])


KINDS: dict[str, Callable[[str, int, Path], Any]] = {
    "rows": rows,
    "split": split,
    "epochs": epochs,
    "loading": loading,
    "training": training,
    "classes": classes,
}

if __name__ == "__main__":
    main()
