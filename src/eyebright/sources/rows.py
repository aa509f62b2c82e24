"""`LabelRows`, `point_source`, `number_source`: the images that a reader finds one by one, as a `Source`."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from eyebright._choices import Part
from eyebright.errors import InputError, TableError, count_text, listing
from eyebright.sources.categorical import Categorical
from eyebright.sources.duplicates import first_row_of_each_image
from eyebright.sources.format import ReadRequest
from eyebright.sources.parts import part_messages
from eyebright.sources.source import Source
from eyebright.sources.spelling import one_spelling
from eyebright.sources.targets import Floats, Targets, unused_messages
from eyebright.sources.task_types import Kind, block_name, kind_error
from eyebright.sources.text_table import Strings, strings
from eyebright.tasks.task_type import TaskType
from eyebright.types import MAX_LABEL_LENGTH, LabelSet, long_label


class LabelRows:
    """The images of a label file with their labels, added one by one; `source` makes the `Source` of them.

    A row takes its file name and a few numbers: equal sets of labels are stored once.

    Args:
        path: the label file or folder, for messages.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: list[str] = []
        self._codes: list[int] = []
        self._sets: dict[LabelSet, int] = {}
        self._parts: list[Part | None] = []
        self._groups: list[str | None] = []
        self.left_out: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._files)

    def add(
        self,
        file: str,
        labels: Iterable[str],
        *,
        unknown: Iterable[str] = (),
        part: Part | None = None,
        group: str | None = None,
    ) -> None:
        """Adds an image.

        Args:
            file: its path, relative to the root of the source.
            labels: those that it has.
            unknown: those that it may or may not have.
            part: what it is for; None: the file does not specify it.
            group: images of one group belong together; None: it is independent.

        Raises:
            TableError: a label is too long.
        """
        label_set = LabelSet(labels, unknown=unknown)
        if label_set not in self._sets:
            for label in label_set:
                _check_label(self._path, label)
        self._files.append(file)
        self._codes.append(self._sets.setdefault(label_set, len(self._sets)))
        self._parts.append(part)
        self._groups.append(group)

    def leave_out(self, file: str, reason: str) -> None:
        """Notes an image that the label file names and that is not used."""
        self.left_out[file] = reason

    def source(
        self,
        request: ReadRequest,
        *,
        messages: Iterable[str] = (),
        declared: Collection[str] = (),
        is_single: bool = False,
        may_be_single: bool = False,
    ) -> Source:
        """The images as a source.

        Args:
            request: what was asked for.
            messages: the messages of the reader, sentences for the user.
            declared: the labels that the format declares; a message names those that no image has.
            is_single: the format defines that an image has one class.
            may_be_single: where each image has exactly one label, it is a class; otherwise the kind is that of any
                number of labels.

        Raises:
            InputError: there is no image, or the targets are of another kind than was asked for.
            TableError: rows of one image differ.
        """
        if not self._files:
            raise InputError(f"'{self._path}' has no image with labels{_reasons(self.left_out)}")
        if not any(self._sets):
            raise InputError(
                f"'{self._path}' has no label on any of its {len(self._files)} images{_reasons(self.left_out)}"
            )
        sets = Categorical(tuple(self._sets), np.array(self._codes, dtype=np.int32))
        kind, targets, sentences = self._targets(sets, request.kind, is_single=is_single, may_be_single=may_be_single)
        part = Categorical.of(self._parts) if any(self._parts) else None
        label_counts = Counter(label for labels in self._sets for label in labels)
        unused = tuple(sorted(set(declared) - set(label_counts)))
        source = Source(
            kind=kind,
            root=request.root,
            files=file_strings(self._path, self._files),
            targets=targets,
            name="" if self._path.is_dir() else self._path.name,
            part=part,
            group=_groups(self._groups),
            left_out=self.left_out,
            unused=unused,
            declared=tuple(sorted(declared)),
            messages=(
                *sentences,
                *messages,
                *unused_messages(unused),
                *([] if part is None else part_messages(part, origin=f"'{self._path.name}' gives")),
                *left_out_messages(self.left_out),
            ),
        )
        return without_duplicates(one_spelling(source))

    def _targets(
        self, sets: Categorical[LabelSet], kind: Kind | None, *, is_single: bool, may_be_single: bool
    ) -> tuple[str, Targets, list[str]]:
        """(block, targets, messages)."""
        is_class = kind is not None and kind.target.is_exclusive
        if kind is not None and not kind.target.has_vocab:
            raise kind_error(f"'{self._path}' holds labels of images", ["labels", "classes"], kind)
        others = np.array(
            [len(category) != 1 or bool(category.unknown) for category in sets.categories], dtype=np.bool_
        )[sets.codes]
        is_one = not bool(others.any())
        if (is_class or (is_single and kind is None)) and not is_one:
            row = int(others.argmax())
            raise TableError(
                f"'{self._path}': one class for each image needs exactly one label, and '{self._files[row]}' has "
                f"{listing(sorted(sets[row])) or 'none'}; `kind='labels'` takes any number"
            )
        if is_class or (kind is None and is_one and (is_single or may_be_single)):
            classes = sets.map(lambda labels: next(iter(labels)))
            sentences = [f"one class for each image: {listing(sorted(set(classes.categories)))}"]
            if kind is None and not is_single:
                sentences = [
                    f"each image has exactly one label, which is its class; `kind='labels'` makes them independent: "
                    f"{listing(sorted(set(classes.categories)))}"
                ]
            return block_name("classes") if kind is None else kind.block, classes, sentences
        return block_name("labels") if kind is None else kind.block, sets, label_messages(sets)


