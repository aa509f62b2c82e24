"""The names of the classes that the numbers in a Parquet file of Hugging Face mean (``ClassLabel``)."""

import json
from pathlib import Path
from typing import Any, NamedTuple, cast

from eyebright.errors import TableError

_KEY = b"huggingface"
_UNLABELED = -1  # the class of an image whose label is not given


class ClassNames(NamedTuple):
    """The names of the classes that the numbers of a column mean.

    Args:
        names: the names of the classes, in their order.
        is_list: whether the column has lists of numbers.
    """

    names: tuple[str, ...]
    is_list: bool


def read_class_names(path: Path, schema: Any) -> dict[str, ClassNames]:
    """By column the names of its classes, from the metadata that the package ``datasets`` writes.

    Args:
        path: the path of the file, for messages.
        schema: the schema of pyarrow.

    Raises:
        TableError: the metadata cannot be read.
    """
    text = (schema.metadata or {}).get(_KEY)
    if text is None:
        return {}
    try:
        features: Any = json.loads(text)["info"]["features"]
        class_labels = {str(column): _class_label(feature) for column, feature in features.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise TableError(
            f"'{path}' has metadata of '{_KEY.decode()}' that cannot be read: the names of classes were expected in "
            "info, features"
        ) from None
    return {column: names for column, names in class_labels.items() if names is not None}


def _class_label(feature: Any, *, is_list: bool = False) -> ClassNames | None:
    if isinstance(feature, list):
        inner = cast("list[Any]", feature)
        return _class_label(inner[0], is_list=True) if len(inner) == 1 else None
    if isinstance(feature, dict):
        values = cast("dict[str, Any]", feature)
        if values.get("_type") == "ClassLabel" and isinstance(values.get("names"), list):
            return ClassNames(tuple(str(name) for name in values["names"]), is_list)
        if values.get("_type") in ("Sequence", "List", "LargeList"):
            return _class_label(values.get("feature"), is_list=True)
    return None


def name_of_class(path: Path, column: str, value: Any, classes: ClassNames) -> Any:
    """The name of the class that a number means, or the names of those in a list; ``?`` where it is not given.

    Raises:
        TableError: a number has no name.
    """
    if isinstance(value, list):
        return [name_of_class(path, column, element, classes) for element in cast("list[Any]", value)]
    if value is None or value == _UNLABELED:
        return "?"
    if not isinstance(value, int) or not 0 <= value < len(classes.names):
        raise TableError(
            f"'{path}' has the class {value} in column '{column}', which is none of the {len(classes.names)} that "
            "have a name"
        )
    return classes.names[value]
