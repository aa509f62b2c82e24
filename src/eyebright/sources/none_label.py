"""`with_none_label`: removes a label that means "no label", such as ``No Finding``.

Kept as a label, it would be learnt, scored and thresholded like the others, and could be predicted together with them.
So would a label that means "unknown", such as ``NA``; `with_unknown_hint` says which may.
"""

from dataclasses import replace
from typing import Any, cast

import numpy as np

from eyebright._all_but import AllBut
from eyebright.errors import InputError, count_text, did_you_mean, listing
from eyebright.sources.categorical import Categorical
from eyebright.sources.cells import UNKNOWN
from eyebright.sources.source import Source
from eyebright.sources.spelling import all_labels, spelling_key
from eyebright.sources.task_types import TARGET_FUNCTIONS, block_name
from eyebright.tasks.registry import TARGET_BLOCKS
from eyebright.types import LabelSet

_NONE_NAMES = frozenset({"nofinding", "nofindings", "none", "nolabel", "nolabels", "noneoftheabove", "noneofthese"})
_UNKNOWN_NAMES = UNKNOWN - {"?", "none"} | {"-", "--", "nil", "#n/a", "not available"}  # in lower case


def with_none_label(source: Source, name: str | None, *, is_class: bool = False) -> Source:
    """The source without the label that means "no label", or with a message if a label may mean this.

    An image with this label only has no label, and those that were unknown are no. If an image has it and another
    label, which contradict each other, the other label is kept.

    Args:
        source: as a format has read it.
        name: the label that means none; None: a label of that name stays one, with a message.
        is_class: the user asks for one class for each image.

    Raises:
        InputError: the targets are not labels, no image or column has this one, or no other label is left.
    """
    targets = source.targets
    if name is None:
        return _with_hint(source)
    if is_class or not isinstance(targets, Categorical):
        task_type = TARGET_BLOCKS[source.kind].task_type
        raise InputError(
            f"`none_label='{name}'` is for any number of labels for each image, and these have "
            f"{TARGET_FUNCTIONS[task_type].description}; leave it out"
        )
    labels = all_labels(targets.categories) | set(source.unused)
    if name not in labels:
        raise InputError(
            f"`none_label='{name}'`: unknown label.{did_you_mean(name, labels)} Labels: {listing(sorted(labels))}"
        )
    if labels == {name}:
        raise InputError(f"`none_label='{name}'` is the only label; an image with another one is needed")
    sets = cast("Categorical[Any]", targets).map(_as_set)
    with_others = [name in category and len(category) > 1 for category in sets.categories]
    only = [name in category and len(category) == 1 for category in sets.categories]
    masked = [is_only and bool(labels.unknown) for labels, is_only in zip(sets.categories, only, strict=True)]
    counts = [int(np.array(is_counted, dtype=np.bool_)[sets.codes].sum()) for is_counted in (only, masked, with_others)]
    kind = block_name("labels") if TARGET_BLOCKS[source.kind].is_exclusive else source.kind
    result = replace(
        source,
        kind=kind,
        targets=sets.map(lambda label_set: _without(label_set, name)),
        unused=tuple(label for label in source.unused if label != name),
    )
    return result.with_messages(*_messages(name, *counts, was_class=kind != source.kind))


def _as_set(target: LabelSet | str) -> LabelSet:
    return LabelSet([target]) if isinstance(target, str) else target


def _without(labels: LabelSet, name: str) -> LabelSet:
    if name in labels:
        return LabelSet(set(labels) - {name}, unknown=labels.unknown if len(labels) > 1 else ())
    if name not in labels.unknown:
        return labels
    unknown = labels.unknown
    rest = AllBut(unknown.vocabulary, [*unknown.known, name]) if isinstance(unknown, AllBut) else set(unknown) - {name}
    return LabelSet(labels, unknown=rest)


def _messages(name: str, only: int, masked: int, with_others: int, *, was_class: bool) -> list[str]:
    messages = [f"'{name}' means that an image has no label, and is not a label itself: {count_text(only, 'image')}"]
    if was_class:
        messages.append("images have any number of labels, since some have none")
    if masked:
        messages.append(f"images with '{name}' whose other labels were unknown, and are now no: {masked}")
    if with_others:
        messages.append(
            f"images with '{name}' and another label, which contradict each other; the other label is kept: "
            f"{with_others}"
        )
    return messages


def _with_hint(source: Source) -> Source:
    """The source with a message about a label that may mean "no label"; with one class per image it is a class."""
    targets = source.targets
    if not isinstance(targets, Categorical) or TARGET_BLOCKS[source.kind].is_exclusive:
        return source
    labels = sorted(label for label in all_labels(targets.categories) if spelling_key(label) in _NONE_NAMES)
    if not labels:
        return source
    return source.with_messages(
        f"'{labels[0]}' is taken for a label like the others; if it means that an image has none, "
        f"`none_label='{labels[0]}'` says so"
    )


def with_unknown_hint(source: Source) -> Source:
    """The source with a message about labels or classes that may mean "unknown", such as ``NA`` or ``-``.

    Which they mean is not guessed: a person may have a class of that name. With one class for each image this includes
    ``None``, since there no image has none.
    """
    targets = source.targets
    if not isinstance(targets, Categorical):
        return source
    is_class = TARGET_BLOCKS[source.kind].is_exclusive
    names = _UNKNOWN_NAMES | {"none"} if is_class else _UNKNOWN_NAMES
    labels = sorted(label for label in all_labels(targets.categories) if label.lower() in names)
    if not labels:
        return source
    one, many, are = ("class", "classes", "is") if is_class else ("label", "labels", "are")
    taken = f"is taken for a {one}" if len(labels) == 1 else f"are taken for {many}"
    unknown = f"the {one if is_class else many} of an image {are} unknown"
    return source.with_messages(
        f"{listing(labels)} {taken} like the others; where {unknown}, write ? in a table, or leave the image out"
    )
