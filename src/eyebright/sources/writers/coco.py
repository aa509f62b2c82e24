"""COCO: a JSON file with images, categories and annotations, each of one label, or of the points of an image.

Annotations of labels have no box, which most tools of detection need. An unknown point has visibility 0.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from eyebright.image.image import Image
from eyebright.sources.categorical import Categorical
from eyebright.sources.source import Source
from eyebright.sources.writer import ReadBack, Writer, labels_of, vocabulary
from eyebright.tasks.task_type import KIND_WORDS


def write_coco(source: Source, path: Path) -> ReadBack:
    """Writes a COCO file; returns the options with which `eyebright.read_source` reads it back.

    Raises:
        ImageError: the size of an image cannot be read.
    """
    is_points = not isinstance(source.targets, Categorical)
    names = ["image"] if is_points else sorted({*vocabulary(source), *source.unused})
    categories: list[dict[str, Any]] = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    if is_points:
        categories[0] |= {"keypoints": _point_names(source), "skeleton": []}
    number_of = {name: number for number, name in enumerate(names, 1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for row in range(len(source)):
        height, width = Image.create(source[row].path).shape
        images.append({"id": row + 1, "file_name": str(source.files[row]), "width": width, "height": height})
        target = source.targets[row]
        for annotation in (
            [_keypoints(target)] if is_points else [{"category_id": number_of[x]} for x in labels_of(target)]
        ):
            annotations.append({"id": len(annotations) + 1, "image_id": row + 1, **annotation})
    text = json.dumps({"images": images, "categories": categories, "annotations": annotations}, ensure_ascii=False)
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    if is_points:
        return {}
    return {"kind": KIND_WORDS[source.block().task_type]}


def _point_names(source: Source) -> list[str]:
    assert isinstance(source.targets, np.ndarray)
    return list(source.names) or [str(number + 1) for number in range(source.targets.shape[1])]


def _keypoints(points: Any) -> dict[str, Any]:
    flat: list[float] = []
    known = 0
    for x, y in points.tolist():
        is_known = not math.isnan(x + y)
        known += is_known
        flat += [x, y, 2] if is_known else [0, 0, 0]
    return {"category_id": 1, "keypoints": flat, "num_keypoints": known, "iscrowd": 0}


COCO = Writer("coco", "COCO", frozenset({"labels", "classes", "points"}), write_coco, holds_unused=True, suffix=".json")
