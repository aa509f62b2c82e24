"""The specification of a sample: a getter and a block for its image and for its target.

Errors name the item; unexpected ones also the getter or block that raised them. An `ImageError` names its file.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from eyebright.data.getters import ColReader, Getter, item_reader
from eyebright.errors import DataError, EyebrightError, ImageError
from eyebright.sources.items import describe_item
from eyebright.tasks.base import Block, TargetBlock

FieldReader = Callable[[int], Any]
"""From the index of an item to the value of one field."""


@dataclass(frozen=True)
class SampleSpec:
    """The blocks and getters that make a sample from an item.

    Args:
        get_x: a function from the item to the image; None: the item itself.
        get_y: a function from the item to the target; None: the item itself.
        image: the block that reads what ``get_x`` returns; None: nothing is read.
        target: the block that reads what ``get_y`` returns; None: nothing is read.
    """

    get_x: Getter | None = None
    get_y: Getter | None = None
    image: Block | None = None
    target: TargetBlock | None = None

    def x_reader(self, items: Any) -> FieldReader:
        """A function from an index to the image of that item.

        It raises an ImageError for an image that cannot be opened, and a DataError for any other error.
        """
        return _field_reader(items, self.get_x, self.image, "get_x")

    def y_reader(self, items: Any) -> FieldReader:
        """A function from an index to the target of that item, as the target block reads it.

        Any error becomes a DataError, but for an ImageError, which passes unchanged.
        """
        return _field_reader(items, self.get_y, self.target, "get_y")


def check_no_shared_image(items: Any, splits: tuple[Sequence[int], Sequence[int]], spec: SampleSpec) -> None:
    """Raises `DataError` if items for training and for validation are the same file: the scores would be too good.

    It looks only at items that are paths, or rows of a table with a column of paths: other getters may be slow.

    Args:
        items: all items.
        splits: (train, valid) indices of the items.
        spec: how an item becomes a sample.

    Raises:
        DataError: the message names the first such file.
    """
    rows_are_paths = spec.get_x is None and not isinstance(items, pd.DataFrame)
    if spec.image is None or not (rows_are_paths or isinstance(spec.get_x, ColReader)):
        return
    valid = {path: i for i, path in _paths(items, splits[1], spec.get_x)}
    for i, path in _paths(items, splits[0], spec.get_x) if valid else ():
        if path in valid:
            raise DataError(
                f"'{path}' is listed twice, for training (item {i}) and for validation (item {valid[path]}); list each "
                "image once, or split so that both are in one part"
            )


def _paths(items: Any, indices: Sequence[int], getter: Getter | None) -> Iterator[tuple[int, str]]:
    """(index, path) of the items that are a path."""
    path_of = item_reader(items, getter)
    for i in indices:
        try:
            path = path_of(i)
        except EyebrightError:  # reading the image reports it
            continue
        if isinstance(path, (str, Path)):
            yield i, os.path.normpath(path)


def _field_reader(items: Any, getter: Getter | None, block: Block | None, getter_name: str) -> FieldReader:
    raw_value = item_reader(items, getter)

    def read(index: int) -> Any:
        step = getter_name
        try:
            raw = raw_value(index)
            step = type(block).__name__
            return block.read(raw) if block is not None else raw
        except ImageError:  # it names its file
            raise
        except EyebrightError as error:
            raise DataError(f"{describe_item(items, index)}: {error}") from None
        except Exception as error:
            raise DataError(f"{describe_item(items, index)}: {step} raised {type(error).__name__}: {error}") from error

    return read
