"""LabelMe: a JSON file for each image, with shapes that have labels, or with flags of the image.

A flag that is false means that the image does not have the label. Shapes that are single points, each label once in an
image, are read as points.
"""

import json
import math
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple, cast

from eyebright.errors import InputError, TableError, os_reason, short_repr
from eyebright.io.files import FolderContent, folder_listing
from eyebright.io.json_keys import unique_keys
from eyebright.sources.cells import is_flag, is_on
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.image_names import ImageNames
from eyebright.sources.label_file import LabelFile
from eyebright.sources.rows import LabelRows, named_points, point_source
from eyebright.sources.source import Source
from eyebright.sources.stated_sizes import in_image_pixels, stated_size
from eyebright.types import Size

_IGNORE = "__ignore__"  # the first of the flags in LabelMe's own example


class _Annotation(NamedTuple):
    """The content of a file: the path of its image, the flags, (label, kind, first point) of each shape, the size.

    Flags are as they are written: where they are not used they may be anything.
    """

    path: Path
    file: str
    flags: dict[str, Any]
    shapes: list[tuple[str, str, tuple[float, float]]]
    size: Size | None


def recognises(folder: Path, content: FolderContent) -> bool:
    """True for a folder in which a JSON file has ``shapes`` and an ``imagePath``."""
    return any(_is_labelme(file) for file in _json_files(content)[:3])


def read(request: ReadRequest) -> Source:
    """The images with their flags, or the labels of their shapes, as labels; or with their points.

    Raises:
        TableError: a file is broken.
        InputError: there are flags and shapes, or no image.
    """
    names = ImageNames(request.root, request.path)
    content = folder_listing(request.path)
    files = [file for file in _json_files(content) if _is_labelme(file)]
    annotations = [_annotation(file, names) for file in files]
    without = _without_annotation(request, content, {image.file for image in annotations}, files)
    use_flags = _uses_flags(request, annotations)
    if not use_flags and request.accepts("points") and _are_points(annotations):
        return _points(request, annotations, names.messages(), without)
    rows = LabelRows(request.path)
    rows.left_out |= without
    for image in annotations:
        if _IGNORE in image.flags and _is_set(image, _IGNORE):
            rows.leave_out(image.file, f"marked {_IGNORE}")
        elif use_flags:
            rows.add(image.file, [name for name in image.flags if _is_set(image, name)])
        else:
            rows.add(image.file, [label for label, _, _ in image.shapes])
    declared = {name for image in annotations for name in image.flags} if use_flags else set[str]()
    return rows.source(request, messages=names.messages(), declared=declared, may_be_single=use_flags)


def _json_files(content: FolderContent) -> list[Path]:
    return [file for file in content.others if file.suffix.lower() == ".json"]


def _without_annotation(
    request: ReadRequest, content: FolderContent, known: Set[str], files: Sequence[Path]
) -> dict[str, str]:
    """The images that no file of LabelMe names, with the reason.

    Raises:
        TableError: one of them has a JSON file of its name, beside it or beside the others, which is damaged.
    """
    others = set(_json_files(content)).difference(files)
    folders = {file.parent for file in files}
    without: dict[str, str] = {}
    images = (content if request.root == request.path else folder_listing(request.root)).images
    for image in images:
        file = image.relative_to(request.root).as_posix()
        if file in known:
            continue
        own = {folder / f"{image.stem}.json" for folder in (image.parent, *folders)}
        if damaged := sorted(own & others):
            raise TableError(
                f"'{damaged[0]}' holds no annotation of LabelMe, as the other files do; is it cut off? save it again,"
                " or take it out of the folder"
            )
        without[file] = "without a JSON file"
    return without


def _is_labelme(path: Path) -> bool:
    outline = LabelFile(path).json
    return outline is not None and {"shapes", "imagePath"} <= set(outline.keys)


