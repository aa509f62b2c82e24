"""How an item becomes a sample: a getter and a block for each of its two fields; errors name the item and the step."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eyebright.data.getters import Getter, item_reader
from eyebright.errors import DataError, EyebrightError, ImageError
from eyebright.sources.items import where
from eyebright.tasks.base import Block, TargetBlock

Read = Callable[[int], Any]
"""From an item's index to what was read of it."""


@dataclass(frozen=True)
class Fields:
    """How an item becomes a sample: a getter and a block for each of its two fields."""

    get_x: Getter | None = None
    get_y: Getter | None = None
    image: Block | None = None
    target: TargetBlock | None = None

    def x_of(self, items: Any) -> Read:
        """What reads the input field of these items."""
        return _reading(items, self.get_x, self.image, "get_x")

    def y_of(self, items: Any) -> Read:
        """What reads the target field of these items."""
        return _reading(items, self.get_y, self.target, "get_y")

    def x(self, items: Any, index: int) -> Any:
        """The input field of one item."""
        return self.x_of(items)(index)

    def y(self, items: Any, index: int) -> Any:
        """The target field of one item."""
        return self.y_of(items)(index)


def _reading(items: Any, getter: Getter | None, block: Block | None, name: str) -> Read:
    """What reads a field of the items: errors name the item, and the step that failed."""
    raw_at = item_reader(items, getter)

    def read(index: int) -> Any:
        step = name
        try:
            raw = raw_at(index)
            step = type(block).__name__
            return block.read(raw) if block is not None else raw
        except ImageError:
            raise
        except EyebrightError as error:
            raise DataError(f"{where(items, index)}: {error}") from None
        except Exception as error:
            raise DataError(f"{where(items, index)}: {step} raised {type(error).__name__}: {error}") from error

    return read
