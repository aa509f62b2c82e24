"""The images of a race: three parts that all programs share, and the scores of held-out predictions.

Nothing that is trained or chosen sees the held-out part. It is the part "test" of the data, else their validation part,
else a random share; the validation images for the programs are a random share of the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import comparison
import numpy as np
import pandas as pd
from peers.race_protocol import Kind, LabelledImage
from sklearn.metrics import accuracy_score, average_precision_score

from eyebright.sources.categorical import Categorical
from eyebright.sources.read import read_source
from eyebright.sources.source import Source
from eyebright.sources.source_split import split_source

Array = np.ndarray[Any, Any]
KINDS: dict[str, Kind] = {"multicategory": "multi", "category": "single", "points": "points"}


@dataclass(frozen=True)
class Images:
    """The three parts of one split, and the names of labels, classes or points."""

    kind: Kind
    train: list[LabelledImage]
    valid: list[LabelledImage]
    held_out: list[LabelledImage]
    names: list[str]


def read(data: Path, images: Path | None) -> Source:
    """The labelled images of a table or of a folder of classes; exits if no other program could train on them."""
    source = read_source(data.resolve(), images=None if images is None else images.resolve())
    if source.kind not in KINDS:
        raise SystemExit(f"the race is for labels, classes and points; the targets of '{data}' are {source.kind}")
    return source


def read_biwi(folder: Path, table: Path) -> Source:
    """The images of the BIWI head pose dataset with the head's centre; the images of a person stay in one part.

    Args:
        folder: the folder, in the format of the dataset.
        table: a file that is written.
    """
    items = comparison.biwi_items(folder, person="")
    rows = [(item["path"], *item["target"], Path(item["path"]).parent.name) for item in items]
    pd.DataFrame(rows, columns=["file", "x1", "y1", "group"]).to_csv(table, index=False)
    return read_source(table)


def split(source: Source, seed: int | None, *, held_out: float, valid: float) -> Images:
    """The three parts.

    Args:
        source: the labelled images.
        seed: the seed of the random parts; None: the split in the data where there is one, the rest with seed 0.
        held_out: share of the images that is held out, if the data do not say which.
        valid: share of the other images that is for validation.
    """
    if seed is not None:
        source = replace(source, part=None)
    tested = np.zeros(len(source), dtype=bool) if source.part is None else source.part.isin(["test"])
    if not tested.any():
        divided = split_source(source, held_out, seed=seed or 0)
        if divided.part is None:
            raise SystemExit("the data have no image to hold out")
        tested = divided.part.isin(["valid"])
    part = Categorical(("test", None), np.where(tested, 0, 1).astype(np.int32))
    rows = list(split_source(replace(source, part=part), valid, seed=seed or 0))
    parts = {name: [labelled(source.kind, row) for row in rows if row.part == name] for name in ("train", "valid")}
    tests = [labelled(source.kind, row) for row in rows if row.part == "test"]
    return Images(KINDS[source.kind], **parts, held_out=tests, names=names(source, parts["train"] + parts["valid"]))


def labelled(kind: str, row: Any) -> LabelledImage:
    """The image of a row as it is passed to all programs; exits if its target is partly unknown."""
    target = row.target
    if kind == "points":
        target = np.asarray(target, dtype=float).tolist()
        unknown = bool(np.isnan(target).any())
    else:
        unknown = bool(getattr(target, "unknown", None))
        target = sorted(target) if kind == "multicategory" else str(target)
    if unknown:
        raise SystemExit(f"'{row.path}' has unknown labels or points, which the other programs cannot use")
    return {"path": str(row.path), "target": target}


def names(source: Source, images: list[LabelledImage]) -> list[str]:
    """The sorted labels or classes of these images; of points their numbers."""
    if source.kind == "points":
        return [str(i) for i in range(1, len(images[0]["target"]) + 1)]
    several = source.kind == "multicategory"
    found = {name for image in images for name in (image["target"] if several else [image["target"]])}
    if bad := [name for name in found if "|" in name or "/" in name]:
        raise SystemExit(f"names with | or / cannot be passed to all programs: {bad}")
    return sorted(found)


def mean_average_precision(predicted: Array, images: Images) -> float:
    """Macro average precision over the labels that some, but not all held-out images have."""
    target = np.array([[name in image["target"] for name in images.names] for image in images.held_out])
    varies = target.any(axis=0) & ~target.all(axis=0)
    return float(average_precision_score(target[:, varies], predicted[:, varies], average="macro"))


def accuracy(predicted: Array, images: Images) -> float:
    """The share of held-out images whose most probable class is theirs."""
    target = [image["target"] for image in images.held_out]
    return float(accuracy_score(target, np.array(images.names)[predicted.argmax(axis=1)]))


def mean_distance(predicted: Array, images: Images) -> float:
    """The mean distance between predicted and real points, in pixels of the held-out images."""
    target = np.array([image["target"] for image in images.held_out])
    return float(np.linalg.norm(predicted - target, axis=-1).mean())


SCORES: dict[Kind, tuple[str, Callable[[Array, Images], float]]] = {
    "multi": ("mAP", mean_average_precision),
    "single": ("accuracy", accuracy),
    "points": ("error in pixels", mean_distance),
}
LOWER_IS_BETTER = ("error in pixels",)


def score(predicted: Array, images: Images) -> float:
    """The score of the predictions for the held-out images.

    Args:
        predicted: a row per held-out image: a score per name, (n, k), or points in pixels, (n, p, 2).
        images: the parts.
    """
    points = (2,) if images.kind == "points" else ()
    expected = (len(images.held_out), len(images.names), *points)
    if predicted.shape != expected or not np.isfinite(predicted).all():
        raise ValueError(f"expected finite predictions of shape {expected}, got shape {predicted.shape}")
    return SCORES[images.kind][1](predicted, images)
