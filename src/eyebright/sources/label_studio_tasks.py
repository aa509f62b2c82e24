"""The tasks of a Label Studio export: each is an image with its annotations."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

from eyebright.errors import MAX_FLOAT32, TableError, listing
from eyebright.sources.csv_file import read_csv
from eyebright.sources.dialect import looks_like_image
from eyebright.sources.format import ReadRequest
from eyebright.sources.json_stream import read_json
from eyebright.sources.label_file import LabelFile
from eyebright.sources.stated_sizes import stated_size
from eyebright.types import Size

MIN_KEYS = frozenset({"annotation_id", "annotator", "lead_time", "created_at", "updated_at"})
"""Keys of a task in JSON-MIN, and columns of CSV, that hold no labels."""

NUMBER_KINDS = ("number", "rating")
"""Kinds of results that hold a number."""

_PREFIX = re.compile(r"^[0-9a-f]{8}-")  # of an uploaded file
_KEYPOINTS = "keypointlabels"
_NOT_LABELLED, _SKIPPED = "not labelled yet", "skipped"

Answer = Mapping[str, list[Any]]
"""The labels, points or numbers of one annotation of an image, by the name of the control."""


@dataclass(frozen=True)
class Task:
    """An image with its annotations.

    Args:
        image: its name in the file.
        answers: the annotations that count.
        line: the line of the file.
        reason: why it is left out; empty: it counts.
        names: other names that the image may have.
        size: the size that the image had when its points were set; None without points.
    """

    image: str
    answers: Sequence[Answer]
    line: int
    reason: str = ""
    names: Sequence[str] = ()
    size: Size | None = None


def read_tasks(request: ReadRequest, ignored: "Counter[str]") -> Iterator[Task]:
    """The tasks of a file.

    Args:
        request: the file, and what is asked for.
        ignored: counts the results that hold neither labels nor points, by their kind.

    Raises:
        TableError: the file is broken.
    """
    outline = LabelFile(request.path).json
    if outline is None:
        table = read_csv(request.path)
        columns = {name: list(column) for name, column in table.columns.items()}
        for row in range(len(table)):
            record = {name: _cell(cells[row]) for name, cells in columns.items() if cells[row]}
            yield _small_task(request, record, int(table.lines[row]))
        return
    is_full = "data" in outline.record()
    for piece in read_json(request.path):
        if not isinstance(piece.value, dict):
            raise TableError(f"'{request.path}' line {piece.line}: a list of tasks was expected, each an object")
        task = cast("dict[str, Any]", piece.value)
        yield _full_task(request, task, piece.line, ignored) if is_full else _small_task(request, task, piece.line)


def _full_task(request: ReadRequest, task: Mapping[str, Any], line: int, ignored: "Counter[str]") -> Task:
    data, annotations = task.get("data"), task.get("annotations", task.get("completions"))
    if not isinstance(data, dict) or not isinstance(annotations, list):
        raise TableError(f"'{request.path}' line {line}: a task has no 'data' or no 'annotations'; export it again")
    image = _image(request, cast("dict[str, Any]", data), line)
    if not all(isinstance(annotation, dict) for annotation in cast("list[Any]", annotations)):
        raise TableError(f"'{request.path}' line {line}: 'annotations' is a list of objects; export it again")
    given = cast("list[dict[str, Any]]", annotations)
    kept = [annotation for annotation in given if not annotation.get("was_cancelled")]
    reason = "" if kept else _SKIPPED if given else _NOT_LABELLED
    answers = [_answer(request, annotation.get("result") or (), line, ignored) for annotation in kept]
    regions = [region for annotation in kept for region in annotation.get("result") or ()]
    size = next((_size(region) for region in regions if region.get("type") == _KEYPOINTS), None)
    return Task(image, answers, line, reason, _other_names(image, task.get("file_upload")), size)


def _answer(request: ReadRequest, result: Sequence[Mapping[str, Any]], line: int, ignored: "Counter[str]") -> Answer:
    """The labels or points by control; ``ignored`` counts the kinds of results that hold neither."""
    answer: dict[str, list[Any]] = {}
    if not isinstance(result, (list, tuple)) or not all(isinstance(region, dict) for region in result):
        raise TableError(f"'{request.path}' line {line}: the 'result' of an annotation is a list of objects")
    for region in result:
        kind, value = region.get("type"), region.get("value")
        if kind in NUMBER_KINDS and isinstance(value, dict):
            number = cast("dict[str, Any]", value).get(kind)
            if _is_number(number):
                answer.setdefault(str(region.get("from_name")), []).append(float(number))
        labels = _labels(cast("dict[str, Any]", value).get(str(kind))) if isinstance(value, dict) else None
        if (
            not isinstance(value, dict)
            or labels is None
            or not (kind == "choices" or kind == "taxonomy" or str(kind).endswith("labels"))
        ):
            ignored[str(kind)] += 1  # a rating, a text, a relation, or a box whose labels are another entry
            continue
        name = str(region.get("from_name"))
        if kind == _KEYPOINTS:
            answer.setdefault(name, []).append(
                (labels[0], *_pixels(request, region, cast("dict[str, Any]", value), line))
            )
        else:
            answer.setdefault(name, []).extend(labels)
    return answer


def _labels(value: Any) -> list[str] | None:
    """The labels in a list of strings, or of paths in a taxonomy, joined by slashes; None for another value."""
    if not isinstance(value, list):
        return None
    paths = [[element] if isinstance(element, str) else element for element in cast("list[Any]", value)]
    if not all(
        isinstance(path, list) and all(isinstance(part, str) for part in cast("list[Any]", path)) for path in paths
    ):
        return None
    return ["/".join(path) for path in cast("list[list[str]]", paths)]


def _pixels(
    request: ReadRequest, region: Mapping[str, Any], value: Mapping[str, Any], line: int
) -> tuple[float, float]:
    try:
        x, y = float(value["x"]), float(value["y"])
        return x / 100 * float(region["original_width"]), y / 100 * float(region["original_height"])
    except (KeyError, TypeError, ValueError):
        raise TableError(
            f"'{request.path}' line {line}: a keypoint needs 'x' and 'y' in percent, and 'original_width' and "
            "'original_height' of its image"
        ) from None


def _size(region: Mapping[str, Any]) -> Size | None:
    return stated_size(region.get("original_width"), region.get("original_height"))


def _small_task(request: ReadRequest, record: Mapping[str, Any], line: int) -> Task:
    """A task of JSON-MIN or CSV, where a control is a key with a label, a list, or ``{"choices": [...]}``."""
    image = _image(request, record, line)
    answer: dict[str, list[Any]] = {}
    for name, value in record.items():
        if name in MIN_KEYS or name == "id" or value == image:
            continue
        labels = value.get("choices", value.get("labels")) if isinstance(value, dict) else value
        labels = [labels] if isinstance(labels, str) else labels
        if name in request.labels and _is_number(value):
            answer[name] = [float(value)]
        elif isinstance(labels, list):
            answer[name] = [label for region in labels for label in _region_labels(region)]
    reason = "" if record.get("annotation_id") or answer else _NOT_LABELLED
    return Task(image, [answer], line, reason, _other_names(image, None))


def _region_labels(value: Any) -> list[str]:
    """The label, or the labels of a box or another region."""
    if isinstance(value, str):
        return [value]
    region = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    return [
        label for key, names in region.items() if key.endswith("labels") and isinstance(names, list) for label in names
    ]


def _cell(cell: str) -> Any:
    """The value of a cell: JSON where it is an object or a list, else text."""
    if cell[0] not in "{[":
        return cell
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def _image(request: ReadRequest, data: Mapping[str, Any], line: int) -> str:
    """The name of the image: under the requested key, or under the only key that has one."""
    keys = [key for key, value in data.items() if isinstance(value, str) and looks_like_image(value.split("?", 1)[0])]
    if request.files is not None:
        keys = [request.files] if isinstance(data.get(request.files), str) else []
    if len(keys) == 1:
        return str(data[keys[0]])
    problem = f"{listing(keys)} name images" if keys else f"no name of an image is among the keys {listing(data)}"
    raise TableError(f"'{request.path}' line {line}: {problem}; `files` specifies the key")


def _other_names(image: str, upload: Any) -> list[str]:
    """The names that the image may have on disk: without the eight digits that Label Studio puts before it."""
    path = re.sub(r"^.*[?&]d=", "", image)  # local files: /data/local-files/?d=folder/1.jpg
    last = re.split(r"[/\\]", path)[-1]
    names = [path, last, _PREFIX.sub("", last)]
    if isinstance(upload, str):
        names += [upload, _PREFIX.sub("", upload)]
    return [name for name in dict.fromkeys(names) if name != image]


def _is_number(value: Any) -> TypeGuard[float]:
    """True for a finite number of JSON."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= MAX_FLOAT32
