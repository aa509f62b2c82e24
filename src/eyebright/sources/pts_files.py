"""Reads the points of images from their ``.pts`` files, as in the dataset 300-W.

    version: 1
    n_points: 68
    {
    336.820955 240.864510
    ...
    }

Such files were made with Matlab, where the centre of the first pixel is (1, 1). Here it is (0.5, 0.5), so 0.5 is
subtracted from each coordinate. (Tools for which the centre of the first pixel is (0, 0) subtract 1; that is the same
point of the image.) Some copies of the files have only the points, without the lines around them.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eyebright.errors import TableError, count_text, os_reason
from eyebright.sources.cells import is_number
from eyebright.sources.targets import Floats

_EXTENSION = ".pts"
_CONTENT = re.compile(r"(?P<header>[^{}]*)\{(?P<points>[^{}]*)\}\s*", re.DOTALL)
_COUNT = re.compile(r"n_points\s*:\s*(\d+)")
_FIRST_PIXEL = 0.5  # what is subtracted: the centre of the first pixel is (1, 1) in the files and (0.5, 0.5) here


def images_with_pts(images: Sequence[Path]) -> list[Path]:
    """The images with a ``.pts`` file."""
    folders = {image.parent for image in images}
    stems = {folder: {file.stem for file in folder.glob(f"*{_EXTENSION}")} for folder in folders}
    return [image for image in images if image.stem in stems[image.parent]]


def read_pts_files(images: Sequence[Path]) -> Floats:
    """Shape (n, p, 2): the points of images from their ``.pts`` files, (x, y) in continuous pixels.

    Raises:
        TableError: a file cannot be read or is invalid, or has another number of points than the first one.
    """
    files = [image.with_suffix(_EXTENSION) for image in images]
    points = [read_pts(file) for file in files]
    for file, xy in zip(files, points, strict=True):
        if len(xy) != len(points[0]):
            raise TableError(
                f"'{file}' has {len(xy)} points and '{files[0]}' has {len(points[0])}; every image needs as many"
            )
    return np.stack(points)


def pts_messages(images: Sequence[Path], n_without: int) -> list[str]:
    """Sentences for the user on how the files were read.

    Args:
        images: the images with points.
        n_without: the number of images without a file.
    """
    messages = [
        f"points of {count_text(len(images), 'image')} are in the {_EXTENSION} file beside each",
        "these files give the centre of the first pixel as (1, 1): 0.5 is subtracted from each coordinate",
    ]
    return messages + ([f"images without a {_EXTENSION} file, which are ignored: {n_without}"] if n_without else [])


def read_pts(path: Path) -> Floats:
    """Shape (p, 2): the points of a file, (x, y) in continuous pixels.

    Raises:
        TableError: the file cannot be read or is invalid.
    """
    try:
        if not path.is_file():  # reading a pipe blocks for ever
            raise TableError(f"cannot read '{path}': it is not a regular file")
        text = path.read_text(encoding="utf-8")
    except TableError:
        raise
    except (OSError, ValueError) as error:
        raise TableError(f"cannot read '{path}': {os_reason(error)}") from None
    content = _CONTENT.fullmatch(text)
    count = None if content is None else _COUNT.search(content["header"])
    if content is not None and count is not None:
        text = content["points"]
    elif any(map(_is_point, text.splitlines()[:1])):  # some copies have only the points
        count = None
    else:
        raise TableError(
            f"'{path}' is not a file of points; 'n_points: 68' and a point on each line in {{}} were expected"
        )
    lines = [line.split() for line in text.splitlines() if line.strip()]
    wrong = next((line for line in lines if len(line) != 2 or not all(map(is_number, line))), None)
    if wrong is not None:
        raise TableError(f"'{path}' has the line '{' '.join(wrong)}'; a point is two numbers, x and y")
    if count is not None and len(lines) != int(count[1]):
        raise TableError(f"'{path}' announces {count[1]} points and has {len(lines)}")
    return np.array(lines, dtype=np.float64) - _FIRST_PIXEL


def _is_point(line: str) -> bool:
    return len(line.split()) == 2 and all(map(is_number, line.split()))
