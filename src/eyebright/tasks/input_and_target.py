"""The two blocks of a `DataBlock`: an input block and a target block, given as classes or as instances."""

import inspect
from collections.abc import Sequence
from typing import Any

from eyebright.errors import DataError
from eyebright.tasks.base import Block, TargetBlock


def as_input_and_target(blocks: Sequence[Any]) -> tuple[Block, TargetBlock]:
    """The blocks of a `DataBlock`, as instances.

    Args:
        blocks: classes or instances, as `DataBlock` takes them.

    Raises:
        DataError: they are not an input block and a target block.
    """
    instances = [_as_block(block) for block in blocks]
    match instances:
        case [image, TargetBlock() as target] if not isinstance(image, TargetBlock):
            return image, target
        case _:
            raise DataError(
                "`blocks` must be an input and a target, for example (ImageBlock, MultiCategoryBlock); "
                f"got {tuple(type(block).__name__ for block in instances)}"
            )


def _as_block(given: Any) -> Block:
    """A block given as a class or as an instance, as an instance: ``ImageBlock`` or ``ImageBlock()``.

    Raises:
        DataError: the value is neither.
    """
    made = given() if inspect.isclass(given) else given
    if not isinstance(made, Block):
        raise DataError(f"a block must be ImageBlock, CategoryBlock, MultiCategoryBlock, ...; got {given!r}")
    return made
