"""Properties that images have in common: values of the columns of the data, sizes, shapes, file types and labels."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Num

from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.slices import FILE_TYPE, IMAGE_SIZE, MAX_VALUES, MIN_IMAGES
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.task_type import TaskType
from eyebright.web.text import number_text

MAX_LABELS = 200
"""The number of labels, the most frequent ones, that are combined with each other and with other properties."""

_MAX_SQUARE_RATIO = 1.1  # ratio of the sides up to which an image counts as square
_MAX_NUMBERS = 20  # columns and predicted numbers whose thirds are properties


class Property(NamedTuple):
    """A value that some images have.

    Args:
        name: the name of the column, or of the property of an image.
        value: the value.
        has: which images have it.
        is_label: whether it is a label; an image may have several.
        is_alone: whether these images are a segment without a second value; False for labels, which have their own row
            in every table of labels.
        is_combined: whether it is combined with other properties.
    """

    name: str
    value: str
    has: Bool[np.ndarray, " n"]
    is_label: bool = False
    is_alone: bool = True
    is_combined: bool = True


def segment_properties(evaluation: Evaluation) -> list[Property]:
    """The properties that at least 10 images have and at least 10 do not.

    Args:
        evaluation: an evaluation of any kind of target.
    """
    properties = [*_column_properties(evaluation), *_image_properties(evaluation), *_target_properties(evaluation)]
    n = len(evaluation)
    return [
        image_property for image_property in properties if MIN_IMAGES <= int(image_property.has.sum()) <= n - MIN_IMAGES
    ]


def _column_properties(evaluation: Evaluation) -> Iterator[Property]:
    columns = evaluation.columns
    if not len(columns):
        return
    for i in range(columns.shape[1]):
        name, cells = str(columns.columns[i]), columns.iloc[:, i]
        known = cells[~cells.isna() & (cells.astype(str) != "")]
        if known.nunique() <= MAX_VALUES:
            yield from _values(name, ["" if pd.isna(cell) else str(cell) for cell in cells.tolist()])
        elif i < _MAX_NUMBERS:
            yield from _thirds(name, np.asarray(pd.to_numeric(cells, errors="coerce"), dtype=np.float64))


def _image_properties(evaluation: Evaluation) -> Iterator[Property]:
    heights, widths = evaluation.sizes.double().cpu().numpy().T
    yield from _thirds(IMAGE_SIZE, heights * widths / 1e6, unit=" megapixels")
    shapes = np.where(
        widths > _MAX_SQUARE_RATIO * heights,
        "landscape",
        np.where(heights > _MAX_SQUARE_RATIO * widths, "portrait", "square"),
    )
    yield from _values("shape of the image", shapes.tolist())
    yield from _values(FILE_TYPE, [PurePath(file).suffix.lower() for file in evaluation.files])


def _target_properties(evaluation: Evaluation) -> Iterator[Property]:
    block = evaluation.decision.target
    return _PROPERTIES_OF_TASK_TYPE[block.task_type](block, evaluation.targets.cpu().numpy())


def _label_properties(block: TargetBlock, targets: Num[np.ndarray, "n k"]) -> Iterator[Property]:
    has = targets == 1
    counts = has.sum(axis=1)
    words = np.where(counts > 3, "more than 3", counts.astype(str))
    yield from _values("number of labels", words.tolist())
    for k in np.argsort(-has.sum(axis=0), kind="stable")[:MAX_LABELS]:
        yield Property("label", block.output_names[k], has[:, k], is_label=True, is_alone=False)


def _class_properties(block: TargetBlock, targets: Num[np.ndarray, " n"]) -> Iterator[Property]:
    for k in np.argsort(-np.bincount(targets[targets >= 0].astype(int), minlength=1), kind="stable")[:MAX_LABELS]:
        yield Property("class", block.value_names[k], targets == k, is_alone=False)


def _number_properties(block: TargetBlock, targets: Num[np.ndarray, "n ..."]) -> Iterator[Property]:
    for name, values in zip(block.value_names[:_MAX_NUMBERS], targets.reshape(len(targets), -1).T, strict=False):
        yield from _thirds(name, values.astype(np.float64))


def _point_properties(_: TargetBlock, __: Num[np.ndarray, "n ..."]) -> Iterator[Property]:
    return iter(())


_PROPERTIES_OF_TASK_TYPE: Mapping[TaskType, Callable[[TargetBlock, Any], Iterator[Property]]] = {
    "labels": _label_properties,
    "classes": _class_properties,
    "points": _point_properties,
    "numbers": _number_properties,
}


def _values(name: str, cells: Sequence[Any]) -> Iterator[Property]:
    """Each value of a column with few values; the empty text is not a value."""
    column = np.array(cells, dtype=object)
    for value in sorted({cell for cell in cells if cell != ""}):
        yield Property(name, str(value), np.asarray(column == value, dtype=np.bool_))


def _thirds(name: str, values: Float[np.ndarray, " n"], *, unit: str = "") -> Iterator[Property]:
    """The low, middle and high thirds of the values; none if two thirds cannot be told apart."""
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return
    low, high = np.quantile(known, [1 / 3, 2 / 3])
    if not low < high:
        return
    texts = number_text(float(low)), number_text(float(high))
    yield Property(name, f"up to {texts[0]}{unit}", values <= low)
    yield Property(name, f"{texts[0]} to {texts[1]}{unit}", (values > low) & (values <= high))
    yield Property(name, f"more than {texts[1]}{unit}", values > high)
