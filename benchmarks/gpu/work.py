"""What the checks of `gpu_check.py` work on: a device, generated images, learners, and the rows of the results."""

import contextlib
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch

from eyebright import (
    CategoryBlock,
    DataBlock,
    DataLoaders,
    ImageBlock,
    IndexSplitter,
    Learner,
    Resize,
    aug_transforms,
    vision_learner,
)

COLOURS = {"blue": (30, 30, 200), "green": (30, 200, 30), "red": (200, 30, 30), "yellow": (200, 200, 30)}
VALID_EVERY = 4  # one image of four validates


@dataclass(frozen=True)
class Sizes:
    """How much is computed.

    Args:
        arch: the architecture.
        size: side of the model's input, in pixels.
        image: (height, width) of the image files.
        images: number of image files.
        repeats: how often each of them is in the data of speeds: workers read ahead, which must not be all there is.
        bs: batch size.
        steps: timed training steps of each round.
        rounds: rounds of each comparison; the median counts.
        seconds: time after which a comparison begins no other round.
        workers: processes that read images for the plain loop.
    """

    arch: str
    size: int
    image: tuple[int, int]
    images: int
    repeats: int
    bs: int
    steps: int
    rounds: int
    seconds: float
    workers: int


@dataclass(frozen=True)
class Row:
    """One result.

    Args:
        name: what was checked.
        ok: whether it holds; of a speed, whether it was measured.
        value: the number that was measured; None if there is none.
        unit: the unit of ``value``.
        message: what was compared, with the limit; or what went wrong.
    """

    name: str
    ok: bool
    value: float | None
    unit: str
    message: str


@dataclass(frozen=True)
class Work:
    """The device, the sizes, the folder of the image files, and how often each of them is in the data."""

    device: torch.device
    sizes: Sizes
    folder: Path
    repeats: int = 1

    @property
    def items(self) -> list[dict[str, str]]:
        """Path and label of each image."""
        names = sorted(COLOURS)
        files = [
            {"path": str(self.folder / f"{i:04}.jpg"), "label": names[i % len(names)]} for i in range(self.sizes.images)
        ]
        return files * self.repeats

    def repeated(self) -> "Work":
        """The work with as much data as speeds need."""
        return replace(self, repeats=self.sizes.repeats)

    @property
    def valid(self) -> list[int]:
        """The positions of the validation images; all labels are among them."""
        return [i for i in range(len(self.items)) if i // len(COLOURS) % VALID_EVERY == 0]

    @property
    def valid_paths(self) -> list[str]:
        """The paths of the validation images."""
        items = self.items
        return [items[i]["path"] for i in self.valid]

    def make_images(self) -> None:
        """Writes the image files, once: coloured squares on noise."""
        height, width = self.sizes.image
        random = np.random.default_rng(0)
        for item in self.items:
            coarse = random.integers(60, 160, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
            pixels = np.asarray(PIL.Image.fromarray(coarse).resize((width, height))).copy()
            side = min(height, width) // 2
            top, left = int(random.integers(0, height - side)), int(random.integers(0, width - side))
            pixels[top : top + side, left : left + side] = COLOURS[item["label"]]
            PIL.Image.fromarray(pixels).save(item["path"], quality=90)

    def dataloaders(self, device: torch.device | None = None, *, bs: int | None = None) -> DataLoaders:
        """The data loaders of the images, on the device of the work or another one."""
        block = DataBlock(
            blocks=(ImageBlock, CategoryBlock),
            get_x=itemgetter("path"),
            get_y=itemgetter("label"),
            splitter=IndexSplitter(self.valid),
            item_tfms=Resize(self.sizes.size * 5 // 4),
            batch_tfms=aug_transforms(size=self.sizes.size),
        )
        return block.dataloaders(self.items, bs=bs or self.sizes.bs, device=device or self.device)

    def learner(self, dls: DataLoaders | None = None, **options: Any) -> Learner:
        """A learner with random weights, the same for every call."""
        how = {"pretrained": False, "precision": "float32", "progress": "quiet", "seed": 0, **options}
        return vision_learner(dls or self.dataloaders(), self.sizes.arch, **how)

    def now(self) -> float:
        """The time in seconds, when the device has done what it was given."""
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)
        return time.perf_counter()

    def rounds(self) -> Iterable[int]:
        """The numbers of the rounds of a comparison; it ends early when its time is over."""
        started = time.perf_counter()
        for number in range(self.sizes.rounds):
            if number and time.perf_counter() - started > self.sizes.seconds:
                return
            yield number


@contextlib.contextmanager
def exact_float32() -> Generator[None, None, None]:
    """A context without TF32, in which float32 has all of its digits."""
    matmul, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, cudnn