def _annotation(path: Path, names: ImageNames) -> _Annotation:
    try:
        content: Any = json.loads(path.read_bytes(), object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError):
            reason = f"at line {error.lineno} ({error.msg}); is the file cut off?"
        else:
            reason = f"({error});"
        raise TableError(f"'{path}' is not valid JSON {reason} save it again") from None
    except OSError as error:
        raise TableError(f"cannot read '{path}': {os_reason(error)}") from None
    if not isinstance(content, dict):
        raise TableError(f"'{path}' holds no object of LabelMe; save it again")
    content = cast("dict[str, Any]", content)
    image, flags = content.get("imagePath"), content.get("flags") or {}
    if not isinstance(image, str) or not isinstance(flags, dict):
        raise TableError(f"'{path}': 'imagePath' must be a string and 'flags' an object; save it again with LabelMe")
    shapes: list[tuple[str, str, tuple[float, float]]] = []
    shape_list = content.get("shapes") or []
    if not isinstance(shape_list, list):
        raise TableError(f"'{path}': 'shapes' is a list; save it again with LabelMe")
    for shape in cast("list[Any]", shape_list):
        try:
            x, y = (shape.get("points") or [[math.nan, math.nan]])[0]
            shapes.append((str(shape["label"]).strip(), str(shape.get("shape_type")), (float(x), float(y))))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise TableError(f"'{path}': a shape has no label, or points that are not numbers; correct it") from None
    file = names.find(image, path.stem, beside=path)
    size = stated_size(content.get("imageWidth"), content.get("imageHeight"))
    return _Annotation(path, file, cast("dict[str, Any]", flags), shapes, size)


def _is_set(image: _Annotation, name: str) -> bool:
    """Whether a flag is true; scripts write it as text or a number, too.

    Raises:
        TableError: it is neither true nor false.
    """
    cell = _cell(image.flags[name])
    if cell and not is_flag(cell):
        value = short_repr(image.flags[name])
        raise TableError(f"'{image.path}': flag '{name}' is {value}; a flag is true or false: correct it")
    return is_on(cell)


def _cell(value: object) -> str:
    return "" if value is None else str(value).strip()


def _uses_flags(request: ReadRequest, annotations: Sequence[_Annotation]) -> bool:
    """True if the flags are the labels, False if the shapes are: what was asked for, or what there is."""
    choice = {"flags": True, "shapes": False}
    if request.labels:
        if len(request.labels) > 1 or request.labels[0] not in choice:
            raise InputError("`labels` of LabelMe is 'flags' or 'shapes'")
        return choice[request.labels[0]]
    written = (_cell(value) for image in annotations for name, value in image.flags.items() if name != _IGNORE)
    has_flags = any(is_on(cell) or not is_flag(cell) for cell in written if cell)
    has_shapes = any(image.shapes for image in annotations)
    if has_flags and has_shapes:
        raise InputError(
            f"'{request.path}' has flags of images and shapes with labels: `labels='flags'` reads the flags, "
            "`labels='shapes'` the shapes"
        )
    return has_flags or not has_shapes


def _are_points(annotations: Sequence[_Annotation]) -> bool:
    """True if every shape is a point, and no image has a label twice."""
    labels_of_images = [[label for label, _, _ in image.shapes] for image in annotations if image.shapes]
    is_point = all(kind == "point" for image in annotations for _, kind, _ in image.shapes)
    are_unique = all(len(set(labels)) == len(labels) for labels in labels_of_images)
    return bool(labels_of_images) and is_point and are_unique


def _points(
    request: ReadRequest, annotations: Sequence[_Annotation], messages: list[str], left_out: dict[str, str]
) -> Source:
    kept = [image for image in annotations if image.shapes]
    names, points = named_points([{label: xy for label, _, xy in image.shapes} for image in kept])
    left_out = {**left_out, **{image.file: "without points" for image in annotations if not image.shapes}}
    files = [image.file for image in kept]
    points, scaled = in_image_pixels(request, files, points, [image.size for image in kept])
    return point_source(request, files, points, names=names, messages=[*scaled, *messages], left_out=left_out)


FORMAT = Format(
    name="labelme",
    title="LabelMe",
    looks_like="a folder with a JSON file for each image that has 'shapes' and 'imagePath'",
    read=read,
    recognises_folder=recognises,
    options=("images", "labels"),
)
