"""YOLO: a text file for each image, with a row for each object that begins with the number of its class.

``data.yaml`` names the classes and the folders of the parts. The text file of ``images/train/1.jpg`` is
``labels/train/1.txt``, or in the folder of the image; an image without one has no object.
"""

import os
from collections.abc import Mapping, Sequence, Set
from pathlib import Path, PurePosixPath
from typing import Any

from eyebright._choices import Part
from eyebright.errors import InputError, TableError, count_text, listing, os_reason
from eyebright.io.files import FolderContent, folder_listing
from eyebright.sources.cells import is_number
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.image_names import ImageNames
from eyebright.sources.label_file import LabelFile
from eyebright.sources.parts import part_of
from eyebright.sources.rows import LabelRows, same_names_messages
from eyebright.sources.simple_yaml import read_simple_yaml
from eyebright.sources.source import Source

_PARTS: dict[str, Part] = {"train": "train", "val": "valid", "valid": "valid", "test": "test"}
_YAML = (".yaml", ".yml")
_MIN_CELLS = 5  # of an object: its class and a box; a polygon has more
_NAMES = ("classes.txt", "obj.names", "data.names")
"""Files with the name of a class on each line, where there is no ``data.yaml``."""


def recognises_file(file: LabelFile) -> bool:
    """True for YAML with ``names`` and the folders of parts, or beside images with text files of rows of numbers."""
    if file.suffix not in _YAML:  # before the file is read: there may be a text file for each image
        return False
    keys = {line.split(b":")[0].rstrip().decode("latin1") for line in file.head.splitlines() if b":" in line}
    if "names" not in keys:
        return False
    return bool(keys & set(_PARTS)) or _has_label_files(folder_listing(file.path.parent))


def recognises_folder(folder: Path, content: FolderContent) -> bool:
    """True for a folder with such a YAML file, or whose images have text files with rows of five numbers and more."""
    if any(recognises_file(LabelFile(file)) for file in content.others if file.suffix.lower() in _YAML):
        return True
    return _has_label_files(content)


def read(request: ReadRequest) -> Source:
    """The images with the classes of their objects as labels.

    Raises:
        TableError: a file is broken, or a row has a class that has no name.
        InputError: there is no image, or several YAML files.
    """
    yaml = _yaml_file(request.path)
    settings = {} if yaml is None else read_simple_yaml(yaml)
    root = request.path if request.path.is_dir() else request.folder
    classes = _classes(settings.get("names"), yaml) or _listed_classes(root)
    has_places = any(settings.get(key) for key in _PARTS)
    images_by_part = _by_settings(root, settings, yaml) if yaml is not None and has_places else _by_folders(root)
    rows = LabelRows(request.path)
    without = 0
    label_files: set[Path] = set()
    for image, part in images_by_part:
        path = _label_path(image)
        label_files.add(path)
        without += not path.is_file()
        rows.add(image.relative_to(root).as_posix(), _labels(path, classes), part=part)
    messages = [f"images without a text file, which have no object: {without}"] if without else []
    messages += [*_count_messages(settings, classes, yaml), *same_names_messages(classes, "classes")]
    messages += _orphan_messages(root, label_files)
    if yaml is not None and not has_places:
        empty = [key for key in _PARTS if key in settings]
        some = f"only {'an empty entry' if len(empty) == 1 else 'empty entries'} {listing(empty)}"
        entries = some if empty else f"no entry {listing(_PARTS)}"
        messages.append(
            f"'{yaml.name}' has {entries} for folders of images, so all images of its folder are read, and only "
            "folders named after parts give a split; write the folders at 'train' and 'val' to choose others"
        )
    if not classes:
        messages.append("no file has names of the classes, so they are named by their numbers")
    return rows.source(request, messages=messages, declared=classes.values())


def _yaml_file(path: Path) -> Path | None:
    if not path.is_dir():
        return path
    files = [file for file in folder_listing(path).others if recognises_file(LabelFile(file))]
    if len(files) > 1:
        names = listing(file.relative_to(path).as_posix() for file in files)
        raise InputError(f"'{path}' has several YAML files, {names}; give the one that is meant")
    return files[0] if files else None


