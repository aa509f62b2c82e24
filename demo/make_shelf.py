"""Generates a dataset of pantry images from openly licensed drawings; nothing is downloaded.

    python demo/make_shelf.py OUT

writes OUT/photos/*.jpg, OUT/labels.csv (fname, labels, is_valid) and OUT/new/*.jpg to predict. There are drawings of
each food by several vendors. Validation images and new images show only drawings of one vendor, which is not in the
training set: the score measures generalisation to other drawings of the same foods.
"""

import argparse
import csv
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scene import Drawing, paint_scene, read_drawings

DRAWINGS = Path(__file__).resolve().parent / "drawings"
VALID_FRACTION = 0.25
NEW_IMAGES = 8
MIN_IMAGES = 4


@dataclass(frozen=True)
class ImageSpec:
    """An image to generate.

    Args:
        path: file to write.
        vendors: vendors whose drawings may be used.
        seed: of the dataset.
        number: of the image in the dataset; with the seed it determines the image.
    """

    path: Path
    vendors: frozenset[str]
    seed: int
    number: int


def main() -> None:
    args = _arguments()
    for line in make_shelf(args.out, count=args.count, seed=args.seed, hold_out=args.hold_out):
        print(line)


def make_shelf(out: Path, *, count: int, seed: int, hold_out: str) -> Iterator[str]:
    """Generates the dataset; yields lines of a summary.

    Args:
        out: folder to write; existing images with the same name are overwritten.
        count: number of labelled images, a quarter of them for validation.
        seed: the same seed gives the same images.
        hold_out: vendor whose drawings are used only in validation images and new images.
    """
    vendors = frozenset(drawing.vendor for drawing in _drawings(DRAWINGS))
    train_vendors, valid_vendors = vendors - {hold_out}, frozenset({hold_out})
    (out / "photos").mkdir(parents=True, exist_ok=True)
    (out / "new").mkdir(parents=True, exist_ok=True)
    is_valid = [number >= count - round(count * VALID_FRACTION) for number in range(count)]
    labelled = [
        ImageSpec(
            out / "photos" / f"shelf_{number:04d}.jpg",
            valid_vendors if is_valid[number] else train_vendors,
            seed,
            number,
        )
        for number in range(count)
    ]
    new = [
        ImageSpec(out / "new" / f"new_{number}.jpg", valid_vendors, seed, count + number)
        for number in range(NEW_IMAGES)
    ]
    with ProcessPoolExecutor() as pool:
        labels = list(pool.map(make_image, labelled + new, chunksize=16))[:count]
    _write_table(out / "labels.csv", labels, is_valid)
    yield f"{out}: {count} images in photos/, their labels in labels.csv, {NEW_IMAGES} more to predict in new/"
    yield f"train: {_counts(labels, is_valid, valid=False)}; drawings by {', '.join(sorted(train_vendors))}"
    yield f"valid: {_counts(labels, is_valid, valid=True)}; drawings by {hold_out}, which is not in the training set"
    yield _label_table(labels, is_valid)


def make_image(spec: ImageSpec) -> tuple[str, ...]:
    """The labels of an image, which is generated and written."""
    generator = np.random.default_rng([spec.seed, spec.number])
    height = int(generator.integers(240, 301))
    width = round(height * 4 / 3)
    drawings = [drawing for drawing in _drawings(DRAWINGS) if drawing.vendor in spec.vendors]
    scene = paint_scene((height, width), drawings, generator)
    scene.image.save(spec.path, quality=int(generator.integers(80, 93)))
    return scene.labels


@lru_cache(maxsize=1)
def _drawings(folder: Path) -> tuple[Drawing, ...]:
    return tuple(read_drawings(folder))


def _write_table(path: Path, labels: list[tuple[str, ...]], is_valid: list[bool]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("fname", "labels", "is_valid"))
        writer.writerows(
            (f"shelf_{number:04d}.jpg", " ".join(names), is_valid[number]) for number, names in enumerate(labels)
        )


def _counts(labels: list[tuple[str, ...]], is_valid: list[bool], *, valid: bool) -> str:
    part = [names for names, in_valid in zip(labels, is_valid, strict=True) if in_valid == valid]
    empty = sum(not names for names in part)
    return f"{len(part)} images with {sum(map(len, part))} labels, {empty} of them without any"


def _label_table(labels: list[tuple[str, ...]], is_valid: list[bool]) -> str:
    train, valid = Counter[str](), Counter[str]()
    for names, in_valid in zip(labels, is_valid, strict=True):
        (valid if in_valid else train).update(names)
    lines = [f"  {name:<8}{train[name]:>7}{valid[name]:>7}" for name in sorted(train | valid)]
    return "\n".join([f"  {'label':<8}{'train':>7}{'valid':>7}", *lines])


def _arguments() -> argparse.Namespace:
    vendors = sorted(path.name for path in DRAWINGS.iterdir() if path.is_dir())
    parser = argparse.ArgumentParser(description="Generate a dataset of pantry images.")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--count", type=int, default=900, help="number of labelled images (default: 900)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument(
        "--hold-out", choices=vendors, default="twemoji", help="vendor used only for validation (default: twemoji)"
    )
    args = parser.parse_args()
    if args.count < MIN_IMAGES:
        parser.error(
            f"argument --count: {args.count} is too few for training and validation; use at least {MIN_IMAGES}"
        )
    return args


if __name__ == "__main__":
    main()
