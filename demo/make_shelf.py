"""Make a set of pantry images to train on, out of openly licensed drawings: nothing is downloaded.

    python demo/make_shelf.py OUT

writes OUT/photos/*.jpg, OUT/labels.csv (fname, labels, is_valid) and OUT/new/*.jpg to predict. Every thing is drawn by
several houses; the images that validate, and the new ones, show only drawings by a house that training never sees, so
that a score says what the model knows about tomatoes and not about one drawing of a tomato.
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
VALID_SHARE = 0.25
NEW_IMAGES = 8
FEWEST = 4


@dataclass(frozen=True)
class Job:
    """One image to make.

    Args:
        path: where it goes.
        houses: whose drawings it may show.
        seed: of the set.
        number: of the image in the set, so that it is the same however many are made at once.
    """

    path: Path
    houses: frozenset[str]
    seed: int
    number: int


def main() -> None:
    args = _arguments()
    for line in make_shelf(args.out, images=args.images, seed=args.seed, hold_out=args.hold_out):
        print(line)


def make_shelf(out: Path, *, images: int, seed: int, hold_out: str) -> Iterator[str]:
    """Make the set; yields sentences that say what was made.

    Args:
        out: the folder to write; images of an earlier call with the same name are written over.
        images: how many are labelled; a quarter of them validate.
        seed: the same seed gives the same set.
        hold_out: the house whose drawings only the validation images and the new ones show.
    """
    houses = frozenset(drawing.house for drawing in _drawings(DRAWINGS))
    seen, unseen = houses - {hold_out}, frozenset({hold_out})
    (out / "photos").mkdir(parents=True, exist_ok=True)
    (out / "new").mkdir(parents=True, exist_ok=True)
    valid = {number: number >= images - round(images * VALID_SHARE) for number in range(images)}
    jobs = [
        Job(out / "photos" / f"shelf_{number:04d}.jpg", unseen if valid[number] else seen, seed, number)
        for number in range(images)
    ]
    new = [Job(out / "new" / f"new_{number}.jpg", unseen, seed, images + number) for number in range(NEW_IMAGES)]
    with ProcessPoolExecutor() as pool:
        labels = list(pool.map(make_image, jobs + new, chunksize=16))[:images]
    _write_table(out / "labels.csv", labels, valid)
    yield f"{out}: {images} images in photos/, their labels in labels.csv, {NEW_IMAGES} more to predict in new/"
    yield f"train: {_counts(labels, valid, chosen=False)}; drawn by {', '.join(sorted(seen))}"
    yield f"valid: {_counts(labels, valid, chosen=True)}; drawn by {hold_out}, whom training never sees"
    yield _label_table(labels, valid)


def make_image(job: Job) -> tuple[str, ...]:
    """Paint and write one image; its labels."""
    generator = np.random.default_rng([job.seed, job.number])
    height = int(generator.integers(240, 301))
    width = round(height * 4 / 3)
    drawings = [drawing for drawing in _drawings(DRAWINGS) if drawing.house in job.houses]
    scene = paint_scene((height, width), drawings, generator)
    scene.image.save(job.path, quality=int(generator.integers(80, 93)))
    return scene.labels


@lru_cache(maxsize=1)
def _drawings(folder: Path) -> tuple[Drawing, ...]:
    return tuple(read_drawings(folder))


def _write_table(path: Path, labels: list[tuple[str, ...]], valid: dict[int, bool]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("fname", "labels", "is_valid"))
        rows.writerows(
            (f"shelf_{number:04d}.jpg", " ".join(names), valid[number]) for number, names in enumerate(labels)
        )


def _counts(labels: list[tuple[str, ...]], valid: dict[int, bool], *, chosen: bool) -> str:
    these = [names for number, names in enumerate(labels) if valid[number] == chosen]
    empty = sum(not names for names in these)
    return f"{len(these)} images with {sum(map(len, these))} labels, {empty} of them with none"


def _label_table(labels: list[tuple[str, ...]], valid: dict[int, bool]) -> str:
    train, check = Counter[str](), Counter[str]()
    for number, names in enumerate(labels):
        (check if valid[number] else train).update(names)
    lines = [f"  {name:<8}{train[name]:>7}{check[name]:>7}" for name in sorted(train | check)]
    return "\n".join([f"  {'label':<8}{'train':>7}{'valid':>7}", *lines])


def _arguments() -> argparse.Namespace:
    houses = sorted(path.name for path in DRAWINGS.iterdir() if path.is_dir())
    parser = argparse.ArgumentParser(description="Make a set of pantry images to train on.")
    parser.add_argument("out", type=Path, help="the folder to write")
    parser.add_argument("--images", type=int, default=900, help="how many are labelled (default: 900)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same set (default: 0)")
    parser.add_argument("--hold-out", choices=houses, default="twemoji", help="the house that only validates")
    args = parser.parse_args()
    if args.images < FEWEST:
        parser.error(f"argument --images: {args.images} are too few to train and validate; give {FEWEST} or more")
    return args


if __name__ == "__main__":
    main()
