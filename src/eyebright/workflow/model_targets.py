"""Converts the targets of labelled images to those of a saved model: its labels, or its points or numbers in order."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from eyebright.errors import InputError, count_text, listing
from eyebright.sources.categorical import Categorical
from eyebright.sources.source import Source
from eyebright.sources.task_types import targets_text
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.registry import TARGET_BLOCKS
from eyebright.tasks.task_type import TaskType
from eyebright.types import LabelSet


def with_targets_of_model(source: Source, target: TargetBlock) -> Source:
    """The source with its targets converted for the model's target block, and messages on differences.

    Labels that the model does not have are left out of label sets. Labels that the data do not declare (other than, for
    example, their 0/1 columns) are unknown, and so are points and numbers that the data do not have.

    Args:
        source: labelled images.
        target: the fitted target block of the model.

    Raises:
        InputError: the targets are of another kind, or the data have none of the model's labels, points or numbers.
    """
    if not isinstance(target, TARGET_BLOCKS[source.kind]):
        raise InputError(
            f"the model predicts {targets_text(target)} ({target.describe()}), but these data have "
            f"{targets_text(source.block())}"
        )
    return _CONVERSIONS[target.task_type](source, target)


def _with_values(source: Source, target: TargetBlock) -> Source:
    """The source with the points or numbers of the model, in its order."""
    names, values = target.value_names, source.targets
    assert isinstance(values, np.ndarray)
    given, wanted = target.match_names(source.names, values.shape[1])
    if not given:
        if values.shape[1] != len(names):
            raise InputError(
                f"the model predicts {listing(names)}, but these data have {values.shape[1]} without names"
            )
        return _with_values_in_order(source, target)
    shared = [name for name in wanted if name in given]
    if not shared:
        raise InputError(f"these data have {listing(given)}, but the model predicts {listing(names)}")
    ordered = np.full((len(source), len(names), *values.shape[2:]), np.nan)
    ordered[:, [wanted.index(name) for name in shared]] = values[:, [given.index(name) for name in shared]]
    absent, further = _without(wanted, given), _without(given, wanted)
    messages = [
        *([f"not in these data, so unknown: {listing(absent)}"] if absent else []),
        *([f"not predicted by the model, so not used: {listing(further)}"] if further else []),
    ]
    return replace(source, targets=ordered, names=names, mirror=None).with_messages(*messages)


def _with_values_in_order(source: Source, target: TargetBlock) -> Source:
    """The source with values that only have numbers, each taken for that of the model in the same place."""
    if not source.names and not target.has_names:
        return source  # neither has names
    numbers = source.names or [str(i + 1) for i in range(len(target.value_names))]
    pairs = listing([f"{number} is {name}" for number, name in zip(numbers, target.value_names, strict=True)])
    message = f"{_WITHOUT_NAMES[target.task_type]} are taken for those of the model, in their order: {pairs}"
    return replace(source, names=target.value_names, mirror=None).with_messages(message)


def _with_labels(source: Source, target: TargetBlock) -> Source:
    """The source without labels that the model lacks; labels that the data do not declare are unknown."""
    sets = cast("Categorical[LabelSet]", source.targets)
    labels = target.label_names
    labels_in_data = {label for category in sets.categories for label in category}
    if not labels_in_data.intersection(labels) and not set(source.declared).intersection(labels):
        raise InputError(
            f"no image has a label of the model ({listing(labels)}); these data have {listing(sorted(labels_in_data))}"
        )
    counts = Counter[str]()
    set_counts = np.bincount(sets.codes, minlength=len(sets.categories)).tolist()
    for label_set, images in zip(sets.categories, set_counts, strict=True):
        counts.update({label: images for label in label_set if label not in labels})
    unsaid = [label for label in labels if source.declared and label not in labels_in_data.union(source.declared)]
    messages: list[str] = []
    if new := sorted(label for label, images in counts.items() if images):
        named = listing(f"{label} ({count_text(counts[label], 'image')})" for label in new)
        messages.append(f"labels that the model does not have, which are not scored: {named}")
    if unsaid:
        messages.append(f"labels of the model that these data do not declare, so unknown: {listing(unsaid)}")
    targets = sets.map(lambda label_set: _labels_of_model(label_set, labels, unsaid)).remove_unused_categories()
    messages += _lacking(target, targets, [label_set.unknown for label_set in targets.categories])
    return replace(source, targets=targets).with_messages(*messages)


def _with_classes(source: Source, target: TargetBlock) -> Source:
    """The source with a message about classes of the model that no image has."""
    targets = cast("Categorical[Any]", source.targets).remove_unused_categories()
    return source.with_messages(*_lacking(target, targets))


def _labels_of_model(labels: LabelSet, known: Sequence[str], unsaid: Sequence[str]) -> LabelSet:
    if not unsaid and all(label in known for label in labels):
        return labels
    unknown = {label for label in known if label in labels.unknown or label in unsaid}
    return LabelSet([label for label in labels if label in known], unknown=unknown)


def _lacking(target: TargetBlock, targets: Categorical[Any], unknown: Iterable[Collection[str]] = ()) -> list[str]:
    """A sentence about labels of the model that no image has, and of which no image is among those that are unknown."""
    values = map(target.read, targets.categories)
    absent = _without(target.label_names, {label for value in values for label in target.labels(value)})
    lacking = [label for label in absent if not any(label in unknown_labels for unknown_labels in unknown)]
    return [f"labels of the model that no image has: {listing(lacking)}"] if lacking else []


def _without(names: Sequence[str], others: "Sequence[str] | set[str]") -> list[str]:
    return [name for name in names if name not in others]


_CONVERSIONS: Mapping[TaskType, Callable[[Source, TargetBlock], Source]] = {
    "labels": _with_labels,
    "classes": _with_classes,
    "points": _with_values,
    "numbers": _with_values,
}
_WITHOUT_NAMES: Mapping[TaskType, str] = {"points": "points that only have numbers", "numbers": "numbers without names"}
