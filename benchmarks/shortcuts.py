"""Whether planted shortcuts and spoilt images are found, and how often honest ones are reported.

All images are read, and saved again in several ways; every comparison is between images that were saved alike.

Shortcuts: for each label with at least 20 images and each change, only the images with the label are changed: they are
brighter by a fifth or a tenth of white (51 or 26 of 255), darker (times 0.8), have a black or a red border of 3 %, or
are saved with the quality 60 in place of 90. Printed is for how many labels the right property is reported. Then the
images as they are: with their own labels, in random halves, and with 8 random labels, 200 times each; nothing should be
reported.

Images: how many of the images as they are, and of those that are blurred by 2 % of the shorter side, made five times
darker, or nearly white, are called so.

    python benchmarks/shortcuts.py labels.csv --images photos/ [--count 2000] [--json FILE]
"""

import argparse
import io
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import measure
import numpy as np
import PIL.Image

from eyebright.check.facts import FactTable
from eyebright.check.images import image_findings
from eyebright.check.label_cells import LabelCells
from eyebright.check.shortcuts import shortcut_findings
from eyebright.image.facts import ImageFacts, image_facts
from eyebright.sources.categorical import Categorical
from eyebright.sources.read import read_source
from eyebright.sources.source import Source
from eyebright.types import LabelSet

Pixels = Any
MIN_IMAGES = 20  # images with a label for which a shortcut is planted
TIMES = 200


def framed(pixels: Pixels, colour: tuple[int, int, int]) -> Pixels:
    """The pixels with a border of 3 % of the shorter side."""
    width = max(round(0.03 * min(pixels.shape[:2])), 1)
    changed = np.full_like(pixels, colour)
    changed[width:-width, width:-width] = pixels[width:-width, width:-width]
    return changed


def brighter(pixels: Pixels, by: int) -> Pixels:
    """The pixels with so much added, at most 255."""
    return cv2.add(pixels, np.full_like(pixels, by))


LIGHT = {"brightness", "brightness of the darkest pixels", "brightness of the lightest pixels"}
SHORTCUTS: dict[str, tuple[Callable[[Pixels], Pixels], int, set[str]]] = {
    "brighter by a fifth": (lambda pixels: brighter(pixels, 51), 90, LIGHT),
    "brighter by a tenth": (lambda pixels: brighter(pixels, 26), 90, LIGHT),
    "darker by a fifth": (lambda pixels: (pixels * 0.8).astype(np.uint8), 90, LIGHT),
    "black border": (
        lambda pixels: framed(pixels, (0, 0, 0)),
        90,
        {"spread of the border", "brightness of the border"},
    ),
    "red border": (lambda pixels: framed(pixels, (200, 20, 20)), 90, {"spread of the border", "colour of the border"}),
    "compression": (lambda pixels: pixels, 60, {"file size", "number of bytes per pixel", "compression"}),
}
SPOILT: dict[str, Callable[[Pixels], Pixels]] = {
    "blurry": lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 0.02 * min(pixels.shape[:2])),
    "dark": lambda pixels: (pixels * 0.2).astype(np.uint8),
    "light": lambda pixels: (255 - (255 - pixels.astype(np.float32)) * 0.1).astype(np.uint8),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--count", type=int, default=2000, help="images that are used at most")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    source = read_source(args.labels, images=args.images)
    rng = np.random.default_rng(0)
    source = source.take(np.sort(rng.permutation(len(source))[: args.count]))
    plain = saved(source, lambda pixels: pixels, 90)
    results = {
        "images": len(source),
        "planted": {name: planted(source, plain, name) for name in SHORTCUTS},
        "honest": honest(source, plain, rng),
        "spoilt": spoilt(source, plain),
    }
    for name, value in results.items():
        print(f"{name}: {value}")
    measure.save(args.json, results)


def saved(source: Source, change: Callable[[Pixels], Pixels], quality: int) -> list[ImageFacts]:
    """The facts of the images after a change, as JPEG."""
    return [_saved(str(source.root / file), change, quality) for file in source.files]


def _saved(path: str, change: Callable[[Pixels], Pixels], quality: int) -> ImageFacts:
    pixels = np.asarray(PIL.Image.open(path).convert("RGB"))
    content = io.BytesIO()
    PIL.Image.fromarray(change(pixels)).save(content, "JPEG", quality=quality)
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(content.getvalue())
        file.flush()
        return image_facts(file.name)


def planted(source: Source, plain: list[ImageFacts], name: str) -> str:
    """For how many labels the shortcut is found."""
    change, quality, properties = SHORTCUTS[name]
    changed = saved(source, change, quality)
    assert isinstance(source.targets, Categorical)
    cells = LabelCells.of(source.targets)
    found = tried = 0
    for labels, yes, _ in cells.blocks():
        for j, label in enumerate(labels):
            if yes[:, j].sum() >= MIN_IMAGES:
                rows = [changed[i] if has else plain[i] for i, has in enumerate(yes[:, j])]
                findings = shortcut_findings(source, FactTable.of(rows))
                claims = {one.details["property"] for one in findings if one.labels == (cells.names[label],)}
                tried += 1
                found += bool(claims & properties)
    return f"{found} of {tried} labels"


def honest(source: Source, plain: list[ImageFacts], rng: np.random.Generator) -> dict[str, Any]:
    """What is reported of images that nothing was done to, by property."""
    halves: Counter[str] = Counter()
    random: Counter[str] = Counter()
    for _ in range(TIMES):
        rows = np.sort(rng.permutation(len(source))[: len(source) // 2])
        halves.update(_claims(source.take(rows), FactTable.of([plain[row] for row in rows.tolist()])))
        cells = rng.random((len(source), 8)) < rng.uniform(0.05, 0.6, 8)
        targets = Categorical.of(LabelSet(f"label {j}" for j in np.flatnonzero(row)) for row in cells)
        random.update(_claims(replace(source, kind="multicategory", targets=targets, part=None), FactTable.of(plain)))
    return {
        "own labels": _claims(source, FactTable.of(plain)),
        f"own labels, {TIMES} halves": dict(halves),
        f"random labels, {TIMES} times": dict(random),
    }


def _claims(source: Source, facts: FactTable) -> list[str]:
    found = shortcut_findings(source, facts)
    return [f"{one.kind}: {one.details['property']} of {one.labels[0]}" for one in found]


def spoilt(source: Source, plain: list[ImageFacts]) -> dict[str, str]:
    """The images that are called so as they are, and of those that were changed."""
    result: dict[str, str] = {}
    for name, change in SPOILT.items():
        as_is, changed = (_called(source, rows, name) for rows in (plain, saved(source, change, 90)))
        result[name] = f"{as_is} of {len(source)} as they are, {changed} of {len(source)} changed"
    return result


def _called(source: Source, rows: list[ImageFacts], kind: str) -> int:
    return sum(int(one.figure) for one in image_findings(source, FactTable.of(rows)) if one.kind == kind)


if __name__ == "__main__":
    main()
