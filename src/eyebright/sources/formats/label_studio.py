"""Label Studio: JSON, JSON-MIN and CSV exports, of choices, of regions with labels, of keypoints, numbers and ratings.

A task without annotations is not labelled yet and is left out; so is one that was skipped. An annotation without a
result was looked at: the image has no label. Where annotations of one task differ, the labels that not all of them have
are unknown, and so are numbers. Predictions of a model are no labels.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

import numpy as np

from eyebright.errors import InputError, TableError, listing
from eyebright.sources.cells import LARGEST
from eyebright.sources.column_roles import split_at_commas
from eyebright.sources.csv_file import read_csv
from eyebright.sources.dialect import looks_like_image
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.image_names import ImageNames
from eyebright.sources.json_stream import read_json
from eyebright.sources.label_file import LabelFile
from eyebright.sources.rows import LabelRows, number_source, point_source
from eyebright.sources.source import Source

_PREFIX = re.compile(r"^[0-9a-f]{8}-")  # of an uploaded file
_MIN_KEYS = frozenset({"annotation_id", "annotator", "lead_time", "created_at", "updated_at"})  # of JSON-MIN and CSV
_KEYPOINTS = "keypointlabels"
_NUMBERS = ("number", "rating")
_NOT_LABELLED, _SKIPPED = "not labelled yet", "skipped"

Answer = Mapping[str, list[Any]]
"""What one annotation of an image says: by the name of the control its labels, its points or its numbers."""


@dataclass(frozen=True)
class _Task:
    """An image with its annotations.

    Args:
        image: its name in the file.
        answers: the annotations that count.
        line: of the file.
        reason: why it is left out; empty: it counts.
        names: other names that the image may have.
    """

    image: str
    answers: Sequence[Answer]
    line: int
    reason: str = ""
    names: Sequence[str] = ()


def recognises(file: LabelFile) -> bool:
    """True for a JSON list of tasks with ``data``, and for JSON-MIN and CSV with the columns of annotations."""
    if file.json is not None:
        first = file.json.record() if file.json.form == "list" else {}
        is_full = isinstance(first.get("data"), dict) and bool({"annotations", "completions"} & set(first))
        return is_full or len(_MIN_KEYS & set(first)) >= 3
    return len(_MIN_KEYS & set(file.header)) >= 3


def read(request: ReadRequest) -> Source:
    """The images with their labels, points or numbers.

    Numbers and ratings are read where nothing else was labelled, or if they are asked for.

    Raises:
        TableError: the file is broken.
        InputError: several controls could hold the labels, or there is no image.
    """
    ignored: Counter[str] = Counter()
    tasks = list(_tasks(request, ignored))
    chosen, are_numbers = _chosen(request, tasks)
    names = ImageNames(request.root, request.path)
    if are_numbers:
        ignored = Counter({kind: count for kind, count in ignored.items() if kind not in _NUMBERS})
    if are_numbers and (request.kind is None or request.kind.form == "numbers"):
        return _numbers(request, tasks, chosen, names).with_messages(*_ignored_messages(ignored, "numbers"))
    points = [task for task in tasks if any(_is_points(answer, chosen) for answer in task.answers)]
    if points:
        return _points(request, tasks, chosen, names)
    rows = LabelRows(request.path)
    differ = 0
    for task in tasks:
        file = names.find(task.image, *task.names, line=task.line)
        if task.reason:
            rows.leave_out(file, task.reason)
            continue
        sets = [frozenset(_text(label) for name in chosen for label in answer.get(name, ())) for answer in task.answers]
        common, any_of = frozenset.intersection(*sets), frozenset.union(*sets)
        differ += common != any_of
        rows.add(file, common, unknown=any_of - common)
    messages = [*names.messages(), *_ignored_messages(ignored, "labels")]
    if differ:
        messages.append(f"images whose annotations differ; the labels that not all of them have are unknown: {differ}")
    return rows.source(request, messages=messages, may_be_single=True)


def _ignored_messages(ignored: "Counter[str]", what: str) -> list[str]:
    return [f"results that are no {what}, which are ignored: {ignored.total()} ({listing(ignored)})"] if ignored else []


def _tasks(request: ReadRequest, ignored: "Counter[str]") -> Iterator[_Task]:
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


def _full_task(request: ReadRequest, task: Mapping[str, Any], line: int, ignored: "Counter[str]") -> _Task:
    data, annotations = task.get("data"), task.get("annotations", task.get("completions"))
    if not isinstance(data, dict) or not isinstance(annotations, list):
        raise TableError(f"'{request.path}' line {line}: a task has no 'data' or no 'annotations'; export it again")
    image = _image(request, cast("dict[str, Any]", data), line)
    if not all(isinstance(one, dict) for one in cast("list[Any]", annotations)):
        raise TableError(f"'{request.path}' line {line}: 'annotations' is a list of objects; export it again")
    given = cast("list[dict[str, Any]]", annotations)
    kept = [one for one in given if not one.get("was_cancelled")]
    reason = "" if kept else _SKIPPED if given else _NOT_LABELLED
    answers = [_answer(request, one.get("result") or (), line, ignored) for one in kept]
    return _Task(image, answers, line, reason, _other_names(image, task.get("file_upload")))


def _answer(request: ReadRequest, result: Sequence[Mapping[str, Any]], line: int, ignored: "Counter[str]") -> Answer:
    """The labels or points by control; ``ignored`` counts the kinds of results that hold neither."""
    answer: dict[str, list[Any]] = {}
    if not isinstance(result, (list, tuple)) or not all(isinstance(region, dict) for region in result):
        raise TableError(f"'{request.path}' line {line}: the 'result' of an annotation is a list of objects")
    for region in result:
        kind, value = region.get("type"), region.get("value")
        if kind in _NUMBERS and isinstance(value, dict):
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
    """The labels in a list of texts, or of paths in a taxonomy, which are joined by slashes; None for another value."""
    if not isinstance(value, list):
        return None
    paths = [[one] if isinstance(one, str) else one for one in cast("list[Any]", value)]
    if not all(
        isinstance(path, list) and all(isinstance(one, str) for one in cast("list[Any]", path)) for path in paths
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


def _small_task(request: ReadRequest, record: Mapping[str, Any], line: int) -> _Task:
    """A task of JSON-MIN or CSV, where a control is a key with a label, a list, or ``{"choices": [...]}``."""
    image = _image(request, record, line)
    answer: dict[str, list[Any]] = {}
    for name, value in record.items():
        if name in _MIN_KEYS or name == "id" or value == image:
            continue
        labels = value.get("choices", value.get("labels")) if isinstance(value, dict) else value
        labels = [labels] if isinstance(labels, str) else labels
        if name in request.labels and _is_number(value):
            answer[name] = [float(value)]
        elif isinstance(labels, list):
            answer[name] = [label for one in labels for label in _region_labels(one)]
    reason = "" if record.get("annotation_id") or answer else _NOT_LABELLED
    return _Task(image, [answer], line, reason, _other_names(image, None))


def _region_labels(one: Any) -> list[str]:
    """The label, or the labels of a box or another region."""
    if isinstance(one, str):
        return [one]
    region = cast("dict[str, Any]", one) if isinstance(one, dict) else {}
    return [
        label for key, value in region.items() if key.endswith("labels") and isinstance(value, list) for label in value
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
    """The name of the image: under the key that was asked for, or under the only one that holds one."""
    keys = [key for key, value in data.items() if isinstance(value, str) and looks_like_image(value.split("?", 1)[0])]
    if request.files is not None:
        keys = [request.files] if isinstance(data.get(request.files), str) else []
    if len(keys) == 1:
        return str(data[keys[0]])
    problem = f"{listing(keys)} name images" if keys else f"no name of an image is among the keys {listing(data)}"
    raise TableError(f"'{request.path}' line {line}: {problem}; `files` says which key does")


def _other_names(image: str, upload: Any) -> list[str]:
    """The names that the image may have on disk: without the eight digits that Label Studio puts before it."""
    path = re.sub(r"^.*[?&]d=", "", image)  # local files: /data/local-files/?d=folder/1.jpg
    last = re.split(r"[/\\]", path)[-1]
    names = [path, last, _PREFIX.sub("", last)]
    if isinstance(upload, str):
        names += [upload, _PREFIX.sub("", upload)]
    return [name for name in dict.fromkeys(names) if name != image]


def _chosen(request: ReadRequest, tasks: Sequence[_Task]) -> tuple[Sequence[str], bool]:
    """(controls, whether they hold numbers): those that were asked for, or the only one; numbers if nothing else."""
    holds: dict[str, bool] = {}
    for task in tasks:
        for answer in task.answers:
            for name, values in answer.items():
                holds[name] = holds.get(name, False) or any(isinstance(one, float) for one in values)
    numeric = sorted(name for name, are_numbers in holds.items() if are_numbers)
    controls = sorted(name for name, are_numbers in holds.items() if not are_numbers)
    if request.labels:
        chosen = split_at_commas(request.labels, holds)
        if unknown := [name for name in chosen if name not in holds]:
            raise InputError(f"'{request.path}' has no control {listing(unknown)}; there are {listing(sorted(holds))}")
        if len({holds[name] for name in chosen}) > 1:
            raise InputError(
                f"'{request.path}' has labels and numbers in {listing(chosen)}; name either some of "
                f"{listing(controls)} or some of {listing(numeric)} with `labels`"
            )
        return chosen, holds[chosen[0]]
    if numeric and (not controls or (request.kind is not None and request.kind.form == "numbers")):
        return numeric, True
    if len(controls) > 1:
        raise InputError(
            f"'{request.path}' has labels of the controls {listing(controls)}; name those that hold them with `labels`"
        )
    return controls, False


def _is_number(value: Any) -> TypeGuard[float]:
    """True for a finite number of JSON."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST


