"""Label Studio: JSON, JSON-MIN and CSV exports, of choices, of regions with labels, of keypoints, numbers and ratings.

A task without annotations is not labelled yet and is left out; so is one that was skipped. An annotation without a
result was looked at: the image has no label. Where annotations of one task differ, the labels that not all of them have
are unknown, and so are numbers. Predictions of a model are not labels.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from eyebright.errors import InputError, TableError, listing
from eyebright.sources.column_roles import split_at_commas
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.image_names import ImageNames
from eyebright.sources.label_file import LabelFile
from eyebright.sources.label_studio_tasks import MIN_KEYS, NUMBER_KINDS, Answer, Task, read_tasks
from eyebright.sources.rows import LabelRows, named_points, number_source, point_source
from eyebright.sources.source import Source
from eyebright.sources.stated_sizes import in_image_pixels
from eyebright.types import Size


def recognises(file: LabelFile) -> bool:
    """True for a JSON list of tasks with ``data``, and for JSON-MIN and CSV with the columns of annotations."""
    if file.json is not None:
        first = file.json.record() if file.json.layout == "list" else {}
        is_full = isinstance(first.get("data"), dict) and bool({"annotations", "completions"} & set(first))
        return is_full or len(MIN_KEYS & set(first)) >= 3
    return len(MIN_KEYS & set(file.header)) >= 3


def read(request: ReadRequest) -> Source:
    """The images with their labels, points or numbers.

    Numbers and ratings are read where nothing else was labelled, or if they are asked for.

    Raises:
        TableError: the file is broken.
        InputError: several controls may have the labels, or there is no image.
    """
    ignored: Counter[str] = Counter()
    tasks = list(read_tasks(request, ignored))
    chosen, are_numbers = _chosen(request, tasks)
    names = ImageNames(request.root, request.path)
    if are_numbers:
        ignored = Counter({kind: count for kind, count in ignored.items() if kind not in NUMBER_KINDS})
    if are_numbers and request.accepts("numbers"):
        return _numbers(request, tasks, chosen, names).with_messages(*_ignored_messages(ignored, "numbers"))
    if any(_is_points(answer, chosen) for task in tasks for answer in task.answers):
        return _points(request, tasks, chosen, names)
    return _labels(request, tasks, chosen, names).with_messages(*_ignored_messages(ignored, "labels"))


def _ignored_messages(ignored: "Counter[str]", what: str) -> list[str]:
    return (
        [f"results that are not {what}, which are ignored: {ignored.total()} ({listing(ignored)})"] if ignored else []
    )


def _chosen(request: ReadRequest, tasks: Sequence[Task]) -> tuple[Sequence[str], bool]:
    """(controls, whether they hold numbers): those that were asked for, or the only one; numbers if nothing else."""
    holds: dict[str, bool] = {}
    for task in tasks:
        for answer in task.answers:
            for name, values in answer.items():
                holds[name] = holds.get(name, False) or any(isinstance(value, float) for value in values)
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
    if numeric and (not controls or (request.kind is not None and request.accepts("numbers"))):
        return numeric, True
    if len(controls) > 1:
        raise InputError(
            f"'{request.path}' has labels of the controls {listing(controls)}; name those that hold them with `labels`"
        )
    return controls, False


def _labels(request: ReadRequest, tasks: Sequence[Task], chosen: Sequence[str], names: ImageNames) -> Source:
    """The images with the labels of these controls; those that not all annotations have are unknown."""
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
    messages = names.messages()
    if differ:
        messages.append(f"images whose annotations differ; the labels that not all of them have are unknown: {differ}")
    return rows.source(request, messages=messages, may_be_single=True)


def _text(label: Any) -> str:
    return f"{label:.15g}" if isinstance(label, float) else label


def _numbers(request: ReadRequest, tasks: Sequence[Task], chosen: Sequence[str], names: ImageNames) -> Source:
    """The images with the numbers of these controls; one that annotations do not agree on is unknown."""
    numbers_by_file: dict[str, list[float]] = {}
    left_out: dict[str, str] = {}
    differ = 0
    for task in tasks:
        file = names.find(task.image, *task.names, line=task.line)
        answered = [{value for answer in task.answers for value in answer.get(name, ())} for name in chosen]
        differ += sum(len(values) > 1 for values in answered)
        if any(answered) and not task.reason:
            numbers_by_file[file] = [next(iter(values)) if len(values) == 1 else math.nan for values in answered]
        else:
            left_out[file] = task.reason or "without a number"
    files = list(numbers_by_file)
    numbers = np.array(list(numbers_by_file.values()), dtype=np.float64).reshape(len(files), len(chosen))
    sentences = [f"numbers on which annotations differ, which are unknown: {differ}"] if differ else []
    sentences += names.messages()
    return number_source(request, files, numbers, names=chosen, messages=sentences, left_out=left_out)


def _is_points(answer: Answer, chosen: Sequence[str]) -> bool:
    return any(isinstance(value, tuple) for name in chosen for value in answer.get(name, ()))


def _points(request: ReadRequest, tasks: Sequence[Task], chosen: Sequence[str], names: ImageNames) -> Source:
    points_by_file: dict[str, dict[str, tuple[float, float]]] = {}
    size_by_file: dict[str, Size | None] = {}
    left_out: dict[str, str] = {}
    for task in tasks:
        file = names.find(task.image, *task.names, line=task.line)
        answers = [value for answer in task.answers[:1] for name in chosen for value in answer.get(name, ())]
        labels = [label for label, _, _ in answers]
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
        if answers:
            points_by_file[file] = {label: (x, y) for label, x, y in answers}
            size_by_file[file] = task.size
        else:
            left_out[file] = task.reason or "without keypoints"
    point_names, points = named_points(list(points_by_file.values()))
    files = list(points_by_file)
    points, scaled = in_image_pixels(request, files, points, list(size_by_file.values()))
    messages = [*scaled, *names.messages()]
    return point_source(request, files, points, names=point_names, messages=messages, left_out=left_out)


FORMAT = Format(
    name="label-studio",
    title="Label Studio",
    looks_like="JSON with a list of tasks that have 'data' and 'annotations', or its JSON-MIN or CSV",
    read=read,
    recognises_file=recognises,
    options=("files", "labels"),
)