def _classes(names: Any, yaml: Path | None) -> dict[str, str]:
    """The name of each class by its number; empty without names."""
    if isinstance(names, Mapping):
        return {str(key): str(value) for key, value in names.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(names, list):
        return {str(i): str(name) for i, name in enumerate(names)}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if yaml is not None:
        raise TableError(f"'{yaml}': 'names' is a list of the classes, or their names by number")
    return {}


def _count_messages(settings: Mapping[str, Any], classes: Mapping[str, str], yaml: Path | None) -> list[str]:
    """The message about another number of classes (``nc``) than names in a YAML file."""
    stated = str(settings.get("nc", ""))
    if yaml is None or not classes or not stated.isdecimal() or int(stated) == len(classes):
        return []
    counts = [count_text(count, "class", "classes") for count in (int(stated), len(classes))]
    return [f"'{yaml.name}' states {counts[0]} (nc) and names {counts[1]}, which are read: {listing(classes.values())}"]


def _listed_classes(root: Path) -> dict[str, str]:
    for name in _NAMES:
        for file in (root / name, root / "labels" / name):
            if file.is_file():
                return {str(i): line for i, line in enumerate(_lines(file)) if line}
    return {}


def _by_settings(root: Path, settings: Mapping[str, Any], yaml: Path) -> list[tuple[Path, Part | None]]:
    """(image, part) of all images in the folders or lists that the YAML file names."""
    part_of_image: dict[Path, Part | None] = {}
    for key, part in _PARTS.items():
        value = settings.get(key) or ()
        for place in (value,) if isinstance(value, str) else value:
            for image in _images(root, str(settings.get("path", "")), str(place), key, yaml):
                if part_of_image.setdefault(image, part) != part:
                    raise TableError(f"'{yaml}': image '{image}' is in '{key}' and in another part; keep one of them")
    return sorted(part_of_image.items())


def _images(root: Path, base: str, place: str, key: str, yaml: Path) -> Sequence[Path]:
    """The images of a folder, or of a text file with their names; never of a folder outside of the root."""
    for path in (os.path.join(base, place), place):  # noqa: PTH118 - normpath below
        inner = PurePosixPath(os.path.normpath(path).replace(os.sep, "/"))
        parts = [part for part in inner.parts if part not in ("..", "/")]
        for i in range(len(parts)):  # the folder of the data may have another name here
            candidate = root.joinpath(*parts[i:])
            if os.path.isdir(candidate):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
                return folder_listing(candidate).images
            if os.path.isfile(candidate) and candidate.suffix == ".txt":  # noqa: PTH113
                return _listed_images(root, candidate)
    raise TableError(f"'{yaml}': '{key}' is '{place}', and there is no such folder in '{root}'; correct it")


def _listed_images(root: Path, path: Path) -> list[Path]:
    """The images that a text file names, one on each line."""
    names = ImageNames(root, path)
    files = [names.find(name) for name in _lines(path) if name]
    for name in files:
        if name.startswith(("/", "../")):
            raise TableError(f"'{path}': '{name}' is outside of the folder of the data; copy the image into it")
    return [root / name for name in files]


def _by_folders(root: Path) -> list[tuple[Path, Part | None]]:
    """(image, part) of all images, by the first folder that is named after a part."""
    images = folder_listing(root).images
    parts: list[Part | None] = [
        next((part for name in image.relative_to(root).parts[:-1] if (part := part_of(name))), None) for image in images
    ]
    return list(zip(images, parts, strict=True))


def _label_path(image: Path) -> Path:
    """The text file of an image: in ``labels`` instead of the last ``images`` of its path, or in the same folder."""
    beside = image.with_suffix(".txt")
    folders = [i for i, part in enumerate(image.parts[:-1]) if part == "images"]
    if not folders:
        return beside
    inner = Path(*image.parts[: folders[-1]], "labels", *image.parts[folders[-1] + 1 :]).with_suffix(".txt")
    return inner if inner.is_file() or not beside.is_file() else beside


def _orphan_messages(root: Path, label_files: Set[Path]) -> list[str]:
    """The message about files of objects in the folders of the others, that belong to none of the images."""
    folders = {file.parent for file in label_files}
    names = {name.lower() for name in _NAMES}
    orphans = [
        file
        for folder in sorted(folders)
        if folder.is_dir()
        for file in folder_listing(folder, recurse=False).others
        if file.suffix.lower() == ".txt" and file not in label_files and file.name.lower() not in names
    ]
    orphans = [file for file in orphans if _is_label_file(file)]
    if not orphans:
        return []
    first = Path(os.path.relpath(orphans[0], root)).as_posix()  # label files may lie beside the root
    return [f"text files of objects that belong to none of the images, which are ignored: {len(orphans)} ('{first}')"]


def _lines(path: Path) -> list[str]:
    """The lines of a text file, without spaces around them."""
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, ValueError) as error:
        raise TableError(f"cannot read '{path}': {os_reason(error)}") from None


def _has_label_files(content: FolderContent) -> bool:
    return any(_is_label_file(_label_path(image)) for image in content.images[:20])


def _is_label_file(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            rows = [line.split() for line in file.read(2000).split(b"\n")[:3] if line.strip()]
    except OSError:
        return False
    return bool(rows) and all(len(row) >= 5 and row[0].isdigit() and is_number(row[1].decode("latin1")) for row in rows)


def _labels(path: Path, classes: Mapping[str, str]) -> set[str]:
    """The classes of the objects in a text file; empty without a file."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        return set()
    except (OSError, ValueError) as error:
        raise TableError(f"cannot read '{path}': {os_reason(error)}") from None
    labels: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if not (cells := line.split()):
            continue
        if not cells[0].isdecimal() or not all(map(is_number, cells[1:])):
            raise TableError(
                f"'{path}' line {number}: the number of a class and numbers were expected, got '{line[:60]}'"
            )
        if len(cells) < _MIN_CELLS:
            raise TableError(
                f"'{path}' line {number}: a class and at least four numbers were expected, got '{line[:60]}'; is the"
                " file cut off?"
            )
        key = str(int(cells[0]))
        if classes and key not in classes:
            raise TableError(f"'{path}' line {number}: class {key} has no name; there are {len(classes)} names")
        labels.add(classes.get(key, key))
    return labels


FORMAT = Format(
    name="yolo",
    title="YOLO",
    looks_like="data.yaml with 'names', or a text file for each image with rows of numbers",
    read=read,
    recognises_file=recognises_file,
    recognises_folder=recognises_folder,
)
