"""What one run of the race gets and leaves: a folder with ``run.json``, then its model, then ``predictions.npy``.

Each program is a module of this folder that is run as ``python -m peers.race_NAME STEP FOLDER``. Its steps: ``prepare``
writes the labels in the form that the program reads, ``train`` is the command whose seconds count, ``predict`` answers
for the held-out images. Imports little, because imports of ``train`` count.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

Kind = Literal["multi", "single", "points"]
PREDICTIONS = "predictions.npy"


class LabelledImage(TypedDict):
    """An image with its labels, its class, or its points [[x, y], ...] in pixels."""

    path: str
    target: Any


@dataclass(frozen=True)
class Run:
    """One run of one program.

    Args:
        kind: any number of labels per image, one class, or points.
        train: the images for training.
        valid: the images with which a program may choose an epoch, a threshold or a strength.
        held_out: paths of the images that are scored; their targets are not in the file.
        names: the names of labels or classes, sorted; of points: their numbers.
        arch: a model of timm.
        size: (h, w) of the model's input in pixels.
        bs: batch size.
        epochs: the length of the training; None: the program's default.
        seed: the seed of all random numbers.
        folder: the run's folder, absolute.
    """

    kind: Kind
    train: list[LabelledImage]
    valid: list[LabelledImage]
    held_out: list[str]
    names: list[str]
    arch: str
    size: tuple[int, int]
    bs: int
    epochs: int | None
    seed: int
    folder: str

    @property
    def presize(self) -> int:
        """The side in pixels to which images are resized before they are cropped to ``size``."""
        return max(self.size) * 8 // 7

    def path(self, name: str) -> Path:
        """The path of a file in the run's folder."""
        return Path(self.folder) / name

    def save(self) -> None:
        """Writes ``run.json``."""
        self.path("run.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    def targets(self, images: list[LabelledImage]) -> list[Any]:
        """The targets as numbers: 0/1 vectors of the labels, indices of the classes, or points."""
        if self.kind == "multi":
            return [[float(name in image["target"]) for name in self.names] for image in images]
        if self.kind == "single":
            return [self.names.index(image["target"]) for image in images]
        return [image["target"] for image in images]

    def save_predictions(self, predicted: Any) -> None:
        """Writes the predictions.

        Args:
            predicted: an array of a row per held-out image: a score per name, (n, k), or points in pixels, (n, p, 2).
        """
        import numpy as np

        np.save(self.path(PREDICTIONS), np.asarray(predicted, dtype=np.float64))


def load_run(folder: str | Path) -> Run:
    """The run of the folder's ``run.json``."""
    values = json.loads((Path(folder) / "run.json").read_text(encoding="utf-8"))
    return Run(**{**values, "size": tuple(values["size"])})


def run_step(**steps: Callable[[Run], None]) -> None:
    """Runs the step that the command line names."""
    _, step, folder = sys.argv
    steps[step](load_run(folder))


def link_folders(run: Run, parts: dict[str, str]) -> Path:
    """A new folder PART/CLASS/ with links to the images, the layout that many programs read for one class per image.

    Args:
        run: a run of the kind "single".
        parts: the name of the part for "train" and "valid".
    """
    root = run.path("images")
    for part, images in (("train", run.train), ("valid", run.valid)):
        for name in run.names:
            (root / parts[part] / name).mkdir(parents=True)
        for i, image in enumerate(images):
            source = Path(image["path"])
            (root / parts[part] / image["target"] / f"{i}{source.suffix}").symlink_to(source)
    return root
