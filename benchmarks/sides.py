"""What the comparisons with fastai share: their arguments, the images that both sides see, and asking a side."""

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
from memory import Watch
from peers.job import Item, Kind, Phase, Settings

from eyebright.io.files import get_image_files
from eyebright.sources.read import read_source
from eyebright.sources.source_split import split_source
from eyebright.workflow.train_model import DEFAULT_BATCH, Options

TRAINING = ("peers.fastai_side", "peers.eyebright_side")
NOT_KEPT = ("items", "seed", "book", "keep", "train_bn", "precision", "workers", "started")  # differ, or are too many


def parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments of images, model and output; defaults are the command line's."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    made.add_argument("data", type=Path, help="a table of labels, or a folder with a folder for each class")
    made.add_argument("--images", type=Path, help="the folder that the table's file names start from")
    made.add_argument("--count", type=int, help="use that many, drawn once (default: all)")
    made.add_argument(
        "--arch", default=Options.arch, help="tf_efficientnet_lite0/1/2, or resnet18/34/50 (random weights)"
    )
    made.add_argument("--size", type=int, nargs="+", default=[Options.size], help="pixels: one number, or height width")
    made.add_argument("--bs", type=int, default=DEFAULT_BATCH, help="images in a batch")
    made.add_argument("--lr", type=float, default=Options.lr, help="the (base) learning rate")
    made.add_argument("--json", type=Path, help="write everything that was measured there")
    return made


def add_peers(made: argparse.ArgumentParser) -> None:
    """The arguments of a comparison with fastai."""
    made.add_argument(
        "--fastai-python", required=True, help="an interpreter with fastai, timm and the weights' package"
    )
    made.add_argument("--book", action="store_true", help="a further side: Eyebright with the book's recipe")
    made.add_argument(
        "--still-norms", action="store_true", help="a further side: train_bn=False, a frozen body is really frozen"
    )
    made.add_argument(
        "--as-pretrained",
        action="store_true",
        help="a further side: what the command line does with trained weights; from random ones its scores mean little",
    )
    made.add_argument("--float32", action="store_true", help="a further side: Eyebright in float32, nothing chosen")


def settings(arguments: argparse.Namespace, phase: Phase, kind: Kind, items: list[Item]) -> Settings:
    """What both sides are told; ``fine_tune`` still lacks its epochs."""
    height, width = arguments.size * 2 if len(arguments.size) == 1 else arguments.size
    items = drawn(items, arguments.count)
    for item in items:  # so that the side that comes first need not wait for the disk
        Path(item["path"]).read_bytes()
    return Settings(kind, items, arguments.arch, (height, width), arguments.bs, arguments.lr, phase)


def labelled(data: Path, images: Path | None) -> tuple[Kind, list[Item]]:
    """The images of a table or of class folders; a fifth of each label validates where they do not say which."""
    source = split_source(read_source(data.resolve(), images=None if images is None else images.resolve()))
    kind: Kind = "multi" if source.kind == "multicategory" else "single"
    items = [
        Item(
            path=str(row.path),
            answer=sorted(row.target) if kind == "multi" else row.target,
            valid=row.part == "valid",
        )
        for row in source
        if row.part in ("train", "valid")
    ]
    return kind, items


def points(folder: Path, person: str) -> list[Item]:
    """The images of a folder in the format of BIWI with the head's centre in pixels; one person validates."""
    camera = np.genfromtxt(folder / "01" / "rgb.cal", skip_footer=6)

    def centre(image: Path) -> list[float]:
        x, y, z = np.genfromtxt(image.with_name(image.name.replace("rgb.jpg", "pose.txt")), skip_header=3)
        return [x * camera[0][0] / z + camera[0][2], y * camera[1][1] / z + camera[1][2]]

    files = get_image_files(folder.resolve())
    return [Item(path=str(file), answer=centre(file), valid=file.parent.name == person) for file in files]


def drawn(items: list[Item], count: int | None) -> list[Item]:
    """That many of the items in their order, always the same ones."""
    if count is None or count >= len(items):
        return items
    return [items[i] for i in sorted(np.random.default_rng(0).permutation(len(items))[:count])]


def make_sides(
    told: Settings, arguments: argparse.Namespace, *, modules: tuple[str, str] = TRAINING, memory: bool = False
) -> dict[str, Callable[[int], Any]]:
    """fastai, Eyebright, and Eyebright in the ways that were asked for: each is called with a seed and answers.

    Args:
        told: what all are told.
        arguments: of the command line, with those that `add_peers` added.
        modules: of fastai's side and of Eyebright's.
        memory: measure memory as well.
    """
    ways: dict[str, dict[str, Any]] = {"eyebright": {}}
    if arguments.book:
        ways["eyebright --book"] = {"book": True}
    if arguments.still_norms:
        ways["eyebright train_bn=False"] = {"train_bn": False}
    if arguments.as_pretrained:
        ways["eyebright as if pretrained"] = {"keep": True}
    if arguments.float32:
        ways["eyebright float32"] = {"precision": "float32"}
    fastai, eyebright = modules
    return {"fastai": side(arguments.fastai_python, fastai, told, memory=memory)} | {
        name: side(sys.executable, eyebright, replace(told, **way), memory=memory) for name, way in ways.items()
    }


def make_loops(told: Settings) -> dict[str, Callable[[int], Any]]:
    """Timm's way to train in two precisions, and that of torchvision's references; both under this interpreter."""
    timm, torchvision = "peers.timm_side", "peers.torchvision_side"
    return {
        "timm": side(sys.executable, timm, replace(told, precision="float32")),
        "timm --amp bfloat16": side(sys.executable, timm, replace(told, precision="bfloat16")),
        "torchvision": side(sys.executable, torchvision, told),
    }


def side(python: str, module: str, told: Settings, *, memory: bool = False) -> Callable[[int], Any]:
    """Asks that side, with the seed that it is called with."""
    return lambda seed: ask(python, module, replace(told, seed=seed), memory=memory)


def ask(
    python: str, module: str, told: Any, *, memory: bool = False, environment: Mapping[str, str] | None = None
) -> Any:
    """What the side says when it has done what it was told, in a process of its own.

    Args:
        python: the interpreter.
        module: the side.
        told: a dataclass with the field ``started``.
        memory: watch the memory of the process and its children; the answer then has a ``peak``.
        environment: of the process, beside this one's.
    """
    with tempfile.TemporaryDirectory() as home:  # so that Eyebright remembers no precision from another process
        process = subprocess.Popen(
            [Path(shutil.which(python) or python).absolute(), "-m", module],  # the process starts in another folder
            cwd=Path(__file__).parent,
            env={**os.environ, "EYEBRIGHT_HOME": home, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        watch = Watch(process.pid) if memory else None
        out, errors = process.communicate(json.dumps(asdict(replace(told, started=time.time()))))
        peak = watch.stop() if watch else None
    if process.returncode:
        raise SystemExit(f"{module} failed with exit code {process.returncode}:\n{errors[-3000:]}")
    answer = json.loads(out.splitlines()[-1])
    return answer if peak is None else answer | {"peak": asdict(peak)}


def told_without_images(told: Settings) -> dict[str, object]:
    """The settings for the record: how many images instead of which."""
    record = asdict(told) | {"train": len(told.items) - len(told.valid), "valid": len(told.valid)}
    return {name: value for name, value in record.items() if name not in NOT_KEPT}