def point_source(
    request: ReadRequest,
    files: Sequence[str],
    points: Floats,
    *,
    names: Sequence[str] = (),
    messages: Iterable[str] = (),
    left_out: dict[str, str] | None = None,
) -> Source:
    """The images with their points as a source.

    Args:
        request: what was asked for.
        files: the paths of the images, relative to the root of the source.
        points: shape (n, p, 2), (x, y) in continuous pixels; NaN is unknown.
        names: the names of the points; empty where they have none.
        messages: the messages of the reader, sentences for the user.
        left_out: images that are not used, path to reason.

    Raises:
        InputError: there is no image, or another kind was asked for.
    """
    path, kind = request.path, request.kind
    if kind is not None and not kind.target.is_geometric:
        raise kind_error(f"'{path}' holds points", ["points"], kind)
    return _value_source(request, files, points, names=names, messages=messages, left_out=left_out or {})


def number_source(
    request: ReadRequest,
    files: Sequence[str],
    numbers: Floats,
    *,
    names: Sequence[str],
    messages: Iterable[str] = (),
    left_out: dict[str, str] | None = None,
) -> Source:
    """The images with their numbers as a source.

    Args:
        request: what was asked for; its kind is numbers or None.
        files: the paths of the images, relative to the root of the source.
        numbers: shape (n, k); NaN is unknown.
        names: the names of the numbers.
        messages: the messages of the reader, sentences for the user.
        left_out: images that are not used, path to reason.

    Raises:
        InputError: there is no image.
        TableError: the entries of an image differ.
    """
    return _value_source(request, files, numbers, names=names, messages=messages, left_out=left_out or {})


def named_points(places: Sequence[Mapping[str, tuple[float, float]]]) -> tuple[list[str], Floats]:
    """The names of the points in the order of their first occurrence, and the points of all images, shape (n, p, 2).

    Args:
        places: (x, y) of each point of an image by its name; points that an image does not name are NaN.
    """
    names = list(dict.fromkeys(name for image in places for name in image))
    missing = (math.nan, math.nan)
    points = [[image.get(name, missing) for name in names] for image in places]
    return names, np.array(points, dtype=np.float64).reshape(len(places), len(names), 2)


def label_messages(sets: Categorical[LabelSet]) -> list[str]:
    """How many labels and images there are, and what is unknown, sentences for the user."""
    names = sorted({label for category in sets.categories for label in category})
    messages = [
        f"any number of labels for each image, {count_text(len(names), 'different one')} on "
        f"{count_text(len(sets), 'image')}: "
        f"{listing(names)}"
    ]
    if empty := int(sets.isin([LabelSet()]).sum()):
        messages.append(f"images without a label: {empty} of {len(sets)}")
    unknown_counts = np.array([len(category.unknown) for category in sets.categories], dtype=np.int64)
    if unknown := int(unknown_counts[sets.codes].sum()):
        messages.append(
            f"labels that are unknown, neither yes nor no, and masked: {count_text(unknown, 'cell')} of "
            f"{count_text(len(sets), 'image')}"
        )
    return messages


