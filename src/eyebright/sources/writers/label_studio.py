"""Label Studio: a JSON list of tasks with choices, or with keypoints in per cent of the image.

A label that is unknown is in one of two annotations of the task: annotators who differ leave it open.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from eyebright.image.image import Image
from eyebright.sources.categorical import Categorical
from eyebright.sources.source import Source
from eyebright.sources.writer import ReadBack, Writer, labels_of
from eyebright.tasks.task_type import KIND_WORDS

_CONTROL, _IMAGE = "labels", "image"


def write_label_studio(source: Source, path: Path) -> ReadBack:
    """Writes a JSON file that Label Studio imports; returns how it is read.

    Raises:
        ImageError: the size of an image cannot be read.
    """
    is_points = not isinstance(source.targets, Categorical)
    tasks: list[dict[str, Any]] = []
    for row in range(len(source)):
        target = source.targets[row]
        results = [_keypoints(source, row, target)] if is_points else _choices(target)
        annotations = [{"result": result, "was_cancelled": False} for result in results]
        tasks.append({"id": row + 1, "data": {_IMAGE: str(source.files[row])}, "annotations": annotations})
    path.write_text(json.dumps(tasks, ensure_ascii=False), encoding="utf-8", errors="surrogateescape")
    return {} if is_points else {"kind": KIND_WORDS[source.block().task_type]}


def _choices(target: Any) -> list[list[dict[str, Any]]]:
    unknown: set[str] = set() if isinstance(target, str) else set(target.unknown)
    certain = labels_of(target)
    return [_choice(labels) for labels in ([certain, sorted({*certain, *unknown})] if unknown else [certain])]


def _choice(labels: list[str]) -> list[dict[str, Any]]:
    region = {"from_name": _CONTROL, "to_name": _IMAGE, "type": "choices", "value": {"choices": labels}}
    return [region] if labels else []


def _keypoints(source: Source, row: int, points: Any) -> list[dict[str, Any]]:
    height, width = Image.create(source[row].path).shape
    assert isinstance(source.targets, np.ndarray)
    names = source.names or [str(number + 1) for number in range(source.targets.shape[1])]
    return [
        {
            "from_name": _CONTROL,
            "to_name": _IMAGE,
            "type": "keypointlabels",
            "original_width": width,
            "original_height": height,
            "value": {"x": 100 * x / width, "y": 100 * y / height, "width": 0.5, "keypointlabels": [name]},
        }
        for name, (x, y) in zip(names, points.tolist(), strict=True)
        if not math.isnan(x + y)
    ]


LABEL_STUDIO = Writer(
    "labelstudio",
    "Label Studio",
    frozenset({"labels", "classes", "points"}),
    write_label_studio,
    holds_unknown=True,
    suffix=".json",
)
