"""Command-line arguments, datasets, and running the compared libraries in processes of their own."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from memory import MemoryMonitor
from peers.training_protocol import Item, Kind, Phase, Settings

from eyebright._defaults import BASE_LR, BATCH_SIZE, IMAGE_SIZE
from eyebright.io.files import get_image_files
from eyebright.sources.read import read_source
from eyebright.sources.source_split import split_source
from eyebright.workflow.options import TrainOptions

TRAINING = ("peers.fastai_training", "peers.eyebright_training")
NOT_RECORDED = (  # too long, or different in each variant
    "items",
    "seed",
    "fastai_recipe",
    "keep_statistics",
    "train_bn",
    "precision",
    "num_workers",
    "started",
)


class HelpFormatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Help with the description as it is written, and with the defaults of all options."""


def create_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the arguments for dataset, model and output file; defaults are those of ``eyebright train``."""
    parser = argparse.ArgumentParser(description=description, formatter_class=HelpFormatter)
    parser.add_argument("data", type=Path, help="a CSV table of labels, or a folder with one subfolder per class")
    parser.add_argument("--images", type=Path, help="the folder that the table's file names are relative to")
    parser.add_argument("--count", type=int, help="number of images to use, a fixed random subset (default: all)")
    parser.add_argument(
        "--arch",
        default=TrainOptions().backbone,
        help="tf_efficientnet_lite0/1/2 (pretrained), or resnet18/34/50 (random weights)",
    )
    parser.add_argument("--size", type=int, nargs="+", default=[IMAGE_SIZE], help="pixels: SIZE, or HEIGHT WIDTH")
    parser.add_argument("--bs", type=int, default=BATCH_SIZE, help="batch size")
    parser.add_argument("--lr", type=float, default=BASE_LR, help="(base) learning rate")
    add_json_argument(parser)
    return parser


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """Adds ``--json``."""
    parser.add_argument("--json", type=Path, help="file to which all measurements are written")


def add_fastai_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds fastai's interpreter and the optional variants of Eyebright."""
    parser.add_argument(
        "--fastai-python", required=True, help="a Python interpreter with fastai, timm and the package of weights"
    )
    parser.add_argument(
        "--fastai-recipe",
        action="store_true",
        help="also run Eyebright with fastai's recipe: all batch norms train, in a frozen backbone too",
    )
    parser.add_argument(
        "--no-train-bn",
        action="store_true",
        help="also run Eyebright with train_bn=False: batch norms of a frozen backbone are frozen",
    )
    parser.add_argument(
        "--keep-statistics",
        action="store_true",
        help="also run Eyebright with the recipe for pretrained backbones; with random weights only its time is useful",
    )
    parser.add_argument("--float32", action="store_true", help="also run Eyebright in float32")


def create_settings(arguments: argparse.Namespace, phase: Phase, kind: Kind, items: list[Item]) -> Settings:
    """The settings for all libraries; for ``fine_tune`` the numbers of epochs must still be set."""
    height, width = arguments.size * 2 if len(arguments.size) == 1 else arguments.size
    items = subset(items, arguments.count)
    for item in items:  # so that the first library does not have to read from a cold disk cache
        Path(item["path"]).read_bytes()
    return Settings(kind, items, arguments.arch, (height, width), arguments.bs, arguments.lr, phase)


def labelled_items(data: Path, images: Path | None) -> tuple[Kind, list[Item]]:
    """The kind of labels and the images of a table or of class folders; unsplit data get a stratified split."""
    source = split_source(read_source(data.resolve(), images=None if images is None else images.resolve()))
    kind: Kind = "multi" if source.kind == "multicategory" else "single"
    items = [
        Item(
            path=str(row.path),
            target=sorted(row.target) if kind == "multi" else row.target,
            valid=row.part == "valid",
        )
        for row in source
        if row.part in ("train", "valid")
    ]
    return kind, items