def same_names_messages(names: Mapping[Any, str], what: str) -> list[str]:
    """A message about categories that are one label, since they have one name; none without any.

    Args:
        names: the name of each category by its id.
        what: what the format calls them.
    """
    ids: dict[str, list[str]] = {}
    for key, name in names.items():
        ids.setdefault(name, []).append(str(key))
    several = [f"'{name}' ({', '.join(keys)})" for name, keys in ids.items() if len(keys) > 1]
    return [f"{what} of one name, which are one label: {', '.join(several)}"] if several else []


def left_out_messages(left_out: dict[str, str]) -> list[str]:
    """How many images are left out for each reason, sentences for the user."""
    first = {reason: file for file, reason in reversed(left_out.items())}
    counts = Counter(left_out.values())
    return [
        f"images that are left out, {reason}: {count} (such as '{first[reason]}')" for reason, count in counts.items()
    ]


def without_duplicates(source: Source) -> Source:
    """The source with each image once.

    Raises:
        InputError: rows of one image have different targets or parts.
    """
    first = first_row_of_each_image(source)
    if len(first) == len(source):
        return source
    return source.take(first).with_messages(f"entries of an image that is there already: {len(source) - len(first)}")


def file_strings(path: Path, files: Sequence[str]) -> Strings:
    """The names of the files as an array of strings.

    Raises:
        TableError: a name holds invalid Unicode.
    """
    try:
        return strings(files)
    except UnicodeEncodeError as error:
        raise TableError(f"'{path}': the name of an image has a broken character: {error.object!a}") from None


def _value_source(
    request: ReadRequest,
    files: Sequence[str],
    values: Floats,
    *,
    names: Sequence[str],
    messages: Iterable[str],
    left_out: dict[str, str],
) -> Source:
    """The images with points, shape (n, p, 2), or with numbers, shape (n, k), as a source."""
    path, kind = request.path, request.kind
    task_type: TaskType = "points" if values.ndim == 3 else "numbers"
    if not files:
        raise InputError(f"'{path}' has no image with {task_type}{_reasons(left_out)}")
    if values.ndim == 3:
        unknown = np.isnan(values).any(axis=2)
        listed = f": {listing(names)}" if names else ""
        sentences = [f"{count_text(values.shape[1], 'point')} for each of {count_text(len(files), 'image')}{listed}"]
    else:
        unknown = np.isnan(values)
        sentences = [f"numbers of each of {count_text(len(files), 'image')}: {listing(names)}"]
    if unknown.any():
        sentences.append(f"{task_type} that are unknown: {int(unknown.sum())} of {unknown.size}")
    source = Source(
        kind=block_name(task_type) if kind is None else kind.block,
        root=request.root,
        files=file_strings(path, files),
        targets=values,
        name="" if path.is_dir() else path.name,
        names=tuple(names),
        left_out=left_out,
        messages=(*sentences, *messages, *left_out_messages(left_out)),
    )
    return without_duplicates(source)


def _check_label(path: Path, label: str) -> None:
    if len(label) > MAX_LABEL_LENGTH:
        raise TableError(f"'{path}': {long_label(label)}")
    if not label:
        raise TableError(f"'{path}': a label has no name; give it one, or remove it")
    try:
        label.encode()
    except UnicodeEncodeError:
        raise TableError(f"'{path}': the label {label!a} has a broken character; write it again as UTF-8") from None


def _groups(groups: Sequence[str | None]) -> Categorical[str] | None:
    if not any(groups):
        return None
    return Categorical.of(f"\0{row}" if group is None else group for row, group in enumerate(groups))


def _reasons(left_out: dict[str, str]) -> str:
    return "".join(f"; {message}" for message in left_out_messages(left_out))


def with_part(source: Source, part: Part) -> Source:
    """The source with one part for all of its images."""
    return replace(source, part=Categorical[Part]((part,), np.zeros(len(source), dtype=np.int32)))