def _text(label: Any) -> str:
    return f"{label:.15g}" if isinstance(label, float) else label


def _numbers(request: ReadRequest, tasks: Sequence[_Task], chosen: Sequence[str], names: ImageNames) -> Source:
    """The images with the numbers of these controls; one that annotations do not agree on is unknown."""
    each: dict[str, list[float]] = {}
    left_out: dict[str, str] = {}
    differ = 0
    for task in tasks:
        file = names.find(task.image, *task.names, line=task.line)
        found = [{one for answer in task.answers for one in answer.get(name, ())} for name in chosen]
        differ += sum(len(one) > 1 for one in found)
        if any(found) and not task.reason:
            each[file] = [next(iter(one)) if len(one) == 1 else math.nan for one in found]
        else:
            left_out[file] = task.reason or "without a number"
    numbers = np.array(list(each.values()), dtype=np.float64).reshape(len(each), len(chosen))
    said = [f"numbers on which annotations differ, which are unknown: {differ}"] if differ else []
    said += names.messages()
    return number_source(request, list(each), numbers, names=chosen, messages=said, left_out=left_out)


def _is_points(answer: Answer, chosen: Sequence[str]) -> bool:
    return any(isinstance(one, tuple) for name in chosen for one in answer.get(name, ()))


def _points(request: ReadRequest, tasks: Sequence[_Task], chosen: Sequence[str], names: ImageNames) -> Source:
    each: dict[str, dict[str, tuple[float, float]]] = {}
    left_out: dict[str, str] = {}
    for task in tasks:
        file = names.find(task.image, *task.names, line=task.line)
        found = [one for answer in task.answers[:1] for name in chosen for one in answer.get(name, ())]
        labels = [label for label, _, _ in found]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise TableError(
                f"'{request.path}' line {task.line}: '{file}' has {listing(twice)} twice; a point has one place in each"
                " image"
            )
        if len(task.answers) > 1:
            raise TableError(
                f"'{request.path}' line {task.line}: '{file}' has the points of {len(task.answers)} annotations;"
                " keep one"
            )
        if found:
            each[file] = {label: (x, y) for label, x, y in found}
        else:
            left_out[file] = task.reason or "without keypoints"
    order = list(dict.fromkeys(label for points in each.values() for label in points))
    missing = (math.nan, math.nan)
    points = np.array([[found.get(name, missing) for name in order] for found in each.values()], dtype=np.float64)
    return point_source(request, list(each), points, names=order, messages=names.messages(), left_out=left_out)


FORMAT = Format(
    name="label-studio",
    title="Label Studio",
    looks_like="JSON with a list of tasks that have 'data' and 'annotations', or its JSON-MIN or CSV",
    read=read,
    recognises_file=recognises,
    options=("files", "labels"),
)
