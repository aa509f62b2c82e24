"""Small label files and images, made by the test that reads them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import PIL.Image

from eyebright.sources.source import Source
from eyebright.types import LabelSet


def images(root: Path, *names: str, size: tuple[int, int] = (8, 8)) -> Path:
    """The folder, with these images of (width, height)."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", size).save(root / name, "png")
    return root


def write_json(path: Path, value: Any) -> Path:
    """The path, at which the value is written as JSON, a line for each entry."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1))
    return path


def write_lines(path: Path, values: Sequence[Any]) -> Path:
    """The path, at which the values are written as JSON Lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return path


def write_text(path: Path, text: str) -> Path:
    """The path, at which the text is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def labels(source: Source) -> dict[str, Any]:
    """The labels, sorted, or the class of each image by its file; unknown labels have a question mark."""

    def text(target: Any) -> Any:
        return sorted([*target, *(f"{name}?" for name in target.unknown)]) if isinstance(target, LabelSet) else target

    return {str(file): text(target) for file, target in zip(source.files, source.targets, strict=True)}


def parts(source: Source) -> dict[str, str | None]:
    """The part of each image by its file."""
    return {str(source.files[row.index]): row.part for row in source}