def biwi_items(folder: Path, person: str) -> list[Item]:
    """The images of the BIWI head pose dataset with the head's centre in pixels; one person is the validation set."""
    camera = np.genfromtxt(folder / "01" / "rgb.cal", skip_footer=6)

    def center(image: Path) -> list[float]:
        x, y, z = np.genfromtxt(image.with_name(image.name.replace("rgb.jpg", "pose.txt")), skip_header=3)
        return [x * camera[0][0] / z + camera[0][2], y * camera[1][1] / z + camera[1][2]]

    files = get_image_files(folder.resolve())
    return [Item(path=str(file), target=center(file), valid=file.parent.name == person) for file in files]


def subset(items: list[Item], count: int | None) -> list[Item]:
    """A fixed random subset of ``count`` items in their original order; all of them if None."""
    if count is None or count >= len(items):
        return items
    return [items[i] for i in sorted(np.random.default_rng(0).permutation(len(items))[:count])]


def training_variants(
    settings: Settings, arguments: argparse.Namespace, *, modules: tuple[str, str] = TRAINING, memory: bool = False
) -> dict[str, Callable[[int], Any]]:
    """fastai, Eyebright and the requested variants of Eyebright by name; each is called with a seed.

    Args:
        settings: shared by all.
        arguments: the arguments, including those of ``add_fastai_arguments``.
        modules: fastai's and Eyebright's module.
        memory: also measure peak memory.
    """
    changes: dict[str, dict[str, Any]] = {"eyebright": {}}
    if arguments.fastai_recipe:
        changes["eyebright, fastai recipe"] = {"fastai_recipe": True}
    if arguments.no_train_bn:
        changes["eyebright, train_bn=False"] = {"train_bn": False}
    if arguments.keep_statistics:
        changes["eyebright, keep_statistics"] = {"keep_statistics": True}
    if arguments.float32:
        changes["eyebright, float32"] = {"precision": "float32"}
    fastai, eyebright = modules
    return {"fastai": variant(arguments.fastai_python, fastai, settings, memory=memory)} | {
        name: variant(sys.executable, eyebright, replace(settings, **change), memory=memory)
        for name, change in changes.items()
    }


def plain_loop_variants(settings: Settings) -> dict[str, Callable[[int], Any]]:
    """The loops of timm's train.py in two precisions and of torchvision's references, by name."""
    timm, torchvision = "peers.timm_training", "peers.torchvision_training"
    return {
        "timm": variant(sys.executable, timm, replace(settings, precision="float32")),
        "timm --amp bfloat16": variant(sys.executable, timm, replace(settings, precision="bfloat16")),
        "torchvision": variant(sys.executable, torchvision, settings),
    }


def variant(python: str, module: str, settings: Settings, *, memory: bool = False) -> Callable[[int], Any]:
    """A function from a seed to the result of ``module`` with that seed."""
    return lambda seed: run_module(python, module, replace(settings, seed=seed), memory=memory)


def run_module(
    python: str, module: str, settings: Any, *, memory: bool = False, environment: Mapping[str, str] | None = None
) -> Any:
    """The result that a module prints when run in a new process with these settings.

    Args:
        python: the interpreter.
        module: name of the module, importable from this folder.
        settings: a dataclass with the field ``started``.
        memory: also measure the memory of the process and its children, as the result's ``peak``.
        environment: additional environment variables.
    """
    with tempfile.TemporaryDirectory() as home:  # so that no measured precision is remembered from another process
        process = subprocess.Popen(
            [Path(shutil.which(python) or python).absolute(), "-m", module],  # absolute, because of cwd
            cwd=Path(__file__).parent,
            env={**os.environ, "EYEBRIGHT_HOME": home, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        monitor = MemoryMonitor(process.pid) if memory else None
        out, errors = process.communicate(json.dumps(asdict(replace(settings, started=time.time()))))
        peak = monitor.stop() if monitor else None
    if process.returncode:
        raise SystemExit(f"{module} failed with exit code {process.returncode}:\n{errors[-3000:]}")
    result = json.loads(out.splitlines()[-1])
    return result if peak is None else result | {"peak": asdict(peak)}


def settings_record(settings: Settings) -> dict[str, object]:
    """The settings for the JSON file: the numbers of images instead of the images."""
    record = asdict(settings) | {"train": len(settings.items) - len(settings.valid), "valid": len(settings.valid)}
    return {name: value for name, value in record.items() if name not in NOT_RECORDED}
