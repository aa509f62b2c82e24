"""The specification of a sample: a getter and a block for its image and for its target.

Errors name the item; unexpected ones also the getter or block that raised them. An `ImageError` names its file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eyebright.data.getters import Getter, item_reader
from eyebright.errors import DataError, EyebrightError, ImageError
from eyebright.sources.items import describe_item
from eyebright.tasks.base import Block, TargetBlock

FieldReader = Callable[[int], Any]
"""From the index of an item to the value of one field."""


@dataclass(frozen=True)
class SampleSpec:
    """How an item becomes a sample.

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
        """A function from an index to the target of that item, as the target block read it.

        Any error becomes a DataError, but for an ImageError, which passes unchanged.
        """
        return _field_reader(items, self.get_y, self.target, "get_y")


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
