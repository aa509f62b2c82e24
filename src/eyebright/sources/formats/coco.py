"""COCO: a JSON file with the lists ``images``, ``categories`` and ``annotations``.

The labels of an image are the categories of its annotations, found by their id; those with ``iscrowd`` count.
Where annotations have ``keypoints``, the points are read, of at most one instance in each image; a point with
visibility 0 is unknown. If categories name their points differently, points are matched by name.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from eyebright.errors import InputError, TableError, listing, short_repr
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.image_names import ImageNames
from eyebright.sources.json_stream import Piece, read_json
from eyebright.sources.label_file import LabelFile
from eyebright.sources.rows import LabelRows, named_points, point_source, same_names_messages
from eyebright.sources.source import Source
from eyebright.sources.stated_sizes import in_image_pixels, stated_size
from eyebright.sources.targets import Floats
from eyebright.types import Size

_NO_CATEGORIES: frozenset[Any] = frozenset()
_MAX_EXACT = 2**53  # from here on a number with decimals stands for several whole numbers


@dataclass
class _Content:
    """The content of a file; the ids are kept as written, numbers or strings.

    Args:
        path: the file.
        images: by id, the name of the image file, the line of the entry, and the size that it states.
        categories: by id, the name.
        point_names: by the id of a category, the names of its keypoints; of categories that have some.
        categories_of: by the id of an image, the ids of the categories of its annotations.
        first_mention: by ("image" or "category", id), the line of the first annotation with an id not known there.
        points: by the id of an image, the id of the category, and x and y of each point in turn.
        with_several_instances: the id of an image with keypoints of several instances; None if there are none.
        shared_sets: each different set in ``categories_of`` once, to save memory.
    """

    path: Path
    images: dict[Any, tuple[str, int, Size | None]] = field(default_factory=dict[Any, tuple[str, int, Size | None]])
    categories: dict[Any, str] = field(default_factory=dict[Any, str])
    point_names: dict[Any, tuple[str, ...]] = field(default_factory=dict[Any, tuple[str, ...]])
    categories_of: dict[Any, frozenset[Any]] = field(default_factory=dict[Any, frozenset[Any]])
    first_mention: dict[tuple[Any, Any], int] = field(default_factory=dict[tuple[Any, Any], int])
    points: dict[Any, tuple[Any, list[float]]] = field(default_factory=dict[Any, tuple[Any, list[float]]])
    with_several_instances: Any = None
    shared_sets: dict[frozenset[Any], frozenset[Any]] = field(default_factory=dict[frozenset[Any], frozenset[Any]])

    def error(self, line: int, problem: str) -> TableError:
        return TableError(f"'{self.path}' line {line}: {problem}")


def recognises(file: LabelFile) -> bool:
    """True for a JSON object with images that have a ``file_name``, or with annotations of an image and a category."""
    if file.json is None or file.json.layout != "object":
        return False
    images, annotations = file.json.record("images"), file.json.record("annotations")
    return ("file_name" in images and "id" in images) or {"image_id", "category_id"} <= set(annotations)


def read(request: ReadRequest) -> Source:
    """The images with the categories of their annotations as labels, or with their points.

    Raises:
        TableError: the file is broken: an id that does not exist, or occurs twice, or an entry without its key.
        InputError: there is no image, or an image has the points of several instances.
    """
    content = _content(request.path)
    if content.points and request.accepts("points"):
        return _points(content, request)
    names = ImageNames(request.root, request.path)
    rows = LabelRows(request.path)
    for key, (file, line, _) in content.images.items():
        categories = content.categories_of.get(key, _NO_CATEGORIES)
        rows.add(names.find(file, line=line), (content.categories[category] for category in categories))
    messages = [*same_names_messages(content.categories, "categories"), *names.messages()]
    return rows.source(request, messages=messages, declared=content.categories.values())


def _content(path: Path) -> _Content:
    content = _Content(path)
    read_section = {"images": _add_image, "categories": _add_category, "annotations": _add_annotation}
    keys: set[str] = set()
    for piece in read_json(path):
        keys.add(piece.key)
        if piece.key in read_section:
            read_section[piece.key](content, piece)
    for key in ("images", "categories"):
        if key not in keys:
            raise TableError(f"'{path}' has no list '{key}', or it is empty; a COCO file needs it: export it again")
    _check_ids(content)
    return content


def _add_image(content: _Content, piece: Piece) -> None:
    image = _object(content, piece, "images", ("id", "file_name"))
    if image["id"] in content.images:
        raise content.error(piece.line, f"the id {image['id']!r} of an image occurs twice; give each image its own")
    if not isinstance(image["file_name"], str):
        raise content.error(piece.line, f"'file_name' must be a string, got {short_repr(image['file_name'])}")
    size = stated_size(image.get("width"), image.get("height"))
    content.images[image["id"]] = image["file_name"], piece.line, size


def _add_category(content: _Content, piece: Piece) -> None:
    category = _object(content, piece, "categories", ("id", "name"))
    if category["id"] in content.categories:
        raise content.error(
            piece.line, f"the id {category['id']!r} of a category occurs twice; give each category its own"
        )
    content.categories[category["id"]] = str(category["name"]).strip()
    names = category.get("keypoints")
    if isinstance(names, list) and names:
        content.point_names[category["id"]] = tuple(str(name) for name in cast("list[Any]", names))


def _add_annotation(content: _Content, piece: Piece) -> None:
    annotation = _object(content, piece, "annotations", ("image_id", "category_id"))
    image, category = annotation["image_id"], annotation["category_id"]
    if image not in content.images:
        content.first_mention.setdefault(("image", image), piece.line)
    if category not in content.categories:
        content.first_mention.setdefault(("category", category), piece.line)
    both = content.categories_of.get(image, _NO_CATEGORIES) | {category}
    content.categories_of[image] = content.shared_sets.setdefault(both, both)
    points = annotation.get("keypoints")
    if points and not annotation.get("iscrowd"):
        coordinates = _flat(content, piece, points)
        if not all(map(math.isnan, coordinates)):
            if image in content.points:
                content.with_several_instances = image
            content.points[image] = category, coordinates


def _flat(content: _Content, piece: Piece, points: Any) -> list[float]:
    """X and y of each point, NaN where its visibility is 0."""
    numbers = isinstance(points, list) and all(isinstance(value, (int, float)) for value in points)  # pyright: ignore[reportUnknownVariableType]
    if not numbers or len(points) % 3:
        raise content.error(piece.line, "'keypoints' must be three numbers for each point: x, y and visibility")
    triples = np.array(points, dtype=np.float64).reshape(-1, 3)
    triples[triples[:, 2] == 0, :2] = np.nan
    return triples[:, :2].reshape(-1).tolist()


def _check_ids(content: _Content) -> None:
    for (what, key), line in content.first_mention.items():
        known: Mapping[Any, Any] = content.images if what == "image" else content.categories
        if key not in known:
            section = "images" if what == "image" else "categories"
            raise content.error(
                line, f"an annotation names the {what} {key!r}, which is not in '{section}'; is the file complete?"
            )


def _object(content: _Content, piece: Piece, section: str, keys: Iterable[str]) -> dict[str, Any]:
    if not isinstance(piece.value, dict):
        raise content.error(piece.line, f"'{section}' must contain objects, got {short_repr(piece.value)}")
    missing = [key for key in keys if key not in piece.value]
    if missing:
        raise content.error(piece.line, f"an entry of '{section}' has no {listing(missing)}; export the file again")
    for key in keys:
        value = piece.value[key]
        if not isinstance(value, (int, float, str)) or (isinstance(value, bool) and key != "name"):
            problem = f"'{key}' of an entry of '{section}' is no number or string, but {short_repr(value)}"
            raise content.error(piece.line, problem)
        if isinstance(value, float) and abs(value) > _MAX_EXACT:
            problem = f"'{key}' of an entry of '{section}' is {value:.0f} with decimals, which is not exact"
            raise content.error(piece.line, f"{problem}: several ids may be this number; write whole numbers")
    return piece.value


def _points(content: _Content, request: ReadRequest) -> Source:
    if content.with_several_instances is not None:
        file = content.images[content.with_several_instances][0]
        raise InputError(
            f"'{content.path}' has keypoints of several instances in an image, such as '{file}', and a model has one"
            " set of points for each image: crop the instances, or read their categories with `kind='labels'`"
        )
    names = ImageNames(request.root, request.path)
    files: list[str] = []
    sizes: list[Size | None] = []
    left_out: dict[str, str] = {}
    for key, (name, line, size) in content.images.items():
        file = names.find(name, line=line)
        if key in content.points:
            files.append(file)
            sizes.append(size)
        else:
            left_out[file] = "without keypoints"
    point_names, points, messages = _named(content)
    points, scaled = in_image_pixels(request, files, points, sizes)
    messages += [*scaled, *names.messages()]
    return point_source(request, files, points, names=point_names, messages=messages, left_out=left_out)


def _named(content: _Content) -> tuple[Sequence[str], Floats, list[str]]:
    """(names, points of the images that have some, sentences): matched by name if categories name them differently.

    Raises:
        TableError: an image has another number of points than others, or than its category has names.
    """
    with_points = [key for key in content.images if key in content.points]
    given = [content.points[key] for key in with_points]
    used = {category: content.point_names.get(category, ()) for category, _ in given}
    known = {names for names in used.values() if names}
    if len(known) > 1:
        for category, names in used.items():
            name = content.categories[category]
            if not names:
                raise TableError(
                    f"'{content.path}': '{name}' has no names of keypoints, and other categories have some"
                )
            if len(set(names)) < len(names):
                raise TableError(f"'{content.path}': '{name}' has two keypoints of one name")
        for key, (category, xy) in zip(with_points, given, strict=True):
            if len(used[category]) * 2 != len(xy):
                _raise_other_count(content, key, f"'{content.categories[category]}' has names of keypoints")
        places = [dict(zip(used[category], _pairs(xy), strict=True)) for category, xy in given]
        several = listing(f"{content.categories[category]} ({', '.join(names)})" for category, names in used.items())
        return (
            *named_points(places),
            [f"categories whose keypoints have other names, which are matched by name: {several}"],
        )
    count = max(len(xy) for _, xy in given)
    for key, (_, xy) in zip(with_points, given, strict=True):
        if len(xy) != count:
            _raise_other_count(content, key, "other images have")
    names = next(iter(known), ())
    points = np.array([xy for _, xy in given], dtype=np.float64).reshape(len(given), -1, 2)
    return names if len(names) * 2 == count else (), points, []


def _pairs(xy: Sequence[float]) -> list[tuple[float, float]]:
    return list(zip(xy[::2], xy[1::2], strict=True))


def _raise_other_count(content: _Content, key: Any, than: str) -> None:
    name, line, _ = content.images[key]
    raise content.error(line, f"'{name}' has more or fewer keypoints than {than}")


FORMAT = Format(
    name="coco",
    title="COCO",
    looks_like="JSON with 'images', 'categories' and 'annotations'",
    read=read,
    recognises_file=recognises,
    unknown_values="give them the visibility 0",
)
