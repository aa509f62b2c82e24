"""What `growth.py` measures, in a process of its own: asked on the standard input, answered on the standard output.

Seconds are of the wall. Megabytes are what the system says of this process, with torch and all else that is loaded.
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
from memory import family, own

from eyebright.data.block import DataBlock
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.getters import ColReader
from eyebright.data.image_dataloaders import ImageDataLoaders
from eyebright.evaluation.thresholds import tune_thresholds
from eyebright.learner.vision_learner import vision_learner
from eyebright.metrics.meter import Meter
from eyebright.sources.read import read_source
from eyebright.sources.split import ColSplitter, LabelSplitter, RandomSplitter, TrainTestSplitter, checked_split
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Resize

FILES = 20  # images; the rows of a table of any length name them again and again
LABELS = 20
SIDE = (48, 64)  # pixels of an image: small, so that decoding does not hide what grows
BATCH = 64
SCORED = 2_000  # images whose scores are computed
TRAINED = 320  # images of the network that trains for 20 epochs

Prepare = Callable[[pd.DataFrame, Path], Callable[[], object]]


def main() -> None:
    kind, name, number = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(KINDS[kind](name, number, Path(folder))))


# ---------------------------------------------------------------------- rows of a table


def rows(name: str, number: int, folder: Path) -> dict[str, float]:
    """Seconds and memory of one stage on the way from a table to the batches of an epoch; no image is read."""
    stage = STAGES[name](table(number), folder)
    gc.collect()
    before = forget_peak()
    started = time.perf_counter()
    stage()
    return {"seconds": time.perf_counter() - started, "MB before": before, "MB at most": status("VmHWM")}


def stratify_one(made: pd.DataFrame, _: Path) -> Callable[[], object]:
    return lambda: checked_split(TrainTestSplitter(0.2, 0, made["fname"]), made)


def stratify_any(made: pd.DataFrame, _: Path) -> Callable[[], object]:
    different = {text: tuple(text.split(" ")) for text in made["labels"].unique()}
    labels = [different[text] for text in made["labels"]]
    return lambda: checked_split(LabelSplitter(labels, 0.2, 0), made)


def loaders(made: pd.DataFrame, folder: Path) -> Callable[[], object]:
    return lambda: drawn(block(folder).dataloaders(made, bs=BATCH))


def own_functions(made: pd.DataFrame, folder: Path) -> Callable[[], object]:
    names = made["fname"].tolist()
    own = block(folder).new(get_x=lambda name: folder / name, get_y=lambda name: [name[:3]])
    return lambda: drawn(own.dataloaders(names, bs=BATCH))


def from_csv(made: pd.DataFrame, folder: Path) -> Callable[[], object]:
    made.to_csv(folder / "labels.csv", index=False)
    return lambda: drawn(ImageDataLoaders.from_csv(folder, label_delim=" ", bs=BATCH))


def read_table(made: pd.DataFrame, folder: Path) -> Callable[[], object]:
    unique = made.assign(fname=[f"{i:08}.png" for i in range(len(made))])  # it leaves out what is named twice
    unique.to_csv(folder / "labels.csv", index=False)
    return lambda: read_source(folder / "labels.csv")


def drawn(dls: DataLoaders) -> int:
    """How many images the batches of an epoch hold; only their indices are drawn."""
    return sum(len(group) for side in dls for group in side.batch_indices(0))


STAGES: dict[str, Prepare] = {
    "split at random": lambda made, _: lambda: checked_split(RandomSplitter(seed=0), made),
    "split by a column": lambda made, _: lambda: checked_split(ColSplitter(), made),
    "stratify, one label": stratify_one,
    "stratify, any number of labels": stratify_any,
    "split, read and check targets": lambda made, folder: lambda: block(folder).datasets(made),
    "the same and the batches of an epoch": loaders,
    "the same with functions of your own": own_functions,
    "fingerprint": lambda made, folder: block(folder).datasets(made).fingerprint,
    "from_csv": from_csv,
    "the command line reads a table": read_table,
}

MOST = {"the command line reads a table": 1_000_000}  # rows; it then looks at each image's header, which takes longer


# ---------------------------------------------------------------------- images of an epoch


def epochs(name: str, number: int, folder: Path) -> dict[str, list[float]]:
    """Seconds of epochs of loading: the first, which also starts threads, and two more."""
    dls = block(folder, training=True).dataloaders(with_images(number, folder), bs=min(BATCH, number // 4))
    return {"seconds": [passed(dls) for _ in range(3 if number <= 10_000 else 2)]}


def passed(dls: DataLoaders) -> float:
    started = time.perf_counter()
    for _ in dls.train:
        pass
    return time.perf_counter() - started


# ---------------------------------------------------------------------- twenty epochs


def loading(name: str, workers: int, folder: Path) -> dict[str, Any]:
    """Memory after each of twenty epochs of loading with so many threads, or processes."""
    dls = block(folder, training=True).dataloaders(
        with_images(2_000, folder), bs=BATCH, num_workers=workers, processes=name == "processes"
    )
    return after_epochs(lambda: passed(dls))


def training(name: str, workers: int, folder: Path) -> dict[str, Any]:
    """Memory after each of twenty epochs of training, validation and metrics included."""
    dls = block(folder, training=True).dataloaders(
        with_images(TRAINED, folder), bs=32, num_workers=workers, processes=name == "processes"
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
        alive = family(os.getpid())
        megabytes.append(sum(map(own, alive)))
        threads.append(status("ThreadExecutor"))
        processes.append(len(alive))
    return {"MB": megabytes, "threads": threads, "processes": processes}


# ---------------------------------------------------------------------- classes


def classes(name: str, number: int, folder: Path) -> dict[str, float]:
    """Seconds and memory of scores, or of thresholds, of so many classes."""
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(SCORED, number, generator=random)
    targets = (logits + torch.randn(SCORED, number, generator=random) > 2.5).float()
    target = MultiCategoryBlock(vocab=[f"label{i}" for i in range(number)])
    before = forget_peak()
    started = time.perf_counter()
    if name == "metrics":
        meter = Meter(target.metrics())
        for start in range(0, SCORED, BATCH):
            meter.add(logits[start : start + BATCH], targets[start : start + BATCH])
        meter.result(target.activate)
    else:
        tune_thresholds(target.activate(logits), targets)
    return {"seconds": time.perf_counter() - started, "MB before": before, "MB at most": status("VmHWM")}


# ---------------------------------------------------------------------- what they share


def table(number: int) -> pd.DataFrame:
    """Rows with a file, two labels and a side, drawn with equal chance."""
    random = np.random.default_rng(0)
    labels = np.array([f"label{i}" for i in range(LABELS)], dtype=object)
    pairs = np.array([f"{one} {two}" for one in labels for two in labels], dtype=object)
    files = np.array([f"{i:03}.png" for i in range(FILES)], dtype=object)
    return pd.DataFrame(
        {
            "fname": pd.Series(files[random.integers(0, FILES, number, dtype=np.int32)]),
            "labels": pd.Series(pairs[random.integers(0, len(pairs), number, dtype=np.int32)]),
            "is_valid": random.random(number, dtype=np.float32) < 0.2,
        }
    )


def with_images(number: int, folder: Path) -> pd.DataFrame:
    """The same with files that are there."""
    random = np.random.default_rng(0)
    for i in range(FILES):
        PIL.Image.fromarray(random.integers(0, 256, (*SIDE, 3), dtype=np.uint8)).save(folder / f"{i:03}.png")
    return table(number)


def block(folder: Path, *, training: bool = False) -> DataBlock:
    """The data block of the table; ``training`` augments as usual."""
    return DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock),
        get_x=ColReader("fname", pref=folder),
        get_y=ColReader("labels", label_delim=" "),
        splitter=RandomSplitter(seed=0),
        item_tfms=Resize(40),
        batch_tfms=aug_transforms(size=32) if training else None,
    )


def forget_peak() -> float:
    """Resident megabytes; the highest is counted anew from here."""
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def status(field: str) -> float:
    """What Linux says of this process: megabytes, or a number."""
    words = next(line.split() for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(words[1]) / 1024 if words[-1] == "kB" else float(words[1])


KINDS: dict[str, Callable[[str, int, Path], Any]] = {
    "rows": rows,
    "epochs": epochs,
    "loading": loading,
    "training": training,
    "classes": classes,
}

if __name__ == "__main__":
    main()
