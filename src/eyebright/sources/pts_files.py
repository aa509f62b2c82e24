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

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from eyebright.errors import TableError, count_text, os_reason
from eyebright.sources.cells import is_number
from eyebright.sources.targets import Floats

_EXTENSION = ".pts"
_CONTENT = re.compile(r"(?P<header>[^{}]*)\{(?P<points>[^{}]*)\}\s*", re.DOTALL)
_UNKNOWN_POINT = ["nan", "nan"]
_COUNT = re.compile(r"n_points\s*:\s*(\d+)")
POINT_OFFSET = -0.5
"""What is added: the centre of the first pixel is (1, 1) in the files and (0.5, 0.5) here."""


def is_pts(file: Path) -> bool:
    """True for the name of a ``.pts`` file, also in capital letters."""
    return file.suffix.lower() == _EXTENSION


def images_with_pts(images: Sequence[Path]) -> list[Path]:
    """The images with a ``.pts`` file."""
    files = _files_by_image(images)
    return [image for image in images if image.with_suffix("") in files]


def pts_without_image(files: Iterable[Path], images: Sequence[Path]) -> list[Path]:
    """Those of the files that are ``.pts`` files without an image beside them.

    Args:
        files: files of any kind.
        images: all images.
    """
    known = {image.with_suffix("") for image in images}
    return [file for file in files if is_pts(file) and file.with_suffix("") not in known]


def read_pts_files(images: Sequence[Path]) -> Floats:
    """Shape (n, p, 2): the points of images from their ``.pts`` files, (x, y) in continuous pixels.

    Args:
        images: the images, each with a file.

    Raises:
        TableError: a file cannot be read or is invalid, or has another number of points than the first one; an image
            has two files, or a file has two images.
    """
    files = _one_file_each(images)
    points = [read_pts(file) for file in files]
    for file, xy in zip(files, points, strict=True):
        if len(xy) != len(points[0]):
            raise TableError(
                f"'{file}' has {len(xy)} points and '{files[0]}' has {len(points[0])}; every image needs as many"
            )
    return np.stack(points)


def pts_messages(images: Sequence[Path], n_without: int, orphans: Sequence[Path]) -> list[str]:
    """Sentences for the user on how the files were read.

    Args:
        images: the images with points.
        n_without: the number of images without a file.
        orphans: the files without an image.
    """
    messages = [
        f"points of {count_text(len(images), 'image')} are in the {_EXTENSION} file beside each",
        "these files give the centre of the first pixel as (1, 1): 0.5 is subtracted from each coordinate",
    ]
    if n_without:
        messages.append(f"images without a {_EXTENSION} file, which are ignored: {n_without}")
    if orphans:
        messages.append(
            f"{_EXTENSION} files without an image of their name beside them, which are ignored: {len(orphans)} (such as"
            f" '{orphans[0]}')"
        )
    return messages


def read_pts(path: Path) -> Floats:
    """Shape (p, 2): the points of a file, (x, y) in continuous pixels; NaN where it has ``nan nan``.

    Raises:
        TableError: the file cannot be read or is invalid.
    """
    text = _text(path)
    content = _CONTENT.fullmatch(text)
    count = None if content is None else _COUNT.search(content["header"])
    if content is not None and count is not None:
        text = content["points"]
    elif any(_is_point(line.split()) for line in text.strip().splitlines()[:1]):  # some copies have only the points
        count = None
    else:
        raise TableError(
            f"'{path}' is not a file of points; 'n_points: 68' and a point on each line in {{}} were expected"
        )
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if not lines:
        raise TableError(f"'{path}' has no points; remove the file, or write 'nan nan' for points that are unknown")
    wrong = next((line for line in lines if not _is_point(line)), None)
    if wrong is not None:
        raise TableError(f"'{path}' has the line '{' '.join(wrong)}'; a point is two numbers, x and y")
    if count is not None and len(lines) != int(count[1]):
        raise TableError(f"'{path}' announces {count[1]} points and has {len(lines)}")
    return np.array(lines, dtype=np.float64).reshape(-1, 2) + POINT_OFFSET


def _text(path: Path) -> str:
    """The text of a file, without a byte order mark."""
    if not path.is_file():  # reading a pipe blocks for ever
        raise TableError(f"cannot read '{path}': it is not a regular file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TableError(f"cannot read '{path}': {os_reason(error)}") from None
    if b"\0" in data:  # UTF-8 text has none, and UTF-16 is full of them
        raise TableError(_not_utf8(path, "utf-16"))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise TableError(_not_utf8(path, "latin1")) from None


def _not_utf8(path: Path, encoding: str) -> str:
    return f"'{path}' is not UTF-8; save it as UTF-8, for example with: iconv -f {encoding} -t utf-8"


def _files_by_image(images: Sequence[Path]) -> dict[Path, list[Path]]:
    """The ``.pts`` files in the folders of images, by their paths without the extension."""
    files: dict[Path, list[Path]] = {}
    for folder in sorted({image.parent for image in images}):
        for name in sorted(os.listdir(folder)):  # noqa: PTH208 - much faster than Path for a million names
            if name.lower().endswith(_EXTENSION):
                files.setdefault((folder / name).with_suffix(""), []).append(folder / name)
    return files


def _one_file_each(images: Sequence[Path]) -> list[Path]:
    """The ``.pts`` file of each image.

    Raises:
        TableError: an image has two, or two images have one.
    """
    files = _files_by_image(images)
    image_of: dict[Path, Path] = {}
    for image in images:
        file, *others = files[image.with_suffix("")]
        if others:
            raise TableError(f"'{image}' has two files of points, '{file.name}' and '{others[0].name}'; keep one")
        other = image_of.setdefault(file, image)
        if other != image:
            raise TableError(
                f"'{file}' may have the points of '{other.name}' or of '{image.name}'; take one of these images out of "
                "the folder, or give it another name and a file of its own"
            )
    return list(image_of)


def _is_point(cells: Sequence[str]) -> bool:
    return [cell.lower() for cell in cells] == _UNKNOWN_POINT or (len(cells) == 2 and all(map(is_number, cells)))
